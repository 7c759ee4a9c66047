"""The rows of `bench.quality` as Markdown."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from mediafm_core.probes.tasks import TASKS

Rows = Sequence[Mapping[str, Any]]


def table(rows: Rows) -> str:
    """Two tables for each world: what is reached, and how far its encoders, if any, are above the best baseline."""
    worlds = sorted({row["world"] for row in rows})
    return "\n\n".join(part for world in worlds for part in _world([row for row in rows if row["world"] == world]))


def _world(rows: Rows) -> list[str]:
    names = list(dict.fromkeys(row["features"] for row in rows))
    values = [[name, *(_spread(_of(rows, name, task)) for task in TASKS)] for name in names]
    learnt = [name for name in names if any(row["features"] == name and "difference" in row for row in rows)]
    gaps = [
        [name, seed, *(_gap(rows, name, seed, task) for task in TASKS)]
        for name in learnt
        for seed in _seeds(rows, name)
    ]
    title = f"world {rows[0]['world']}"
    reached = _markdown([title, *TASKS], values + _best(rows))
    return [reached, _markdown([f"{title}, above the best baseline", "seed", *TASKS], gaps)] if gaps else [reached]


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


def _gap(rows: Rows, name: str, seed: int, task: str) -> str:
    (row,) = [r for r in rows if (r["features"], r["seed"], r["task"]) == (name, seed, task)]
    value, low, high = row["difference"]
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _markdown(head: Sequence[str], body: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
