"""What the rows of `bench.quality` say to goals that were set before they were made."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any, NamedTuple

from mediafm_core.probes.tasks import TASKS

Rows = Sequence[Mapping[str, Any]]

BELOW_AT_MOST = 0.01
N_CLEAR = 3


class Goal(NamedTuple):
    """A goal of one world."""

    asks: str
    held: bool
    said: str  # what decided it


def goals(rows: Rows, name: str, others: Sequence[str]) -> list[Goal]:
    """The goals of an encoder in one world, over its training seeds.

    Args:
        rows: of one world.
        name: of the encoder's rows.
        others: of the rows of encoders that it has to be above; those that are not there are left out.
    """
    mine = {task: [row for row in rows if row["features"] == name and row["task"] == task] for task in TASKS}
    gaps = {task: [row["difference"][0] for row in found] for task, found in mine.items()}
    lows = {task: min(row["difference"][1] for row in found) for task, found in mine.items()}
    clear = [t for t in TASKS if len(gaps[t]) > 1 and lows[t] > 0 and mean(gaps[t]) > 2 * (max(gaps[t]) - min(gaps[t]))]
    lowest, where = min((min(found), task) for task, found in gaps.items())
    n_above, n_whole = (sum(x > 0 for found in part for x in found) for part in (gaps.values(), _lows(mine)))
    n_all = sum(map(len, gaps.values()))
    return [
        Goal(
            "above the best baseline on all five tasks",
            all(mean(found) > 0 for found in gaps.values()),
            f"{n_above} of {n_all} differences above 0, {n_whole} with their whole interval",
        ),
        Goal(
            f"on at least {N_CLEAR}, each seed's interval above 0 and the difference above twice the seeds' range",
            len(clear) >= N_CLEAR,
            f"on {len(clear)}: {', '.join(clear)}",
        ),
        Goal(
            f"on no task below it by more than {BELOW_AT_MOST}", lowest >= -BELOW_AT_MOST, f"{lowest:+.3f} on {where}"
        ),
        *(_above(rows, name, other) for other in others if any(row["features"] == other for row in rows)),
    ]


def _lows(mine: Mapping[str, Rows]) -> list[list[float]]:
    return [[row["difference"][1] for row in found] for found in mine.values()]


def _above(rows: Rows, name: str, other: str) -> Goal:
    values = {(row["features"], row["task"], row["seed"]): row["value"] for row in rows}

    def reached(features: str, task: str) -> float:
        return mean(value for (of, on, _), value in values.items() if (of, on) == (features, task))

    gaps = {task: reached(name, task) - reached(other, task) for task in TASKS}
    said = ", ".join(f"{task} {gap:+.3f}" for task, gap in gaps.items())
    pairs = [(value, values.get((other, *key))) for (of, *key), value in values.items() if of == name]
    n_above, n_pairs = sum(a > b for a, b in pairs if b is not None), sum(b is not None for _, b in pairs)
    said += f"; above in {n_above} of {n_pairs} pairs of one seed"
    return Goal(f"above `{other}` on all five tasks", min(gaps.values()) > 0, said)
