"""The records of a catalogue: titles and their deliveries, suites, encoders, and the table of artifact kinds.

Plain immutable values that turn into JSON and back. What they describe is computed in the rooms above.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from mediafm_core.errors import EncoderMismatchError, PlanError
from mediafm_core.identity import Fingerprint, TitleId, canonical_json, name_id, title_id

DELIVERED = "delivered"
"""A setting of instruments that ran elsewhere: their vectors come with the deliveries and cannot be made here."""

JOINT = "joint"
"""A setting of instruments that perceive several modalities in one pass over a shot: those modalities' names."""

SERVER = "server"
"""A setting of instruments that somebody else's machine runs, its address: answers differ a little between calls."""


RETIRED = "retired"
"""The subject of declarations that an encoder is asked for no longer; it is never taken back."""


class Modality(StrEnum):
    """What a shot is perceived by."""

    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"


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


RENDERING = 1
"""Of `Metadata.described`: raised when the same fields give another text. It is told beside the embedding; hashed is
the text itself, so titles whose text stays are not embedded again."""

REVIEW_CHARACTERS = 2000
"""So much of a title's reviews is read, all together."""

LATER = "later"
"""Marks fields that records did not have at first: what they hold is written and hashed where it says something."""

_LATER = MappingProxyType({LATER: True})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A pretrained model as it is used: anything here that changes, changes what it produces."""

    name: str  # e.g. efficientnet-lite0
    weights_sha256: str
    settings: Mapping[str, Any] = field(default_factory=dict)  # preprocessing, precision, thresholds: JSON values

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**record)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnimodalSpec:
    """One unimodal encoder of a suite: an instrument, what it perceives, and the width of its vectors."""

    modality: Modality
    dims: int
    instrument: Instrument

    @property
    def is_remote(self) -> bool:
        """Whether it runs on somebody else's machine."""
        return bool(self.instrument.settings.get(SERVER))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(
            modality=Modality(record["modality"]),
            dims=record["dims"],
            instrument=Instrument.from_json(record["instrument"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Three pinned unimodal encoders. Its id is its alias and a hash over the three."""

    alias: str
    video: UnimodalSpec
    audio: UnimodalSpec
    text: UnimodalSpec

    def __post_init__(self) -> None:
        name_id(self.alias, "suite")
        for spec in (self.video, self.audio, self.text):
            together = {Modality(name) for name in spec.instrument.settings.get(JOINT, ())}
            if together and together != set(self.read_with(spec.modality)):
                raise EncoderMismatchError(
                    f"suite {self.alias!r}",
                    found=f"{spec.instrument.name!r} for {', '.join(self.read_with(spec.modality))}",
                    expected=f"it for {', '.join(sorted(together))}, which it perceives together",
                    next_step="Name the same model for each of them.",
                )

    def read_with(self, modality: Modality) -> tuple[Modality, ...]:
        """The modalities that are perceived in one pass with this one, itself among them."""
        own = self.spec(modality).instrument
        if not own.settings.get(JOINT):
            return (modality,)
        return tuple(other for other in Modality if self.spec(other).instrument == own)

    @property
    def id(self) -> str:
        """The suite's name in partition keys, e.g. `embedded-1f0c2a9b`."""
        body = canonical_json([asdict(self.video), asdict(self.audio), asdict(self.text)])
        return f"{self.alias}-{hashlib.sha256(body.encode()).hexdigest()[:8]}"

    @property
    def dims(self) -> int:
        """Width of the fused embedding: the sum of the three."""
        return self.video.dims + self.audio.dims + self.text.dims

    @property
    def is_delivered(self) -> bool:
        """Whether its encoders ran elsewhere, so that only titles which bring its embeddings have them."""
        return any(self.spec(modality).instrument.settings.get(DELIVERED) for modality in Modality)

    def spec(self, modality: Modality) -> UnimodalSpec:
        """The unimodal encoder of one modality."""
        return {Modality.VIDEO: self.video, Modality.AUDIO: self.audio, Modality.TEXT: self.text}[modality]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(
            alias=record["alias"],
            video=UnimodalSpec.from_json(record["video"]),
            audio=UnimodalSpec.from_json(record["audio"]),
            text=UnimodalSpec.from_json(record["text"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusMember:
    """One title of a frozen pre-training corpus, by the fingerprints of what the encoder reads of it."""

    title: TitleId
    fused: Fingerprint
    metadata: Fingerprint

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**record)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec:
    """One MediaFM encoder, bound to a suite: all that its weights depend on. Declared once, never changed."""

    name: str
    suite: str
    corpus: tuple[CorpusMember, ...]
    config: Mapping[str, Any]  # the model's and the trainer's configuration, as JSON
    seed: int

    def __post_init__(self) -> None:
        name_id(self.name, "encoder")

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**{**record, "corpus": tuple(CorpusMember.from_json(m) for m in record["corpus"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenLabels:
    """The labels of one task, frozen: a title that comes later with labels of its own does not change them."""

    task: str
    table: str  # sha256 of the table's bytes, which the home keeps
    titles: tuple[TitleId, ...]  # those that have a label

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**{**record, "titles": tuple(record["titles"])})


VECTOR_KINDS = ("pretraining_corpus", "mediafm_encoder", "contextual_embeddings")
"""The kinds whose code an encoder's vectors hang on. What a title's own embeddings hang on is upstream of the encoder:
it may change under an encoder, as when a title is delivered anew."""


def _first_code() -> dict[str, int]:
    """The code versions by which everything was made that does not say so."""
    return dict.fromkeys(VECTOR_KINDS, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """What a head was fitted on, frozen when it was first made."""

    encoder: str
    task: str
    table: str  # of the labels
    members: tuple[tuple[TitleId, Fingerprint], ...]  # titles, and their contextual embeddings
    made_by: Mapping[str, int] = field(default_factory=_first_code)  # the code versions that the vectors hang on

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**{**record, "members": tuple((title, fp) for title, fp in record["members"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationWish:
    """What somebody asked to see an encoder taken apart beside, frozen: what comes later makes no ablation stale."""

    encoder: str
    others: tuple[str, ...] = ()  # encoders of the same suite
    outside: Mapping[str, str] = field(default_factory=dict)  # model to the sha256 of its table of clip vectors

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**{**record, "others": tuple(record["others"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySet:
    """The fixed inputs that a suite is watched by, and how often a person has accepted what had moved."""

    suite: str
    tables: tuple[str, ...]  # sha256 of tables of inputs, which the home keeps; first those that were made
    accepted: int = 0
    why: str = ""  # of the last acceptance
    by: str = ""  # the user who accepted

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**{**record, "tables": tuple(record["tables"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An encoder with its heads, as it went live."""

    name: str  # <encoder>-rN
    encoder: str
    heads: Mapping[str, Fingerprint]  # by task
    fingerprint: Fingerprint  # of the release artifact: the gate's record
    made_by: Mapping[str, int] = field(default_factory=_first_code)  # code versions of the vectors that heads read

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**record)


class ArtifactKey(NamedTuple):
    """The name of an artifact: its kind, its partition, and what it was made from."""

    kind: str
    partition: str
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactKind:
    """A kind of artifact. Its name is the key of the asset that shows it."""

    name: str
    axes: tuple[str, ...]  # what a partition is made of, in alphabetical order
    code_version: int  # bumped by hand whenever the output of the code changes; a golden-output test watches it
    suffix: str  # of the object's file name


_KINDS = (
    ArtifactKind(name="deliveries", axes=("title",), code_version=1, suffix=".json"),
    ArtifactKind(name="shots", axes=("title",), code_version=1, suffix=".parquet"),
    ArtifactKind(name="thumbnails", axes=("title",), code_version=1, suffix=".parquet"),
    ArtifactKind(name="timed_text", axes=("title",), code_version=2, suffix=".parquet"),
    ArtifactKind(name="video_embeddings", axes=("suite", "title"), code_version=1, suffix=".parquet"),
    ArtifactKind(name="audio_embeddings", axes=("suite", "title"), code_version=1, suffix=".parquet"),
    ArtifactKind(name="text_embeddings", axes=("suite", "title"), code_version=1, suffix=".parquet"),
    ArtifactKind(name="metadata_embedding", axes=("suite", "title"), code_version=1, suffix=".parquet"),
    ArtifactKind(name="fused_embeddings", axes=("suite", "title"), code_version=1, suffix=".parquet"),
    ArtifactKind(name="pretraining_corpus", axes=("encoder",), code_version=1, suffix=".parquet"),
    ArtifactKind(name="mediafm_encoder", axes=("encoder",), code_version=1, suffix=".safetensors"),
    ArtifactKind(name="contextual_embeddings", axes=("encoder", "title"), code_version=1, suffix=".parquet"),
    ArtifactKind(name="labels", axes=("task",), code_version=1, suffix=".parquet"),
    ArtifactKind(name="probe_heads", axes=("encoder", "task"), code_version=2, suffix=".safetensors"),
    ArtifactKind(name="predictions", axes=("encoder", "title"), code_version=1, suffix=".parquet"),
    ArtifactKind(name="probe_report", axes=("encoder",), code_version=2, suffix=".json"),
    ArtifactKind(name="ablation_report", axes=("encoder",), code_version=2, suffix=".json"),
    ArtifactKind(name="canaries", axes=("suite",), code_version=1, suffix=".parquet"),
    ArtifactKind(name="release", axes=("encoder",), code_version=1, suffix=".json"),
    ArtifactKind(name="snapshot", axes=(), code_version=1, suffix=".parquet"),
)

KINDS: Mapping[str, ArtifactKind] = MappingProxyType({kind.name: kind for kind in _KINDS})
"""Every kind of artifact, upstream before downstream."""

UNPARTITIONED = ""
"""The partition of a kind without axes."""

_SEPARATOR = "|"


def join_partition(**values: str) -> str:
    """The partition key of the given axes, e.g. `suite=…, title=…` gives `suite|title`; axes go by alphabet."""
    return _SEPARATOR.join(values[axis] for axis in sorted(values))


def split_partition(kind: str, partition: str) -> dict[str, str]:
    """The axes of a partition key.

    Raises:
        PlanError: the key has not as many parts as the kind has axes, or the kind is unknown.
    """
    if kind not in KINDS:
        raise PlanError(
            f"asset {kind!r}", found="no such asset", expected=f"one of {', '.join(KINDS)}", next_step="Check the name."
        )
    axes = KINDS[kind].axes
    values = partition.split(_SEPARATOR) if partition else []
    if len(values) != len(axes):
        raise PlanError(
            f"partition {partition!r} of {kind}",
            found=f"{len(values)} parts",
            expected=_SEPARATOR.join(axes) or "no partition",
            next_step="Name one value for each axis, joined by '|'.",
        )
    return dict(zip(axes, values, strict=True))
