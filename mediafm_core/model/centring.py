"""Centring: each modality minus its corpus mean, so that what all shots share does not drown what sets them apart.

Pooled speech-model vectors of any two shots have a cosine of 0.94 to 0.98; a loss on raw cosines is then nearly
minimal for one constant answer. The means are statistics of the pre-training corpus and stay frozen in the encoder:
a title that arrives later changes nothing for any other.

Shape letters: N shots, F fused.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_SMALLEST_LENGTH = 1e-6  # a centred block shorter than this carries nothing but rounding
_SMALLEST_DIVISOR = 1e-12


class Centred(NamedTuple):
    """Centred shots."""

    shots: Tensor  # (..., F); each row of unit length, or zero where no modality is present
    present: Tensor  # (..., 3) bool: which of video, audio, text the shot has


class Centring(nn.Module):
    """The frozen step from fused embeddings to what the encoder reads and is asked to predict.

    For each block: unit length, minus the corpus mean, unit length again. An absent block (all zero) stays zero.
    The row is scaled by 1 / sqrt(number of present blocks): unit length, each present modality with equal weight.
    """

    mean: Tensor

    def __init__(self, modality_dims: tuple[int, int, int]) -> None:
        super().__init__()
        self.modality_dims = modality_dims
        self.register_buffer("mean", torch.zeros(sum(modality_dims)))

    def forward(self, fused: Tensor) -> Centred:
        """Centre shots of shape (..., F), float32. A block that equals its mean counts as absent: nothing is left."""
        made = torch.empty_like(fused)  # each block is made in its place: memory is what this waits for
        blocks = made.split(self.modality_dims, -1)
        parts = zip(fused.split(self.modality_dims, -1), self.mean.split(self.modality_dims), blocks, strict=True)
        length = torch.cat([_move(*part) for part in parts], dim=-1)  # (..., 3)
        present = length > _SMALLEST_LENGTH
        whole = length * present.sum(-1, keepdim=True).sqrt()  # (..., 3)
        scales = torch.where(present, 1 / whole, 0.0).split(1, dim=-1)
        for block, scale in zip(blocks, scales, strict=True):
            block.mul_(scale)
        return Centred(made, present)


def _move(block: Tensor, mean: Tensor, moved: Tensor) -> Tensor:
    """Write the block at unit length, minus its mean; (..., 1) how long that is, 0 where the block is absent."""
    own = block.norm(dim=-1, keepdim=True)
    torch.div(block, own.clamp(min=_SMALLEST_DIVISOR), out=moved).sub_(mean)
    return moved.norm(dim=-1, keepdim=True) * (own > 0)


def corpus_means(titles: Iterable[NDArray[np.float32]], modality_dims: Sequence[int]) -> NDArray[np.float32]:
    """The mean of each block's unit-length vectors, over the corpus's shots where that modality is present.

    Args:
        titles: (N, F) float32 each, one for each title; an all-zero block is an absent modality.
        modality_dims: widths of the blocks, summing to F.

    Returns:
        (F,) float32. Zero for a modality that no shot has.
    """
    edges = np.cumsum(modality_dims)[:-1]
    sums = [np.zeros(width) for width in modality_dims]
    counts = [0] * len(modality_dims)
    for fused in titles:
        for i, block in enumerate(np.split(fused.astype(np.float64), edges, axis=1)):
            length = np.linalg.norm(block, axis=1)
            sums[i] += (block[length > 0] / length[length > 0, None]).sum(axis=0)
            counts[i] += int((length > 0).sum())
    return np.concatenate([s / max(n, 1) for s, n in zip(sums, counts, strict=True)]).astype(np.float32)
