"""The losses of one batch, as its part of the step's.

Shape letters: B pieces, S shots, F fused.
"""

from typing import NamedTuple

from torch import Tensor

from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.objective.distance import distances
from mediafm_core.pretraining.objective.heads import ObjectiveHeads
from mediafm_core.pretraining.objective.questions import Counts, Question


class Losses(NamedTuple):
    """One batch's part of the step's means: summed over the batches they are the step's losses."""

    total: Tensor  # () what is made small; differentiable
    msm: Tensor  # () of Masked Shot Modeling alone
    parts: dict[str, Tensor]  # each loss by name, before its weight


def losses(
    encoder: MediaFM,
    heads: ObjectiveHeads,  # noqa: ARG001
    question: Question,
    counts: Counts,
    config: PretrainingConfig,
) -> Losses:
    """Have the encoder read a batch, and compare its answers with what was there.

    Args:
        encoder: in training mode or not.
        heads: made for the same configuration.
        question: of one batch.
        counts: of the whole step.
        config: which losses there are, and their weights.
    """
    batch, objective = question.batch, config.objective
    predicted = encoder(*batch, masked=question.masked).reconstruction
    apart = distances(predicted, encoder.centring(batch.fused), config.model.modality_dims, objective.distance)
    parts = {"msm": mean_over(apart, question.masked, counts.masked)}
    total = parts["msm"]
    if objective.visible_weight > 0:
        parts["visible"] = mean_over(apart, question.visible, counts.visible)
        total = total + objective.visible_weight * parts["visible"]
    parts = {name: part.detach() for name, part in parts.items()}
    return Losses(total, parts["msm"], parts)


def mean_over(apart: Tensor, asked: Tensor, n_asked: float) -> Tensor:
    """This batch's part of the step's mean distance, over the shots that are asked about and no others.

    Args:
        apart: (B, S) from `distances`.
        asked: (B, S) bool.
        n_asked: how many such shots the whole step has, which may be spread over several batches.
    """
    return (apart * asked).sum() / max(1.0, n_asked)
