"""How far the vectors of fixed inputs have moved, and what that does to heads: pure functions on two arrays.

All is computed in float64. A distance is 1 - cosine, taken as half the squared length between two unit vectors: written
as a difference it would lose all digits where two vectors are nearly the same.

Shape letters: n inputs, D width of their vectors, m clips, L labels of a head.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import DimensionError

Floats = NDArray[np.floating[Any]]

UPPER = 0.95
"""The quantile of the distances beside median and maximum: blind to a stray input, not to a twentieth of them."""


class Movement(NamedTuple):
    """What became of the vectors of one modality's canaries. Everything is 0 where nothing moved."""

    n: int  # inputs
    median: float  # of the distances
    upper: float  # their 95 % quantile
    largest: float
    gram: float  # relative Frobenius difference of the two matrices of cosines; a rotated space has 0
    offset: float  # length of the mean displacement of the unit vectors
    together: float  # the share of the movement which that mean is: 1 where all move alike, 1 / n where none do
    twist: float  # change of a typical cosine between two inputs, over what the inputs moved themselves


class Shift(NamedTuple):
    """What became of one head's scores of the canary clips."""

    shift: float  # the largest over its labels of |mean change| in units of the label's spread over the clips
    label: str  # the one
    flipped: float  # share of clips and labels that crossed the label's median score of before


def distances(before: Floats, now: Floats) -> NDArray[np.float64]:
    """1 - cosine of each input.

    Args:
        before: (n, D); a row of zeros says that the input offers nothing in this modality.
        now: (n, D) of the same inputs.

    Returns:
        (n,) float64 in [0, 2]; 0 where both rows are zeros, 1 where one is.

    Raises:
        DimensionError: the shapes differ, are no matrices with rows, or a value is not finite.
    """
    return _distances(*_both(before, now))


def _distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    present, still = a.any(axis=1), b.any(axis=1)
    return np.where(present & still, ((a - b) ** 2).sum(axis=1) / 2, (present ^ still).astype(np.float64))


def movement(before: Floats, now: Floats) -> Movement:
    """Summarise what moved; see `distances` for arguments and errors."""
    a, b = _both(before, now)
    moved, step = _distances(a, b), b - a  # (n,), (n, D)
    mean, total = step.mean(axis=0), float((step**2).sum())
    half = step @ (a + step / 2).T  # (n, n)
    change, was = float(np.linalg.norm(half + half.T)), float(np.linalg.norm(a @ a.T))  # of the cosines
    median = float(np.median(moved))
    return Movement(
        n=len(moved),
        median=median,
        upper=float(np.quantile(moved, UPPER)),
        largest=float(moved.max()),
        gram=change / was if was else 0.0,
        offset=float(np.linalg.norm(mean)),
        together=float(len(a) * (mean**2).sum() / total) if total else 0.0,
        twist=change / len(a) / (2 * median) if median else 0.0,
    )


def _both(before: Floats, now: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both with rows of unit length, in float64; rows of zeros stay so. Errors as in `distances`."""
    if before.shape != now.shape or before.ndim != 2 or not len(before):
        raise DimensionError(
            "vectors of the canaries",
            found=f"shape {now.shape}",
            expected=f"{before.shape}, as they were measured first, with at least one row",
            next_step="The encoder dropped rows or changed its width: look at it.",
        )
    if not (np.isfinite(before).all() and np.isfinite(now).all()):
        raise DimensionError(
            "vectors of the canaries",
            found="NaN or infinity",
            expected="finite vectors",
            next_step="The encoder is broken: look at it.",
        )
    return _unit(before), _unit(now)


def _unit(vectors: Floats) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    wide /= np.maximum(np.abs(wide).max(axis=1, keepdims=True, initial=0.0), np.finfo(np.float64).tiny)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(length > 0, length, 1.0)


def head_shift(before: Floats, now: Floats, labels: tuple[str, ...]) -> Shift:
    """What a head makes of the movement.

    A linear head's mean change of score is the mean offset of what it reads, projected on its weights: so an offset
    along them, which hardly shows as a distance, shows here.

    Args:
        before: (m, L) scores of the canary clips.
        now: (m, L) of the same clips by the same head.
        labels: L names.

    Raises:
        DimensionError: the shapes differ, or are not (m, L) with m and L of at least 1.
    """
    if before.shape != now.shape or before.ndim != 2 or before.shape[1:] != (len(labels),) or not before.size:
        raise DimensionError(
            "scores of the canary clips",
            found=f"shapes {before.shape} and {now.shape}",
            expected=f"twice (clips, {len(labels)})",
            next_step="Score the same clips by the same head.",
        )
    was, new = before.astype(np.float64), now.astype(np.float64)
    spread, mean = was.std(axis=0), np.abs((new - was).mean(axis=0))  # (L,)
    shift = np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0)
    middle = np.median(was, axis=0)
    largest = int(shift.argmax())
    return Shift(float(shift[largest]), labels[largest], float(((was > middle) != (new > middle)).mean()))
