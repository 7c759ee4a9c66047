"""A step of training at base size on one thread: ours beside the peers by AdamW, and what an optimiser takes of it.

For all alike: one piece of 512 shots without padding, a fifth of them hidden, one cosine over the whole vector, nothing
dropped out, weights and optimiser in float32. In bf16 the passes run under torch's autocast, as in the trainer.
"""

from collections.abc import Callable
from functools import cache, partial
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.base_reading import DIMS, N_SHOTS
from bench.harness import Figure
from bench.measuring import cpu_s, in_turn, shown_s, torch_threads
from mediafm_core.model.config import Precision, sized
from mediafm_core.paper import MASK_SHARE
from mediafm_core.pretraining.config import Optimiser, TrainerConfig
from mediafm_core.pretraining.presets import preset_config

if TYPE_CHECKING:
    from torch import Tensor

    from bench.peers import Peer

_ROUNDS = 3
_OURS = "ours"


class Learner(NamedTuple):
    """Something that learns."""

    predict: "Callable[[Tensor, Tensor], Tensor]"  # shots (1, S, F) and which are hidden (1, S), to shots (1, S, F)
    move: Callable[[], None]  # the optimiser's step; forgets the gradients


def step_against(precision: Precision, peer: str | None = None) -> Figure:
    """A peer's CPU seconds of a step over ours; without a name, those of the fastest peer."""
    times_s = dict(_steps_s(precision))
    ours_s = times_s.pop(_OURS)
    name = peer or min(times_s, key=lambda each: median(times_s[each]))
    ratios = [theirs / ours for theirs, ours in zip(times_s[name], ours_s, strict=True)]
    shown = ", ".join(f"{each} {shown_s(those_s)}" for each, those_s in times_s.items())
    spread = f"{min(ratios):.2f} to {max(ratios):.2f} against {name} in {_ROUNDS} rounds"
    return Figure(median(ratios), f"ours {shown_s(ours_s)}, {shown}; {spread}")


def optimiser_share(optimiser: Optimiser) -> Figure:
    """The optimiser's CPU seconds over those of a whole step, passes in float32, as long as the preset says.

    The passes grow with the step's shots and the optimiser does not: its part is measured once, theirs for 512 shots.
    """
    learner = _ours(optimiser)
    with torch_threads(1):
        works = {"passes": partial(_passes, learner, Precision.FLOAT32), "optimiser": learner.move}
        times_s = in_turn(works, rounds=_ROUNDS, clock=cpu_s)
    passes_s, moving_s = median(times_s["passes"]), median(times_s["optimiser"])
    shots = preset_config("mediafm", modality_dims=DIMS, metadata_dims=DIMS[2], size="base")["trainer"][
        "shots_per_step"
    ]
    alone = f"{moving_s:.2f} s beside {passes_s:.2f} s of passes for {N_SHOTS} shots"
    share = moving_s / (moving_s + passes_s * shots / N_SHOTS)
    return Figure(share, f"{alone} ({moving_s / (moving_s + passes_s):.0%}); at {shots:,} shots a step")


@cache
def _steps_s(precision: Precision) -> dict[str, list[float]]:
    from bench.peers import peers

    learners = {name: _theirs(peer) for name, peer in peers(sized("base", DIMS, DIMS[2])).items()}
    learners = {_OURS: _ours(Optimiser.ADAMW), **learners}
    with torch_threads(1):
        works = {name: partial(_step, learner, precision) for name, learner in learners.items()}
        return in_turn(works, rounds=_ROUNDS, clock=cpu_s)


def _step(learner: Learner, precision: Precision) -> None:
    _passes(learner, precision)
    learner.move()


def _passes(learner: Learner, precision: Precision) -> None:
    """Forward and backward."""
    import torch
    import torch.nn.functional as F

    fused, masked = _piece()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision is Precision.BFLOAT16):
        predicted = learner.predict(fused, masked)
    (1 - F.cosine_similarity(predicted.float(), fused, dim=-1))[masked].mean().backward()


@cache
def _piece() -> "tuple[Tensor, Tensor]":
    """Shots (1, S, F), and which are hidden (1, S)."""
    import torch

    from bench.titles import noise_title

    fused = torch.from_numpy(noise_title(N_SHOTS, DIMS, seed=0).fused)[None]
    masked = torch.randperm(N_SHOTS, generator=torch.Generator().manual_seed(0)) < round(MASK_SHARE * N_SHOTS)
    return fused, masked[None]


def _ours(optimiser: Optimiser) -> Learner:
    import torch

    from mediafm_core.model.encoder import MediaFM
    from mediafm_core.pretraining.optimisers import optimisers

    config = sized("base", DIMS, DIMS[2], dropout=0.0)
    encoder = MediaFM.new(config, torch.Generator().manual_seed(0)).train()
    moved = optimisers(encoder, torch.nn.Module(), TrainerConfig(optimiser=optimiser))
    metadata = torch.ones(1, config.metadata_dims)
    fraction = (torch.arange(N_SHOTS)[None] + 0.5) / N_SHOTS
    return Learner(lambda fused, masked: encoder(fused, None, fraction, metadata, masked).reconstruction, moved.step)


def _theirs(peer: "Peer") -> Learner:
    import torch

    adamw = torch.optim.AdamW(peer.parameters(), foreach=False)

    def move() -> None:
        adamw.step()
        adamw.zero_grad(set_to_none=True)

    return Learner(peer.predict, move)
