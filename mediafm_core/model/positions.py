"""Where a shot stands: rotary angles by distance, and its fraction of the whole title.

Shape letters: B titles, S shots, T = 2 + S tokens, N attention heads, D head width.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mediafm_core.model.config import ModelConfig, Positions

N_FRACTION_FEATURES = 16
_ROTARY_BASE = 10_000.0  # RoFormer, arXiv 2104.09864
_N_SPECIAL = 2  # [CLS] and [GLOBAL] stand nowhere: they are not turned


def fraction_features(fraction: Tensor) -> Tensor:
    """Sines and cosines of where in the title a shot stands.

    A window knows distances within itself only; these tell the opening of a film from its end.

    Args:
        fraction: (B, S) float32 in [0, 1].

    Returns:
        (B, S, 16) float32.
    """
    octaves = 2.0 ** torch.arange(N_FRACTION_FEATURES // 2, device=fraction.device)
    angles = fraction[..., None] * octaves * math.pi  # (B, S, 8)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)  # (B, S, 16)


def rotary_turns(n_shots: int, head_dims: int, like: Tensor) -> Tensor:
    """How each pair of a head's channels is turned at each token; the special tokens are not.

    Args:
        n_shots: shots of a title or window.
        head_dims: D, even.
        like: a tensor on the device that is wanted.

    Returns:
        (T, 1, D / 2) complex64, of length 1.
    """
    speeds = _ROTARY_BASE ** -(torch.arange(0, head_dims, 2, device=like.device) / head_dims)  # (D / 2,)
    angles = torch.arange(n_shots, device=like.device)[:, None] * speeds  # (S, D / 2)
    angles = torch.cat([angles.new_zeros(_N_SPECIAL, head_dims // 2), angles])[:, None]  # (T, 1, D / 2)
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turn queries and keys, so that their product depends on the distance of two shots alone.

    Pairs are neighbours, and complex numbers: one product, where halves that are apart take four passes over memory.

    Args:
        x: (B, T, N, D); channels 2 i and 2 i + 1 are a pair.
        turns: of as many tokens and pairs.

    Returns:
        (B, T, N, D).
    """
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))  # (B, T, N, D / 2)
    turned = pairs * turns if x.dtype is torch.float32 else pairs.mul_(turns)  # else it is a copy already
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


def rows_as_used(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """An encoder's stored tensors as its modules use them: the pairs that `rotate` turns are neighbours.

    In a checkpoint each head of the queries and keys has its pairs' first channels, then their second ones. Any order
    gives the same products, if queries and keys have the same.

    Args:
        state: tensors by their names in `MediaFM`.
        config: of the encoder.
    """
    return _reordered(state, config, (2, -1))


def rows_as_stored(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Undo `rows_as_used`."""
    return _reordered(state, config, (-1, 2))


def _reordered(state: Mapping[str, Tensor], config: ModelConfig, shape: tuple[int, int]) -> dict[str, Tensor]:
    """The rows of each head of queries and keys, laid out in this shape and taken column by column."""
    if config.positions is Positions.LEARNED:
        return dict(state)
    made = dict(state)
    for name in [name for name in state if name.endswith(("qkv.weight", "qkv.bias"))]:
        turning, values = state[name].split([2 * config.hidden, config.hidden])
        apart = turning.unflatten(0, (2 * config.heads, *shape)).transpose(1, 2)
        made[name] = torch.cat([apart.flatten(0, 2), values])
    return made
