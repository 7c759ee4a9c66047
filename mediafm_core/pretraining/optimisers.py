"""Muon for the matrices inside the Transformer's blocks, AdamW for all else: the post's split, in one place.

Muon orthogonalises a matrix's update. That suits matrices between hidden states; it does not suit the projections
into and out of the encoder, whose outer side is data, nor norms, biases, tokens and learned positions.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn

from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.config import Optimiser, TrainerConfig

_ADAMW_BETAS = (0.9, 0.98)  # a shorter memory of squared gradients: runs are short
_MUON_MOMENTUM = 0.95


class Parameters(NamedTuple):
    """All parameters of an encoder, each in one of two groups."""

    hidden: list[nn.Parameter]  # the blocks' matrices, for Muon
    other: list[nn.Parameter]  # for AdamW


class Optimisers(NamedTuple):
    """The optimisers of one training."""

    muon: torch.optim.Muon | None  # None where AdamW moves all
    adamw: torch.optim.AdamW

    def named(self) -> Iterator[tuple[str, torch.optim.Optimizer]]:
        """Those that there are, by name."""
        yield from ((name, optimiser) for name, optimiser in self._asdict().items() if optimiser is not None)

    def set_rates(self, config: TrainerConfig, step: int) -> dict[str, float]:
        """Set the learning rates to what they are at `step`, counted from 0; returns them by optimiser."""
        peaks = {"muon": config.muon_rate, "adamw": config.adamw_rate}
        rates = {name: peaks[name] * config.rate_factor(step) for name, _ in self.named()}
        for name, optimiser in self.named():
            for group in optimiser.param_groups:
                group["lr"] = rates[name]
        return rates

    def step(self) -> None:
        """Move all parameters and forget their gradients."""
        for _, optimiser in self.named():
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)


def split(encoder: MediaFM) -> Parameters:
    """Share out the parameters: a 2-D parameter of a block is hidden, all else is not."""
    hidden = [p for p in encoder.blocks.parameters() if p.ndim == 2]
    taken = {id(p) for p in hidden}
    other = [p for p in encoder.parameters() if id(p) not in taken]
    together = sorted(id(p) for p in hidden + other)
    assert together == sorted(id(p) for p in encoder.parameters()), "each parameter belongs to one group, once"
    return Parameters(hidden, other)


def optimisers(encoder: MediaFM, heads: nn.Module, config: TrainerConfig) -> Optimisers:
    """Fresh optimisers over all parameters. The weight decay is stated for both: torch's defaults differ.

    Args:
        encoder: its parameters are shared out by `split`, if there is Muon.
        heads: parameters that only training needs; AdamW moves them.
        config: which optimisers, and their settings.
    """
    hidden, other = split(encoder)
    muon = None
    if config.optimiser is Optimiser.MUON:
        muon = torch.optim.Muon(
            hidden, lr=config.muon_rate, momentum=_MUON_MOMENTUM, weight_decay=config.weight_decay, nesterov=True
        )
    else:
        other = list(encoder.parameters())
    adamw = torch.optim.AdamW(
        [*other, *heads.parameters()],
        lr=config.adamw_rate,
        betas=_ADAMW_BETAS,
        weight_decay=config.weight_decay,
        foreach=False,
    )
    return Optimisers(muon, adamw)
