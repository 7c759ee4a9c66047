"""How a training ends when it cannot go on: always by a TrainingError that says what, when, and what is left."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import torch
from torch import Tensor

from mediafm_core.errors import TrainingError
from mediafm_core.pretraining.state import TrainState

_RECENT = 50  # steps whose mean loss is looked at
_LOST = 0.5  # of the way from the lowest such mean back to 1, the distance of an encoder that knows nothing
_LEAST = 0.05  # and at least so much above the lowest: less is noise

_SLOWER = (
    "Lower muon_rate and adamw_rate, or lengthen warm_up_steps; that is another configuration, so another encoder."
)

Checkpoint = Callable[[bytes], None]
"""Keeps a state, in place of the one before: whole, or not at all."""


class Saver:
    """Hands states on, and knows the last one that stands."""

    def __init__(self, checkpoint: Checkpoint | None, saved_step: int | None) -> None:
        self._checkpoint = checkpoint
        self._saved_step = saved_step  # None while there is none

    def save(self, state: TrainState) -> None:
        """Hand a state on, if anybody wants it.

        Raises:
            TrainingError: it holds a number that is not finite, and is kept from everybody; or it could not be written.
        """
        self.require_finite(state.step, state.tensors())
        if self._checkpoint is None:
            return
        try:
            self._checkpoint(state.to_bytes())
        except OSError as error:
            self._end(
                state.step,
                found=f"the state could not be saved ({error.strerror or error})",
                expected="a place that takes it",
                next_step="Free space there, then run this training again.",
                cause=error,
            )
        self._saved_step = state.step

    def require_finite(self, step: int, numbers: Mapping[str, float | Tensor]) -> None:
        """Check losses, norms or weights.

        Raises:
            TrainingError: one is not finite, or holds what is not.
        """
        for name, number in numbers.items():
            if not bool(torch.isfinite(torch.as_tensor(number)).all()):
                found = "numbers that are not finite" if isinstance(number, Tensor) else str(number)
                self._end(step, found=f"{found} in {name}", expected="finite numbers", next_step=_SLOWER)

    def require_learning(self, step: int, watch: "Watch", loss: float) -> None:
        """Take one more loss in.

        Raises:
            TrainingError: the training diverged, as `Watch` says.
        """
        mean = watch.see(loss)
        if watch.has_lost(mean):
            found = f"a mean MSM loss of {mean:.3f} over the last {_RECENT} steps; it was {watch.lowest:.3f}"
            self._end(step, found=found, expected="what was learnt to stay", next_step=_SLOWER)

    def _end(self, step: int, *, found: str, expected: str, next_step: str, cause: Exception | None = None) -> NoReturn:
        raise TrainingError(
            f"pre-training, step {step}", found=found, expected=expected, next_step=f"{self._stands} {next_step}"
        ) from cause

    @property
    def _stands(self) -> str:
        if self._checkpoint is None:
            return "States are not saved here."
        return "No state was saved." if self._saved_step is None else f"The state of step {self._saved_step} stands."


class Watch:
    """Tells when a training diverges though its numbers are finite.

    The mean MSM loss of the last 50 steps has risen from its lowest value more than half of the way back to 1, the
    cosine distance of an encoder that knows nothing, and by more than 0.05.
    """

    def __init__(self, losses: Sequence[float]) -> None:
        self._recent: list[float] = []
        self.lowest = math.inf  # mean of 50 steps
        for loss in losses:
            self.see(loss)

    def see(self, loss: float) -> float:
        """Take the loss of one more step in; returns the mean of the last 50, infinite before there are as many."""
        self._recent = [*self._recent[-_RECENT + 1 :], loss]
        mean = math.fsum(self._recent) / _RECENT if len(self._recent) == _RECENT else math.inf
        self.lowest = min(self.lowest, mean)
        return mean

    def has_lost(self, mean: float) -> bool:
        """Whether this mean is one of a training that diverged."""
        return math.isfinite(mean) and mean - self.lowest > max(_LEAST, _LOST * (1.0 - self.lowest))
