"""Boosted trees on the windows: the one row that is not linear.

If they reach what contextual embeddings reach, a linear head on the windows was too weak. If they do not, it says
little of windows: these are reduced to a few components first, and in popularity and retrieval of narrative titles
trees on them so fall below trees on the clip alone (docs/experiments.md).

Shape letters: n clips, R width of a read, C components, L labels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediafm_core.probes.features import Features
from mediafm_core.probes.fitting import standardise
from mediafm_core.probes.folds import splits
from mediafm_core.probes.labels import LabelSet, OutOfFold
from mediafm_core.probes.probing import to_fit

N_COMPONENTS = 64
"""The first read is reduced to so many principal components of the training titles; further reads stand beside them."""

SETTINGS: dict[str, Any] = {
    "max_iter": 40,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 40,
    "learning_rate": 0.15,
    "early_stopping": False,
}
"""Of each ensemble, one for each label, by squared error. They were not tuned."""


class _Reduction(NamedTuple):
    """From a read to its principal components."""

    mean: NDArray[np.float32]  # (R,)
    axes: NDArray[np.float32]  # (R, C), with the features' scales inside

    def of(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, C)."""
        return ((values - self.mean) @ self.axes).astype(np.float32, copy=False)


def trees_out_of_fold(labels: LabelSet, features: Sequence[Features]) -> OutOfFold:
    """Score every labelled clip by trees that were grown without its title.

    Args:
        labels: of one task.
        features: the windows, which are reduced, and whatever stands beside them.

    Raises:
        LabelsError: too few titles are labelled.
    """
    targets, scores = to_fit(labels), np.empty(labels.targets.shape, np.float32)
    for train, test in splits(labels.titles, labels.of, labels.task.n_folds):
        reduction = _reduce(features[0].values[train])
        x = np.concatenate([reduction.of(features[0].values), *(f.values for f in features[1:])], axis=1)
        for j in range(targets.shape[1]):
            scores[test, j] = _grown(x[train], targets[train, j], x[test])
    return OutOfFold(labels, scores)


def trees_dims(features: Sequence[Features]) -> int:
    """How many numbers a tree may ask."""
    return min(N_COMPONENTS, features[0].values.shape[1]) + sum(f.values.shape[1] for f in features[1:])


def _reduce(values: NDArray[np.float32]) -> _Reduction:
    turned = standardise(values)
    x = turned.values.numpy()
    _, axes = np.linalg.eigh(x.T @ x)
    kept = axes[:, ::-1][:, :N_COMPONENTS] / turned.scale.numpy()[:, None]
    return _Reduction(turned.mean.numpy(), kept.astype(np.float32, copy=False))


def _grown(x: NDArray[np.float32], y: NDArray[np.floating], asked: NDArray[np.float32]) -> NDArray[np.floating]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(**SETTINGS, random_state=0).fit(x, y).predict(asked)
