"""What the page of an ablation shows, gathered from its stored report."""

from collections.abc import Mapping
from typing import Any

from mediafm_core.errors import PlanError
from mediafm_core.planning.desired import desired, encoder_steps
from mediafm_core.probes.tasks import task_named
from mediafm_core.reports.ablation_page import AblationPage, ShownContrast, ShownFinding, TaskRows
from mediafm_core.reports.ablation_plot import PlottedRow
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.manifest import read_document

NARRATIVE = "narrative-w"
"""What the ids of the suites of narrative worlds begin with."""


def ablation_document(home: Home, encoder: str) -> Mapping[str, Any] | None:
    """The report of an encoder's ablation as it is wanted now; None where nobody asked, or it is not made.

    Raises:
        PlanError: there is no such encoder.
    """
    wanted = desired(read_state(home))
    encoder_steps(wanted, encoder)
    step = wanted.ablations.get(encoder)
    return read_document(home.read(step.key)) if step and home.ledger.artifact(step.key) else None


def ablation_page_of(home: Home, encoder: str) -> AblationPage:
    """The page of an encoder's ablation.

    Raises:
        PlanError: there is no such encoder, or no ablation of it.
    """
    document = ablation_document(home, encoder)
    if document is None:
        raise PlanError(
            f"ablation of encoder {encoder!r}",
            found="none that is up to date",
            expected="an ablation that was asked for and made",
            next_step=f"Run `mediafm encoder ablate {encoder}`.",
        )
    return page_of(document, read_state(home).production)


def page_of(document: Mapping[str, Any], production: str | None) -> AblationPage:
    """The page of a stored report."""
    return AblationPage(
        encoder=document["encoder"],
        suite=document["suite"],
        production=production,
        synthetic=document["suite"].startswith(NARRATIVE),
        tasks=tuple(task_rows(document, task) for task in document["tasks"]),
        findings=tuple(
            ShownFinding(**{**finding, "contrasts": tuple(ShownContrast(**c) for c in finding["contrasts"])})
            for finding in document["findings"]
        ),
        left_out={model: tuple(tasks) for model, tasks in document["left_out"].items()},
        absent=document.get("absent", {}),
    )


def task_rows(document: Mapping[str, Any], task: str) -> TaskRows:
    """The rows of one task."""
    said, asks = document["tasks"][task], task_named(task).asks
    rows = [row for row in document["rows"] if row["task"] == task]
    return TaskRows(task, asks, said["metric"], said["n_clips"], said["n_titles"], tuple(map(_plotted, rows)))


def _plotted(row: Mapping[str, Any]) -> PlottedRow:
    return PlottedRow(**{name: row[name] for name in PlottedRow._fields})
