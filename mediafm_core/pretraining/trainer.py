"""Pre-training an encoder on a frozen corpus: the same corpus, configuration and seed give the same weights.

Bit for bit on one machine with one number of threads; what is bit-equal elsewhere is not promised.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from mediafm_core.errors import TrainingError
from mediafm_core.model.centring import corpus_means
from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.corpus import Corpus, draw_pieces, gather, whole_pieces
from mediafm_core.pretraining.objective.heads import ObjectiveHeads
from mediafm_core.pretraining.objective.losses import losses
from mediafm_core.pretraining.objective.questions import Question, ask, count
from mediafm_core.pretraining.optimisers import optimisers
from mediafm_core.pretraining.state import TrainState
from mediafm_core.sequence.titles import TitleArrays

Report = Callable[[int, int, float, float], None]
"""Called after each step with (steps done, steps in all, MSM loss, shots per second)."""


class Trained(NamedTuple):
    """An encoder and how it came to be."""

    encoder: MediaFM  # in evaluation mode, with the corpus means inside
    train_losses: list[float]  # MSM loss of each step, on the masked shots of that step's pieces
    held_out_losses: list[tuple[int, float]] | None  # (steps done, MSM loss); None where no title was held out


def train(
    titles: Sequence[TitleArrays],
    config: PretrainingConfig,
    *,
    seed: int,
    report: Report | None = None,
    resume: bytes | None = None,
    checkpoint: Callable[[bytes], None] | None = None,
) -> Trained:
    """Train an encoder by Masked Shot Modeling.

    Args:
        titles: the corpus, in an order that is itself part of what the weights depend on.
        config: model, objective and trainer.
        seed: of weights, held-out titles, order, masks and dropout.
        report: told of each step.
        resume: a state that `checkpoint` was given by a training with the same three arguments above.
        checkpoint: given the state every `checkpoint_every` steps and at the end.

    Raises:
        TrainingError: no title, a state of another training, or a loss that is no longer a number.
        DimensionError: a title does not fit the model.
        ArtifactError: the bytes of `resume` are damaged.
    """
    generator = torch.Generator().manual_seed(seed)
    corpus = gather(titles, config.model, config.trainer.held_out_share, generator)
    state = _begin(corpus, config, seed, generator)
    heads = ObjectiveHeads.new(config, generator)
    if resume is not None:
        state.restore(resume)
    clock = _Clock()
    while state.step < config.trainer.steps:
        loss = _step(state, heads, corpus, config, clock)
        _evaluate_when_due(state, heads, corpus, config, seed)
        if checkpoint is not None and _is_due(state.step, config.trainer.checkpoint_every, config.trainer.steps):
            checkpoint(state.to_bytes())
        if report is not None:
            report(state.step, config.trainer.steps, loss, clock.shots_per_s)
    held_out = state.held_out_losses if corpus.held_out else None
    return Trained(state.encoder.eval(), state.train_losses, held_out)


class _Clock:
    """Shots read since this process began to train."""

    def __init__(self) -> None:
        self.began_s = time.perf_counter()
        self.n_shots = 0

    @property
    def shots_per_s(self) -> float:
        return self.n_shots / max(1e-9, time.perf_counter() - self.began_s)


def _begin(corpus: Corpus, config: PretrainingConfig, seed: int, generator: torch.Generator) -> TrainState:
    encoder = MediaFM.new(config.model, generator)
    means = corpus_means((t.fused.numpy() for t in corpus.train), config.model.modality_dims)
    encoder.centring.mean.copy_(torch.from_numpy(means))
    return TrainState(
        identity={"configuration": config.to_json(), "seed": seed, "corpus": corpus.described},
        encoder=encoder.train(),
        optimisers=optimisers(encoder, config.trainer),
        generator=generator,
    )


def _is_due(step: int, every: int, last: int) -> bool:
    return step % every == 0 or step == last


def _step(state: TrainState, heads: ObjectiveHeads, corpus: Corpus, config: PretrainingConfig, clock: _Clock) -> float:
    """One step of both optimisers; returns the MSM loss."""
    pieces = draw_pieces(corpus.train, state.pending, config.model.window, config.trainer, state.generator)
    questions = ask(pieces, config, state.generator)
    with torch.random.fork_rng(devices=[]):  # dropout draws from torch's global generator
        torch.manual_seed(int(torch.randint(2**62, (), generator=state.generator)))
        loss = _backward(state, heads, questions, config)
    norm = torch.nn.utils.clip_grad_norm_(state.encoder.parameters(), config.trainer.clip)
    if not (torch.isfinite(norm) and math.isfinite(loss)):
        _diverged(state.step + 1, loss)
    state.optimisers.set_rates(config.trainer, state.step)
    state.optimisers.step()
    state.step += 1
    state.train_losses.append(loss)
    clock.n_shots += sum(len(p.fused) for p in pieces)
    return loss


def _diverged(step: int, loss: float) -> None:
    raise TrainingError(
        f"pre-training, step {step}",
        found=f"a loss of {loss} or a gradient that is not finite",
        expected="finite numbers",
        next_step="Lower muon_rate and adamw_rate, or lengthen warm_up_steps.",
    )


def _backward(
    state: TrainState, heads: ObjectiveHeads, questions: Sequence[Question], config: PretrainingConfig
) -> float:
    """Gather gradients over all batches; returns the mean MSM loss."""
    counts = count(questions)
    msm = 0.0
    for question in questions:
        part = losses(state.encoder, heads, question, counts, config)
        part.total.backward()
        msm += float(part.msm)
    return msm


def _evaluate_when_due(
    state: TrainState, heads: ObjectiveHeads, corpus: Corpus, config: PretrainingConfig, seed: int
) -> None:
    """Note the MSM loss on the held-out titles, always with the same masks."""
    if not corpus.held_out or not _is_due(state.step, config.trainer.evaluate_every, config.trainer.steps):
        return
    questions = ask(whole_pieces(corpus.held_out, config.model), config, torch.Generator().manual_seed(seed))
    counts = count(questions)
    state.encoder.eval()
    with torch.no_grad():
        parts = [float(losses(state.encoder, heads, question, counts, config).msm) for question in questions]
    state.encoder.train()
    state.held_out_losses.append((state.step, sum(parts)))
