"""The gate: may a candidate's heads replace production's? Nothing here fits or reads; it compares scores."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from mediafm_core.probes.comparing import difference, on_shared_titles, value
from mediafm_core.probes.labels import OutOfFold
from mediafm_core.probes.metrics import Interval


class Verdict(StrEnum):
    """Of one task."""

    PASSES = "passes"
    BLOCKS = "blocks"


class GateRow(NamedTuple):
    """One task's figures and what follows from them; None where there is nothing to compare."""

    task: str
    candidate: float | None
    production: float | None
    difference: float | None  # candidate minus production, on the same clips
    low: float | None  # of the difference's 95 % interval over titles
    high: float | None
    verdict: Verdict
    reason: str


class Gate(NamedTuple):
    """Whether a candidate may go live, and why."""

    passed: bool
    rows: tuple[GateRow, ...]  # one for each task, by name


def gate(
    candidate: Mapping[str, OutOfFold],
    production: Mapping[str, OutOfFold] | None,
    floors: Mapping[str, float],
    *,
    n_draws: int = 200,
    seed: int = 0,
) -> Gate:
    """Compare a candidate with production, task by task.

    A task blocks where the whole interval of the difference lies below 0, where the candidate is below the task's
    floor, and where it has no scores though production or a floor asks for them. A task that production has not, and
    any task where there is no production, passes if it reaches its floor.

    Args:
        candidate: held-out scores by task.
        production: the same of production's encoder, on the same labels of the titles that both have; None where
            nothing is live.
        floors: the least that a task must reach, where one is set.
        n_draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        LabelsError: the two were scored on different labels of the same titles, or share fewer than two titles.
    """
    live = production or {}
    tasks = sorted({*candidate, *live, *floors})
    rows = tuple(_row(task, candidate.get(task), live.get(task), floors.get(task), n_draws, seed) for task in tasks)
    return Gate(all(row.verdict is Verdict.PASSES for row in rows), rows)


def _row(
    task: str, new: OutOfFold | None, live: OutOfFold | None, floor: float | None, n_draws: int, seed: int
) -> GateRow:
    if new is None:
        lost = value(live) if live else None
        return GateRow(task, None, lost, None, None, None, Verdict.BLOCKS, "the candidate has no head for it")
    reached = value(new)
    # one of the two may lack a title: it was parked, or came later
    pair = (on_shared_titles(new, live) or (new, live)) if live else None
    change = difference(*pair, n_draws=n_draws, seed=seed) if pair else None
    verdict, reason = _judge(reached, change, floor)
    if pair and live and len(pair[0].labels) < max(len(new.labels), len(live.labels)):
        reason += f", on the {len(pair[0].labels.titles)} titles that both were scored on"
    return GateRow(task, reached, value(live) if live else None, *(change or (None, None, None)), verdict, reason)


def _judge(reached: float, change: Interval | None, floor: float | None) -> tuple[Verdict, str]:
    if floor is not None and reached < floor:
        return Verdict.BLOCKS, f"{reached:.4f} is below the floor of {floor:.4f}"
    if change is None:
        return Verdict.PASSES, "production has no scores for it"
    said = f"{change.value:+.4f}, 95 % between {change.low:+.4f} and {change.high:+.4f}"
    if change.high < 0:
        return Verdict.BLOCKS, f"worse than production by more than titles vary: {said}"
    return Verdict.PASSES, f"not worse than production by more than titles vary: {said}"
