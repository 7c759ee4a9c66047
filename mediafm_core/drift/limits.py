"""How much movement is none: limits of the statistics, exact where a computation is repeatable, else from quiet days.

The rule. From the first `N_QUIET` measurements after a reference that stayed within the provisional limits, each
statistic's limit is exp(mean + `N_SPREADS` standard deviations) of its logarithm, and at least `N_TIMES` the largest
of them. The measurements after them move no limit, so a slow drift is not learnt as normal. Six standard deviations pay
for all statistics of three modalities at once (Bonferroni) and for twenty measurements being few; the second rule for
tails that are heavier than a logarithm makes them.

A provider whose answers differ by more than `PROVISIONAL` from call to call would never have a quiet day. The first
time that shows it alarms as too noisy; once a person has accepted that, the provisional limits are `N_TIMES` what was
accepted. Limits above noise see less: `Limits.sees_all` and `sees_tenth` say how much less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from mediafm_core.drift.statistics import Movement

EXACT = 1e-6
"""A distance that no repeated computation on this machine comes near; half the digits of bfloat16 pass it."""

N_QUIET = 20
"""Quiet measurements that limits are taken from."""

N_SPREADS = 6.0
N_TIMES = 3.0
LEAST_SPREAD = 0.05
"""Of a logarithm: twenty measurements that hardly differ prove no smaller one."""

HEAD_SHIFT = 0.02
"""Of a head's mean score, in units of its spread: what readers of a ranking cannot see."""
FLIPPED = 0.02
"""Of a head's decisions."""

STATED = 1e-4
"""The drift that canaries are asked to see: all inputs, or a tenth of them, at cosine 0.9999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The largest values that count as steady. A statistic without a limit has infinity."""

    median: float
    upper: float
    largest: float
    gram: float = float("inf")
    offset: float = float("inf")
    rule: str  # exact, provisional, noise accepted, calibrated
    n_quiet: int = 0  # measurements that it was taken from

    def exceeded(self, found: Movement) -> tuple[str, ...]:
        """The names of the statistics above their limits."""
        return tuple(name for name in WATCHED if getattr(found, name) > getattr(self, name))

    @property
    def sees_all(self) -> float:
        """The distance from which a drift of all inputs, each its own way, is seen: the noise comes on top of it."""
        return self.median

    @property
    def sees_tenth(self) -> float:
        """Likewise of a tenth of the inputs: half of these lie above the 95 % quantile."""
        return self.upper

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        return cls(**record)

    def to_json(self) -> dict[str, Any]:
        """What is finite of it."""
        told = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in told.items() if value != float("inf")}


DISTANCES = ("median", "upper", "largest")
WATCHED = (*DISTANCES, "gram", "offset")

EXACTLY = Limits(median=EXACT, upper=EXACT, largest=EXACT, rule="exact")
"""Of encoders that run here."""

NOISE_ACCEPTED = "noise accepted"
UNCALIBRATED = ("provisional", NOISE_ACCEPTED)
"""The rules of the days before there are enough quiet ones."""

PROVISIONAL = Limits(median=5e-5, upper=9e-5, largest=1e-3, rule="provisional")
"""Of remote encoders until there are enough quiet measurements: a drift at cosine 0.9999 is above them."""


def provisional(noise: Movement | None = None) -> Limits:
    """The limits of the days before there are enough quiet ones.

    Args:
        noise: a measurement that a person accepted as this encoder's noise; it and `N_TIMES` as much pass.
    """
    if noise is None:
        return PROVISIONAL
    least = {name: getattr(PROVISIONAL, name) for name in DISTANCES}
    taken = {name: max(least[name], N_TIMES * getattr(noise, name)) for name in DISTANCES}
    return PROVISIONAL if taken == least else Limits(**taken, rule=NOISE_ACCEPTED)


def limits_from(history: Sequence[Movement], *, is_remote: bool, noise: Movement | None = None) -> Limits:
    """The limits that the next measurement is held to.

    Args:
        history: the measurements since the reference, oldest first, of one modality.
        is_remote: whether somebody else's machine computes, whose answers differ from call to call.
        noise: a measurement that a person accepted as its noise.
    """
    if not is_remote:
        return EXACTLY
    until_then = provisional(noise)
    quiet = [each for each in history if not until_then.exceeded(each)][:N_QUIET]
    return calibrated(quiet) if len(quiet) == N_QUIET else until_then


def calibrated(quiet: Sequence[Movement]) -> Limits:
    """The limits that quiet measurements give by the rule above; never below `EXACT` where a distance is limited."""
    taken = {name: _limit([getattr(each, name) for each in quiet]) for name in WATCHED}
    taken |= {name: max(EXACT, taken[name]) for name in DISTANCES}
    return Limits(**taken, rule="calibrated", n_quiet=len(quiet))


def _limit(values: Sequence[float]) -> float:
    logs = np.log(np.maximum(values, 1e-12))  # a remote that repeats itself exactly has zeros
    by_spread = np.exp(logs.mean() + N_SPREADS * max(logs.std(ddof=1), LEAST_SPREAD))
    return float(max(by_spread, N_TIMES * np.exp(logs.max())))
