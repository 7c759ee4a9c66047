"""The pieces of titles that a step is made of, and those that the held-out loss is measured on."""

import math
from collections.abc import Iterator, Sequence

import torch

from mediafm_core.model.config import ModelConfig
from mediafm_core.pretraining.config import TrainerConfig
from mediafm_core.pretraining.corpus import Reader
from mediafm_core.sequence.batches import Piece, piece
from mediafm_core.sequence.windows import Window, windows


def draw_pieces(
    reader: Reader,
    indices: Sequence[int],
    pending: list[int],
    window: int,
    config: TrainerConfig,
    generator: torch.Generator,
) -> list[Piece]:
    """Draw a step's pieces: every title once in random order, then all again.

    Args:
        reader: of the corpus.
        indices: of the titles that are trained on.
        pending: positions in `indices` of the titles left in this round, next one last; changed in place.
        window: the longest piece, in shots.
        config: how many shots a step takes, and how short a piece may be.
        generator: decides order and crops.
    """
    pieces: list[Piece] = []
    n_shots = 0
    while n_shots < config.shots_per_step:
        if not pending:
            pending.extend(torch.randperm(len(indices), generator=generator).tolist())
        index = indices[pending.pop()]
        crop = _crop(reader.n_shots(index), window, config.min_crop_share, generator)
        pieces.append(_cut(reader, index, crop))
        n_shots += crop.n_shots
    return pieces


def _crop(n_shots: int, window: int, min_share: float, generator: torch.Generator) -> Window:
    longest = min(n_shots, window)
    n_taken = _integer(math.ceil(min_share * longest), longest, generator)
    start = _integer(0, n_shots - n_taken, generator)
    return Window(start, start + n_taken)


def _integer(lowest: int, highest: int, generator: torch.Generator) -> int:
    return int(torch.randint(lowest, highest + 1, (), generator=generator))


def _cut(reader: Reader, index: int, crop: Window) -> Piece:
    """One piece; a part of a title is copied, so that it does not keep the whole title in memory."""
    title = reader.read(index)
    cut = piece(title.fused, title.metadata, crop)
    return cut if crop.n_shots == len(title.fused) else cut._replace(fused=cut.fused.clone())


def whole_pieces(
    reader: Reader, indices: Sequence[int], model: ModelConfig, at_least_shots: int
) -> Iterator[list[Piece]]:
    """Every window of every title, in order, some titles at a time.

    Args:
        reader: of the corpus.
        indices: of the titles.
        model: for the windows.
        at_least_shots: a list ends with the title that makes it hold as many; the last one may hold fewer.
    """
    pieces: list[Piece] = []
    for index in indices:
        title = reader.read(index)
        spans = windows(len(title.fused), model.window, model.stride)
        pieces.extend(piece(title.fused, title.metadata, span) for span in spans)
        if sum(len(p.fused) for p in pieces) >= at_least_shots:
            yield pieces
            pieces = []
    if pieces:
        yield pieces
