"""What a plan will cost, by what such steps took before. Where a kind was never made nothing is said of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from mediafm_core.identity import TitleId
from mediafm_core.planning.state import Step


class Past(NamedTuple):
    """What making one artifact took."""

    seconds: float
    n_shots: int | None  # None where it is of no title, or says nothing of shots


class KindCost(NamedTuple):
    """What the steps of one kind will take."""

    kind: str
    n_steps: int
    seconds: float | None  # None where no such step was ever made
    n_runs: int  # that the estimate rests on

    @property
    def basis(self) -> str:
        """What the estimate rests on, in words."""
        return f"median of {self.n_runs}" if self.n_runs else "no past run"


class Cost(NamedTuple):
    """What a plan will take."""

    kinds: tuple[KindCost, ...]  # in the order of the plan

    @property
    def seconds(self) -> float:
        """All that can be estimated, together."""
        return sum(kind.seconds or 0.0 for kind in self.kinds)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The kinds of which nothing can be said; their steps come on top."""
        return tuple(kind.kind for kind in self.kinds if kind.seconds is None)


def cost(
    steps: Iterable[Step], past: Callable[[str], Sequence[Past]], n_shots: Mapping[TitleId, int] | None = None
) -> Cost:
    """The cost of a plan's steps: the median of what such steps took, for each shot where both sides know their shots.

    Args:
        steps: of a plan.
        past: a kind to what the last steps of it took.
        n_shots: of titles whose shots are known.
    """
    of_kind: dict[str, list[Step]] = {}
    for step in steps:
        of_kind.setdefault(step.key.kind, []).append(step)
    return Cost(tuple(_kind_cost(kind, its, past(kind), n_shots or {}) for kind, its in of_kind.items()))


def _kind_cost(kind: str, steps: Sequence[Step], past: Sequence[Past], n_shots: Mapping[TitleId, int]) -> KindCost:
    if not past:
        return KindCost(kind, len(steps), None, 0)
    each = median(made.seconds for made in past)
    rates = [made.seconds / made.n_shots for made in past if made.n_shots]
    rate = median(rates) if rates else None
    known = [n_shots[step.title] for step in steps if step.title and step.title in n_shots] if rate else []
    seconds = (rate or 0.0) * sum(known) + each * (len(steps) - len(known))
    return KindCost(kind, len(steps), seconds, len(past))
