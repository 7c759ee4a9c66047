"""What the encoder is asked about the pieces of one step, drawn before it reads any of them.

Shape letters: B pieces, S shots, F fused, M metadata, W windows (two for each horizon).
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.objective.horizons import viewpoint_weights
from mediafm_core.pretraining.objective.masking import choose_blocks, choose_shots
from mediafm_core.sequence.batches import Batch, Piece, by_length, collate


class Question(NamedTuple):
    """One padded batch of pieces, and what is asked about it. Nothing is asked about padding."""

    batch: Batch  # what the encoder is shown; it hides masked shots itself, all else that is hidden is zero here
    fused: Tensor  # (B, S, F) the shots as they are
    metadata: Tensor  # (B, M) the metadata embeddings as they are
    masked: Tensor  # (B, S) bool: hidden, and predicted from the others
    visible: Tensor  # (B, S) bool: shown, and to be kept
    hidden_blocks: Tensor  # (B, S, 3) bool: modalities hidden of a shot that is not masked
    hidden_metadata: Tensor  # (B,) bool: [GLOBAL] is hidden, and there was one
    viewpoints: Tensor  # (B, S, W) float32: weight of what is predicted from a shot for each window, 0 for nothing

    def to(self, device: torch.device) -> Self:
        """The same on a device; nothing is copied that is there."""
        return self._make(part.to(device) for part in self)


class Counts(NamedTuple):
    """What each loss is the mean over, in a whole step: over all of its batches, and all processes."""

    masked: float
    visible: float
    hidden_blocks: float
    hidden_metadata: float
    viewpoints: float  # the sum of their weights


class _Drawn(NamedTuple):
    """What is asked about one piece; fields as those of `Question`, without B."""

    shown: Piece
    masked: Tensor
    visible: Tensor
    hidden_blocks: Tensor
    hidden_metadata: Tensor
    viewpoints: Tensor


def ask(pieces: Sequence[Piece], config: PretrainingConfig, generator: torch.Generator) -> list[Question]:
    """Draw what is asked about each piece in turn, then group the pieces: that decides memory, not what is learnt."""
    drawn = [_draw(p, config, generator) for p in pieces]
    groups = by_length([len(p.fused) for p in pieces], config.trainer.max_padded_shots)
    return [_question([pieces[i] for i in group], [drawn[i] for i in group]) for group in groups]


def _draw(whole: Piece, config: PretrainingConfig, generator: torch.Generator) -> _Drawn:
    objective, dims = config.objective, config.model.modality_dims
    masked, visible = choose_shots(generator, whole.fused, dims, objective)
    n_windows = 2 * len(objective.horizons) if objective.horizon_weight > 0 else 0
    blocks, viewpoints = masked.new_zeros(len(masked), 3), whole.fused.new_zeros(len(masked), n_windows)
    is_untold, shown = masked.new_zeros(()), whole
    if objective.modality_share > 0:
        split = whole.fused.split(dims, -1)
        present = torch.stack([(block != 0).any(-1) for block in split], dim=-1)  # (S, 3)
        blocks = choose_blocks(generator, present, ~masked, objective.modality_share)
        hidden = [block.masked_fill(gone[:, None], 0.0) for block, gone in zip(split, blocks.unbind(-1), strict=True)]
        shown = shown._replace(fused=torch.cat(hidden, dim=-1))
    if n_windows:
        viewpoints = viewpoint_weights(generator, masked, objective.horizons)
    if objective.metadata_weight > 0:
        is_untold = (torch.rand((), generator=generator) < objective.metadata_share) & (whole.metadata != 0).any()
        shown = shown._replace(metadata=whole.metadata.masked_fill(is_untold, 0.0))
    return _Drawn(shown, masked, visible, blocks, is_untold, viewpoints)


def _question(pieces: Sequence[Piece], drawn: Sequence[_Drawn]) -> Question:
    batch = collate([d.shown for d in drawn])
    is_whole = all(d.shown.fused is p.fused for d, p in zip(drawn, pieces, strict=True))
    return Question(
        batch=batch,
        fused=batch.fused if is_whole else pad_sequence([p.fused for p in pieces], batch_first=True),
        metadata=torch.stack([p.metadata for p in pieces]),
        masked=pad_sequence([d.masked for d in drawn], batch_first=True),
        visible=pad_sequence([d.visible for d in drawn], batch_first=True),
        hidden_blocks=pad_sequence([d.hidden_blocks for d in drawn], batch_first=True),
        hidden_metadata=torch.stack([d.hidden_metadata for d in drawn]),
        viewpoints=pad_sequence([d.viewpoints for d in drawn], batch_first=True),
    )


def count(questions: Sequence[Question]) -> Counts:
    """Count what is asked in a step, or in one process's part of it; parts add up field by field."""
    return Counts(*(sum(float(getattr(q, name).sum()) for q in questions) for name in Counts._fields))
