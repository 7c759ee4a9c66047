"""Whether an encoder has learnt: its loss against that of the best baseline, on the same titles held out.

Shape letters: N held-out titles, R resamples.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MARGIN = 0.01
"""An encoder has to be better than the best baseline by so much, in cosine distance."""

MIN_TITLES = 8
"""With fewer titles held out nothing passes: an interval over so few titles says little."""

GRU = "GRU"
"""The name of the one baseline that is trained, which a configuration may leave out."""

_N_RESAMPLES = 2_000
_SEED = 0


class Learnt(StrEnum):
    """What is said of an encoder."""

    YES = "yes"
    NO = "no"
    UNDECIDED = "undecided"  # better, but on too few titles to say so
    NOT_JUDGED = "not judged"  # nothing was held out


class TitleLosses(NamedTuple):
    """A loss on each held-out title."""

    mean: NDArray[np.float64]  # (N,) over the title's masked shots
    n_masked: NDArray[np.float64]  # (N,) how many these are

    @property
    def overall(self) -> float:
        """The mean over all masked shots, as in training."""
        return float((self.mean * self.n_masked).sum() / self.n_masked.sum())


class Verdict(NamedTuple):
    """What is said of an encoder, and why."""

    learnt: Learnt
    why: str
    best: str | None = None  # the baseline with the lowest loss
    better_by: float | None = None  # the best baseline's loss minus the encoder's
    low: float | None = None  # the difference's 95 % interval, by paired bootstrap over titles
    high: float | None = None


def unjudged(held_out_share: float) -> Verdict:
    """The verdict where no title was held out: none was to be, or there is one alone."""
    why = "there is but one" if held_out_share else "its configuration holds none out, as that of demo and plain"
    return Verdict(Learnt.NOT_JUDGED, f"no title was held out of training: {why}")


def judge(encoder: TitleLosses, baselines: Mapping[str, TitleLosses]) -> Verdict:
    """Compare an encoder with the best of the baselines.

    It has learnt if its loss is lower by at least `MARGIN`, the 95 % interval of the difference lies above zero, and
    at least `MIN_TITLES` titles were held out.

    Args:
        encoder: its losses.
        baselines: theirs by name, at least one, on the same titles and masks.
    """
    best = min(baselines, key=lambda name: baselines[name].overall)
    apart = baselines[best].mean - encoder.mean  # (N,)
    better_by = baselines[best].overall - encoder.overall
    low, high = interval(apart, encoder.n_masked)
    n_titles = len(apart)
    said = (
        f"{better_by:+.3f} [{low:+.3f}, {high:+.3f}] against the best baseline, {best}, on {n_titles} held-out "
        f"{'title' if n_titles == 1 else 'titles'}"
    )
    if GRU not in baselines:
        said += "; a GRU, often the best, was not trained (trainer.gru_steps=0)"
    if better_by < MARGIN or low <= 0.0:
        return Verdict(Learnt.NO, f"{said}; needed: at least {MARGIN}, and all above 0", best, better_by, low, high)
    if n_titles < MIN_TITLES:
        return Verdict(Learnt.UNDECIDED, f"{said}; needed: {MIN_TITLES} titles", best, better_by, low, high)
    return Verdict(Learnt.YES, said, best, better_by, low, high)


def interval(apart: NDArray[np.float64], n_masked: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval of a difference of means over masked shots, when whole titles are drawn again.

    Args:
        apart: (N,) the difference on each title.
        n_masked: (N,) the title's weight.

    Returns:
        Its 2.5th and 97.5th percentile; the same numbers on every call.
    """
    n_titles = len(apart)
    drawn = np.random.default_rng(_SEED).multinomial(n_titles, np.full(n_titles, 1 / n_titles), _N_RESAMPLES)  # (R, N)
    means = (drawn @ (apart * n_masked)) / (drawn @ n_masked)  # (R,)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
