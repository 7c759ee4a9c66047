"""The losses of one batch, as its part of the step's.

Shape letters: B pieces, S shots, F fused, N shots that are asked about.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mediafm_core.model.centring import Centred
from mediafm_core.model.encoder import Encoded, MediaFM
from mediafm_core.pretraining.config import Distance, ObjectiveConfig, PretrainingConfig
from mediafm_core.pretraining.objective.contrast import contrast
from mediafm_core.pretraining.objective.distance import block_distances, distances, mean_of_present
from mediafm_core.pretraining.objective.heads import ObjectiveHeads
from mediafm_core.pretraining.objective.horizons import views
from mediafm_core.pretraining.objective.questions import Counts, Question
from mediafm_core.pretraining.objective.targets import targets


class Losses(NamedTuple):
    """One batch's part of the step's means: summed over the batches they are the step's losses."""

    total: Tensor  # () the weighted sum, which is made small; differentiable
    msm: Tensor  # () of Masked Shot Modeling alone, detached
    parts: dict[str, Tensor]  # each loss by name, before its weight, detached


class _Answers(NamedTuple):
    """What the encoder says of the shots that it is asked about, and what they are."""

    asked: Tensor  # (B, S) bool, N of them true; the other fields are in this order
    predicted: Tensor  # (N, F) float32, of any length
    target: Centred  # (N, F) and (N, 3)

    def at(self, some: Tensor) -> tuple[Tensor, Centred]:
        """Predictions and targets of some of the asked shots, given as (B, S) bool."""
        row = some[self.asked]
        return self.predicted[row], Centred(self.target.shots[row], self.target.present[row])


def losses(
    encoder: MediaFM, heads: ObjectiveHeads, question: Question, counts: Counts, config: PretrainingConfig
) -> Losses:
    """Have the encoder read a batch, and compare its answers with what was there.

    Args:
        encoder: in training mode or not.
        heads: made for the same configuration.
        question: of one batch, on any device.
        counts: of the whole step, so that batches and processes together have one mean.
        config: which losses there are, and their weights.
    """
    objective = config.objective
    question = question.to(encoder.device)
    batch = question.batch
    encoded = encoder.encode(batch.fused, batch.padding_mask, batch.fraction, batch.metadata, question.masked)
    answers = _answer(encoder, encoded, question, objective)
    parts = _shot_parts(answers, question, counts, config)
    if objective.contrast_weight > 0:
        parts["contrast"] = _contrast(answers, question, config) / max(1.0, counts.masked)
    if objective.horizon_weight > 0:
        parts["horizon"] = _horizon(heads, encoded, answers, question, config) / (counts.viewpoints or 1.0)
    if objective.metadata_weight > 0:
        parts["metadata"] = _metadata(heads, encoded, question) / max(1.0, counts.hidden_metadata)
    total = parts["msm"]
    for name in [name for name in parts if name != "msm"]:
        total = total + getattr(objective, f"{name}_weight") * parts[name]
    detached = {name: part.detach() for name, part in parts.items()}
    return Losses(total, detached["msm"], detached)


def mean_over(apart: Tensor, asked: Tensor, n_asked: float) -> Tensor:
    """This batch's part of the step's mean distance, over the shots that are asked about and no others.

    Args:
        apart: (...,) distances.
        asked: (...,) bool.
        n_asked: how many such shots the whole step has, which may be spread over several batches.
    """
    return (apart * asked).sum() / max(1.0, n_asked)


def _answer(encoder: MediaFM, encoded: Encoded, question: Question, objective: ObjectiveConfig) -> _Answers:
    """Only states that are asked about are projected; to project all costs more and teaches nothing."""
    asked = question.masked
    if objective.visible_weight > 0:
        asked = asked | question.visible
    if objective.modality_weight > 0:
        asked = asked | question.hidden_blocks.any(-1)
    target = targets(encoder.centring, question.fused, question.batch.real, asked, objective.target)
    return _Answers(asked, encoder.output_proj(encoded.shots[asked]).float(), target)


def _shot_parts(answers: _Answers, question: Question, counts: Counts, config: PretrainingConfig) -> dict[str, Tensor]:
    """The losses that compare a shot's own prediction with the shot."""
    objective, dims = config.objective, config.model.modality_dims
    asked, predicted, target = answers
    asks_blocks = objective.modality_share > 0 and objective.modality_weight > 0
    is_by_block = objective.distance is Distance.MODALITY
    blocks = block_distances(predicted, target, dims) if asks_blocks or is_by_block else None  # (N, 3)
    if blocks is not None and is_by_block:
        apart = mean_of_present(blocks, target.present)  # (N,), by the cosines that are there already
    else:
        apart = distances(predicted, target, dims, objective.distance)
    parts = {"msm": mean_over(apart, question.masked[asked], counts.masked)}
    if objective.visible_weight > 0:
        parts["visible"] = mean_over(apart, question.visible[asked], counts.visible)
    if blocks is not None and asks_blocks:
        parts["modality"] = mean_over(blocks, question.hidden_blocks[asked], counts.hidden_blocks)
    return parts


def _contrast(answers: _Answers, question: Question, config: PretrainingConfig) -> Tensor:
    predicted, target = answers.at(question.masked)
    piece = question.masked.nonzero()[:, 0]
    objective, dims = config.objective, config.model.modality_dims
    return contrast(predicted, target, piece, dims, objective.distance, objective.temperature)


def _horizon(
    heads: ObjectiveHeads, encoded: Encoded, answers: _Answers, question: Question, config: PretrainingConfig
) -> Tensor:
    """The sum over windows and viewpoints of weighted distances."""
    _, target = answers.at(question.masked)
    states = encoded.shots.flatten(0, 1)  # (B x S, H)
    seen = views(question.viewpoints, question.masked, target, config.objective.horizons)
    total = states.new_zeros((), dtype=torch.float32)
    for head, view in zip(heads.horizons, seen, strict=True):
        predicted = head(states[view.viewpoint]).float()  # (V, F)
        apart = distances(predicted, view.target, config.model.modality_dims, config.objective.distance)
        total = total + (view.weight * apart).sum()
    return total


def _metadata(heads: ObjectiveHeads, encoded: Encoded, question: Question) -> Tensor:
    """The sum over pieces whose metadata embedding is hidden."""
    predicted = heads.metadata[0](encoded.cls[question.hidden_metadata]).float()
    return (1 - F.cosine_similarity(predicted, question.metadata[question.hidden_metadata], dim=-1)).sum()
