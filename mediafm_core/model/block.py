"""One block of the Transformer: attention, then a feed-forward, each behind a LayerNorm (pre-norm).

Shape letters: B titles, T tokens, H hidden, N attention heads, D = H / N.
"""

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

    def forward(self, x: Tensor, readable: Tensor, angles: Tensor | None) -> Tensor:
        """One step.

        Args:
            x: (B, T, H).
            readable: (B, 1, 1, T) bool; false where a token is padding, which nobody reads.
            angles: (T, D / 2) rotary angles, or None.

        Returns:
            (B, T, H).
        """
        x = x + self.dropout(self._attend(self.attention_norm(x), readable, angles))
        return x + self.dropout(self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(x)))))

    def _attend(self, x: Tensor, readable: Tensor, angles: Tensor | None) -> Tensor:
        B, T, H = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.heads, H // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, N, T, D) each
        if angles is not None:
            q, k = rotate(q, angles), rotate(k, angles)
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=readable)  # (B, N, T, D)
        return self.attention_out(read.transpose(1, 2).reshape(B, T, H))
