"""Canaries: fixed inputs by which a suite's encoders are watched for drift."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mediafm_assets.automations import CANARIES
from mediafm_assets.cli.context import HomeOption, JsonOption, console, open_home, print_json, print_table
from mediafm_assets.resources import user_of_process
from mediafm_core.errors import PlanError
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import Status

app = typer.Typer(help="Watch the encoders of suites for drift, by inputs that never change.", no_args_is_help=True)

SuiteOption = Annotated[
    str | None, typer.Option("--suite", help="A suite's id; else the only one that can be watched.", show_default=False)
]
_MOVED = 5
"""The exit code where canaries have moved."""
_COLUMNS = ("of", "inputs", "median", "upper", "largest", "gram", "offset", "limits")


@app.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the last measurement of every watched suite: what moved, how far, and what to do.

    Exit codes: 0 steady; 5 something has moved.

    Example: mediafm canaries status --json
    """
    opened = open_home(home)
    found = canaries_status(opened)
    print_json(found) if as_json else _print(found)
    if any(each["verdict"] == "moved" for each in found):
        raise typer.Exit(_MOVED)


def canaries_status(home: Home) -> list[dict[str, Any]]:
    """What `mediafm canaries status` shows; a suite that was not measured since it was accepted has no verdict."""
    from dataclasses import asdict

    from mediafm_core.drift.guarding import latest, overdue
    from mediafm_core.drift.history import history
    from mediafm_core.drift.watching import watchable

    state, rows = read_state(home, ()), []  # of no title
    late = {each.suite: each.said for each in overdue(home, state, 2 * CANARIES.every_s)}
    for suite in watchable(state):
        wish, last = state.canaries.get(suite.id), latest(home, state, suite.id)
        rows.append(
            {
                "suite": suite.id,
                "watched": wish is not None,
                "verdict": last.verdict if last else None,
                "measurements": len(history(home, suite.id)),
                "accepted": wish.accepted if wish else 0,
                "why": wish.why if wish else "",
                "overdue": late.get(suite.id),
                "last": asdict(last) if last else None,
                "surroundings": last.surroundings if last else None,
                "sees": last.sees_said if last else [],
            }
        )
    return rows


def _print(found: list[dict[str, Any]]) -> None:
    for each in found:
        last = each["last"]
        when = datetime.fromtimestamp(last["at"], tz=UTC).isoformat(timespec="seconds") if last else "never measured"
        console.print(f"suite {each['suite']}: {each['verdict'] or 'not measured'}, {when}", markup=False)
        if each["overdue"]:
            console.print(f"overdue: {each['overdue']}; `daily_canaries` measures {CANARIES.said}", markup=False)
        if not last:
            console.print("next  mediafm canaries run", markup=False)
            continue
        print_table("movement since the reference", _COLUMNS, [_row(name, last) for name in last["movements"]])
        for said in each["sees"]:
            console.print(said, markup=False)
        if last["scores"]:
            scores = [(task, s["shift"], s["label"], s["flipped"]) for task, s in last["scores"].items()]
            print_table(f"heads of {last['release']}", ("task", "shift", "label", "flipped"), scores)
        for finding in last["findings"]:
            console.print(f"{finding['what']} moved ({finding['how']}): {finding['figures']}", markup=False)
            console.print(f"  {finding['advice']}", markup=False)
        if last["findings"]:
            _print_surroundings(each["surroundings"])


def _print_surroundings(found: dict[str, tuple[str | None, str | None]]) -> None:
    """The versions around both, those that changed first: where none did, the model itself is another one."""
    rows = [(name, was, now, "" if was == now else "changed") for name, (was, now) in found.items()]
    print_table("around it", ("what", "at the reference", "now", ""), sorted(rows, key=lambda row: not row[3]))


def _row(name: str, last: dict[str, Any]) -> list[object]:
    moved = last["movements"][name]
    figures = [f"{moved[column]:.1e}" for column in _COLUMNS[2:-1]]
    return [name, moved["n"], *figures, last["limits"][name]["rule"]]


@app.command()
def run(
    suite: SuiteOption = None,
    times: Annotated[int, typer.Option(min=1, help="Measure so often, one after the other.")] = 1,
    home: HomeOption = None,
) -> None:
    """Embed a suite's canaries again and hold them against the reference; the first time makes the reference.

    Exit codes: 0 steady; 5 something has moved; 1 they could not be embedded.

    Example: mediafm canaries run
    """
    opened = open_home(home)
    moved = [measure_suite(opened, _suite(opened, suite)) for _ in range(times)]
    if any(moved):
        raise typer.Exit(_MOVED)


def measure_suite(home: Home, suite: str) -> bool:
    """Measure a suite as a run of the job `refresh`, and print the verdict; whether something has moved."""
    from mediafm_assets.cli.running import run_job
    from mediafm_assets.jobs import pairs_config, refresh
    from mediafm_core.drift.guarding import latest
    from mediafm_core.drift.watching import watch

    watch(home, suite)
    outcomes = run_job(home, refresh, pairs_config([("canaries", suite)]), 1, console)
    if any(outcome.status in (Status.FAILED, Status.BLOCKED) for outcome in outcomes):
        raise typer.Exit(1)
    found = latest(home, read_state(home, ()), suite)
    assert found is not None, "every such run measures"
    console.print(f"{suite}: {found.said}", markup=False)
    return bool(found.findings)


@app.command()
def accept(
    why: Annotated[str, typer.Option(help="Kept beside the new reference.")],
    suite: SuiteOption = None,
    home: HomeOption = None,
) -> None:
    """Let what the encoders give today be the reference. What was measured before stays in the history.

    Example: mediafm canaries accept --why "openvino was updated; probes are as good"
    """
    from mediafm_core.drift.watching import accept as accept_drift

    opened = open_home(home)
    chosen = _suite(opened, suite)
    accepted = accept_drift(opened, chosen, why=why, by=user_of_process())
    console.print(f"accepted: {accepted.said}", markup=False)
    if measure_suite(opened, chosen):
        raise typer.Exit(_MOVED)


@app.command()
def add(
    files: Annotated[list[Path], typer.Argument(help="Pictures, sounds, films, or .txt with a text in each line.")],
    suite: SuiteOption = None,
    home: HomeOption = None,
) -> None:
    """Watch a suite by inputs of your own as well. They are decoded once, and kept as what they decode to.

    Example: mediafm canaries add poster.png jingle.wav lines.txt
    """
    from mediafm_core.drift.given import given_canaries
    from mediafm_core.drift.watching import add_canaries

    opened = open_home(home)
    chosen, given = _suite(opened, suite), [canary for path in files for canary in given_canaries(path)]
    add_canaries(opened, chosen, given)
    console.print(f"{chosen}: {len(given)} canaries more\nnext  mediafm canaries run", markup=False)


def _suite(home: Home, asked: str | None) -> str:
    """The suite that a command is about.

    Raises:
        PlanError: none was named and there is not just one.
    """
    from mediafm_core.drift.watching import check_watchable, watchable

    state = read_state(home, ())
    if asked:
        check_watchable(state, asked)
        return asked
    ids = [suite.id for suite in watchable(state)]
    if len(ids) != 1:
        raise PlanError(
            "canaries",
            found=f"{len(ids)} suites that can be watched: {', '.join(ids) or 'none'}",
            expected="one, or --suite",
            next_step="Name one with --suite.",
        )
    return ids[0]
