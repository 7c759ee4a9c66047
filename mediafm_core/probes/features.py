"""From the shots of a title to one vector per clip: what a head reads.

The same code reads contextual embeddings and, for the baselines, fused ones. Sums over shots are differences of
cumulative sums, so that a clip costs the same whatever its length.

Shape letters: S shots, D width of a shot's vector, n clips, R width of a read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import DimensionError, LabelsError, SpanError
from mediafm_core.probes.labels import LabelSet

Vectors = NDArray[np.float32]
Times = NDArray[np.float64]

FUSED: Final = "fused"
"""In an encoder's place: the vectors are fused ones, which no MediaFM encoder has read."""

N_NEAR: Final = 12
"""How many shots before and after a clip are its neighbours."""


class Origin(NamedTuple):
    """What made the vectors. Those of different origins are never compared, nor read by the same head."""

    encoder: str  # or FUSED
    suite: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TitleShots:
    """The shots of one title, as an encoder or a fusion gave them."""

    title: str
    origin: Origin
    start_s: Times  # (S,), ascending
    end_s: Times  # (S,), ascending; shots do not overlap
    vectors: Vectors  # (S, D)
    title_vector: Vectors | None = None  # (D,), the encoder's [CLS]; fused vectors have none

    def __post_init__(self) -> None:
        n_shots = len(self.vectors)
        if self.vectors.ndim != 2 or not n_shots or not len(self.start_s) == len(self.end_s) == n_shots:
            raise DimensionError(
                f"shots of title {self.title!r}",
                found=f"vectors {self.vectors.shape}, {len(self.start_s)} starts, {len(self.end_s)} ends",
                expected="(S, D) vectors with S starts and S ends, S at least 1",
                next_step="Read spans and vectors from one artifact.",
            )


class Features(NamedTuple):
    """One vector per clip, and where it came from."""

    origin: Origin
    read: str
    values: Vectors  # (n, R)

    def rows(self, chosen: NDArray[np.bool_]) -> "Features":
        """Those of the clips where `chosen` (n,) is true."""
        return self._replace(values=self.values[chosen])


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A way to read a clip: the parts whose vectors are put side by side."""

    name: str
    parts: tuple[str, ...]  # keys of the table of parts

    def __post_init__(self) -> None:
        assert set(self.parts) <= set(_PARTS), "a part that there is not"


class _Clips(NamedTuple):
    """The clips of one title, as ranges of its shots."""

    shots: TitleShots
    start_s: Times  # (n,)
    end_s: Times  # (n,)
    first: NDArray[np.int64]  # (n,), the first shot that overlaps the clip
    last: NDArray[np.int64]  # (n,), one past the last

    def sums(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> Times:
        """(n, D): the sum of the vectors of shots [low, high) within the title."""
        total = np.concatenate(
            [np.zeros((1, self.shots.vectors.shape[1])), np.cumsum(self.shots.vectors, 0, np.float64)]
        )
        n_shots = len(self.shots.vectors)
        return total[np.clip(high, 0, n_shots)] - total[np.clip(low, 0, n_shots)]

    def near(self, n_before: int, n_after: int) -> Times:
        """(n, D): the mean of so many shots before and after the clip, without the clip's own.

        Where the title has none there, the clip's own mean: nothing around it differs from it.
        """
        low, high = np.maximum(self.first - n_before, 0), np.minimum(self.last + n_after, len(self.shots.vectors))
        sums = self.sums(low, self.first) + self.sums(self.last, high)
        n_near = (self.first - low + high - self.last)[:, None]
        return np.where(n_near > 0, sums / np.maximum(n_near, 1), _clip(self))


def _clip(clips: _Clips) -> Times:
    """(n, D): the mean over the clip's shots, each weighted by the seconds that it shares with the clip."""
    shots, vectors = clips.shots, clips.shots.vectors.astype(np.float64)
    weighted = vectors * (shots.end_s - shots.start_s)[:, None]  # (S, D)
    total = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(weighted, axis=0)])
    cut_head = np.maximum(clips.start_s - shots.start_s[clips.first], 0)[:, None]
    cut_tail = np.maximum(shots.end_s[clips.last - 1] - clips.end_s, 0)[:, None]
    inside = total[clips.last] - total[clips.first]
    shared = inside - cut_head * vectors[clips.first] - cut_tail * vectors[clips.last - 1]
    covered = np.concatenate([[0.0], np.cumsum(shots.end_s - shots.start_s)])
    return shared / ((covered[clips.last] - covered[clips.first])[:, None] - cut_head - cut_tail)


def _before(clips: _Clips) -> Times:
    return clips.near(N_NEAR, 0)


def _after(clips: _Clips) -> Times:
    return clips.near(0, N_NEAR)


def _neighbours(clips: _Clips) -> Times:
    return clips.near(N_NEAR, N_NEAR)


def _title_mean(clips: _Clips) -> Times:
    return np.broadcast_to(
        clips.shots.vectors.mean(axis=0, dtype=np.float64), (len(clips.first), clips.shots.vectors.shape[1])
    )


def _title_vector(clips: _Clips) -> Vectors:
    if clips.shots.title_vector is None:
        raise DimensionError(
            f"shots of title {clips.shots.title!r}",
            found="no vector of the title",
            expected="the encoder's [CLS], which this read asks for",
            next_step="Read contextual embeddings, or choose another read.",
        )
    return np.broadcast_to(clips.shots.title_vector, (len(clips.first), len(clips.shots.title_vector)))


def _position(clips: _Clips) -> Times:
    """(n, 7): the fraction of the title at which the clip's middle stands, and waves over it. Reads no vector."""
    fraction = (clips.start_s + clips.end_s) / 2 / clips.shots.end_s[-1]
    waves = np.pi * fraction[:, None] * np.array([1.0, 2.0, 4.0])  # (n, 3)
    return np.concatenate([fraction[:, None], np.sin(waves), np.cos(waves)], axis=1)


_PARTS: Mapping[str, Callable[[_Clips], NDArray[np.floating]]] = MappingProxyType(
    {
        "clip": _clip,
        "title vector": _title_vector,
        "before": _before,
        "after": _after,
        "neighbours": _neighbours,
        "title mean": _title_mean,
        "position": _position,
    }
)

_READS = (
    Read(name="clip", parts=("clip",)),
    Read(name="clip + title vector", parts=("clip", "title vector")),
    Read(name="clip + 12 before + 12 after", parts=("clip", "before", "after")),
    Read(name="clip + neighbours within 12", parts=("clip", "neighbours")),
    Read(name="clip + title mean", parts=("clip", "title mean")),
    Read(name="position", parts=("position",)),
)

READS: Mapping[str, Read] = MappingProxyType({read.name: read for read in _READS})
"""Every way to read a clip, by name."""

CONTEXTUAL_READS: Final = tuple(read for read in _READS if "position" not in read.parts)
"""Among these a head of an encoder chooses, inside its training titles."""


def read_clips(read: Read, shots: TitleShots, start_s: Times, end_s: Times) -> Features:
    """Read clips of one title.

    Args:
        read: how.
        shots: the title.
        start_s: (n,) seconds.
        end_s: (n,) seconds.

    Returns:
        (n, R) float32; a clip's row depends on the title and that clip alone.

    Raises:
        SpanError: a clip is empty or overlaps no shot.
        DimensionError: the read asks for the title's vector and there is none.
    """
    first = np.searchsorted(shots.end_s, start_s, side="right")
    last = np.searchsorted(shots.start_s, end_s, side="left")
    outside = np.flatnonzero((first >= last) | (start_s >= end_s))
    if len(outside):
        raise SpanError(
            f"title {shots.title!r}",
            found=f"clip [{start_s[outside[0]]:.3f}, {end_s[outside[0]]:.3f}) s, which overlaps no shot",
            expected=f"a span that overlaps a shot within [{shots.start_s[0]:.3f}, {shots.end_s[-1]:.3f}) s",
            next_step="Times are seconds from the title's first frame; check for a frame number or milliseconds.",
        )
    clips = _Clips(shots, start_s, end_s, first, last)
    parts = [_PARTS[part](clips) for part in read.parts]
    return Features(shots.origin, read.name, np.concatenate(parts, axis=1).astype(np.float32))


def read_label_set(read: Read, titles: Mapping[str, TitleShots], labels: LabelSet) -> Features:
    """Read every clip of a label set, in its order.

    Args:
        read: how.
        titles: the shots of at least the labelled titles; each is asked for once.
        labels: says which clips.

    Raises:
        LabelsError: a labelled title is not among `titles`.
        DimensionError: the titles' vectors have different origins.
        SpanError: a clip overlaps no shot.
    """
    parts = [_read_title(read, titles, labels, i) for i in range(len(labels.titles))]
    origins = {part.origin for part in parts}
    if len(origins) != 1:
        raise DimensionError(
            f"the titles of task {labels.task.name!r}",
            found=f"vectors of {', '.join(map(str, sorted(origins)))}",
            expected="vectors of one encoder and suite",
            next_step="Embed all of them with one encoder.",
        )
    return Features(origins.pop(), read.name, np.concatenate([part.values for part in parts]))


def _read_title(read: Read, titles: Mapping[str, TitleShots], labels: LabelSet, index: int) -> Features:
    title = labels.titles[index]
    if title not in titles:
        raise LabelsError(
            f"labels of task {labels.task.name!r}",
            found=f"clips of title {title!r}, which has no vectors",
            expected="vectors of every labelled title",
            next_step="Embed the title, or restrict the labels to the titles that are.",
        )
    low, high = np.searchsorted(labels.of, [index, index + 1])
    return read_clips(read, titles[title], labels.start_s[low:high], labels.end_s[low:high])
