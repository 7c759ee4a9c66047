"""Masked Shot Modeling: which shots are hidden, and how far the predictions are from what was there.

Shape letters: B pieces, S shots, F fused.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mediafm_core.model.centring import Centred
from mediafm_core.pretraining.config import Distance, ObjectiveConfig


class Chosen(NamedTuple):
    """Which shots the encoder is asked about; no shot is in both."""

    masked: Tensor  # (S,) bool, or (B, S) and false in padding: hidden, and predicted from the others
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


def distances(prediction: Tensor, target: Centred, modality_dims: Sequence[int], kind: Distance) -> Tensor:
    """How far each predicted shot is from what was there: 0 for the same direction, 1 for a right angle, at most 2.

    Args:
        prediction: (B, S, F), of any length.
        target: (B, S, F) centred shots, and (B, S, 3) which modalities they have.
        modality_dims: widths of the three blocks.
        kind: one cosine over the whole, or the mean over the modalities that the shot has; absent ones do not count.

    Returns:
        (B, S). A shot without any modality has the distance 0: nothing was there to predict.
    """
    has_any = target.present.any(-1)  # (B, S)
    if kind is Distance.FUSED:
        return (1 - F.cosine_similarity(prediction, target.shots, dim=-1)) * has_any
    pairs = zip(prediction.split(list(modality_dims), -1), target.shots.split(list(modality_dims), -1), strict=True)
    apart = torch.stack([1 - F.cosine_similarity(p, t, dim=-1) for p, t in pairs], dim=-1)  # (B, S, 3)
    return (apart * target.present).sum(-1) / target.present.sum(-1).clamp(min=1)


def msm_loss(apart: Tensor, masked: Tensor, n_masked: int) -> Tensor:
    """The distance at masked shots alone; what the encoder made of a visible shot never enters.

    Args:
        apart: (B, S) from `distances`.
        masked: (B, S) bool.
        n_masked: masked shots of the whole step, which may be spread over several batches.

    Returns:
        This batch's part of the step's mean.
    """
    return (apart * masked).sum() / max(1, n_masked)


def visible_loss(apart: Tensor, visible: Tensor, n_visible: int) -> Tensor:
    """The distance at those visible shots that the encoder is asked to keep; otherwise as `msm_loss`."""
    return (apart * visible).sum() / max(1, n_visible)
