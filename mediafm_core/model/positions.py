"""Where a shot stands: rotary angles by distance, and its fraction of the whole title.

Shape letters: B titles, S shots, T = 2 + S tokens, N attention heads, D head width.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

N_FRACTION_FEATURES = 16
_ROTARY_BASE = 10_000.0  # RoFormer, arXiv 2104.09864
_N_SPECIAL = 2  # [CLS] and [GLOBAL] stand nowhere: they are not turned


class Turns(NamedTuple):
    """Rotary angles of a title's tokens, ready to be multiplied with."""

    cos: Tensor  # (T, 1, D) float32
    sin: Tensor  # (T, 1, D) float32, negative in the first half, whose channels lose what the second half's gain


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


def rotary_turns(n_shots: int, head_dims: int, like: Tensor) -> Turns:
    """How each pair of a head's channels is turned at each token; the special tokens are not.

    Args:
        n_shots: shots of a title or window.
        head_dims: D, even.
        like: a tensor on the device that is wanted.
    """
    speeds = _ROTARY_BASE ** -(torch.arange(0, head_dims, 2, device=like.device) / head_dims)  # (D / 2,)
    angles = torch.arange(n_shots, device=like.device)[:, None] * speeds  # (S, D / 2)
    angles = torch.cat([angles.new_zeros(_N_SPECIAL, head_dims // 2), angles])[:, None]  # (T, 1, D / 2)
    cos, sin = angles.cos(), angles.sin()
    return Turns(torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1))


def rotate(x: Tensor, turns: Turns) -> Tensor:
    """Turn queries and keys, so that their product depends on the distance of two shots alone.

    Args:
        x: (B, T, N, D); channel i and channel i + D / 2 are a pair.
        turns: of as many tokens and channels.

    Returns:
        (B, T, N, D).
    """
    partners = x.roll(x.shape[-1] // 2, dims=-1)
    return x * turns.cos.to(x.dtype) + partners * turns.sin.to(x.dtype)
