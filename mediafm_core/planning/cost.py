"""What a plan will cost, in time by what such steps took before, in money by the texts that are to be read.

Where a kind was never made, or no text is known, nothing is said of it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, median
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
    def seconds(self) -> float | None:
        """All that can be estimated, together; None where there are steps and none of them can."""
        known = [kind.seconds for kind in self.kinds if kind.seconds is not None]
        return sum(known) if known or not self.kinds else None

    @property
    def in_words(self) -> str:
        """The seconds, with what they leave out."""
        if self.seconds is None:
            return "unknown"
        return f"{'at least ' if self.unknown else ''}{self.seconds:.3f}"

    @property
    def unknown(self) -> tuple[str, ...]:
        """The kinds of which nothing can be said; their steps come on top."""
        return tuple(kind.kind for kind in self.kinds if kind.seconds is None)


class Price(NamedTuple):
    """What the steps of one kind will cost in money: the texts that a model behind an API was not paid for yet."""

    kind: str
    suite: str
    n_steps: int
    n_known: int  # steps whose texts are known
    n_unknown: int  # steps of whose texts nothing can be said; they come on top
    n_tokens: float  # that will be charged, at most: those of known texts, and the mean for each other step
    usd: float
    counted: str  # `bytes`, each taken to be a token, or `tokens`

    @property
    def n_estimated(self) -> int:
        """Steps that cost the mean of what is known."""
        return self.n_steps - self.n_known - self.n_unknown

    @property
    def basis(self) -> str:
        """What it rests on, in words."""
        said = (
            (self.n_known, f"by the {self.counted} of their texts"),
            (self.n_estimated, "by the mean of known titles"),
        )
        return ", ".join(f"{n} {how}" for n, how in (*said, (self.n_unknown, "unknown")) if n)


def price(
    kind: str,
    suite: str,
    *,
    n_steps: int,
    known: Sequence[int],
    usual: Sequence[int],
    usd_per_million: float,
    counted: str,
) -> Price:
    """The price of a suite's steps of one kind.

    Args:
        kind: of the steps.
        suite: its id.
        n_steps: how many they are.
        known: of each step whose texts are known the tokens that are still to be paid for.
        usual: of titles whose texts are known all their tokens; their mean stands for the steps that are not.
        usd_per_million: price of a million tokens, in US dollars.
        counted: how tokens were counted.
    """
    n_others = n_steps - len(known)
    n_tokens = sum(known) + (fmean(usual) * n_others if usual else 0.0)
    n_unknown = 0 if usual else n_others
    return Price(kind, suite, n_steps, len(known), n_unknown, n_tokens, n_tokens * usd_per_million / 1e6, counted)


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
