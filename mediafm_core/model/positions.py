"""Where a shot stands: rotary angles by distance, and its fraction of the whole title.

Shape letters: B titles, S shots, T = 2 + S tokens, N attention heads, D head width.
"""

import math

import torch
from torch import Tensor

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


def rotary_angles(n_shots: int, head_dims: int, like: Tensor) -> Tensor:
    """How far each pair of a head's channels is turned at each token, in radians.

    Returns:
        (T, D / 2) float32 on the device of `like`; zero for the special tokens.
    """
    speeds = _ROTARY_BASE ** -(torch.arange(0, head_dims, 2, device=like.device) / head_dims)  # (D / 2,)
    angles = torch.arange(n_shots, device=like.device)[:, None] * speeds  # (S, D / 2)
    return torch.cat([angles.new_zeros(_N_SPECIAL, head_dims // 2), angles])  # (T, D / 2)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn queries or keys, so that their product depends on the distance of two shots alone.

    Args:
        x: (B, N, T, D).
        angles: (T, D / 2).

    Returns:
        (B, N, T, D).
    """
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)  # (B, N, T, D / 2) each
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
