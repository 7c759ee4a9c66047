"""The titles that an encoder is trained on, and the pieces that are drawn from them.

Shape letters: F fused, M metadata.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from mediafm_core.errors import TrainingError
from mediafm_core.model.config import ModelConfig
from mediafm_core.pretraining.config import TrainerConfig
from mediafm_core.sequence.batches import Piece, piece
from mediafm_core.sequence.titles import TitleArrays, TitleTensors, as_tensors
from mediafm_core.sequence.windows import Window, windows


class Corpus(NamedTuple):
    """Checked titles, those trained on apart from those held out."""

    train: list[TitleTensors]
    held_out: list[TitleTensors]  # whole titles: a title never stands on both sides
    described: list[list[str | int]]  # id and number of shots of each title, as given; to recognise the corpus again


def gather(titles: Sequence[TitleArrays], model: ModelConfig, share: float, generator: torch.Generator) -> Corpus:
    """Check the titles and hold some out at random.

    Args:
        titles: at least one.
        model: for the widths.
        share: of the titles that is held out, rounded, at least one; of a single title none.
        generator: decides which.

    Raises:
        TrainingError: there is no title.
        DimensionError: a title does not fit the model.
    """
    if not titles:
        raise TrainingError(
            "pre-training corpus", found="no title", expected="at least one", next_step="Ingest titles first."
        )
    tensors = [as_tensors(t, model.fused_dims, model.metadata_dims) for t in titles]
    n_held_out = min(len(titles) - 1, max(1, round(share * len(titles)))) if share > 0 else 0
    order = torch.randperm(len(titles), generator=generator).tolist()
    return Corpus(
        train=[tensors[i] for i in sorted(order[n_held_out:])],
        held_out=[tensors[i] for i in sorted(order[:n_held_out])],
        described=[[t.title, len(t.fused)] for t in titles],
    )


def draw_pieces(
    titles: Sequence[TitleTensors], pending: list[int], window: int, config: TrainerConfig, generator: torch.Generator
) -> list[Piece]:
    """Draw a step's pieces: every title once in random order, then all again.

    Args:
        titles: what is trained on.
        pending: indices of the titles left in this round, next one last; changed in place.
        window: the longest piece, in shots.
        config: how many shots a step takes, and how short a piece may be.
        generator: decides order and crops.
    """
    pieces: list[Piece] = []
    while sum(len(p.fused) for p in pieces) < config.shots_per_step:
        if not pending:
            pending.extend(torch.randperm(len(titles), generator=generator).tolist())
        title = titles[pending.pop()]
        crop = _crop(len(title.fused), window, config.min_crop_share, generator)
        pieces.append(piece(title.fused, title.metadata, crop))
    return pieces


def _crop(n_shots: int, window: int, min_share: float, generator: torch.Generator) -> Window:
    longest = min(n_shots, window)
    n_taken = _integer(math.ceil(min_share * longest), longest, generator)
    start = _integer(0, n_shots - n_taken, generator)
    return Window(start, start + n_taken)


def _integer(lowest: int, highest: int, generator: torch.Generator) -> int:
    return int(torch.randint(lowest, highest + 1, (), generator=generator))


def whole_pieces(titles: Sequence[TitleTensors], model: ModelConfig) -> list[Piece]:
    """Every window of every title, in order."""
    return [
        piece(t.fused, t.metadata, span) for t in titles for span in windows(len(t.fused), model.window, model.stride)
    ]
