"""A bidirectional GRU, trained for Masked Shot Modeling: the learned baseline, of a few million parameters.

Shape letters: B pieces, S shots, F fused, M metadata, W width of a direction.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mediafm_core.errors import TrainingError
from mediafm_core.model.centring import Centred, Centring
from mediafm_core.pretraining.baselines.stand_in import StandIn
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.corpus import Reader
from mediafm_core.pretraining.objective.heads import ObjectiveHeads
from mediafm_core.pretraining.objective.losses import losses
from mediafm_core.pretraining.objective.questions import ask, count
from mediafm_core.pretraining.pieces import draw_pieces

_WIDTH = 288  # 1.2 million parameters at narrative widths, 2.8 million at those of the embedded suite
_BETAS = (0.9, 0.98)  # as in the encoder's own training

Told = Callable[[int, int], None]
"""Called after each step with (steps done, steps in all)."""


class Gru(StandIn):
    """Reads a piece from both ends."""

    def __init__(self, centring: Centring) -> None:
        super().__init__(centring)
        n_fused = sum(centring.modality_dims)
        self.input_proj = nn.Linear(n_fused, _WIDTH)
        self.mask = nn.Parameter(torch.empty(_WIDTH))
        self.gru = nn.GRU(_WIDTH, _WIDTH, batch_first=True, bidirectional=True)
        self.output_proj = nn.Linear(2 * _WIDTH, n_fused)

    @classmethod
    def new(cls, centring: Centring, generator: torch.Generator) -> Self:
        """Fresh weights, the same for the same state of `generator`."""
        gru = cls(centring)
        with torch.no_grad():
            for parameter in gru.parameters():
                bound = 1 / math.sqrt(_WIDTH)
                parameter.uniform_(-bound, bound, generator=generator)
        return gru

    def states(self, centred: Centred, real: Tensor, readable: Tensor) -> Tensor:
        """(B, S, 2 W), padding never read."""
        shots = torch.where(readable[..., None], self.input_proj(centred.shots), self.mask)  # (B, S, W)
        packed = pack_padded_sequence(shots, real.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=real.shape[1])[0]


def train_gru(
    reader: Reader, indices: Sequence[int], centring: Centring, config: PretrainingConfig, seed: int, told: Told
) -> Gru:
    """Train one for `gru_steps`, by AdamW, on the encoder's objective without the losses that need heads of its width.

    Args:
        reader: of the corpus.
        indices: of the titles that the encoder was trained on.
        centring: the encoder's.
        config: the encoder's.
        seed: of weights, order and masks.
        told: how far it is.

    Raises:
        TrainingError: the loss is no longer a number.
    """
    trainer = replace(config.trainer, steps=config.trainer.gru_steps, warm_up_steps=config.trainer.gru_steps // 10)
    objective = replace(config.objective, horizon_weight=0.0, metadata_weight=0.0)
    config = replace(config, objective=objective, trainer=trainer)
    generator = torch.Generator().manual_seed(seed)
    gru = Gru.new(centring, generator)
    heads = ObjectiveHeads.new(config, generator)
    optimiser = torch.optim.AdamW(
        gru.parameters(), trainer.adamw_rate, betas=_BETAS, weight_decay=trainer.weight_decay, foreach=False
    )
    pending: list[int] = []
    for step in range(trainer.steps):
        pieces = draw_pieces(reader, indices, pending, config.model.window, trainer, generator)
        questions = ask(pieces, config, generator)
        counts = count(questions)
        for question in questions:
            losses(gru.as_encoder(), heads, question, counts, config).total.backward()
        norm = torch.nn.utils.clip_grad_norm_(gru.parameters(), trainer.clip)
        if not torch.isfinite(norm):
            raise _diverged(step)
        for group in optimiser.param_groups:
            group["lr"] = trainer.adamw_rate * trainer.rate_factor(step)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        told(step + 1, trainer.steps)
    return gru.eval()


def _diverged(step: int) -> TrainingError:
    return TrainingError(
        f"the GRU among the baselines, step {step + 1}",
        found="a gradient that is not finite",
        expected="finite numbers",
        next_step="Lower adamw_rate, or set gru_steps to 0 and do without this baseline.",
    )
