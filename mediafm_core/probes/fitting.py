"""Fitting linear heads in closed form or nearly so, along a grid of regularisations.

Features are standardised. Ridge has a closed form. For cross-entropy they are turned into their principal axes, where
each label's loss is so nearly round that a few steps of conjugate gradients, taken for all labels at once, end it.

Shape letters: n clips, R width of a read, r principal axes (at most R and n), L labels.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

N_STEPS = 6
"""Of conjugate gradients for each regularisation. Where one is chosen, further steps change average precision by
thousandths at most."""

_TINY = 1e-20
_SPARE = 8  # rows and columns
_LEAST_SPREAD = 1e-6  # principal axes with a smaller share of the largest variance are noise of rounding


class Standardised(NamedTuple):
    """Features of a training set, each of mean 0 and variance 1."""

    mean: Tensor  # (R,), what was taken off
    scale: Tensor  # (R,), what they were divided by: 1 where a feature never changes
    values: Tensor  # (n, R)


class Fitted(NamedTuple):
    """What a head does with standardised features."""

    weights: Tensor  # (R, L) of a linear head; of others as many rows as their inner layer gives
    bias: Tensor  # (L,)
    inner: Tensor | None = None  # the layer before; a linear head has none


def standardise(features: NDArray[np.float32]) -> Standardised:
    """Bring features (n, R) to mean 0 and variance 1."""
    x = torch.from_numpy(features)
    mean = x.mean(dim=0)
    x = x - mean
    scale = x.square().mean(dim=0).sqrt()
    scale = torch.where(scale > _LEAST_SPREAD * mean.abs(), scale, 1.0)
    return Standardised(mean, scale, x.div_(scale))


def ridge_path(features: Standardised, y: Tensor, grid: Sequence[float]) -> Iterator[Fitted]:
    """Ridge regression for each regularisation, by the products of columns, or of rows where they are fewer.

    Args:
        features: of n clips.
        y: (n, L) float32.
        grid: weights of ||W||^2 against the mean squared error of a clip.
    """
    x, bias = features.values, y.mean(dim=0)
    n, width = x.shape
    by_column = width <= n
    products = (x.T @ x if by_column else x @ x.T) / n
    given = (x.T @ (y - bias) if by_column else y - bias) / n
    for alpha in grid:
        root = _root(products, alpha)
        solved = torch.cholesky_solve(given, root)
        yield Fitted(solved if by_column else x.T @ solved, bias)


def _root(products: Tensor, alpha: float) -> Tensor:
    """The Cholesky root of products (r, r) + alpha I, as a part of a somewhat larger one.

    Where r is a multiple of a high power of two, columns fall on the same lines of the processor's cache: at 1,024 the
    root takes four times as long as at 1,032.
    """
    order = len(products)
    widened = torch.eye(order + _SPARE)
    widened[:order, :order] = products
    widened.diagonal()[:order] += alpha
    return torch.linalg.cholesky(widened)[:order, :order]


def logistic_path(features: Standardised, y: Tensor, grid: Sequence[float]) -> Iterator[Fitted]:
    """Cross-entropy of all labels at once for each regularisation, each starting where the last one ended.

    Args:
        features: of n clips.
        y: (n, L) float32, 0 and 1.
        grid: weights of ||W||^2 against twice the mean cross-entropy of a clip, the strongest first.
    """
    share = y.mean(dim=0).clamp(0.5 / len(y), 1 - 0.5 / len(y))  # (L,); a label that all or no clips bear stays finite
    axes, variance = _principal(features.values)
    z = features.values @ axes  # (n, r)
    w = torch.cat([torch.zeros(len(variance), y.shape[1]), torch.logit(share)[None]])  # (r + 1, L)
    for alpha in grid:
        w = _least_cross_entropy(z, variance, y, w, share * (1 - share), alpha)
        yield Fitted(axes @ w[:-1], w[-1])


def _principal(x: Tensor) -> tuple[Tensor, Tensor]:
    """The principal axes (R, r) of x (n, R), columns of unit length, and the variance (r,) along each."""
    n, width = x.shape
    variance, turned = torch.linalg.eigh((x.T @ x if width <= n else x @ x.T) / n)
    kept = variance > _LEAST_SPREAD * variance[-1]
    variance, turned = variance[kept], turned[:, kept]
    return turned if width <= n else x.T @ turned / (n * variance).sqrt(), variance


def _least_cross_entropy(z: Tensor, variance: Tensor, y: Tensor, w: Tensor, curvature: Tensor, alpha: float) -> Tensor:
    """Go down the cross-entropy of all labels at once by conjugate gradients, each label at its own pace.

    Directions are preconditioned by each weight's curvature (Polak and Ribiere's rule, with a restart where it turns
    back); along a direction the step is Newton's.

    Args:
        z: (n, r) features in principal axes.
        variance: (r,) theirs.
        y: (n, L) 0 and 1.
        w: (r + 1, L) where to start; the last row is the bias, which is not regularised.
        curvature: (L,) variance of each label.
        alpha: the regularisation.
    """
    n = len(y)
    round_ = 1 / torch.cat([variance[:, None] * curvature + alpha, curvature[None]])  # (r + 1, L)
    weight = torch.full((len(w), 1), alpha)
    weight[-1] = 0
    logits = torch.addmm(w[-1], z, w[:-1])  # (n, L)
    direction, before, length = torch.zeros_like(w), torch.zeros_like(w), torch.ones(y.shape[1])
    for _ in range(N_STEPS):
        chance = torch.sigmoid(logits)
        miss = chance - y
        slope = torch.cat([z.T @ miss / n, miss.mean(dim=0)[None]]) + weight * w
        downhill = round_ * slope
        turn = (((slope - before) * downhill).sum(dim=0) / length).clamp(min=0) if before.any() else 0.0
        direction = turn * direction - downhill
        before, length = slope, (slope * downhill).sum(dim=0).clamp(min=_TINY)
        along = torch.addmm(direction[-1], z, direction[:-1])  # (n, L)
        bend = (along.square() * chance * (1 - chance)).mean(dim=0) + (weight * direction.square()).sum(dim=0)
        step = -(slope * direction).sum(dim=0) / bend.clamp(min=_TINY)
        w, logits = w + step * direction, logits.addcmul_(step.expand_as(along), along)
    return w
