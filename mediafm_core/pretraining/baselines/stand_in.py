"""What takes an encoder's place: it is asked what an encoder is asked, and measured by the same code.

Shape letters: B pieces, S shots, F fused, M metadata, H hidden.
"""

from typing import cast

import torch
from torch import Tensor, nn

from mediafm_core.model.centring import Centred, Centring
from mediafm_core.model.encoder import Encoded, MediaFM


class StandIn(nn.Module):
    """Reads shots and their places in the piece, nothing else: neither metadata nor the fraction of the title."""

    output_proj: nn.Module  # (…, H) to (…, F)

    def __init__(self, centring: Centring) -> None:
        super().__init__()
        self.centring = centring

    @property
    def device(self) -> torch.device:
        """As `MediaFM.device`."""
        return self.centring.mean.device

    def states(self, centred: Centred, real: Tensor, readable: Tensor) -> Tensor:
        """What it makes of each shot.

        Args:
            centred: (B, S, F) and (B, S, 3); zero in padding.
            real: (B, S) bool; false in padding.
            readable: (B, S) bool; false also where a shot is masked.

        Returns:
            (B, S, H).
        """
        raise NotImplementedError

    def encode(
        self,
        fused: Tensor,
        real: Tensor | None,
        fraction: Tensor,  # noqa: ARG002
        metadata: Tensor,  # noqa: ARG002
        masked: Tensor | None = None,
    ) -> Encoded:
        """As `MediaFM.encode`; a piece as a whole has no state."""
        if real is None:
            real = fused.new_ones(fused.shape[:2], dtype=torch.bool)
        centred = self.centring(fused.masked_fill(~real[..., None], 0.0))
        readable = real if masked is None else real & ~masked
        return Encoded(self.states(centred, real, readable), fused.new_zeros(len(fused), 0))

    def as_encoder(self) -> MediaFM:
        """The same for whoever asks for an encoder; it has what the objective uses of one, and no more."""
        return cast(MediaFM, self)
