"""The rows of `bench.quality` as Markdown."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from bench.quality_goals import goals
from mediafm_core.probes.tasks import TASKS

Rows = Sequence[Mapping[str, Any]]

OURS, OTHERS = "mediafm", ("paper", "untrained")
"""The encoder that goals are set for, and those that it has to be above."""


def table(rows: Rows) -> str:
    """For each world what is reached; of its encoders, if any, what is above the best baseline, and what they took."""
    keys = sorted({_key(row) for row in rows})
    return "\n\n".join(part for key in keys for part in _world([row for row in rows if _key(row) == key]))


def _key(row: Mapping[str, Any]) -> tuple[int, str]:
    return row["world"], row["lengths"]


def _title(rows: Rows) -> str:
    number, lengths = _key(rows[0])
    return f"world {number}" if lengths == "short" else f"world {number}, lengths as {lengths}"


def _world(rows: Rows) -> list[str]:
    names = list(dict.fromkeys(row["features"] for row in rows))
    values = [[name, *(_spread(_of(rows, name, task)) for task in TASKS)] for name in names]
    reached = markdown([_title(rows), *TASKS], values + _best(rows))
    learnt = [name for name in names if any(row["features"] == name and "difference" in row for row in rows)]
    return [reached, *(_of_encoders(rows, learnt) if learnt else [])]


def _of_encoders(rows: Rows, names: Sequence[str]) -> list[str]:
    each = [(name, seed) for name in names for seed in _seeds(rows, name)]
    gaps = [[name, seed, *(_gap(rows, name, seed, task) for task in TASKS)] for name, seed in each]
    found = [markdown([f"{_title(rows)}, above the best baseline", "seed", *TASKS], gaps)]
    if trained := _trained(rows, each):
        head = ["trained", "seed", "CPU-s", "kept step", "MSM held out", "best baseline's", "learnt"]
        found.append(markdown(head, trained))
    if OURS in names:
        asked = goals(rows, OURS, OTHERS)
        said = [[goal.asks, "held" if goal.held else "**missed**", goal.said] for goal in asked]
        found.append(markdown([f"{_title(rows)}, goals of {OURS}", "", ""], said))
    return found


def _trained(rows: Rows, each: Sequence[tuple[str, int]]) -> list[list[object]]:
    """What each encoder took, and its loss; once where it was read in several ways, nothing of untrained ones."""
    found = dict[str, list[object]]()
    for name, seed in each:
        row = _one(rows, name, seed, next(iter(TASKS)))
        if row.get("msm"):
            losses = {which: loss for which, loss in row["msm"].items() if which != "encoder"}
            best = min(losses, key=lambda which: losses[which])
            bar = f"{losses[best]:.3f} ({best})"
            said = [name, seed, row["cpu_s"], row["kept_step"], f"{row['msm']['encoder']:.3f}", bar, row["learnt"]]
            found.setdefault(f"{seed} {row['msm']}", said)
    return list(found.values())


def _best(rows: Rows) -> list[list[str]]:
    """One line: the best baseline of each task; none where there is nothing to choose from."""
    baselines = [row for row in rows if row.get("bar")]
    n_baselines = len({row["features"] for row in baselines})
    if n_baselines < 2:
        return []
    reached = (max(row["value"] for row in baselines if row["task"] == task) for task in TASKS)
    return [[f"best of {n_baselines} baselines, by the score itself", *(f"{value:.3f}" for value in reached)]]


def _of(rows: Rows, name: str, task: str) -> list[float]:
    return [row["value"] for row in rows if row["features"] == name and row["task"] == task]


def _seeds(rows: Rows, name: str) -> list[int]:
    return sorted({row["seed"] for row in rows if row["features"] == name})


def _spread(values: Sequence[float]) -> str:
    """The mean over seeds, and half the distance of the extremes."""
    spread = f" ± {(max(values) - min(values)) / 2:.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{spread}"


def _one(rows: Rows, name: str, seed: int, task: str) -> Mapping[str, Any]:
    (row,) = [r for r in rows if (r["features"], r["seed"], r["task"]) == (name, seed, task)]
    return row


def _gap(rows: Rows, name: str, seed: int, task: str) -> str:
    value, low, high = _one(rows, name, seed, task)["difference"]
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def markdown(head: Sequence[str], body: Sequence[Sequence[object]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
