"""Folds of titles: all clips of a title stand on one side.

With folds over clips, a head that has memorised titles looks brilliant. The fold of a title depends on its id alone, so
that a new title moves no other.

Shape letters: n clips, T titles.
"""

import hashlib
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import LabelsError

INNER = "inner"
"""The salt of folds inside a training set, so that they cut across the outer ones."""


class Split(NamedTuple):
    """One fold against the others; each clip is on exactly one side."""

    train: NDArray[np.bool_]  # (n,)
    test: NDArray[np.bool_]  # (n,)


def fold_of(title: str, n_folds: int, salt: str = "") -> int:
    """The fold of a title, from 0 to `n_folds` - 1."""
    return int.from_bytes(hashlib.sha256(f"{salt}|{title}".encode()).digest()[:8], "big") % n_folds


def splits(titles: Sequence[str], of: NDArray[np.int64], n_folds: int, salt: str = "") -> list[Split]:
    """Each fold that is not empty against the others.

    A handful of titles can all fall into one fold; then the next salt of a fixed series is taken.

    Args:
        titles: T different ids.
        of: (n,) index into `titles`.
        n_folds: how many folds to spread them over.
        salt: another salt gives other folds.

    Raises:
        LabelsError: there are fewer than two titles.
    """
    if len(titles) < 2:
        raise LabelsError(
            f"folds of {len(titles)} titles",
            found="too few labelled titles to hold one out",
            expected="at least two on every side of a fold; a dozen labelled titles usually give that",
            next_step="Label more titles.",
        )
    for attempt in count():
        folds = np.array([fold_of(title, n_folds, salt + "+" * attempt) for title in titles])
        if len(set(folds)) > 1:
            return [Split(folds[of] != fold, folds[of] == fold) for fold in np.unique(folds)]
    raise AssertionError("a series of hashes that never parts two titles")
