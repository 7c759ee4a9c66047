"""What a shot is predicted to be.

Shape letters: B pieces, S shots, F fused, N shots that are asked about, K near shots.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mediafm_core.model.centring import Centred, Centring
from mediafm_core.pretraining.config import Target

_REACH = 4  # near shots on either side that a denoised shot is a mean of
_TEMPERATURE = 0.5  # of their likeness: at 0 a shot stays itself, at infinity all near shots count alike


def targets(centring: Centring, fused: Tensor, real: Tensor, asked: Tensor, kind: Target) -> Centred:
    """What the asked shots are, in the centred space. No gradient reaches it: centring is frozen.

    Args:
        centring: of the encoder that is trained.
        fused: (B, S, F) the shots as they are.
        real: (B, S) bool, false in padding.
        asked: (B, S) bool, N of them true.
        kind: the shots themselves, or denoised.

    Returns:
        (N, F) and (N, 3), in the order of `asked`.
    """
    if kind is Target.SHOT:
        return centring(fused[asked])
    with torch.autocast(fused.device.type, enabled=False):  # what is true is not rounded to bfloat16
        return _denoised(centring(fused), centring.modality_dims, real, asked)


def _denoised(shots: Centred, modality_dims: Sequence[int], real: Tensor, asked: Tensor) -> Centred:
    """Each modality is the mean of the shots within four that have it, weighted by the softmax of their cosines.

    The shot itself is one of them. A shot without the modality is a zero, so it adds nothing to the mean; nor does its
    weight, because the mean is given the length of the shot's own block, which is 0 where the modality is absent.
    """
    own_present = shots.present[asked]  # (N, 3)
    near, is_there = _near(real, asked)  # (N, K)
    blocks = []
    for i, block in enumerate(shots.shots.split(list(modality_dims), -1)):
        unit = F.normalize(block, dim=-1).flatten(0, 1)[near]  # (N, K, D)
        likeness = torch.einsum("nkd,nd->nk", unit, unit[:, _REACH])
        weight = (likeness / _TEMPERATURE).masked_fill(~is_there, -torch.inf).softmax(-1)
        mean = F.normalize(torch.einsum("nk,nkd->nd", weight, unit), dim=-1)
        blocks.append(mean * own_present[:, i, None])
    n_present = own_present.sum(-1, keepdim=True).clamp(min=1)
    return Centred(torch.cat(blocks, dim=-1) / n_present.sqrt(), own_present)


def _near(real: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    """(N, K) indices into the batch's B x S shots, and whether there is such a shot; the shot itself in the middle."""
    row, place = asked.nonzero(as_tuple=True)  # (N,) each
    near = place[:, None] + torch.arange(-_REACH, _REACH + 1, device=real.device)  # (N, K)
    within = (near >= 0) & (near < real.shape[1])
    near = row[:, None] * real.shape[1] + near.clamp(0, real.shape[1] - 1)
    return near, within & real.flatten()[near]
