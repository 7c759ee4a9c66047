"""The stem: before the first block, each shot also takes in what stands around it, near and far.

Attention can learn to average the shots before and the shots after, but takes long to. The stem hands these means over
and leaves to training what to make of them. Only visible shots are averaged, and never the shot itself, so that nothing
of a masked shot comes through to its own prediction.

Shape letters: B titles, S shots, H hidden, R reaches.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Stem(nn.Module):
    """A learned mixture of the means around each shot; without bias, so that a shot alone gets nothing added."""

    def __init__(self, reaches: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.reaches = tuple(reaches)
        self.mix = nn.Linear((2 * len(self.reaches) + 1) * hidden, hidden, bias=False)

    def forward(self, shots: Tensor, visible: Tensor) -> Tensor:
        """What is added to each shot; the arguments are those of `surroundings`."""
        return self.mix(surroundings(shots, visible, self.reaches).to(shots.dtype))  # (B, S, H)


def surroundings(shots: Tensor, visible: Tensor, reaches: Sequence[int]) -> Tensor:
    """Means of the visible shots around each shot.

    Args:
        shots: (B, S, H) of any float dtype; what stands where `visible` is false changes nothing.
        visible: (B, S) bool; false for masked shots and for padding.
        reaches: R numbers of shots.

    Returns:
        (B, S, (2 R + 1) H) float32: for each reach k the mean over the k shots after and over the k shots before, then
        the mean over all. A mean over no visible shot is zero.
    """
    seen = visible[..., None].float()  # (B, S, 1)
    kept = torch.where(visible[..., None], shots, 0.0).float()  # (B, S, H)
    means = [_mean(*pair) for k in reaches for pair in zip(_around(kept, k), _around(seen, k), strict=True)]
    whole = _mean(kept.sum(1, keepdim=True), seen.sum(1, keepdim=True))
    return torch.cat([*means, whole.expand_as(kept)], dim=-1)


def _mean(total: Tensor, n: Tensor) -> Tensor:
    return total / n.clamp(min=1)


def _around(rows: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Sums over the `reach` rows after each row and before each row, fewer at the ends; (B, S, ...) each."""
    n_rows = rows.shape[1]
    runs = _runs(F.pad(rows, (0, 0, reach, reach)), reach)  # row i: the run that begins `reach` rows before i
    return runs[:, reach + 1 :][:, :n_rows], runs[:, :n_rows]


def _runs(rows: Tensor, length: int) -> Tensor:
    """(B, S - length + 1, ...) sums of `length` rows in a row, by doubling.

    A difference of running totals costs as much and loses digits in a long title; here nothing cancels.
    """
    sums, n_summed = rows, 1
    for digit in f"{length:b}"[1:]:
        sums, n_summed = sums[:, :-n_summed] + sums[:, n_summed:], 2 * n_summed
        if digit == "1":
            sums, n_summed = sums[:, :-1] + rows[:, n_summed:], n_summed + 1
    return sums
