"""The parameters that only training needs of an encoder; no checkpoint of an encoder has them.

Shape letters: H hidden, F fused, M metadata.
"""

from typing import Self

import torch
from torch import nn

from mediafm_core.pretraining.config import PretrainingConfig

_SPREAD = 0.02  # of fresh weights, as those of the encoder's own output projection


class ObjectiveHeads(nn.Module):
    """Linear layers that answer what no shot's own prediction does. Without such questions there are none."""

    def __init__(self, config: PretrainingConfig) -> None:
        super().__init__()
        model, objective = config.model, config.objective
        n_windows = 2 * len(objective.horizons) if objective.horizon_weight > 0 else 0
        n_metadata = 1 if objective.metadata_weight > 0 else 0
        self.horizons = nn.ModuleList(nn.Linear(model.hidden, model.fused_dims) for _ in range(n_windows))  # H to F
        self.metadata = nn.ModuleList(nn.Linear(model.hidden, model.metadata_dims) for _ in range(n_metadata))  # to M

    @classmethod
    def new(cls, config: PretrainingConfig, generator: torch.Generator) -> Self:
        """Fresh heads, the same for the same state of `generator`, which rests where there are none."""
        with torch.device("meta"):
            heads = cls(config)
        heads.to_empty(device=generator.device)
        with torch.no_grad():
            for parameter in heads.parameters():
                parameter.normal_(0.0, _SPREAD, generator=generator) if parameter.ndim == 2 else parameter.zero_()
        return heads
