"""An encoder in the precision in which titles are read.

Shape letters: T tokens, I and O a projection's widths.
"""

from copy import deepcopy
from functools import lru_cache

import torch
from torch import Tensor, nn

from mediafm_core.model.config import Precision
from mediafm_core.model.encoder import MediaFM

_Weights = tuple[tuple[int, int], ...]
"""Of each parameter which tensor it is, and how often it was written to."""


def in_precision(encoder: MediaFM) -> MediaFM:
    """The encoder itself, or its copy in the precision of its configuration.

    The last copy is kept, and made again when the encoder's weights have changed: a catalogue is read with one cast.
    """
    if encoder.config.precision is Precision.FLOAT32:
        return encoder
    return _in_bfloat16(encoder, encoder.device, tuple((id(p), p._version) for p in encoder.parameters()))


@lru_cache(maxsize=1)
def _in_bfloat16(encoder: MediaFM, device: torch.device, _weights: _Weights) -> MediaFM:
    """Parameters alone: the corpus means stay in float32, since what is left after centring may be small."""
    copy = deepcopy(encoder).requires_grad_(False).to(torch.bfloat16)
    copy.centring.mean = encoder.centring.mean
    if device.type == "cpu" and torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        _pack(copy, copy.config.window)
    return copy


def _pack(module: nn.Module, n_tokens: int) -> None:
    """Put `_PackedLinear` in place of each linear layer within."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, _PackedLinear(child, n_tokens))
        else:
            _pack(child, n_tokens)


class _PackedLinear(nn.Module):
    """A linear layer whose weights lie as oneDNN's kernel wants them: the same bits out, sooner.

    Otherwise torch lays them out anew at each call. The two operators are those that torch.compile emits.
    """

    def __init__(self, linear: nn.Linear, n_tokens: int) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), n_tokens)  # (O, I), opaque
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """(..., T, I) to (..., T, O)."""
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
