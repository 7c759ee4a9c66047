"""What to do when steps have failed, or when something in the home was lost or damaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mediafm_assets.cli.context import HomeOption, console, open_home
from mediafm_assets.cli.progress import describe
from mediafm_core.errors import PlanError
from mediafm_core.store.ledger import FailureRow
from mediafm_core.store.rebuilding import Rebuilt, Report


def retry(
    asset: Annotated[str | None, typer.Option(help="Only steps of this asset.", show_default=False)] = None,
    partition: Annotated[str | None, typer.Option(help="Only steps of this partition.", show_default=False)] = None,
    home: HomeOption = None,
) -> None:
    """Forget that steps have failed, so that they are planned again as they are. Parked steps wait for this.

    Examples: mediafm retry; mediafm retry --asset shots --partition my-film
    """
    from mediafm_assets.postponed import lift

    opened = open_home(home)
    failures = opened.ledger.failures()
    chosen = [failure for failure in failures.values() if _is_asked_for(failure, asset, partition)]
    if not chosen and (asset or partition):
        raise PlanError(
            f"steps of {asset or 'any asset'} and {partition or 'any partition'}",
            found=f"none that failed among {len(failures)}",
            expected="a step that has failed",
            next_step="`mediafm status` lists them.",
        )
    opened.ledger.forgive(failure.key for failure in chosen)
    for failure in chosen:
        console.print(f"forgiven  {describe(failure.key.kind, failure.key.partition)}", markup=False)
    lifted = lift(opened) if asset is None and partition is None else []
    for what in lifted:
        console.print(f"no longer postponed  {what}", markup=False)
    console.print("next      mediafm apply" if chosen or lifted else "No step has failed.")


def _is_asked_for(failure: FailureRow, asset: str | None, partition: str | None) -> bool:
    return asset in (None, failure.key.kind) and partition in (None, failure.key.partition)


def rebuild(home: HomeOption = None) -> None:
    """Make the ledger agree with the home's objects. Reads each of them; changes nothing where all is sound.

    A lost ledger is made again; objects that are lost or damaged are dropped, so that they are planned again. Nothing
    else should run on the home meanwhile.

    Example: mediafm rebuild
    """
    opened = open_home(home)
    with _counted("objects") as report:
        found = opened.rebuild_ledger(report)
    for name in ("damaged", "lost"):
        for path in getattr(found, name):
            console.print(f"{name:8}  {path}", markup=False)
    console.print(_summary(found))
    if found.lost or found.damaged:
        console.print("next      mediafm apply; mediafm retry first, where steps were parked")


def _summary(found: Rebuilt) -> str:
    if not found.changed:
        return f"All {found.n_artifacts} artifacts are sound; nothing was changed."
    return (
        f"{found.n_artifacts} artifacts: {len(found.adopted)} adopted, {len(found.lost)} lost and "
        f"{len(found.damaged)} damaged dropped, {found.n_declarations} declarations adopted."
    )


@contextmanager
def _counted(what: str) -> Iterator[Report]:
    """A bar on a terminal, nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def report(n_read: int, n_all: int) -> None:
            progress.update(task, completed=n_read, total=n_all)

        yield report
