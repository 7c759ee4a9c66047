"""Frames to the probability of a transition at each of them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import DimensionError
from mediafm_core.shots.engines import ENGINES, N_WINDOW, default_engine

N_KEPT = 50
"""Of each window's answers the middle ones are kept: a frame near its edge is judged half blind."""
_N_MARGIN = (N_WINDOW - N_KEPT) // 2


def transition_probabilities(
    frames: NDArray[np.uint8], report: Callable[[float], None] | None = None, engine: str | None = None
) -> NDArray[np.float32]:
    """How likely each frame is the middle of a transition, by TransNet V2.

    Windows of 100 frames advance by 50; before the first and after the last frame that frame is repeated. Memory is
    flat in the title's length where `frames` is mapped from disk.

    Args:
        frames: (N, 27, 48, 3) uint8 RGB, every frame of the title in order.
        report: takes the share that is done, rising to 1.
        engine: `openvino` or `torch`; by default OpenVINO where it is installed.

    Returns:
        (N,) float32 in [0, 1]. A hard cut peaks at the last frame before it.

    Raises:
        DimensionError: frames of another shape or dtype, or none.
        WeightsError: the network's weights are missing or not the pinned ones.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != (27, 48, 3) or len(frames) == 0:
        raise DimensionError(
            "frames for the shot detector",
            found=f"{frames.dtype} {frames.shape}",
            expected="uint8 (N, 27, 48, 3), N at least 1",
            next_step="Pass the frames of a title's working set.",
        )
    run = ENGINES[engine or default_engine()]()
    probabilities = np.empty(len(frames), np.float32)
    for start in range(0, len(frames), N_KEPT):
        end = min(start + N_KEPT, len(frames))
        answers = run(_window(frames, start - _N_MARGIN))
        probabilities[start:end] = answers[_N_MARGIN : _N_MARGIN + end - start]
        if report is not None:
            report(end / len(frames))
    return probabilities


def _window(frames: NDArray[np.uint8], start: int) -> NDArray[np.uint8]:
    """(100, 27, 48, 3): the frames from `start` on, the outermost ones repeated where the title has none."""
    within = frames[max(start, 0) : start + N_WINDOW]
    n_before = max(-start, 0)
    n_after = N_WINDOW - n_before - len(within)
    return np.concatenate([np.repeat(within[:1], n_before, 0), within, np.repeat(within[-1:], n_after, 0)])
