"""The gradient of one step: pieces are drawn, questions asked, their losses taken back through the encoder."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import nn

from mediafm_core.model.config import Precision
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.corpus import Reader, Split
from mediafm_core.pretraining.objective.losses import losses
from mediafm_core.pretraining.objective.questions import Question, ask, count
from mediafm_core.pretraining.peers import Peers, add_up_gradients, shares
from mediafm_core.pretraining.pieces import draw_pieces
from mediafm_core.pretraining.state import TrainState

_QUESTIONS_EACH = 2  # at least so many for each process, where they are several: else one waits for the other


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a training is carried out with; nothing of it changes from step to step."""

    config: PretrainingConfig
    seed: int
    reader: Reader
    split: Split
    peers: Peers


class Stepped(NamedTuple):
    """One step's figures, of all processes together."""

    parts: dict[str, float]  # each loss by name, before its weight
    grad_norm: float  # before clipping
    n_shots: int


def spread(config: PretrainingConfig, n_processes: int) -> PretrainingConfig:
    """The same training, cut into questions that are small enough for every process to have some.

    With one process nothing changes, nor where `2 x n_processes x max_padded_shots <= shots_per_step`.
    """
    if n_processes == 1:
        return config
    most = -(-config.trainer.shots_per_step // (_QUESTIONS_EACH * n_processes))
    padded = min(config.trainer.max_padded_shots, most)
    return replace(config, trainer=replace(config.trainer, max_padded_shots=padded))


def own_share(questions: Sequence[Question], peers: Peers) -> list[int]:
    """Indices of the questions that this process computes, by shots with padding as even as they can be shared."""
    return shares([q.batch.real.numel() for q in questions], peers.size)[peers.rank]


def passes(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """In which the encoder's products are taken in this precision; weights, norms and losses stay in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision is Precision.BFLOAT16)


def gather_gradients(state: TrainState, setting: Setting) -> Stepped:
    """Draw a step's pieces and leave the gradient of its losses at the parameters, clipped; no weight moves yet.

    Drawing is the same in every process, and so is the result; each computes its own share of what is between.
    """
    config, peers = setting.config, setting.peers
    pieces = draw_pieces(
        setting.reader, setting.split.train, state.pending, config.model.window, config.trainer, state.generator
    )
    questions = ask(pieces, config, state.generator)
    seed = int(torch.randint(2**62, (), generator=state.generator))
    parts = peers.gather(_backward(state, questions, setting, seed))
    parameters = [*state.encoder.parameters(), *state.heads.parameters()]
    add_up_gradients(parameters, peers)
    norm = nn.utils.clip_grad_norm_(parameters, config.trainer.clip)
    return Stepped(added_up(parts), float(norm), sum(len(p.fused) for p in pieces))


def _backward(state: TrainState, questions: Sequence[Question], setting: Setting, seed: int) -> dict[str, float]:
    """Gather the gradients of this process's questions; returns its part of the step's losses."""
    config = setting.config
    counts = count(questions)
    seeds = dropout_seeds(seed, len(questions))
    parts: list[dict[str, float]] = []
    device = state.encoder.device
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):  # dropout draws from the device's global generator
        for i in own_share(questions, setting.peers):
            torch.manual_seed(seeds[i])
            with passes(config.trainer.precision, device):
                part = losses(state.encoder, state.heads, questions[i], counts, config)
            part.total.backward()
            parts.append({name: float(value) for name, value in part.parts.items()} | {"msm": float(part.msm)})
    return added_up(parts)


def dropout_seeds(seed: int, n_questions: int) -> list[int]:
    """A seed of its own for each question of a step, whoever computes it."""
    return torch.randint(2**62, (n_questions,), generator=torch.Generator().manual_seed(seed)).tolist()


def added_up(parts: Iterable[dict[str, float]]) -> dict[str, float]:
    """The sum of each named number."""
    sums: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums
