"""Scenes of a piece, as far as its own shots tell: what Masking.SCENES hides whole.

Shape letters: S shots, F fused.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mediafm_core.model.centring import Centring

_REACH = 4  # shots on either side of a gap that are compared, and gaps within which only the deepest dip counts


def scenes(fused: Tensor, modality_dims: Sequence[int]) -> Tensor:
    """Number the scenes of a piece. The rule is fixed; nothing is learnt or drawn.

    Each gap between two shots has a likeness: the cosine of the mean of the four shots before it and the mean of the
    four after it, centred by the piece's own mean. A change of scene is a gap whose likeness is below the mean of the
    piece's gaps, and the lowest of the gaps within four on either side; equal ones all count.

    Args:
        fused: (S, F) shots as they are stored.
        modality_dims: widths of the three blocks.

    Returns:
        (S,) int64, from 0, rising by 1 at each change.
    """
    likeness = _likeness(_centred(fused, modality_dims))  # (S - 1,)
    scene = torch.zeros(len(fused), dtype=torch.long)
    if len(likeness):
        lowest = -F.max_pool1d(-likeness[None], 2 * _REACH + 1, stride=1, padding=_REACH)[0]
        scene[1:] = ((likeness == lowest) & (likeness < likeness.mean())).cumsum(0)
    return scene


def _centred(fused: Tensor, modality_dims: Sequence[int]) -> Tensor:
    video, audio, text = modality_dims
    centring = Centring((video, audio, text))
    blocks = fused.split(list(modality_dims), -1)
    n_present = [(block != 0).any(-1).sum().clamp(min=1) for block in blocks]
    means = [F.normalize(block, dim=-1).sum(0) / n for block, n in zip(blocks, n_present, strict=True)]
    centring.mean.copy_(torch.cat(means))
    return centring(fused).shots


def _likeness(shots: Tensor) -> Tensor:
    """(S - 1,) for each gap, the cosine of what stands before it and what stands after it."""
    padded, n_sums = F.pad(shots, (0, 0, _REACH, _REACH)), len(shots) + _REACH
    sums = torch.stack([padded[i : i + n_sums] for i in range(_REACH)]).sum(0)  # row s: the shots in [s - 4, s)
    return F.cosine_similarity(sums[1 : len(shots)], sums[1 + _REACH :], dim=-1)
