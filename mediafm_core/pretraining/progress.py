"""What a training says of itself after each step."""

import time
from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """One step, after it was taken."""

    step: int  # steps done, those before a resumption included
    steps: int  # in all, unless the training stops early
    msm: float  # MSM loss on the masked shots of this step's pieces
    parts: dict[str, float]  # each loss of the objective by name, before its weight; `msm` is one of them
    shots_per_s: float  # of all processes together, since this one began
    left_s: float  # until the last step, at the speed so far
    rates: dict[str, float]  # learning rate that this step was taken with, by optimiser
    grad_norm: float  # before clipping
    held_out: float | None  # MSM loss on the held-out titles, at the steps where it is measured


Report = Callable[[Progress], None]


def said(progress: Progress) -> str:
    """Where a training stands, in one line: `step 120/2000, loss 0.712, 3,400 shots/s, 4 min 10 s left`."""
    minutes, seconds = divmod(round(progress.left_s), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    where = f"step {progress.step}/{progress.steps}, loss {progress.msm:.3f}"
    held_out = "" if progress.held_out is None else f", held out {progress.held_out:.3f}"
    return f"{where}{held_out}, {progress.shots_per_s:,.0f} shots/s, {left} left"


class Clock:
    """Steps taken and shots read since this process began to train."""

    def __init__(self) -> None:
        self._began_s = time.perf_counter()
        self._n_shots = 0
        self._n_steps = 0

    def count(self, n_shots: int) -> None:
        """One more step, of so many shots."""
        self._n_shots += n_shots
        self._n_steps += 1

    @property
    def _passed_s(self) -> float:
        return max(1e-9, time.perf_counter() - self._began_s)

    @property
    def shots_per_s(self) -> float:
        """On average so far."""
        return self._n_shots / self._passed_s

    def left_s(self, n_steps: int) -> float:
        """What so many more steps will take; 0 before the first was taken."""
        return n_steps * self._passed_s / max(1, self._n_steps)
