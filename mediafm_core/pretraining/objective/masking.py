"""What of a piece is hidden from the encoder, and which of the shots it sees it is asked to keep.

Shape letters: S shots, F fused.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mediafm_core.pretraining.config import Masking, ObjectiveConfig
from mediafm_core.pretraining.objective.scenes import scenes


class Chosen(NamedTuple):
    """Which shots the encoder is asked about; no shot is in both."""

    masked: Tensor  # (S,) bool: hidden, and predicted from the others
    visible: Tensor  # likewise: shown, and to be kept


def choose_shots(
    generator: torch.Generator, fused: Tensor, modality_dims: Sequence[int], config: ObjectiveConfig
) -> Chosen:
    """Draw the shots of one piece that are hidden, and those visible ones that are predicted too.

    Args:
        generator: decides. Shots are drawn in a random order; so are runs, where runs are hidden, and the last run
            is cut so that the share is met exactly.
        fused: (S, F) the piece's shots, in which scenes are found; otherwise only their number counts.
        modality_dims: widths of the three blocks.
        config: how, and the shares. Counts are rounded; at least one shot is hidden.
    """
    n_shots = len(fused)
    rank = torch.randperm(n_shots, generator=generator)  # (S,)
    n_masked = max(1, round(n_shots * config.mask_share))
    n_visible = round((n_shots - n_masked) * config.visible_share)
    if config.masking is Masking.SPANS:
        masked = _first(_span_rank(n_shots, config.span_shots, generator), n_masked)
    elif config.masking is Masking.SCENES:
        masked = _first(_scene_rank(scenes(fused, modality_dims), generator), n_masked)
    else:
        masked = _first(rank, n_masked)
    return Chosen(masked, _first(rank + n_shots * masked, n_visible))


def _first(rank: Tensor, n: int) -> Tensor:
    """(S,) bool, true at the `n` lowest ranks; of equal ranks the earlier shots."""
    chosen = torch.zeros(len(rank), dtype=torch.bool)
    chosen[rank.argsort(stable=True)[:n]] = True
    return chosen


def _span_rank(n_shots: int, span_shots: int, generator: torch.Generator) -> Tensor:
    """(S,) the rank of the first run that covers a shot. Runs reach over both ends, so that no shot is hidden less."""
    ranks = torch.randperm(n_shots + span_shots - 1, generator=generator)
    return ranks.unfold(0, span_shots, 1).amin(-1)


def _scene_rank(scene: Tensor, generator: torch.Generator) -> Tensor:
    """(S,) the rank of the scene that a shot stands in."""
    return torch.randperm(int(scene[-1]) + 1, generator=generator)[scene]


def choose_blocks(generator: torch.Generator, present: Tensor, shown: Tensor, share: float) -> Tensor:
    """Draw the modalities that are hidden of shots which are otherwise shown.

    Args:
        generator: decides.
        present: (S, 3) bool, which modalities a shot has.
        shown: (S,) bool, the shots that are not hidden as a whole.
        share: the chance of each modality. Where all that a shot has would go, the last one drawn stays.

    Returns:
        (S, 3) bool.
    """
    draw = torch.rand(present.shape, generator=generator)
    hidden = (draw < share) & present & shown[:, None]
    is_bare = hidden.sum(-1) == present.sum(-1)  # (S,)
    last = F.one_hot(draw.masked_fill(~present, -1.0).argmax(-1), present.shape[-1]).bool()
    return hidden & ~(last & is_bare[:, None])
