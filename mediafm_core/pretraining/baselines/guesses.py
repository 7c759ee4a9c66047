"""Guesses of a masked shot from the visible shots around it, without any learning but one width.

Each modality is guessed by itself, from visible shots that have it, in the centred space of the encoder. Where no
visible shot has the modality, the guess is zero, and its distance is that of a right angle, 1.

Shape letters: B pieces, S shots, F fused, D one modality.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mediafm_core.model.centring import Centred, Centring
from mediafm_core.pretraining.baselines.stand_in import StandIn

Guess = Callable[[Tensor, Tensor], Tensor]
"""From one modality of the shots (B, S, D), and which of them may be read (B, S), to a guess of each (B, S, D)."""

WIDTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Of the Gaussian, in shots; the best one on titles that are trained on is taken."""


class Guesser(StandIn):
    """A guess in the place of an encoder. Its hidden states are its predictions."""

    def __init__(self, centring: Centring, guess: Guess) -> None:
        super().__init__(centring)
        self.guess = guess
        self.output_proj = nn.Identity()

    def states(self, centred: Centred, real: Tensor, readable: Tensor) -> Tensor:  # noqa: ARG002
        """(B, S, F) guesses in the centred space."""
        blocks = centred.shots.split(self.centring.modality_dims, -1)
        has = [readable & present for present in centred.present.unbind(-1)]
        return torch.cat([self.guess(block, there) for block, there in zip(blocks, has, strict=True)], dim=-1)


class _Sides(NamedTuple):
    """The nearest readable shot on each side of every shot; -1 and S where there is none."""

    before: Tensor  # (B, S) int64
    after: Tensor  # (B, S) int64


def corpus_mean(block: Tensor, readable: Tensor) -> Tensor:  # noqa: ARG001
    """The mean of the corpus for every shot: zero, for the space is centred. Its distance to any direction is 1."""
    return torch.zeros_like(block)


def nearest(block: Tensor, readable: Tensor) -> Tensor:
    """The nearest readable shot; the earlier of two that are equally near."""
    sides = _sides(readable)
    place = torch.arange(block.shape[1], device=block.device)
    is_before = (sides.before >= 0) & ((sides.after >= block.shape[1]) | (place - sides.before <= sides.after - place))
    return _taken(block, torch.where(is_before, sides.before, sides.after))


def interpolated(block: Tensor, readable: Tensor) -> Tensor:
    """On the line between the nearest readable shots on both sides; where one side has none, the other's."""
    sides = _sides(readable)
    place, n_shots = torch.arange(block.shape[1], device=block.device), block.shape[1]
    share = (place - sides.before) / (sides.after - sides.before).clamp(min=1)  # (B, S) of the later shot
    share = torch.where(sides.before < 0, 1.0, torch.where(sides.after >= n_shots, 0.0, share))[..., None]
    return (1 - share) * _taken(block, sides.before) + share * _taken(block, sides.after)


def gaussian(width: float) -> Guess:
    """The mean of all readable shots, weighted by a Gaussian of their distance; `width` is its deviation, in shots."""

    def guess(block: Tensor, readable: Tensor) -> Tensor:
        place = torch.arange(block.shape[1], dtype=block.dtype, device=block.device)
        closeness = -((place[:, None] - place) ** 2) / (2 * width**2)  # (S, S)
        closeness = closeness.masked_fill(~readable[:, None], -torch.inf)  # (B, S, S)
        weights = torch.softmax(closeness, dim=-1).nan_to_num(0.0)  # no readable shot: no weight
        return weights @ block

    return guess


FIXED: Mapping[str, Guess] = MappingProxyType(
    {"corpus mean": corpus_mean, "nearest": nearest, "interpolation": interpolated}
)
"""The guesses that have nothing to choose."""


def _sides(readable: Tensor) -> _Sides:
    n_shots = readable.shape[1]
    place = torch.arange(n_shots, device=readable.device).expand_as(readable)
    before = torch.where(readable, place, -1).cummax(dim=1).values
    after = torch.where(readable, place, n_shots).flip(1).cummin(dim=1).values.flip(1)
    return _Sides(before, after)


def _taken(block: Tensor, index: Tensor) -> Tensor:
    """(B, S, D) the rows of these indices; zero where an index names no shot."""
    inside = (index >= 0) & (index < block.shape[1])
    rows = torch.gather(block, 1, index.clamp(0, block.shape[1] - 1)[..., None].expand_as(block))
    return rows * inside[..., None]
