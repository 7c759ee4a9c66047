"""A bidirectional GRU, trained for Masked Shot Modeling: the learned baseline, of a few million parameters.

Shape letters: B pieces, S shots, F fused, M metadata, W width of a direction.
"""

import math
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mediafm_core.model.centring import Centred, Centring
from mediafm_core.pretraining.baselines.stand_in import StandIn

_WIDTH = 288  # 1.2 million parameters at narrative widths, 2.8 million at those of the embedded suite


class Gru(StandIn):
    """Reads a piece from both ends."""

    def __init__(self, centring: Centring) -> None:
        super().__init__(centring)
        n_fused = sum(centring.modality_dims)
        self.input_proj = nn.Linear(n_fused, _WIDTH)
        self.mask = nn.Parameter(torch.empty(_WIDTH))
        self.gru = nn.GRU(_WIDTH, _WIDTH, batch_first=True, bidirectional=True)
        self.output_proj = nn.Linear(2 * _WIDTH, n_fused)

    @classmethod
    def new(cls, centring: Centring, generator: torch.Generator) -> Self:
        """Fresh weights, the same for the same state of `generator`."""
        gru = cls(centring)
        with torch.no_grad():
            for parameter in gru.parameters():
                bound = 1 / math.sqrt(_WIDTH)
                parameter.uniform_(-bound, bound, generator=generator)
        return gru

    def states(self, centred: Centred, real: Tensor, readable: Tensor) -> Tensor:
        """(B, S, 2 W), padding never read."""
        shots = torch.where(readable[..., None], self.input_proj(centred.shots), self.mask)  # (B, S, W)
        packed = pack_padded_sequence(shots, real.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=real.shape[1])[0]
