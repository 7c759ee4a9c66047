"""Transformers of others, with the shapes of ours: each reads one title's fused embeddings into its shots' states.

Every peer has our input projection, output projection and mask token around a trunk of its own, in the form in which
it is fastest on a CPU. Nothing is dropped out, and fresh weights do: only time counts.

Shape letters: B titles, S shots, F fused, H hidden.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from mediafm_core.model.config import ModelConfig


class Peer(nn.Module):
    """Somebody's trunk between our projections."""

    def __init__(self, config: ModelConfig, trunk: nn.Module) -> None:
        super().__init__()
        self.input_proj = nn.Linear(config.fused_dims, config.hidden)
        self.mask = nn.Parameter(torch.zeros(config.hidden))
        self.trunk = trunk
        self.output_proj = nn.Linear(config.hidden, config.fused_dims)

    def forward(self, fused: Tensor, masked: Tensor | None = None) -> Tensor:
        """States (B, S, H) of shots (B, S, F), those of `masked` (B, S) hidden."""
        shots = self.input_proj(fused)
        return self.trunk(shots if masked is None else torch.where(masked[..., None], self.mask, shots))

    def predict(self, fused: Tensor, masked: Tensor) -> Tensor:
        """What it makes of the shots (B, S, F), those of `masked` hidden: (B, S, F)."""
        return self.output_proj(self(fused, masked))


class _Bert(nn.Module):
    """transformers' BertModel, with its learned positions."""

    def __init__(self, config: ModelConfig) -> None:
        from transformers import BertConfig, BertModel

        super().__init__()
        shape: dict[str, Any] = {
            "hidden_size": config.hidden,
            "num_hidden_layers": config.layers,
            "num_attention_heads": config.heads,
            "intermediate_size": config.mlp_ratio * config.hidden,
            "max_position_embeddings": config.window,
            "vocab_size": 1,  # it is given embeddings, never words
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "attn_implementation": "sdpa",
        }
        self.model = BertModel(BertConfig(**shape), add_pooling_layer=False)

    def forward(self, shots: Tensor) -> Tensor:
        return self.model(inputs_embeds=shots).last_hidden_state


class _Torch(nn.Module):
    """torch's own. Post-norm, batch first and GELU are what its fast path asks for; so is inference mode."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        inner = config.mlp_ratio * config.hidden
        layer = nn.TransformerEncoderLayer(
            config.hidden, config.heads, inner, dropout=0.0, activation="gelu", batch_first=True, norm_first=False
        )
        self.place = nn.Parameter(torch.zeros(config.window, config.hidden))
        self.layers = nn.TransformerEncoder(layer, config.layers)

    def forward(self, shots: Tensor) -> Tensor:
        return self.layers(shots + self.place[: shots.shape[1]])


def _x_transformers(config: ModelConfig) -> nn.Module:
    """x-transformers' Encoder with rotary positions, and torch's fused attention, which is its faster one here."""
    from x_transformers import Encoder

    return Encoder(
        dim=config.hidden,
        depth=config.layers,
        heads=config.heads,
        attn_dim_head=config.head_dims,
        ff_mult=config.mlp_ratio,
        rotary_pos_emb=True,
        attn_flash=True,
    )


PEERS: Mapping[str, Callable[[ModelConfig], nn.Module]] = MappingProxyType(
    {"BertModel": _Bert, "nn.TransformerEncoder": _Torch, "x-transformers": _x_transformers}
)
"""Trunks by the name that a note shows."""


def peers(config: ModelConfig) -> dict[str, Peer]:
    """Every peer, with these shapes, in float32 and training mode."""
    return {name: Peer(config, trunk(config)) for name, trunk in PEERS.items()}
