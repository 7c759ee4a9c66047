"""What is declared once and frozen: encoders, labels, training sets, wishes, canaries, releases."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from mediafm_core.identity import Fingerprint, TitleId, name_id

RETIRED = "retired"
"""The subject of declarations that an encoder is asked for no longer; it is never taken back."""

RETIRED_SUITE = "retired_suite"
"""The subject of declarations that no title is embedded by a suite any more; an empty body takes it back."""

TRAINING = "training"
"""The subject of declarations of what a head was fitted on; an empty body says that it has to be chosen anew."""

WITHDRAWN = "withdrawn"
"""The subject of declarations that a title was taken down; an empty body takes it back."""


VECTOR_KINDS = ("pretraining_corpus", "mediafm_encoder", "contextual_embeddings")
"""The kinds whose code an encoder's vectors hang on. What a title's own embeddings hang on is upstream of the encoder:
it may change under an encoder, as when a title is delivered anew."""


def _first_code() -> dict[str, int]:
    """The code versions by which everything was made that does not say so."""
    return dict.fromkeys(VECTOR_KINDS, 1)


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
