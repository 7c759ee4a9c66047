"""Releases: what is live, what waits, promotion and the way back."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mediafm_assets.cli.context import HomeOption, JsonOption, console, open_home, print_json, print_table
from mediafm_assets.cli.progress import describe
from mediafm_core.catalogue.kinds import UNPARTITIONED
from mediafm_core.errors import ReleaseError
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import Outcome, Status

release = typer.Typer(
    help="See which release is live and what waits, promote an encoder, go back to any release.", no_args_is_help=True
)

_RELEASES = ("release", "encoder", "against", "live")
_CANDIDATES = ("encoder", "standing", "reason")
_HISTORY = ("at", "what", "before", "after", "user", "through", "run", "gate")


@release.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the releases, which one is live, and what stands between each encoder and production.

    A candidate is live, ready, refused with the gate's reason, incomplete with what is missing of what, or without
    labels.

    Example: mediafm release status --json
    """
    found = release_status(open_home(home))
    if as_json:
        return print_json(found)
    print_table("releases", _RELEASES, [[row[name] for name in _RELEASES] for row in found["releases"]])
    print_table("encoders", _CANDIDATES, [[row[name] for name in _CANDIDATES] for row in found["candidates"]])
    if found["floors"]:
        print_table("floors", ("task", "floor"), list(found["floors"].items()))
    if found["hidden_titles"]:
        console.print(f"{found['hidden_titles']} titles are not yet available to readers\nnext  mediafm apply")
    return None


def release_status(home: Home) -> dict[str, Any]:
    """What `mediafm release status` shows."""
    from mediafm_core.release.candidates import candidates
    from mediafm_core.release.rollback import hidden_titles

    state = read_state(home)
    live = state.release.name if state.release else None
    rows = [(row.manifest.facts, row.key.partition) for row in home.ledger.artifacts("release")]
    said = [(facts["name"], encoder, facts["against"], facts["name"] == live) for facts, encoder in rows]
    return {
        "live": live,
        "hidden_titles": hidden_titles(home),
        "releases": [dict(zip(_RELEASES, row, strict=True)) for row in said],
        "candidates": [
            {**c._asdict(), "missing": {asset: m._asdict() for asset, m in c.missing.items()}} for c in candidates(home)
        ],
        "floors": dict(state.floors),
    }


@release.command()
def history(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List every promotion and rollback, oldest first: when, from what to what, by whom, and the gate's verdicts.

    The history is only ever added to.

    Example: mediafm release history --json
    """
    from mediafm_core.release.history import history as history_of
    from mediafm_core.release.history import verdicts

    opened = open_home(home)
    rows = []
    for event in history_of(opened):
        gate = verdicts(opened, event.release) if event.release else []
        at = datetime.fromtimestamp(event.at, tz=UTC).isoformat(timespec="seconds") if event.at else None
        rows.append((at, event.how.value, event.before, event.after, *_hand(asdict(event.by)), gate))
    if as_json:
        return print_json([dict(zip(_HISTORY, row, strict=True)) for row in rows])
    print_table("history", _HISTORY, [(*row[:-1], _verdicts(row[-1])) for row in rows])
    return None


def _hand(by: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(by[name] for name in ("user", "through", "run"))


def _verdicts(gate: list[dict[str, Any]]) -> str:
    return ", ".join(f"{row['task']} {row['verdict']}" for row in gate)


@release.command()
def floor(
    task: Annotated[str, typer.Argument(help="ad_relevancy, popularity, tone, genre or retrieval.")],
    value: Annotated[float | None, typer.Argument(help="In the task's own metric, on titles held out.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Have no floor for this task.")] = False,
    home: HomeOption = None,
) -> None:
    """Let the gate refuse every candidate that reaches less than this on a task. What is live stays live.

    Example: mediafm release floor tone 0.4
    """
    from mediafm_core.release.floors import set_floor

    if (value is None) != none:
        raise typer.BadParameter("give a value, or --none", param_hint="VALUE")
    opened = open_home(home)
    set_floor(opened, task, value)
    console.print(f"{task}: {'no floor' if value is None else f'floor {value:g}'}", markup=False)


@release.command()
def promote(
    name: Annotated[str, typer.Argument(help="The encoder to promote.")],
    home: HomeOption = None,
) -> None:
    """Let an encoder go live with all its heads and predictions, if the gate lets it. A refusal changes nothing.

    Exit codes: 0 it is live; 3 the gate refused it; 4 it is incomplete; 1 anything else. A card of the release is
    written to HOME/reports/releases.

    Example: mediafm release promote v2
    """
    from mediafm_core.drift.guarding import seen_for

    opened = open_home(home)
    promote_encoder(opened, name)
    state = read_state(opened)
    console.print(f"live: {state.release.name if state.release else None}", markup=False)
    for said in seen_for(opened, state, name):
        console.print(f"canaries are steady; {said}", markup=False)


def promote_encoder(home: Home, name: str) -> list[Outcome]:
    """Run the gate and, behind it, the promotion and its snapshot, as one run.

    Raises:
        GateError: the gate refused, with the tasks that block and their figures.
        IncompleteError: something of the candidate was not made yet.
        PlanError: there is no such encoder, or it has no heads.
    """
    from mediafm_core.drift.watching import before_promotion
    from mediafm_core.planning.desired import desired, encoder_steps
    from mediafm_core.planning.desired import release as release_step
    from mediafm_core.release.candidates import candidate, check_made

    state = read_state(home)
    release_step(encoder_steps(desired(state), name), state.release)  # raises for what cannot be judged at all
    check_made(candidate(home, name))
    wanted = [*before_promotion(home, name), ("release", name), ("snapshot", UNPARTITIONED)]
    outcomes = _run(home, wanted, says_errors=False)
    refused = [outcome for outcome in outcomes if outcome.status in (Status.FAILED, Status.BLOCKED)]
    if refused:
        raise _refusal(name, refused[0])
    return outcomes


def _refusal(name: str, outcome: Outcome) -> ReleaseError:
    from mediafm_core.release.promotion import refusal_told_by

    return refusal_told_by(name, outcome.error) or ReleaseError(
        f"promotion of encoder {name!r}",
        found=f"{outcome.status.value} {describe(*outcome.key[:2])}: {outcome.error}",
        expected="a release and its snapshot",
        next_step="Production is as it was.",
    )


def show_next_promotion(home: Home) -> None:
    """Say which encoder is ready, where readers see none or an older one, and how it goes live."""
    from mediafm_core.release.candidates import promotable

    if ready := promotable(home):
        live = home.ledger.declared_one("production", "encoder")
        seen = (live.get("release") or live)["name"] if live else "nothing"
        console.print(f"{ready[-1]} is ready; until it is promoted, readers see {seen}", markup=False)
        console.print(f"next  mediafm release promote {ready[-1]}", markup=False)


@release.command()
def rollback(
    to: Annotated[
        str | None,
        typer.Option(help="Any release that was ever live; by default the one before.", show_default=False),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Let a release that was live be live again: the same bytes, in less than a second.

    Titles that came since, and that it has not read, are not available until `mediafm apply` has made them.

    Examples: mediafm release rollback; mediafm release rollback --to v1-r1
    """
    from mediafm_core.release.rollback import hidden_titles

    opened = open_home(home)
    console.print(f"live: {roll_back_release(opened, to)}", markup=False)
    if n_hidden := hidden_titles(opened):
        console.print(f"{n_hidden} titles that came since are not yet available\nnext  mediafm apply", markup=False)


def roll_back_release(home: Home, to: str | None = None) -> str:
    """Roll back and publish; the name of what is live then.

    Raises:
        PlanError: that release was never live, or nothing else was.
        ReleaseError: what it needs is gone.
    """
    from mediafm_assets.resources import user_of_process
    from mediafm_core.release.history import Actor
    from mediafm_core.release.rollback import publish_standing, roll_back

    found = roll_back(home, to=to, by=Actor(user=user_of_process(), through="mediafm release rollback"))
    if not publish_standing(home):  # titles changed since: their snapshot is made first
        _run(home, [("snapshot", UNPARTITIONED)])
    return found.name


@release.command()
def card(
    name: Annotated[str, typer.Argument(help="A release, e.g. v2-r1; or an encoder, for one that was not released.")],
    out: Annotated[
        Path | None, typer.Option(help="The folder to write to; else reports/releases in the home.", show_default=False)
    ] = None,
    home: HomeOption = None,
) -> None:
    """Write the card of a release, as a page and as Markdown: what it was made of, what it reaches, who promoted it.

    Example: mediafm release card v2-r1
    """
    from mediafm_core.reports.release_card import write_card

    for path in write_card(open_home(home), name, out):
        console.print(f"wrote {path}", markup=False)


def _run(home: Home, pairs: list[tuple[str, str]], *, says_errors: bool = True) -> list[Outcome]:
    from mediafm_assets.cli.running import run_job
    from mediafm_assets.jobs import pairs_config, refresh

    return run_job(home, refresh, pairs_config(pairs), len(pairs), console, says_errors=says_errors)
