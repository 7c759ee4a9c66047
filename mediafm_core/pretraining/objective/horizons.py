"""What is hidden before and after a shot, predicted from the shot's state: the mean over windows of several lengths.

Windows come in one order everywhere: for each horizon k first the k shots after, (t, t + k], then the k before.

Shape letters: B pieces, S shots, F fused, W windows, N masked shots of a batch, V viewpoints.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mediafm_core.model.centring import Centred

_VIEWPOINT_SHARE = 0.25  # of a piece's shots, from which its windows are predicted; more costs more than it teaches


class View(NamedTuple):
    """One window as it is seen from some shots."""

    viewpoint: Tensor  # (V,) int64, indices into the batch's B x S shots
    weight: Tensor  # (V,) float32, above 0
    target: Centred  # (V, F) the mean of the masked shots there, and (V, 3) which modalities any of them has


def viewpoint_weights(generator: torch.Generator, masked: Tensor, horizons: Sequence[int]) -> Tensor:
    """Draw the shots of a piece from which windows are predicted.

    Args:
        generator: decides. At least one shot is drawn.
        masked: (S,) bool, the piece's masked shots, which are all that is predicted.
        horizons: lengths k of the windows, in shots.

    Returns:
        (S, W) float32: sqrt(n / k) where n masked shots stand in a drawn shot's window, 0 at other shots.
    """
    n_drawn = max(1, round(len(masked) * _VIEWPOINT_SHARE))
    drawn = torch.randperm(len(masked), generator=generator) < n_drawn  # (S,)
    edges = [_edges(masked[None], k, is_after) for k, is_after in _windows(horizons)]
    shares = [(hi - lo)[0] / k for (lo, hi), (k, _) in zip(edges, _windows(horizons), strict=True)]
    return torch.stack([share.sqrt() * drawn for share in shares], dim=-1)


def views(viewpoints: Tensor, masked: Tensor, target: Centred, horizons: Sequence[int]) -> Iterator[View]:
    """What stands in each window, one window after the other.

    Args:
        viewpoints: (B, S, W) weights.
        masked: (B, S) bool.
        target: (N, F) and (N, 3), the centred shots at `masked`, in its order.
        horizons: as they were drawn with.
    """
    shots, present = _running(target.shots), _running(target.present.long())  # (N + 1, F), (N + 1, 3)
    for window, (k, is_after) in enumerate(_windows(horizons)):
        weight = viewpoints[..., window].flatten()  # (B x S,)
        viewpoint = weight.nonzero()[:, 0]
        lo, hi = (edge.flatten()[viewpoint] for edge in _edges(masked, k, is_after))
        mean = (shots[hi] - shots[lo]) / (hi - lo)[:, None]
        yield View(viewpoint, weight[viewpoint], Centred(mean, (present[hi] - present[lo]) > 0))


def _windows(horizons: Sequence[int]) -> list[tuple[int, bool]]:
    return [(k, is_after) for k in horizons for is_after in (True, False)]


def _edges(masked: Tensor, k: int, is_after: bool) -> tuple[Tensor, Tensor]:
    """(B, S) each: the masked shots of a shot's window are those from the first number on and before the second."""
    n_before = F.pad(masked.flatten().long().cumsum(0), (1, 0))  # (B x S + 1,)
    B, S = masked.shape
    place = torch.arange(S, device=masked.device)
    lo, hi = (place + 1, (place + 1 + k).clamp(max=S)) if is_after else ((place - k).clamp(min=0), place)
    row = S * torch.arange(B, device=masked.device)[:, None]
    return n_before[row + lo], n_before[row + hi]


def _running(rows: Tensor) -> Tensor:
    return F.pad(rows.cumsum(0), (0, 0, 1, 0))
