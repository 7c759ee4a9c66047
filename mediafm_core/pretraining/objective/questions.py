"""What the encoder is asked about the pieces of one step, drawn before it reads any of them.

Shape letters: B pieces, S shots, F fused, M metadata.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.objective.masking import choose_shots
from mediafm_core.sequence.batches import Batch, Piece, by_length, collate


class Question(NamedTuple):
    """One padded batch of pieces, and what is asked about it."""

    batch: Batch  # what the encoder is shown, masked shots excepted: those it hides itself
    masked: Tensor  # (B, S) bool, false in padding: hidden, and predicted from the others
    visible: Tensor  # (B, S) bool, false in padding: shown, and to be kept


class Counts(NamedTuple):
    """How many answers each loss is the mean over, in a whole step: over all of its batches, and all processes."""

    masked: float
    visible: float


def ask(pieces: Sequence[Piece], config: PretrainingConfig, generator: torch.Generator) -> list[Question]:
    """Choose each piece's shots, then group the pieces: how they are grouped decides memory, not what is learnt."""
    chosen = [choose_shots(generator, len(p.fused), config.objective) for p in pieces]
    groups = by_length([len(p.fused) for p in pieces], config.trainer.max_padded_shots)
    return [
        Question(
            batch=collate([pieces[i] for i in group]),
            masked=pad_sequence([chosen[i].masked for i in group], batch_first=True),
            visible=pad_sequence([chosen[i].visible for i in group], batch_first=True),
        )
        for group in groups
    ]


def count(questions: Sequence[Question]) -> Counts:
    """Count the answers of a step, or of one process's part of it; parts add up field by field."""
    return Counts(
        masked=sum(float(q.masked.sum()) for q in questions), visible=sum(float(q.visible.sum()) for q in questions)
    )
