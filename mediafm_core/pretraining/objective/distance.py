"""How far a prediction is from what was there, in the centred space.

Shape letters: F fused.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mediafm_core.model.centring import Centred
from mediafm_core.pretraining.config import Distance


def distances(prediction: Tensor, target: Centred, modality_dims: Sequence[int], kind: Distance) -> Tensor:
    """How far each predicted shot is from what was there: 0 for the same direction, 1 for a right angle, at most 2.

    Args:
        prediction: (..., F), of any length.
        target: (..., F) centred shots, and (..., 3) which modalities they have.
        modality_dims: widths of the three blocks.
        kind: one cosine over the whole, or the mean over the modalities that the shot has; absent ones do not count.

    Returns:
        (...,). A shot without any modality has the distance 0: nothing was there to predict.
    """
    has_any = target.present.any(-1)  # (...,)
    if kind is Distance.FUSED:
        return (1 - F.cosine_similarity(prediction, target.shots, dim=-1)) * has_any
    return mean_of_present(block_distances(prediction, target, modality_dims), target.present)


def block_distances(prediction: Tensor, target: Centred, modality_dims: Sequence[int]) -> Tensor:
    """(..., 3) the distance of each modality by itself; 0 where the shot does not have it."""
    pairs = zip(prediction.split(list(modality_dims), -1), target.shots.split(list(modality_dims), -1), strict=True)
    apart = torch.stack([1 - F.cosine_similarity(p, t, dim=-1) for p, t in pairs], dim=-1)  # (..., 3)
    return apart * target.present


def mean_of_present(apart: Tensor, present: Tensor) -> Tensor:
    """(...,) the mean of `block_distances` over the modalities that a shot has; 0 where it has none."""
    return apart.sum(-1) / present.sum(-1).clamp(min=1)
