"""Heads without a closed form: learnt by steps, and stopped early.

The grid of such a head counts steps: the fewer, the more it is held back. Choosing from it by inner folds of titles is
early stopping, by the task's own metric. They are off by default; the ablation shows what they would bring.

Shape letters: n clips, R width of a read, L labels, K hidden units, M slots of a clip, D = R / M.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from mediafm_core.probes.fitting import Fitted, Standardised, ridge_path
from mediafm_core.probes.parts import N_SLOTS
from mediafm_core.probes.tasks import HeadKind, Metric

N_HIDDEN: Final = 128
"""Units of an MLP's one hidden layer."""

_N_CLIPS_AT_ONCE = 256
_RATES = {HeadKind.MLP: 3e-3, HeadKind.ATTENTION: 1e-2, HeadKind.SMOOTH_AP: 1e-3}  # of AdamW
_DECAY = 0.1
_RIDGE_BEFORE = 3.2  # the regularisation of the ridge from which a ranking loss starts
_TEMPERATURE = 0.1  # of the soft comparisons, in standard deviations of the scores
_N_POSITIVES = 64  # at most so many stand for a label's in one step
_SEED = 0  # the same clips and labels give the same head

_Loss = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""Of scores (n, L) against targets (n, L)."""


def learn_path(
    kind: HeadKind, features: Standardised, y: Tensor, grid: Sequence[float], metric: Metric
) -> Iterator[Fitted]:
    """Learn a head, and yield it after each number of steps.

    Args:
        kind: MLP, ATTENTION or SMOOTH_AP.
        features: of n clips; for ATTENTION, their slots side by side.
        y: (n, L) targets.
        grid: whole numbers of steps, the fewest first.
        metric: of the task: a ranking is learnt by squared error, labels by cross-entropy; SMOOTH_AP takes the average
            precision of the metric itself.
    """
    generator = torch.Generator().manual_seed(_SEED)
    fitted = _START[kind](features, y, generator)
    loss = _smooth_ap_loss(metric) if kind is HeadKind.SMOOTH_AP else _plain_loss(metric)
    parts = [part.requires_grad_() for part in fitted if part is not None]
    optimiser = torch.optim.AdamW(parts, lr=_RATES[kind], weight_decay=_DECAY)
    batches, n_done = _batches(len(y), generator), 0
    for n_steps in grid:
        for _ in range(n_done, int(n_steps)):
            rows = next(batches)
            optimiser.zero_grad()
            scores = inner_of(kind, features.values[rows], fitted.inner) @ fitted.weights + fitted.bias
            loss(scores, y[rows], generator).backward()
            optimiser.step()
        n_done = int(n_steps)
        yield Fitted(*(part.detach().clone() for part in parts))


def _batches(n_clips: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of clips, without end; every clip comes once before one comes twice."""
    while True:
        yield from torch.randperm(n_clips, generator=generator).split(_N_CLIPS_AT_ONCE)


def inner_of(kind: HeadKind, x: Tensor, inner: Tensor | None) -> Tensor:
    """What the last, linear layer reads.

    Args:
        kind: of the head.
        x: (n, R) standardised features.
        inner: of an MLP (R + 1, K), the last row its bias; of ATTENTION (D, 1), what a shot is asked; else None.

    Returns:
        (n, K) hidden units; (n, D) the mean of the slots, weighed by attention; or x itself.
    """
    if inner is None:
        return x
    if kind is HeadKind.MLP:
        return torch.relu(torch.addmm(inner[-1], x, inner[:-1]))
    slots = x.view(len(x), N_SLOTS, -1)  # (n, M, D)
    return (slots * (slots @ inner).softmax(dim=1)).sum(dim=1)


def _mlp(features: Standardised, y: Tensor, generator: torch.Generator) -> Fitted:
    width = features.values.shape[1]
    inner = torch.randn(width + 1, N_HIDDEN, generator=generator) * (2 / width) ** 0.5
    inner[-1] = 0
    weights = torch.randn(N_HIDDEN, y.shape[1], generator=generator) * N_HIDDEN**-0.5
    return Fitted(weights, torch.zeros(y.shape[1]), inner)


def _attention(features: Standardised, y: Tensor, _: torch.Generator) -> Fitted:
    """Without a question all slots weigh the same."""
    width = features.values.shape[1] // N_SLOTS
    return Fitted(torch.zeros(width, y.shape[1]), torch.zeros(y.shape[1]), torch.zeros(width, 1))


def _ridge_first(features: Standardised, y: Tensor, _: torch.Generator) -> Fitted:
    """A ridge whose scores vary by 1 in all: their order is what counts, the temperature asks for their scale."""
    (weights, bias, _none) = next(ridge_path(features, y, (_RIDGE_BEFORE,)))
    spread = (features.values @ weights + bias).std().clamp(min=1e-6)
    return Fitted(weights / spread, bias / spread)


_START: dict[HeadKind, Callable[[Standardised, Tensor, torch.Generator], Fitted]] = {
    HeadKind.MLP: _mlp,
    HeadKind.ATTENTION: _attention,
    HeadKind.SMOOTH_AP: _ridge_first,
}


def _plain_loss(metric: Metric) -> _Loss:
    apart = F.mse_loss if metric is Metric.KENDALL_TAU else F.binary_cross_entropy_with_logits
    return lambda scores, y, _: apart(scores, y)


def _smooth_ap_loss(metric: Metric) -> _Loss:
    """One list of all pairs of clip and label for the micro average, else one list for each label."""

    def loss(scores: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        if metric is Metric.MICRO_AP:
            scores, y = scores.reshape(-1, 1), y.reshape(-1, 1)
        borne = [j for j in range(y.shape[1]) if y[:, j].any()]
        lists = [_smooth_ap(scores[:, j], y[:, j], generator) for j in borne]
        return 1 - torch.stack(lists).mean() if lists else 0 * scores.sum()

    return loss


def _smooth_ap(scores: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """Average precision with soft comparisons (Smooth-AP, arXiv 2007.12163), over some of the positives.

    Args:
        scores: (n,).
        y: (n,) 0 and 1, at least one 1.
        generator: chooses which positives stand for all.
    """
    positives = y.nonzero()[:, 0]
    asked = positives[torch.randperm(len(positives), generator=generator)[:_N_POSITIVES]]
    above = torch.sigmoid((scores[None] - scores[asked, None]) / _TEMPERATURE)  # (P, n)
    above = above.scatter(1, asked[:, None], 0.0)  # nothing stands above itself
    return ((1 + above @ y) / (1 + above.sum(dim=1))).mean()
