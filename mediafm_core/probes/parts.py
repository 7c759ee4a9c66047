"""Parts of a read: what can be said of a clip from its title's shots, each part one vector per clip.

Sums over shots are differences of cumulative sums, so that a clip costs the same whatever its length.

Shape letters: S shots, D width of a shot's vector, n clips, K widths of windows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import DimensionError
from mediafm_core.probes.features import Times, TitleShots, Vectors

WIDTHS: Final = (4, 12, 40)
"""How many shots before and after a clip its windows hold."""

N_SLOTS: Final = 8
"""So many shots stand for a clip where a head weighs them by itself."""

_TINY = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Clips:
    """The clips of one title, as ranges of its shots."""

    shots: TitleShots
    start_s: Times  # (n,)
    end_s: Times  # (n,)
    first: NDArray[np.int64]  # (n,), the first shot that overlaps the clip
    last: NDArray[np.int64]  # (n,), one past the last

    @cached_property
    def _total(self) -> Times:
        """(S + 1, D): the sum of all shots' vectors before each."""
        vectors = self.shots.vectors
        return np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, 0, np.float64)])

    @cached_property
    def own(self) -> Times:
        """(n, D): the mean over the clip's shots, each weighted by the seconds that it shares with the clip."""
        shots, vectors = self.shots, self.shots.vectors.astype(np.float64)
        weighted = vectors * (shots.end_s - shots.start_s)[:, None]  # (S, D)
        total = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(weighted, axis=0)])
        cut_head = np.maximum(self.start_s - shots.start_s[self.first], 0)[:, None]
        cut_tail = np.maximum(shots.end_s[self.last - 1] - self.end_s, 0)[:, None]
        inside = total[self.last] - total[self.first]
        shared = inside - cut_head * vectors[self.first] - cut_tail * vectors[self.last - 1]
        covered = np.concatenate([[0.0], np.cumsum(shots.end_s - shots.start_s)])
        return shared / ((covered[self.last] - covered[self.first])[:, None] - cut_head - cut_tail)

    def near(self, n_before: int, n_after: int) -> Times:
        """(n, D): the mean of so many shots before and after the clip, without the clip's own.

        Where the title has none there, the clip's own mean: nothing around it differs from it.
        """
        low, high = np.maximum(self.first - n_before, 0), np.minimum(self.last + n_after, len(self.shots.vectors))
        sums = self._total[self.first] - self._total[low] + self._total[high] - self._total[self.last]
        n_near = (self.first - low + high - self.last)[:, None]
        return np.where(n_near > 0, sums / np.maximum(n_near, 1), self.own)

    def of_title(self, vector: NDArray[np.floating]) -> NDArray[np.floating]:
        """(n, D): one vector (D,) of the title, for every clip."""
        return np.broadcast_to(vector, (len(self.first), len(vector)))


Part = Callable[[Clips], NDArray[np.floating]]
"""Clips to (n, width of the part)."""


def _clip(clips: Clips) -> Times:
    return clips.own


def _before(clips: Clips, width: int) -> Times:
    return clips.near(width, 0)


def _after(clips: Clips, width: int) -> Times:
    return clips.near(0, width)


def _within(clips: Clips, width: int) -> Times:
    return clips.near(width, width)


def _title_mean(clips: Clips) -> NDArray[np.floating]:
    return clips.of_title(clips.shots.vectors.mean(axis=0, dtype=np.float64))


def _title_vector(clips: Clips) -> NDArray[np.floating]:
    if clips.shots.title_vector is None:
        raise DimensionError(
            f"shots of title {clips.shots.title!r}",
            found="no vector of the title",
            expected="the encoder's [CLS], which this read asks for",
            next_step="Read contextual embeddings, or choose another read.",
        )
    return clips.of_title(clips.shots.title_vector)


def _position(clips: Clips) -> Times:
    """(n, 7): the fraction of the title at which the clip's middle stands, and waves over it. Reads no vector."""
    fraction = (clips.start_s + clips.end_s) / 2 / clips.shots.end_s[-1]
    waves = np.pi * fraction[:, None] * np.array([1.0, 2.0, 4.0])  # (n, 3)
    return np.concatenate([fraction[:, None], np.sin(waves), np.cos(waves)], axis=1)


def _cosines(clips: Clips) -> Times:
    """(n, 3 K): for each width, how alike are clip and before, clip and after, before and after.

    Cosines of what departs from the title's mean: vectors of one title share so much that raw cosines all lie near 1.
    Where the title has nothing on a side, that side is the clip's own mean.
    """
    mean = clips.shots.vectors.mean(axis=0, dtype=np.float64)
    own = clips.own - mean
    found = []
    for width in WIDTHS:
        before, after = clips.near(width, 0) - mean, clips.near(0, width) - mean
        found += [_cosine(own, before), _cosine(own, after), _cosine(before, after)]
    return np.stack(found, axis=1)


def _cosine(a: Times, b: Times) -> Times:
    """(n,): of the rows of two (n, D); 0 where one has no length."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(axis=1), lengths, out=np.zeros(len(a)), where=lengths > _TINY)


def _slots(clips: Clips) -> Vectors:
    """(n, N_SLOTS x D): the clip's shots one by one, evenly picked.

    A clip of fewer shots repeats them, so that what weighs the slots sees each shot, and nothing that is no shot.
    """
    n_shots = (clips.last - clips.first)[:, None]
    picked = clips.first[:, None] + (2 * np.arange(N_SLOTS) + 1) * n_shots // (2 * N_SLOTS)  # (n, N_SLOTS)
    return clips.shots.vectors[picked].reshape(len(picked), -1)


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "clip": _clip,
        "title vector": _title_vector,
        "title mean": _title_mean,
        "position": _position,
        "cosines": _cosines,
        "slots": _slots,
        **{f"{width} before": partial(_before, width=width) for width in WIDTHS},
        **{f"{width} after": partial(_after, width=width) for width in WIDTHS},
        **{f"within {width}": partial(_within, width=width) for width in WIDTHS},
    }
)
"""Every part by name."""
