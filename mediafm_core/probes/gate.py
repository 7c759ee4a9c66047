"""The gate: may a candidate's heads replace production's? Nothing here fits or reads; it compares scores."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from mediafm_core.errors import LabelsError
from mediafm_core.probes.labels import OutOfFold
from mediafm_core.probes.metrics import Interval, measure, paired_difference


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
        production: the same of production's encoder, on the same labels; None where nothing is live.
        floors: the least that a task must reach, where one is set.
        n_draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        LabelsError: the two were scored on different labels.
    """
    live = production or {}
    tasks = sorted({*candidate, *live, *floors})
    rows = tuple(_row(task, candidate.get(task), live.get(task), floors.get(task), n_draws, seed) for task in tasks)
    return Gate(all(row.verdict is Verdict.PASSES for row in rows), rows)


def comparable(first: OutOfFold, second: OutOfFold) -> bool:
    """Whether both are scores of the same clips against the same labels."""
    return first.labels.digest == second.labels.digest


def _row(
    task: str, new: OutOfFold | None, live: OutOfFold | None, floor: float | None, n_draws: int, seed: int
) -> GateRow:
    if new is None:
        live_value = _value(live) if live else None
        return GateRow(task, None, live_value, None, None, None, Verdict.BLOCKS, "the candidate has no head for it")
    value = _value(new)
    difference = _difference(new, live, n_draws, seed) if live else None
    verdict, reason = _judge(value, difference, floor)
    return GateRow(task, value, _value(live) if live else None, *(difference or (None, None, None)), verdict, reason)


def _judge(value: float, difference: Interval | None, floor: float | None) -> tuple[Verdict, str]:
    if floor is not None and value < floor:
        return Verdict.BLOCKS, f"{value:.4f} is below the floor of {floor:.4f}"
    if difference is None:
        return Verdict.PASSES, "production has no scores for it"
    change = f"{difference.value:+.4f}, 95 % between {difference.low:+.4f} and {difference.high:+.4f}"
    if difference.high < 0:
        return Verdict.BLOCKS, f"worse than production by more than titles vary: {change}"
    return Verdict.PASSES, f"not worse than production by more than titles vary: {change}"


def _value(out: OutOfFold) -> float:
    return measure(out.labels.task.metric, out.scores, out.labels.targets, out.labels.of)


def _difference(new: OutOfFold, live: OutOfFold, n_draws: int, seed: int) -> Interval:
    labels = new.labels
    if not comparable(new, live):
        raise LabelsError(
            f"task {labels.task.name!r}",
            found=f"candidate scored on {_said(new)}, production on {_said(live)}",
            expected="both scored on the same clips and labels",
            next_step="Score production's encoder on the candidate's labels, then compare.",
        )
    generator = np.random.default_rng(seed)
    return paired_difference(
        labels.task.metric, new.scores, live.scores, labels.targets, labels.of, n_draws=n_draws, generator=generator
    )


def _said(out: OutOfFold) -> str:
    labels = out.labels
    return f"{len(labels)} clips of {len(labels.titles)} titles with {len(labels.names)} labels ({labels.digest[:8]})"
