"""Telling a masked shot from the other masked shots of its piece: InfoNCE, arXiv 1807.03748.

Shots of other titles never enter, so that how pieces share batches changes nothing.

Shape letters: N masked shots of a batch, F fused.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mediafm_core.model.centring import Centred
from mediafm_core.pretraining.config import Distance


def contrast(
    predicted: Tensor,
    target: Centred,
    piece: Tensor,
    modality_dims: Sequence[int],
    kind: Distance,
    temperature: float,
) -> Tensor:
    """The sum over masked shots of minus the log of the chance that a prediction gives its own shot.

    Args:
        predicted: (N, F), of any length.
        target: (N, F) and (N, 3). A shot without any modality is neither asked for nor among the others.
        piece: (N,) which piece a shot is of; the candidates of a prediction are the masked shots of its piece.
        modality_dims: widths of the three blocks.
        kind: a prediction's score for a candidate is one minus their distance of this kind, over `temperature`.
        temperature: above 0.
    """
    there = target.present.any(-1)  # (N,)
    predicted, piece = predicted[there], piece[there]
    with torch.autocast(predicted.device.type, enabled=False):  # a score is a loss's number: never in bfloat16
        scores = _scores(predicted, Centred(target.shots[there], target.present[there]), modality_dims, kind)
    scores = (scores / temperature).masked_fill(piece[:, None] != piece, -torch.inf)  # (N, N)
    return F.cross_entropy(scores, torch.arange(len(scores), device=scores.device), reduction="sum")


def _scores(predicted: Tensor, target: Centred, modality_dims: Sequence[int], kind: Distance) -> Tensor:
    """(N, N) one minus the distance of each prediction (rows) from each target (columns), as one matrix product."""
    if kind is Distance.FUSED:
        return F.normalize(predicted, dim=-1) @ F.normalize(target.shots, dim=-1).T
    split = list(modality_dims)
    answers = torch.cat([F.normalize(block, dim=-1) for block in predicted.split(split, -1)], dim=-1)
    candidates = torch.cat([F.normalize(block, dim=-1) for block in target.shots.split(split, -1)], dim=-1)
    return answers @ (candidates / target.present.sum(-1, keepdim=True)).T
