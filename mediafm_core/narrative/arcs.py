"""Arcs: how the tension of each strand of a story rises and falls.

Every arc lies on a circle as long as the title and is turned by a random amount, so that no place in a title is more
tense than another on average. Real films do rise towards their end; here that would let position alone solve a task.
"""

import numpy as np

from mediafm_core.narrative.latents import Floats

_SHOTS_PER_PEAK = 22
_MAIN_SHARE = 0.16  # of the title that the main peak takes to rise
_FALL = 0.4  # a peak falls in this part of the time that it took to rise


def arcs(rng: np.random.Generator, n_strands: int, n_shots: int) -> Floats:
    """(n_strands, S) tension of each strand at each shot, 0 at rest, about 1 at a peak."""
    return np.stack([_arc(rng, n_shots, main=strand == 0) for strand in range(n_strands)])


def _arc(rng: np.random.Generator, n_shots: int, *, main: bool) -> Floats:
    n_peaks = 2 + rng.poisson(n_shots / _SHOTS_PER_PEAK)
    centres = rng.uniform(0, n_shots, n_peaks)
    rises = np.minimum(rng.lognormal(np.log(11), 0.5, n_peaks), n_shots / 3)
    heights = rng.gamma(3, 0.2, n_peaks)
    if main:
        rises[0], heights[0] = _MAIN_SHARE * n_shots, 1.0
    return _peaks(n_shots, centres, rises, heights)


def _peaks(n_shots: int, centres: Floats, rises: Floats, heights: Floats) -> Floats:
    apart = np.arange(n_shots)[None, :] - centres[:, None]  # (P, S)
    apart = (apart + n_shots / 2) % n_shots - n_shots / 2  # around the circle
    pace = np.where(apart < 0, rises[:, None], _FALL * rises[:, None])
    return heights @ np.exp(-np.abs(apart) / pace)  # (S,)
