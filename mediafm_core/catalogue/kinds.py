"""The table of artifact kinds, and the names of their partitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from mediafm_core.errors import PlanError
from mediafm_core.identity import Fingerprint


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
    ArtifactKind(name="probe_report", axes=("encoder",), code_version=3, suffix=".json"),
    ArtifactKind(name="ablation_report", axes=("encoder",), code_version=3, suffix=".json"),
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
