"""Probabilities of a transition to the shots of a title."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import DimensionError
from mediafm_core.identity import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryRule:
    """When a transition becomes a cut."""

    threshold: float = 0.5  # a run of frames above it is one transition; higher means fewer shots
    min_shot_s: float = 0.2  # no shot is shorter; real ones of 0.3 s exist, single frames and false last cuts do not

    def __post_init__(self) -> None:
        if not (0 < self.threshold < 1 and self.min_shot_s >= 0):
            raise ValueError(f"threshold {self.threshold}, min_shot_s {self.min_shot_s}; expected (0, 1) and >= 0")


def shots_from_probabilities(
    probabilities: NDArray[np.float32],
    frame_times: NDArray[np.float64],
    end_s: float,
    rule: BoundaryRule | None = None,
) -> list[Span]:
    """The shots of a title: half-open spans that tile [0, end_s) without gap or overlap.

    Each run of frames above the threshold is one transition. Its cut falls behind its most probable frame (the middle
    one, where several are): that is the last frame of the old shot at a hard cut, and the middle of a dissolve. Cuts
    are then taken from the most probable down (ties: the earlier first), and one is dropped that would leave a shot
    shorter than `min_shot_s`: it stands too close to a surer cut, to the title's start or to its end. So a flash of one
    frame is no shot, nor is what a false cut in a title's last frames would leave; of two close cuts the surer stands.

    Args:
        probabilities: (N,) in [0, 1].
        frame_times: (N,) seconds, strictly rising from 0.
        end_s: where the last frame ends.
        rule: threshold and shortest shot.

    Raises:
        DimensionError: the two arrays differ in length, or there are no frames, or the last starts after `end_s`.
    """
    rule = rule or BoundaryRule()
    if probabilities.shape != frame_times.shape or len(frame_times) == 0 or frame_times[-1] >= end_s:
        raise DimensionError(
            "probabilities of transitions",
            found=f"{probabilities.shape} for {frame_times.shape} frames that end at {end_s} s",
            expected="one per frame, at least one, all before the end",
            next_step="Pass the probabilities and times of the same working set.",
        )
    kept: list[float] = []
    for _, cut_s in sorted(_cuts(probabilities, frame_times, rule.threshold)):
        if all(abs(cut_s - other_s) >= rule.min_shot_s for other_s in (0.0, end_s, *kept)):
            kept.append(cut_s)
    edges = [0.0, *sorted(kept), float(end_s)]
    return [Span(start_s, stop_s) for start_s, stop_s in pairwise(edges)]


def _cuts(
    probabilities: NDArray[np.float32], frame_times: NDArray[np.float64], threshold: float
) -> list[tuple[float, float]]:
    """(minus its probability, the time of the first frame behind it) for each transition that has a frame behind it."""
    above = np.concatenate([[False], probabilities > threshold, [False]])
    starts, ends = np.flatnonzero(above[1:] & ~above[:-1]), np.flatnonzero(above[:-1] & ~above[1:])
    cuts = []
    for start, end in zip(starts, ends, strict=True):
        run = probabilities[start:end]
        peaks = np.flatnonzero(run == run.max())
        behind = start + peaks[(len(peaks) - 1) // 2] + 1
        if behind < len(frame_times):
            cuts.append((-float(run.max()), float(frame_times[behind])))
    return cuts
