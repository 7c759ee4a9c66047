"""How a training ends when it cannot go on: always by a TrainingError that says what, when, and what is left."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NoReturn, Protocol

import torch
from torch import Tensor

from mediafm_core.errors import TrainingError
from mediafm_core.pretraining.state import TrainState

_RECENT = 50  # steps whose mean loss is looked at
_LOST = 0.5  # of the way from the lowest such mean back to 1, the distance of an encoder that knows nothing
_LEAST = 0.05  # and at least so much above the lowest: less is noise
_AFTER = 10  # steps whose mean loss tells whether a state is good
_WELL = 0.1  # as _LOST, for these

_SLOWER = (
    "Declare another encoder with lower rates or a longer warm-up: `--set trainer.muon_rate=…`, "
    "`--set trainer.adamw_rate=…`, `--set trainer.warm_up_steps=…` of `mediafm encoder train`."
)


class States(Protocol):
    """Where a training keeps two states: the newest, and beside it the last one that is known to be good.

    Each change is made whole or not at all, whatever ends the process. A training goes on from the newest state, which
    is the good one where none was saved after it.
    """

    @property
    def good_step(self) -> int | None:
        """Steps done in the good state; None where no state is known to be good."""
        ...

    def save(self, state: bytes) -> None:
        """Keep a state as the newest, in place of the one before; the good one stays."""
        ...

    def set_aside(self) -> None:
        """Let the newest state be the good one, in place of the one before."""
        ...

    def fall_back(self) -> None:
        """Give up what was saved after the good state."""
        ...


def kept(keep: Callable[[], None], what: str, left: str) -> None:
    """Let a state be kept.

    Args:
        keep: does it.
        what: of which training, and which step.
        left: which state stands if that fails.

    Raises:
        TrainingError: it could not be written.
    """
    try:
        keep()
    except OSError as error:
        raise TrainingError(
            what,
            found=f"the state could not be saved ({error.strerror or error})",
            expected="a place that takes it",
            next_step=f"{left} Free space there, then run this training again.",
        ) from error


class Saver:
    """Hands states on, and sees that the last good one stands at the end.

    A state is good once the losses right after it are near the lowest. A training that diverges is noticed some steps
    later, when weights that are lost already may have been saved: so the last good state is set aside as soon as it is
    known to be good, and stands alone where the training ends for what it has become, however often it was killed.

    Args:
        states: where they are kept; None where none is wanted.
        resumed_at: the step of the newest of them, which the training goes on from; None where it begins.
    """

    def __init__(self, states: States | None, resumed_at: int | None = None) -> None:
        self._states = states
        self._newest = resumed_at  # steps done in it
        self._good = None if states is None or resumed_at is None else states.good_step

    def save(self, state: TrainState) -> None:
        """Keep a state, if anybody wants it.

        Raises:
            TrainingError: it holds a number that is not finite, and is kept from everybody; or it could not be written.
        """
        self.require_finite(state.step, state.tensors())
        if self._states is not None:
            keep = partial(self._states.save, state.to_bytes())
            kept(keep, f"pre-training, step {state.step}", _stands(self._newest))
            self._newest = state.step

    def require_finite(self, step: int, numbers: Mapping[str, float | Tensor]) -> None:
        """Check losses, norms or weights.

        Raises:
            TrainingError: one is not finite, or holds what is not.
        """
        for name, number in numbers.items():
            if not bool(torch.isfinite(torch.as_tensor(number)).all()):
                found = "numbers that are not finite" if isinstance(number, Tensor) else str(number)
                self._end(step, found=f"{found} in {name}", expected="finite numbers")

    def require_learning(self, step: int, watch: "Watch", loss: float) -> None:
        """Take one more loss in, and set the newest state aside once it is known to be good.

        Raises:
            TrainingError: the training diverged, as `Watch` says; or the state could not be set aside.
        """
        mean = watch.see(loss)
        if watch.has_lost(mean):
            found = f"a mean MSM loss of {mean:.3f} over the last {_RECENT} steps; it was {watch.lowest:.3f}"
            self._end(step, found=found, expected="what was learnt to stay")
        if self._states is None or self._newest in (None, self._good):
            return
        if watch.is_well(step - self._newest):
            kept(self._states.set_aside, f"pre-training, step {step}", _stands(self._newest))
            self._good = self._newest

    def _end(self, step: int, *, found: str, expected: str) -> NoReturn:
        raise TrainingError(
            f"pre-training, step {step}", found=found, expected=expected, next_step=f"{self._fall_back()} {_SLOWER}"
        )

    def _fall_back(self) -> str:
        """Let the last good state stand; returns what is left, in words."""
        if self._states is None:
            return "States are not saved here."
        if self._newest == self._good:
            return _stands(self._newest)
        if self._good is None:
            return f"{_stands(self._newest)} No state before it is known to be good, nor is it."
        try:
            self._states.fall_back()
        except OSError as error:  # told beside what ended the training, not in its place
            why = error.strerror or error
            return f"{_stands(self._newest)} It could not be given up for the good one of step {self._good} ({why})."
        return f"{_stands(self._good)} Later ones were given up."


def _stands(step: int | None) -> str:
    return "No state was saved." if step is None else f"The state of step {step} stands."


class Watch:
    """Tells when a training diverges though its numbers are finite.

    The mean MSM loss of the last 50 steps has risen from its lowest value more than half of the way back to 1, the
    cosine distance of an encoder that knows nothing, and by more than 0.05.
    """

    def __init__(self, losses: Sequence[float]) -> None:
        self._recent: list[float] = []
        self.lowest = math.inf  # mean of 50 steps
        self._lowest_after = math.inf  # mean of 10
        for loss in losses:
            self.see(loss)

    def see(self, loss: float) -> float:
        """Take the loss of one more step in; returns the mean of the last 50, infinite before there are as many."""
        self._recent = [*self._recent[-_RECENT + 1 :], loss]
        mean = math.fsum(self._recent) / _RECENT if len(self._recent) == _RECENT else math.inf
        self.lowest = min(self.lowest, mean)
        if len(self._recent) >= _AFTER:
            self._lowest_after = min(self._lowest_after, self._mean_of(_AFTER))
        return mean

    def is_well(self, n_steps: int) -> bool:
        """Whether a state of `n_steps` ago, at least 1, is good by what is seen.

        Both the mean loss since then, over the last ten steps at most, and that of the last ten are near the lowest of
        ten: the one tells of a sudden end, the other is not taken in by one lucky draw. Before there are ten, none is.
        """
        lowest = self._lowest_after
        if math.isinf(lowest):
            return False
        worst = max(self._mean_of(min(n_steps, _AFTER)), self._mean_of(_AFTER))
        return worst - lowest <= max(_LEAST, _WELL * (1.0 - lowest))

    def _mean_of(self, n_steps: int) -> float:
        return math.fsum(self._recent[-n_steps:]) / n_steps

    def has_lost(self, mean: float) -> bool:
        """Whether this mean is one of a training that diverged."""
        return math.isfinite(mean) and mean - self.lowest > max(_LEAST, _LOST * (1.0 - self.lowest))
