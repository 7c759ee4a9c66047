"""What a shot is about, as numbers: the latent vector that embeddings show noisily and that labels are made from."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_WIDTHS: Final = {"style": 12, "place": 8, "cast": 8, "topic": 6, "mood": 6, "tension": 1, "kind": 3}
_ENDS: Final = dict(zip(_WIDTHS, np.cumsum(list(_WIDTHS.values())).tolist(), strict=True))

GROUPS: Final = {name: slice(_ENDS[name] - width, _ENDS[name]) for name, width in _WIDTHS.items()}
"""Where each group of numbers stands in the latent vector; all are of mean about 0 and spread about 1."""

N_LATENTS: Final = sum(_WIDTHS.values())
"""Width L of the latent vector."""

DIALOGUE, ACTION, PASSAGE = range(3)
"""Kinds of scenes; a passage is what lies between: streets, landscapes, montage."""


def width(group: str) -> int:
    """How many numbers a group has."""
    return _WIDTHS[group]


def gains(**by_group: float) -> Floats:
    """(L,) one factor per latent number, given one per group; groups that are not named get 0."""
    factors = np.zeros(N_LATENTS)
    for group, factor in by_group.items():
        factors[GROUPS[group]] = factor
    return factors


class Running(NamedTuple):
    """Running sums over the shots of a title: the mean over any stretch of shots in one step.

    Args:
        sums: (S + 1, L), row i the sum over the shots before shot i.
    """

    sums: Floats

    @classmethod
    def of(cls, rows: Floats) -> "Running":
        """Sum up (S, L) rows."""
        return cls(np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)]))

    def mean(self, first: Ints, last: Ints) -> Floats:
        """(n, L) means over the shots [first, last), cut to the title; 0 where nothing is left."""
        n_shots = len(self.sums) - 1
        low, high = np.clip(first, 0, n_shots), np.clip(last, 0, n_shots)
        return (self.sums[high] - self.sums[low]) / np.maximum(high - low, 1)[:, None]
