"""Clips: the spans that people judge, and what the truth says around each.

Shape letters: n clips, S shots, L latents.
"""

from typing import NamedTuple

import numpy as np

from mediafm_core.narrative.latents import GROUPS, Floats, Ints, Running
from mediafm_core.narrative.story import Story

NEAR_SHOTS = 12
"""How far 'before' and 'after' a clip reach."""

_WIDE_SHOTS = 40
_SHORTEST = 2
_MORE_ON_AVERAGE = 1.5


class Clips(NamedTuple):
    """Stretches of whole shots, [first, last); no two start at the same shot."""

    first: Ints
    """(n,)."""
    last: Ints
    """(n,)."""

    @classmethod
    def draw(cls, rng: np.random.Generator, n_shots: int, n_clips: int) -> "Clips":
        """Draw clips all over a title, in their order in time; fewer where the title has too few shots."""
        first = np.sort(rng.permutation(n_shots - 1)[:n_clips])
        length = _SHORTEST + rng.poisson(_MORE_ON_AVERAGE, len(first))
        return cls(first, np.minimum(first + length, n_shots))


class Surroundings(NamedTuple):
    """Means of the latents in and around clips, each (n, L)."""

    now: Floats
    """Over the clip."""
    scene: Floats
    """Over the scene in which the clip's middle lies."""
    before: Floats
    """Over the 12 shots before the clip; the title's mean where there are none."""
    after: Floats
    """Over the 12 shots after it; the title's mean where there are none."""
    wide: Floats
    """Over the clip and 40 shots on either side."""
    title: Floats
    """Over the whole title, the same row for every clip."""

    @classmethod
    def of(cls, story: Story, clips: Clips) -> "Surroundings":
        """Look around each clip."""
        running, (first, last) = Running.of(story.latents), clips
        now = running.mean(first, last)
        title = np.broadcast_to(story.latents.mean(axis=0), now.shape)
        scene = story.scenes[(first + last) // 2]
        scene_first, scene_last = (np.searchsorted(story.scenes, scene, side) for side in ("left", "right"))
        return cls(
            now,
            running.mean(scene_first, scene_last),
            np.where((first > 0)[:, None], running.mean(first - NEAR_SHOTS, first), title),
            np.where((last < len(story.latents))[:, None], running.mean(last, last + NEAR_SHOTS), title),
            running.mean(first - _WIDE_SHOTS, last + _WIDE_SHOTS),
            title,
        )

    @property
    def everything(self) -> Floats:
        """(n, 5 L) what a reader of the truth may know: the ceiling of a linear probe."""
        return np.concatenate([self.now, self.before, self.after, self.wide, self.title], axis=1)


def group(rows: Floats, name: str) -> Floats:
    """(n, width) one group of the latents."""
    return rows[:, GROUPS[name]]
