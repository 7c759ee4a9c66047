"""How much movement is none: limits of the statistics, exact where a computation is repeatable, else from quiet days.

The rule. From the first `N_QUIET` measurements after a reference that stayed within `PROVISIONAL`, each statistic's
limit is exp(mean + `N_SPREADS` standard deviations) of its logarithm, and at least `N_TIMES` the largest of them. The
measurements after them move no limit, so a slow drift is not learnt as normal. Six standard deviations pay for all
statistics of three modalities at once (Bonferroni) and for twenty measurements being few; the second rule for tails
that are heavier than a logarithm makes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The largest values that count as steady. A statistic without a limit has infinity."""

    median: float
    upper: float
    largest: float
    gram: float = float("inf")
    offset: float = float("inf")
    rule: str  # exact, provisional, calibrated
    n_quiet: int = 0  # measurements that it was taken from

    def exceeded(self, found: Movement) -> tuple[str, ...]:
        """The names of the statistics above their limits."""
        return tuple(name for name in WATCHED if getattr(found, name) > getattr(self, name))

    def to_json(self) -> dict[str, Any]:
        """What is finite of it."""
        told = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in told.items() if value != float("inf")}


WATCHED = ("median", "upper", "largest", "gram", "offset")

EXACTLY = Limits(median=EXACT, upper=EXACT, largest=EXACT, rule="exact")
"""Of encoders that run here."""

PROVISIONAL = Limits(median=5e-5, upper=9e-5, largest=1e-3, rule="provisional")
"""Of remote encoders until there are enough quiet measurements: a drift at cosine 0.9999 is above them."""


def limits_from(history: Sequence[Movement], *, is_remote: bool) -> Limits:
    """The limits that the next measurement is held to.

    Args:
        history: the measurements since the reference, oldest first, of one modality.
        is_remote: whether somebody else's machine computes, whose answers differ from call to call.
    """
    if not is_remote:
        return EXACTLY
    quiet = [each for each in history if not PROVISIONAL.exceeded(each)][:N_QUIET]
    return calibrated(quiet) if len(quiet) == N_QUIET else PROVISIONAL


def calibrated(quiet: Sequence[Movement]) -> Limits:
    """The limits that quiet measurements give by the rule above; never below `EXACT` where a distance is limited."""
    taken = {name: _limit([getattr(each, name) for each in quiet]) for name in WATCHED}
    taken |= {name: max(EXACT, taken[name]) for name in ("median", "upper", "largest")}
    return Limits(**taken, rule="calibrated", n_quiet=len(quiet))


def _limit(values: Sequence[float]) -> float:
    logs = np.log(np.maximum(values, 1e-12))  # a remote that repeats itself exactly has zeros
    by_spread = np.exp(logs.mean() + N_SPREADS * max(logs.std(ddof=1), LEAST_SPREAD))
    return float(max(by_spread, N_TIMES * np.exp(logs.max())))
