"""A head: the layer that answers one task, bound to the encoder whose vectors it was fitted on.

Shape letters: n clips, R width of a read, L labels, K width of what the last layer reads: R unless one stands
before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mediafm_core.errors import DimensionError, EncoderMismatchError
from mediafm_core.model.container import pack, unpack
from mediafm_core.probes.features import Features, Origin, TitleShots
from mediafm_core.probes.labels import LabelSet, OutOfFold
from mediafm_core.probes.learning import inner_of
from mediafm_core.probes.reads import READS, read_clips
from mediafm_core.probes.tasks import HeadKind, Task, task_named
from mediafm_core.store.manifest import manifest_within

FORMAT = 1

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Head:
    """One fitted layer, with all that is needed to score a clip. Its kind is that of its task's head."""

    task: Task
    origin: Origin  # of the vectors that it reads
    read: str  # how it reads a clip
    regularisation: float
    names: tuple[str, ...]  # L labels; of a ranking: ("rank",)
    mean: NDArray[np.float32]  # (R,)
    scale: NDArray[np.float32]  # (R,)
    weights: NDArray[np.float32]  # (K, L)
    bias: NDArray[np.float32]  # (L,)
    inner: NDArray[np.float32] | None = None  # the layer before the last; see `inner_of`. A linear head has none

    @property
    def dims(self) -> int:
        """Width of what the head reads."""
        return len(self.mean)


class Probe(NamedTuple):
    """A head that was fitted on all labelled titles, and what heads made the same way reach on titles held out."""

    head: Head
    held_out: OutOfFold

    def to_bytes(self) -> bytes:
        """Safetensors; the same probe gives the same bytes."""
        head, (labels, scores) = self.head, self.held_out
        arrays = {name: getattr(head, name) for name in _HEAD_ARRAYS} | {n: getattr(labels, n) for n in _LABEL_ARRAYS}
        arrays |= {} if head.inner is None else {"inner": head.inner}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in {**arrays, "scores": scores}.items()}
        said = {
            "format": FORMAT,
            "task": head.task.name,
            "kind": head.task.head.value,
            "encoder": head.origin.encoder,
            "suite": head.origin.suite,
            "read": head.read,
            "regularisation": head.regularisation,
            "names": head.names,
            "titles": labels.titles,
            "labels": labels.digest,
        }
        return pack(tensors, said)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Probe":
        """Read what `to_bytes` wrote, without running anything that the bytes say.

        Raises:
            ArtifactError: the bytes are damaged or of another format.
            LabelsError: their task is unknown to this version.
        """
        tensors, said = unpack(data, "probe head", FORMAT)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        known = task_named(said["task"])
        task = replace(known, head=HeadKind(said.get("kind", known.head)))  # bytes of before had the task's own alone
        labels = _labels(task, said, arrays)
        head = Head(
            task=task,
            origin=Origin(said["encoder"], said["suite"], _made_by(data)),
            read=said["read"],
            regularisation=said["regularisation"],
            names=tuple(said["names"]),
            **{name: arrays[name] for name in _HEAD_ARRAYS},
            inner=arrays.get("inner"),
        )
        return cls(head, OutOfFold(labels, arrays["scores"]))


def _made_by(data: bytes) -> str:
    """The fingerprint of a committed head's encoder, from the artifact's manifest; "" of bytes never committed."""
    manifest = manifest_within(data)
    encoder = manifest.inputs.get("encoder") if manifest else None
    return encoder.fingerprint if encoder else ""


_HEAD_ARRAYS = ("mean", "scale", "weights", "bias")
_LABEL_ARRAYS = ("of", "start_s", "end_s", "targets")


def _labels(task: Task, said: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> LabelSet:
    return LabelSet(
        task=task, titles=tuple(said["titles"]), names=tuple(said["names"]), **{n: arrays[n] for n in _LABEL_ARRAYS}
    )


def score(head: Head, features: Features) -> Scores:
    """Score clips: the one way, in the report, for the gate and in predictions.

    Args:
        head: the head.
        features: (n, R) read by the head's read from its encoder's vectors.

    Returns:
        (n, L) float32, higher is more likely; no probabilities, and not comparable between tasks.

    Raises:
        EncoderMismatchError: the vectors are another encoder's or suite's.
        DimensionError: they were read in another way, or have another width.
    """
    if not features.origin.agrees(head.origin):
        raise EncoderMismatchError(
            f"head for {head.task.name!r}",
            found=f"vectors of {features.origin}",
            expected=f"vectors of {head.origin}, as it was fitted",
            next_step="Take the head that was fitted on these vectors.",
        )
    if features.read != head.read or features.values.shape[1:] != (head.dims,):
        raise DimensionError(
            f"head for {head.task.name!r}",
            found=f"read {features.read!r}, shape {features.values.shape}",
            expected=f"read {head.read!r}, (n, {head.dims})",
            next_step="Read the clips with the head's own read.",
        )
    standardised = np.subtract(features.values, head.mean, dtype=np.float32)  # (n, R)
    standardised /= head.scale
    return (_last_reads(head, standardised) @ head.weights + head.bias).astype(np.float32, copy=False)


def _last_reads(head: Head, standardised: Scores) -> Scores:
    """(n, K)."""
    if head.inner is None:
        return standardised
    return inner_of(head.task.head, torch.from_numpy(standardised), torch.from_numpy(head.inner)).numpy()


def predict(head: Head, shots: TitleShots, start_s: NDArray[np.float64], end_s: NDArray[np.float64]) -> Scores:
    """Score any clips of one title; see `read_clips` and `score`."""
    return score(head, read_clips(READS[head.read], shots, start_s, end_s))
