"""One block of the Transformer: attention, then a feed-forward, each behind a LayerNorm (pre-norm).

Shape letters: B titles, T tokens, H hidden, N attention heads, D = H / N.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediafm_core.model.config import ModelConfig
from mediafm_core.model.positions import rotate


class Block(nn.Module):
    """Adds to each token what it reads from the others, then what it makes of that."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        inner = config.mlp_ratio * config.hidden
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(config.hidden)
        self.qkv = nn.Linear(config.hidden, 3 * config.hidden)
        self.attention_out = nn.Linear(config.hidden, config.hidden)
        self.mlp_norm = nn.LayerNorm(config.hidden)
        self.mlp_in = nn.Linear(config.hidden, inner)
        self.mlp_out = nn.Linear(inner, config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, readable: Tensor | None, turns: Tensor | None) -> Tensor:
        """One step.

        Args:
            x: (B, T, H).
            readable: (B, 1, 1, T) bool; false where a token is padding, which nobody reads. None where nothing is.
            turns: rotary angles of the T tokens, or None.

        Returns:
            (B, T, H).
        """
        x = x + self.dropout(self._attend(self.attention_norm(x), readable, turns))
        return x + self.dropout(self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(x)))))

    def _attend(self, x: Tensor, readable: Tensor | None, turns: Tensor | None) -> Tensor:
        B, T, H = x.shape
        qk, v = self.qkv(x).view(B, T, 3 * self.heads, H // self.heads).split([2 * self.heads, self.heads], dim=2)
        q, k = (qk if turns is None else rotate(qk, turns)).chunk(2, dim=2)  # (B, T, N, D) each
        read = attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), readable)  # (B, N, T, D)
        return self.attention_out(read.transpose(1, 2).reshape(B, T, H))


def attend(q: Tensor, k: Tensor, v: Tensor, readable: Tensor | None) -> Tensor:
    """What each token reads: (B, N, T, D) queries, keys and values to (B, N, T, D).

    torch's fused attention, which never holds all weights at once; but where bfloat16 gradients are to be taken on a
    CPU, its backward pass takes twice the time of the plain products (docs/experiments.md). No other device than the
    CPU was tried.
    """
    if q.requires_grad and q.dtype is torch.bfloat16 and q.device.type == "cpu":
        return _attend_by_products(q, k, v, readable)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=readable)


def _attend_by_products(q: Tensor, k: Tensor, v: Tensor, readable: Tensor | None) -> Tensor:
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # (B, N, T, T)
    if readable is not None:  # [CLS] always is: no row is without a number
        scores = scores + torch.zeros_like(readable, dtype=scores.dtype).masked_fill(~readable, float("-inf"))
    return scores.softmax(-1) @ v
