"""Which weights a training keeps: the last, their running mean, or those with the lowest held-out loss."""

import copy

import torch

from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.config import TrainerConfig
from mediafm_core.pretraining.state import TrainState


def frozen_copy(encoder: MediaFM) -> MediaFM:
    """The same weights, of which no gradient is asked."""
    return copy.deepcopy(encoder).requires_grad_(False)


def move_average(average: MediaFM, encoder: MediaFM, decay: float, step: int) -> None:
    """Take the weights after one more step into their running mean.

    The mean of the first `step` weights, each counting `decay` times the next. The common form begins with the fresh
    weights and keeps a share of `decay ** step` of them; here the weights sum to 1 from the first step on.

    Args:
        average: changed in place; after step 1 it equals `encoder`.
        encoder: the weights after this step.
        decay: in (0, 1).
        step: counted from 1.
    """
    share = (1.0 - decay) / (1.0 - decay**step)
    with torch.no_grad():
        for mean, weight in zip(average.parameters(), encoder.parameters(), strict=True):
            mean.lerp_(weight, share)


def lowest(held_out_losses: list[tuple[int, float]]) -> int:
    """Where the lowest held-out loss stands; the earliest of equal ones."""
    return min(range(len(held_out_losses)), key=lambda i: held_out_losses[i][1])


def keep_if_best(state: TrainState) -> None:
    """Keep the weights that the newest held-out loss was measured on, if it is the lowest so far."""
    if state.best is not None and lowest(state.held_out_losses) == len(state.held_out_losses) - 1:
        state.best.load_state_dict(state.judged.state_dict())


def is_finished(state: TrainState, config: TrainerConfig) -> bool:
    """Whether all steps are done, or the held-out loss has not fallen for as long as was asked."""
    if state.step >= config.steps:
        return True
    if config.patience == 0 or not state.held_out_losses:
        return False
    return len(state.held_out_losses) - 1 - lowest(state.held_out_losses) >= config.patience


def kept_step(state: TrainState) -> int:
    """The step whose weights, or whose mean of weights, the training keeps."""
    return state.step if state.best is None else state.held_out_losses[lowest(state.held_out_losses)][0]


def kept_encoder(state: TrainState) -> MediaFM:
    """The encoder that the training keeps, in evaluation mode."""
    return (state.best or state.judged).eval()
