"""Every kind of head by the same two things: a grid to choose from, and the path of heads along it."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from mediafm_core.probes.fitting import Fitted, Standardised, logistic_path, ridge_path
from mediafm_core.probes.learning import learn_path
from mediafm_core.probes.tasks import HeadKind, Metric

GRIDS: Mapping[HeadKind, tuple[float, ...]] = MappingProxyType(
    {
        HeadKind.RIDGE: (12.8, 3.2, 0.8, 0.2, 0.05),
        HeadKind.LOGISTIC: (0.3, 0.1, 0.03, 0.01, 0.003),
        HeadKind.SMOOTH_AP: (0, 25, 50),
        HeadKind.MLP: (25, 50, 100),
        HeadKind.ATTENTION: (50, 100, 200),
    }
)
"""What to choose from, what holds the head back most first. Ridge and logistic: the weight of ||W||^2 against the mean
loss of a clip, which is the squared error, or twice the cross-entropy. The others: steps."""


def fit_path(
    kind: HeadKind, features: Standardised, targets: NDArray[np.floating], grid: Sequence[float], metric: Metric
) -> Iterator[Fitted]:
    """Fit a head for each value of a grid, one after the other as they are asked for.

    Args:
        kind: of head.
        features: of n clips.
        targets: (n, L); 0 and 1 unless the kind may fit a ranking.
        grid: in the order of `GRIDS`, so that each starts where the last one ended.
        metric: of the task; a head that is learnt by steps takes its loss from it.
    """
    y = torch.from_numpy(targets.astype(np.float32))
    if kind is HeadKind.RIDGE:
        return ridge_path(features, y, grid)
    if kind is HeadKind.LOGISTIC:
        return logistic_path(features, y, grid)
    return learn_path(kind, features, y, grid, metric)
