"""Long work, shown while it goes on."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mediafm_core.catalogue.kinds import split_partition
from mediafm_core.planning.state import Step
from mediafm_core.workbench import Outcome, Status

_REDRAW_S = 0.1
_SAID_S = 30.0  # between two lines about a long step, where nothing can be drawn


class ShownProgress:
    """A reporter that draws two bars on a terminal; elsewhere it prints a line now and then while a step goes on.

    A line for each finished step is printed on both.

    Args:
        console: where to draw.
        n_steps: how many steps there will be.
        says_errors: whether a failed step's line has its error; not where whoever asks for the steps tells it.
    """

    def __init__(self, console: Console, n_steps: int, *, says_errors: bool = True) -> None:
        self._says_errors = says_errors
        self.outcomes: list[Outcome] = []
        self._console = console
        self._drawn_at = 0.0
        self._said_at = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[note]}"), console=console, transient=True)
        self._all: TaskID = self._progress.add_task("all steps", total=n_steps, note="")
        self._one: TaskID = self._progress.add_task("", total=100, note="")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, step: Step) -> None:
        """See `Reporter`."""
        self._progress.update(self._one, description=describe(step.key.kind, step.key.partition), completed=0, note="")

    def advance(self, fraction: float, note: str = "") -> None:
        """See `Reporter`."""
        if time.monotonic() - self._drawn_at > _REDRAW_S:
            self._drawn_at = time.monotonic()
            self._progress.update(self._one, completed=round(100 * fraction), note=note)
        if note and not self._console.is_terminal and time.monotonic() - self._said_at > _SAID_S:
            self._said_at = time.monotonic()
            self._console.print(f"[dim]{fraction:8.0%} {escape(note)}[/]", highlight=False)

    def end(self, outcome: Outcome) -> None:
        """See `Reporter`."""
        self.outcomes.append(outcome)
        self._progress.update(self._all, advance=1)
        done = describe(outcome.key.kind, outcome.key.partition)
        if outcome.status in (Status.FAILED, Status.BLOCKED):
            error = f": {escape(outcome.error)}" if self._says_errors else ""
            self._console.print(f"[red]{outcome.status.value:8}[/] {done}{error}", highlight=False)
        else:
            self._console.print(f"[dim]{outcome.status.value:8} {done} {outcome.seconds:6.1f} s[/]", highlight=False)


_AXES_SAID = (("title", "of"), ("task", "for"), ("suite", "by"), ("encoder", "by"))


def describe(kind: str, partition: str) -> str:
    """A step in words: `shots of bbb`, `contextual_embeddings of bbb by v1`, `probe_heads for tone by v1`."""
    axes = split_partition(kind, partition)
    return kind + "".join(f" {said} {axes[axis]}" for axis, said in _AXES_SAID if axis in axes)
