"""Which shots of a piece the encoder is asked about.

Shape letters: S shots.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mediafm_core.pretraining.config import ObjectiveConfig


class Chosen(NamedTuple):
    """Which shots the encoder is asked about; no shot is in both."""

    masked: Tensor  # (S,) bool: hidden, and predicted from the others
    visible: Tensor  # likewise: shown, and to be kept


def choose_shots(generator: torch.Generator, n_shots: int, config: ObjectiveConfig) -> Chosen:
    """Draw the shots of one piece that are hidden, and those visible ones that are predicted too.

    Args:
        generator: advances by `n_shots` numbers.
        n_shots: the piece's length.
        config: the shares. Counts are rounded; at least one shot is hidden.
    """
    rank = torch.randperm(n_shots, generator=generator)  # (S,)
    n_masked = max(1, round(n_shots * config.mask_share))
    n_visible = round((n_shots - n_masked) * config.visible_share)
    return Chosen(rank < n_masked, (rank >= n_masked) & (rank < n_masked + n_visible))
