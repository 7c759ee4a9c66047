"""Fresh weights: normal matrices, unit norms, zero biases. Their spreads decide what an encoder starts from.

A shot comes as a row of unit length. With BERT's spread its content would be a third of what the sines of its place
add, and an encoder of few titles would tell shots by their places; see docs/adr/0005.
"""

import math

import torch
from torch import Tensor

from mediafm_core.model.config import ModelConfig

_USUAL_SPREAD = 0.02  # BERT's, arXiv 1810.04805
_CONTENT_SPREAD = 1.0  # a shot, a row of unit length, becomes a token whose coordinates vary by 1
_STEM_SHARE = 0.5  # what the stem adds varies by at most this: felt, and less than the shot's own content


def initialise(name: str, parameter: Tensor, config: ModelConfig, generator: torch.Generator) -> None:
    """Fill the encoder's parameter of this name, in place."""
    if name.endswith("norm.weight"):
        parameter.fill_(1.0)
    elif name.endswith("bias"):
        parameter.zero_()
    else:
        parameter.normal_(0.0, _spread(name, parameter, config), generator=generator)


def _spread(name: str, parameter: Tensor, config: ModelConfig) -> float:
    """Standard deviation of a fresh matrix or token."""
    if name in ("input_proj.weight", "mask"):
        return _CONTENT_SPREAD
    if name == "stem.mix.weight":  # a mean of unlike shots is short, one of like shots as long as a shot
        return _STEM_SHARE / math.sqrt(parameter.shape[1])  # small: AdamW soon makes more of them (docs/experiments.md)
    if name.endswith(("attention_out.weight", "mlp_out.weight")):  # what a block adds, less the more blocks there are
        return _USUAL_SPREAD / math.sqrt(2 * config.layers)
    return _USUAL_SPREAD
