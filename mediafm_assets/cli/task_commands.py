"""Labels and releases: what encoders are judged by, and which one is live."""

from pathlib import Path
from typing import Annotated

import typer

from mediafm_assets.cli.context import HomeOption, JsonOption, console, open_home, print_json, print_table, records
from mediafm_core.catalogue import UNPARTITIONED
from mediafm_core.errors import ReleaseError
from mediafm_core.execution import Outcome, Status, read_state
from mediafm_core.store.home import Home

labels = typer.Typer(help="Set the labels of tasks.", no_args_is_help=True)
release = typer.Typer(help="See which release is live, promote an encoder, roll back.", no_args_is_help=True)

_COLUMNS = ("release", "encoder", "against", "live")


@labels.command(name="set")
def set_task_labels(
    task: Annotated[str, typer.Argument(help="ad_relevancy, popularity, tone, genre or retrieval.")],
    file: Annotated[Path, typer.Argument(help="Parquet or CSV: title, start_s, end_s, and labels or rank.")],
    home: HomeOption = None,
) -> None:
    """Take a file as the labels of a task. Its heads, and what hangs on them, are made again by `mediafm apply`.

    Example: mediafm labels set tone tones.csv
    """
    from mediafm_core.probes.declaring import set_labels

    frozen = set_labels(open_home(home), task, file)
    console.print(f"{task}: labels of {len(frozen.titles)} titles\nnext  mediafm apply", markup=False)


@labels.command()
def refreeze(home: HomeOption = None) -> None:
    """Freeze the labels that today's titles were delivered with, in place of those frozen before.

    Example: mediafm labels refreeze
    """
    from mediafm_core.probes.declaring import freeze_delivered

    for frozen in freeze_delivered(open_home(home), again=True):
        console.print(f"{frozen.task}: labels of {len(frozen.titles)} titles", markup=False)
    console.print("next  mediafm apply")


@release.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the releases, and which one is live.

    Example: mediafm release status --json
    """
    opened = open_home(home)
    live = read_state(opened).release
    rows = [
        (
            row.manifest.facts["name"],
            row.key.partition,
            row.manifest.facts["against"],
            bool(live) and live.name == row.manifest.facts["name"],
        )
        for row in opened.ledger.artifacts("release")
    ]
    print_json(records(_COLUMNS, rows)) if as_json else print_table("releases", _COLUMNS, rows)


@release.command()
def promote(
    name: Annotated[str, typer.Argument(help="The encoder to promote.")],
    home: HomeOption = None,
) -> None:
    """Let an encoder go live with all its heads and predictions, if the gate lets it. A refusal changes nothing.

    Example: mediafm release promote v2
    """
    opened = open_home(home)
    promote_encoder(opened, name)
    live = read_state(opened).release
    console.print(f"live: {live.name if live else None}", markup=False)


def promote_encoder(home: Home, name: str) -> list[Outcome]:
    """Run the gate and, behind it, the promotion and its snapshot, as one run.

    Raises:
        ReleaseError: the gate refused, with the task and its figures.
        PlanError: there is no such encoder, or it has no heads.
    """
    from mediafm_core.planning.desired import desired, encoder_steps
    from mediafm_core.planning.desired import release as release_step

    state = read_state(home)
    release_step(encoder_steps(desired(state), name), state.release)  # raises for what cannot be judged at all
    outcomes = _run(home, [("release", name), ("snapshot", UNPARTITIONED)])
    refused = [outcome for outcome in outcomes if outcome.status in (Status.FAILED, Status.BLOCKED)]
    if refused:
        raise ReleaseError(
            f"promotion of encoder {name!r}",
            found=refused[0].error,
            expected="a candidate that the gate lets through",
            next_step="Production is as it was.",
        )
    return outcomes


@release.command()
def rollback(home: HomeOption = None) -> None:
    """Let the release that was live before be live again: the same bytes, in seconds.

    Example: mediafm release rollback
    """
    opened = open_home(home)
    console.print(f"live: {roll_back_release(opened)}", markup=False)


def roll_back_release(home: Home) -> str:
    """Roll back and publish; the name of what is live then.

    Raises:
        PlanError: nothing else was ever live.
    """
    from mediafm_core.release.promotion import roll_back

    found = roll_back(home)
    _run(home, [("snapshot", UNPARTITIONED)])
    return found.name


def _run(home: Home, pairs: list[tuple[str, str]]) -> list[Outcome]:
    from mediafm_assets.cli.running import run_job
    from mediafm_assets.jobs import pairs_config, refresh

    return run_job(home, refresh, pairs_config(pairs), len(pairs), console)
