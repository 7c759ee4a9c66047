"""The training of the GRU among the baselines; killed at any step it goes on from its last saved state, bit for bit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import torch

from mediafm_core.errors import TrainingError
from mediafm_core.model.centring import Centring
from mediafm_core.model.container import pack
from mediafm_core.pretraining.baselines.gru import Gru
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.corpus import Reader
from mediafm_core.pretraining.ends import kept
from mediafm_core.pretraining.objective.heads import ObjectiveHeads
from mediafm_core.pretraining.objective.losses import losses
from mediafm_core.pretraining.objective.questions import ask, count
from mediafm_core.pretraining.pieces import draw_pieces
from mediafm_core.pretraining.state import flat, nested, read_state, refuse, under

_WHAT = "the GRU among the baselines"
_BETAS = (0.9, 0.98)  # as in the encoder's own training
FORMAT = 1


class Watched(NamedTuple):
    """Who follows a training of the GRU, and keeps it."""

    told: Callable[[int, int], None] = lambda _done, _steps: None  # after each step: steps done, steps in all
    resume: bytes | None = None  # the state that was saved last
    save: Callable[[bytes], None] = lambda _state: None  # given a state every `checkpoint_every` steps and at the end


@dataclass(slots=True, kw_only=True)
class _State:
    """All that the next step depends on."""

    identity: dict[str, Any]  # configuration, seed and titles: a state goes on only where they are the same
    gru: Gru
    optimiser: torch.optim.AdamW
    generator: torch.Generator  # decides order, crops and masks
    step: int = 0  # steps done
    pending: list[int] = field(default_factory=list)  # titles left in this round

    def to_bytes(self) -> bytes:
        tensors = {f"gru.{name}": tensor for name, tensor in self.gru.state_dict().items()}
        tensors |= flat("optimiser", self.optimiser) | {"generator": self.generator.get_state()}
        said = {"format": FORMAT, "identity": self.identity, "step": self.step, "pending": self.pending}
        return pack(tensors, said)

    def restore(self, data: bytes) -> None:
        tensors, said = read_state(data, "training state of the GRU among the baselines", FORMAT)
        if said["identity"] != self.identity:
            refuse(said["identity"], self.identity)
        self.gru.load_state_dict(under("gru", tensors))
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": nested(under("optimiser", tensors)), "param_groups": groups})
        self.generator.set_state(tensors["generator"])
        self.step, self.pending = said["step"], said["pending"]


def train_gru(
    reader: Reader,
    indices: Sequence[int],
    centring: Centring,
    config: PretrainingConfig,
    seed: int,
    watched: Watched = Watched(),  # noqa: B008 - a constant
) -> Gru:
    """Train one for `gru_steps`, by AdamW, on the encoder's objective without the losses that need heads of its width.

    Args:
        reader: of the corpus.
        indices: of the titles that the encoder was trained on.
        centring: the encoder's.
        config: the encoder's.
        seed: of weights, order and masks.
        watched: who is told, what to go on from, where to save.

    Raises:
        TrainingError: the loss is no longer a number, or the state is of another training, or cannot be saved.
        ArtifactError: the state is damaged, or of another version.
    """
    trainer = replace(config.trainer, steps=config.trainer.gru_steps, warm_up_steps=config.trainer.gru_steps // 10)
    objective = replace(config.objective, horizon_weight=0.0, metadata_weight=0.0)
    config = replace(config, objective=objective, trainer=trainer)
    state = _fresh(indices, centring, config, seed)
    if watched.resume is not None:
        state.restore(watched.resume)
    heads = ObjectiveHeads.new(config, torch.Generator())  # none, and so nothing is drawn
    while state.step < trainer.steps:
        _step(state, heads, reader, indices, config)
        if state.step % trainer.checkpoint_every == 0 or state.step == trainer.steps:
            keep = partial(watched.save, state.to_bytes())
            kept(keep, f"{_WHAT}, step {state.step}", "The trained encoder's state stands.")
        watched.told(state.step, trainer.steps)
    return state.gru.eval()


def _fresh(indices: Sequence[int], centring: Centring, config: PretrainingConfig, seed: int) -> _State:
    generator = torch.Generator().manual_seed(seed)
    gru, trainer = Gru.new(centring, generator).to(centring.mean.device), config.trainer
    optimiser = torch.optim.AdamW(
        gru.parameters(), trainer.adamw_rate, betas=_BETAS, weight_decay=trainer.weight_decay, foreach=False
    )
    identity = {"configuration": config.to_json(), "seed": seed, "titles": list(indices)}
    return _State(identity=identity, gru=gru, optimiser=optimiser, generator=generator)


def _step(
    state: _State, heads: ObjectiveHeads, reader: Reader, indices: Sequence[int], config: PretrainingConfig
) -> None:
    """Move the weights once."""
    trainer = config.trainer
    pieces = draw_pieces(reader, indices, state.pending, config.model.window, trainer, state.generator)
    questions = ask(pieces, config, state.generator)
    counts = count(questions)
    for question in questions:
        losses(state.gru.as_encoder(), heads, question, counts, config).total.backward()
    norm = torch.nn.utils.clip_grad_norm_(state.gru.parameters(), trainer.clip)
    if not torch.isfinite(norm):
        raise _diverged(state.step)
    for group in state.optimiser.param_groups:
        group["lr"] = trainer.adamw_rate * trainer.rate_factor(state.step)
    state.optimiser.step()
    state.optimiser.zero_grad(set_to_none=True)
    state.step += 1


def _diverged(step: int) -> TrainingError:
    return TrainingError(
        f"{_WHAT}, step {step + 1}",
        found="a gradient that is not finite",
        expected="finite numbers",
        next_step="Declare another encoder with a lower `--set trainer.adamw_rate=…`, or without this baseline: "
        "`--set trainer.gru_steps=0` of `mediafm encoder train`.",
    )
