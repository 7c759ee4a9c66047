"""A title, and the delivery that is current for it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from mediafm_core.identity import TitleId, canonical_json, title_id

RENDERING = 1
"""Of `Metadata.described`: raised when the same fields give another text. It is told beside the embedding; hashed is
the text itself, so titles whose text stays are not embedded again."""


REVIEW_CHARACTERS = 2000
"""So much of a title's reviews is read, all together."""


LATER = "later"
"""Marks fields that records did not have at first: what they hold is written and hashed where it says something."""


_LATER = MappingProxyType({LATER: True})


class Part(StrEnum):
    """The parts of a delivery. Each has a content hash of its own, so that a change runs what hangs on it alone."""

    MEDIA = "media"
    CAPTIONS = "captions"
    METADATA = "metadata"
    SHOT_LIST = "shot_list"
    EMBEDDINGS = "embeddings"
    LABELS = "labels"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredFile:
    """One file of a delivery; its bytes are kept in the home under `sha256`."""

    part: Part
    name: str  # as delivered, e.g. captions.en.vtt
    sha256: str
    n_bytes: int

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**{**record, "part": Part(record["part"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What title.json says about a title."""

    name: str
    synopsis: str = ""
    tags: tuple[str, ...] = ()
    year: int | None = None
    attribution: str = ""
    licence: str = ""
    source: str = ""
    series: str = field(default="", metadata=_LATER)
    season: int | None = field(default=None, metadata=_LATER)  # 0 for what stands outside of the seasons
    episode: int | None = field(default=None, metadata=_LATER)
    genres: tuple[str, ...] = field(default=(), metadata=_LATER)  # paths in a taxonomy, e.g. drama/courtroom
    cast: tuple[str, ...] = field(default=(), metadata=_LATER)
    reviews: tuple[str, ...] = field(default=(), metadata=_LATER)

    @property
    def as_the_post(self) -> str:
        """What the post's [GLOBAL] is made from: synopsis and tags; the name where there is neither."""
        return " ".join([self.synopsis, *self.tags]).strip() or self.name

    @property
    def described(self) -> str:
        """What a text encoder reads of a title: what the post reads, then a line for each further field that is given.

        Reviews come last, for an encoder may not read to the end.
        """
        reviews = _one_line(" / ".join(self.reviews))[:REVIEW_CHARACTERS].rstrip()
        said = {
            "Series": _one_line(self.series),
            "Season": "" if self.season is None else str(self.season),
            "Episode": "" if self.episode is None else str(self.episode),
            "Genres": _one_line("; ".join(self.genres)),
            "Cast": _one_line(", ".join(self.cast)),
            "Reviews": reviews,
        }
        return "\n".join([self.as_the_post, *(f"{label}: {text}" for label, text in said.items() if text)])

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        lists = {name: tuple(value) for name, value in record.items() if isinstance(value, list | tuple)}
        return cls(**{**record, **lists})


def _one_line(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """A movie or an episode, with the delivery that is current for it."""

    id: TitleId
    delivered_as: str  # the folder or file name that arrived; unique in the catalogue
    metadata: Metadata
    files: tuple[DeliveredFile, ...]
    suite: str | None = None  # the id of the suite whose embeddings were delivered with it, if any were

    def __post_init__(self) -> None:
        title_id(self.id)

    def part_hash(self, part: Part) -> str | None:
        """The content hash of one part: over its files' names and bytes; None where the part was not delivered."""
        files = sorted((f.name, f.sha256) for f in self.files if f.part is part)
        return hashlib.sha256(canonical_json(files).encode()).hexdigest() if files else None

    def part_files(self, part: Part) -> tuple[DeliveredFile, ...]:
        """The files of one part, by name."""
        return tuple(sorted((f for f in self.files if f.part is part), key=lambda f: f.name))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(
            id=record["id"],
            delivered_as=record["delivered_as"],
            metadata=Metadata.from_json(record["metadata"]),
            files=tuple(DeliveredFile.from_json(f) for f in record["files"]),
            suite=record.get("suite"),
        )
