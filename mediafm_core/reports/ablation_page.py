"""The page of an ablation: one plot and one table for each task, and the post's findings with their verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from markupsafe import Markup

from mediafm_core.reports.ablation_plot import PlottedRow, dots
from mediafm_core.reports.render import render

ASKS_LITTLE: Final = 100
"""With fewer labelled titles than this an interval is wide and a verdict says little."""


class TaskRows(NamedTuple):
    """One task, its rows best first."""

    task: str
    asks: str  # in words
    metric: str
    n_clips: int
    n_titles: int
    rows: tuple[PlottedRow, ...]

    @property
    def own(self) -> PlottedRow:
        """The row of the encoder itself."""
        return next(row for row in self.rows if row.is_own)

    @property
    def best_without(self) -> PlottedRow | None:
        """The best row that no encoder has read, chosen by these very figures: generous to it."""
        return next((row for row in self.rows if row.source == "no encoder"), None)


class ShownContrast(NamedTuple):
    """One number that speaks for a finding where it is above 0."""

    says: str
    value: float
    low: float
    high: float
    verdict: str


class ShownFinding(NamedTuple):
    """What the post says, and what these data say of it."""

    claim: str
    rule: str  # how many of the contrasts it needs: all or most
    verdict: str
    contrasts: tuple[ShownContrast, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationPage:
    """All that the page of an ablation shows."""

    encoder: str
    suite: str
    production: str | None  # the encoder that is live when the page is written
    synthetic: bool  # whether the titles are narrative ones
    tasks: tuple[TaskRows, ...]
    findings: tuple[ShownFinding, ...]
    left_out: Mapping[str, tuple[str, ...]]  # outside models, and the tasks of which they lack clips
    absent: Mapping[str, str]  # rows that other homes have, and why this one has not


def ablation_page(data: AblationPage) -> str:
    """An ablation as one self-contained HTML file."""
    plots: dict[str, Markup] = {
        each.task: dots(f"dots-{each.task}", each.rows, metric=each.metric, of=each.task) for each in data.tasks
    }
    n_titles = min((each.n_titles for each in data.tasks), default=0)
    return render("ablation_page.html", page=data, plots=plots, n_titles=n_titles, few=n_titles < ASKS_LITTLE)
