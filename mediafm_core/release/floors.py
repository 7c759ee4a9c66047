"""Floors: the least that a task must reach at the gate, where somebody set one. Declarations of the home."""

import math

from mediafm_core.errors import ReleaseError
from mediafm_core.probes.tasks import Metric, task_named
from mediafm_core.store.home import Home

_SUBJECT = "floor"


def set_floor(home: Home, task: str, value: float | None) -> bool:
    """Let no candidate through that reaches less than this on a task; what is live stays live.

    Args:
        home: an open home.
        task: its name.
        value: in the task's own metric, on titles held out; None for no floor.

    Returns:
        Whether that is news.

    Raises:
        LabelsError: there is no such task.
        ReleaseError: its metric cannot reach this value.
    """
    metric = task_named(task).metric
    if value is None:
        return bool(home.ledger.declared_one(_SUBJECT, task)) and home.declare(_SUBJECT, task, {})
    low = -1.0 if metric is Metric.KENDALL_TAU else 0.0
    if not (math.isfinite(value) and low <= value <= 1.0):
        raise ReleaseError(
            f"floor of task {task!r}",
            found=f"{value:g}",
            expected=f"a value of {metric.value}, between {low:g} and 1",
            next_step="`mediafm encoder report NAME` shows what encoders reach.",
        )
    return home.declare(_SUBJECT, task, {"value": value})
