"""Pre-training an encoder on a frozen corpus: the same corpus, configuration and seed give the same weights.

Bit for bit on one machine's CPU with one number of threads and processes; what is bit-equal elsewhere is not promised.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.corpus import AT_HAND_BYTES, Corpus, Reader, centring_of, divide
from mediafm_core.pretraining.ends import Saver, States, Watch
from mediafm_core.pretraining.evaluation import held_out_loss, held_out_questions
from mediafm_core.pretraining.keeping import (
    frozen_copy,
    is_finished,
    keep_if_best,
    kept_encoder,
    kept_step,
    move_average,
)
from mediafm_core.pretraining.objective.heads import ObjectiveHeads
from mediafm_core.pretraining.optimisers import optimisers
from mediafm_core.pretraining.peers import Peers
from mediafm_core.pretraining.progress import Clock, Progress, Report
from mediafm_core.pretraining.state import TrainState
from mediafm_core.pretraining.stepping import Setting, gather_gradients, spread


class Trained(NamedTuple):
    """An encoder and how it came to be."""

    encoder: MediaFM  # in evaluation mode, with the corpus means inside
    kept_step: int  # the step whose weights, or whose running mean of weights, it has
    train_losses: list[float]  # MSM loss of each step, on the masked shots of that step's pieces
    held_out_losses: list[tuple[int, float]] | None  # (steps done, MSM loss); None where no title was held out


def train(
    corpus: Corpus,
    config: PretrainingConfig,
    *,
    seed: int,
    report: Report | None = None,
    resume: bytes | None = None,
    states: States | None = None,
    peers: Peers | None = None,
    means: NDArray[np.float32] | None = None,
) -> Trained:
    """Train an encoder by Masked Shot Modeling.

    Args:
        corpus: titles that are read when they are needed, one at a time.
        config: model, objective and trainer.
        seed: of weights, held-out titles, order, masks and dropout.
        report: told of each step, in the first process alone.
        resume: the newest state that a training with the same three arguments above has kept, in any number of
            processes.
        states: keeps a state every `checkpoint_every` steps and at the end, in the first process alone. A state holds
            finite numbers only. The last good one stands where the training ends for what it has become.
        peers: the processes that train together; by default this one alone, on the CPU. All is drawn on the CPU but
            dropout, and that from seeds drawn there: a state holds nothing of a device.
        means: (F,) what `centring_of` made of the titles that are trained on; by default that is done here.

    Raises:
        TrainingError: no title, a state of another training, a loss that is no longer a number or that has risen for
            good (`Watch`), a state that cannot be saved, or another process that is gone.
        DimensionError: a title does not fit the model.
        ArtifactError: the bytes of `resume` are damaged, or of another version.
    """
    generator, peers = torch.Generator().manual_seed(seed), peers or Peers()
    split = divide(len(corpus), config.trainer.held_out_share, generator)
    state = _fresh(corpus, config, seed, generator, peers.device)
    if resume is not None:
        state.restore(resume)
    else:
        means = centring_of(corpus, split.train, config.model) if means is None else means
        _centre(state, means)
    peers.require_same("saved state", (state.identity, state.step, generator.get_state().tolist()))
    reader = Reader(corpus, config.model, AT_HAND_BYTES)
    setting = Setting(config=spread(config, peers.size), reader=reader, split=split, seed=seed, peers=peers)
    saver = Saver(states if peers.is_first else None, None if resume is None else state.step)
    del resume  # it may be as large as all weights and moments together
    _go_on(state, setting, saver, report if peers.is_first else None)
    return Trained(
        kept_encoder(state), kept_step(state), state.train_losses, state.held_out_losses if split.held_out else None
    )


def _fresh(
    corpus: Corpus, config: PretrainingConfig, seed: int, generator: torch.Generator, device: torch.device
) -> TrainState:
    """A training before its first step."""
    encoder = MediaFM.new(config.model, generator).train().to(device)
    heads = ObjectiveHeads.new(config, generator).to(device)
    described = [list(title) for title in corpus.described]
    is_judged = config.trainer.patience > 0
    return TrainState(
        identity={"configuration": config.to_json(), "seed": seed, "corpus": described},
        encoder=encoder,
        heads=heads,
        optimisers=optimisers(encoder, heads, config.trainer),
        generator=generator,
        average=frozen_copy(encoder) if config.trainer.average_decay > 0 else None,
        best=frozen_copy(encoder) if is_judged else None,
    )


def _centre(state: TrainState, means: NDArray[np.float32]) -> None:
    for encoder in (state.encoder, state.average, state.best):
        if encoder is not None:
            encoder.centring.mean.copy_(torch.from_numpy(means))


def _go_on(state: TrainState, setting: Setting, saver: Saver, report: Report | None) -> None:
    """Take steps until the training is finished."""
    clock, watch = Clock(), Watch(state.train_losses)
    trainer = setting.config.trainer
    while not is_finished(state, trainer):
        progress = _step(state, setting, saver, clock)
        held_out = _evaluate_when_due(state, setting, saver)
        saver.require_learning(state.step, watch, progress.msm)
        if report is not None:  # before the state is saved: what is told of this step is kept with it
            report(progress._replace(held_out=held_out))
        if is_finished(state, trainer) or state.step % trainer.checkpoint_every == 0:
            saver.save(state)


def _step(state: TrainState, setting: Setting, saver: Saver, clock: Clock) -> Progress:
    """Move the weights once."""
    trainer = setting.config.trainer
    found = gather_gradients(state, setting)
    saver.require_finite(state.step + 1, {f"the loss {n}": v for n, v in found.parts.items()})
    saver.require_finite(state.step + 1, {"the gradient's norm": found.grad_norm})
    rates = state.optimisers.set_rates(trainer, state.step)
    state.optimisers.step()
    state.step += 1
    state.train_losses.append(found.parts["msm"])
    if state.average is not None:
        move_average(state.average, state.encoder, trainer.average_decay, state.step)
    clock.count(found.n_shots)
    return Progress(
        step=state.step,
        steps=trainer.steps,
        msm=found.parts["msm"],
        parts=found.parts,
        shots_per_s=clock.shots_per_s,
        left_s=clock.left_s(trainer.steps - state.step),
        rates=rates,
        grad_norm=found.grad_norm,
        held_out=None,
    )


def _evaluate_when_due(state: TrainState, setting: Setting, saver: Saver) -> float | None:
    """Note the MSM loss on the held-out titles, and keep the weights where it is the lowest."""
    trainer = setting.config.trainer
    is_due = state.step % trainer.evaluate_every == 0 or state.step == trainer.steps
    if not setting.split.held_out or not is_due:
        return None
    asked = held_out_questions(setting.reader, setting.split.held_out, setting.config, setting.seed)
    loss = held_out_loss(state.judged, state.heads, asked, setting.config, setting.peers)
    saver.require_finite(state.step, {"the held-out loss": loss})
    state.held_out_losses.append((state.step, loss))
    keep_if_best(state)
    return loss
