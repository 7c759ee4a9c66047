"""What arrives, what is missing, and making it."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from mediafm_assets.cli.context import HomeOption, JsonOption, console, open_home, print_json, print_table
from mediafm_assets.cli.progress import describe
from mediafm_core.errors import DeliveryError, MediaFMError, PlanError
from mediafm_core.execution import Status
from mediafm_core.ingest.listing import deliveries_in
from mediafm_core.ingest.taking import arrivals, examine, take, take_or_refuse
from mediafm_core.media.leftovers import sweep_now_and_then
from mediafm_core.planning.plan import Plan
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home

_SHOWN_STEPS = 60


def ingest(
    path: Annotated[
        Path, typer.Argument(help="A delivery, a folder of deliveries, or a media file with its sidecars.")
    ],
    title: Annotated[str | None, typer.Option(help="The id to take a single delivery under.")] = None,
    home: HomeOption = None,
) -> None:
    """Take deliveries into the catalogue. What is wrong is refused whole, with its reason; the rest is taken.

    Examples: mediafm ingest film.mp4 --title my-film; mediafm ingest deliveries/
    """
    opened = open_home(home)
    found = list(deliveries_in(path))
    if title is not None and len(found) != 1:
        raise PlanError(
            f"--title {title!r}",
            found=f"{len(found)} deliveries in {path.name!r}",
            expected="one delivery",
            next_step="Leave --title out, or name one delivery.",
        )
    if not found:
        raise DeliveryError(
            f"folder {str(path)!r}",
            found="no delivery in it",
            expected="folders with media.*, or media files",
            next_step="See docs/delivery.md.",
        )
    refused = [error for delivery in found if (error := _take_one(opened, delivery, title))]
    if len(refused) < len(found):
        console.print("next  mediafm plan, then mediafm apply")
    if refused:
        raise typer.Exit(1)


def _take_one(home: Home, path: Path, title: str | None) -> MediaFMError | None:
    try:
        with console.status(f"taking {path.name}"):
            examined = examine(path, title=title)
            changed = take(home, examined)
    except MediaFMError as error:
        typer.echo(f"refused  {type(error).__name__}: {error}", err=True)
        return error
    for name in examined.listing.ignored:
        console.print(f"ignored  {path.name}/{name}: no part of a delivery", markup=False)
    console.print(f"{'taken' if changed else 'known'}    {examined.title.id}", markup=False)
    return None


def plan(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show what is missing and why, with what lies complete in the landing folder. Changes nothing.

    Example: mediafm plan --json
    """
    from mediafm_assets.cli.running import landing_plan

    opened = open_home(home)
    found, refused = landing_plan(opened)
    for error in refused:
        typer.echo(f"would be refused  {type(error).__name__}: {error}", err=True)
    if as_json:
        steps = found.steps
        print_json([{"asset": s.key.kind, "partition": s.key.partition, "reason": s.reason} for s in steps])
    else:
        show_plan(opened, found)


def show_plan(home: Home, plan: Plan) -> None:
    """Print a plan: each step while they are few, counts, and an estimate from what such steps took before."""
    if not plan.steps:
        console.print(
            f"Nothing is missing.{f' {len(plan.blocked)} steps are parked: see `mediafm status`.' * bool(plan.blocked)}"
        )
        return
    if len(plan.steps) <= _SHOWN_STEPS:
        print_table("missing", ("step", "reason"), [(describe(*step.key[:2]), step.reason) for step in plan.steps])
    counts = Counter(step.key.kind for step in plan.steps)
    rows = [(kind, n, _estimate_s(home, kind, n)) for kind, n in counts.items()]
    print_table(f"{len(plan.steps)} steps", ("asset", "steps", "seconds, as before"), rows)


def _estimate_s(home: Home, kind: str, n_steps: int) -> float | None:
    """Seconds that so many steps took in the past, on average; None where none was ever made."""
    seconds = [row.manifest.seconds for row in home.ledger.artifacts(kind)]
    return n_steps * sum(seconds) / len(seconds) if seconds else None


def apply(home: HomeOption = None) -> None:
    """Take what lies complete in the landing folder, and make everything that is missing.

    Example: mediafm apply
    """
    opened = open_home(home)
    if not apply_all(opened):
        raise typer.Exit(1)


def apply_all(home: Home) -> bool:
    """Take arrivals and carry out the plan; whether all of it was done."""
    from mediafm_assets.cli.running import carry_out_plan
    from mediafm_core.stock import explained_plan

    sweep_now_and_then(home)
    taken = [take_or_refuse(home, listing) for listing in arrivals(home).complete]
    refused = [error for error in taken if isinstance(error, DeliveryError)]
    for error in refused:
        typer.echo(f"refused  {type(error).__name__}: {error}", err=True)
    found = explained_plan(home, read_state(home))
    if not found.steps:
        console.print("Nothing was missing.")
        return not refused
    outcomes = carry_out_plan(home, found, console)
    failed = [outcome for outcome in outcomes if outcome.status in (Status.FAILED, Status.BLOCKED)]
    not_done = {outcome.key[:2] for outcome in failed}
    n_done = sum(1 for step in found.steps if step.key[:2] not in not_done)
    console.print(f"{n_done} of {len(found.steps)} steps done, {len(found.steps) - n_done} not.")
    for outcome in failed:
        typer.echo(f"{outcome.key.kind} of {outcome.key.partition}: {outcome.error}", err=True)
    return not failed and not refused


def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show what the catalogue has, what it misses, what is parked after failing, and what was refused.

    Example: mediafm status --json
    """
    from mediafm_core.planning.plan import plan as missing_of

    opened = open_home(home)
    state = read_state(opened)
    missing = missing_of(state)
    found: dict[str, Any] = {
        "home": str(opened.root),
        "titles": len(state.titles),
        "suites": [suite.id for suite in state.suites],
        "encoders": [encoder.name for encoder in state.encoders],
        "production": state.production,
        "missing": len(missing.steps),
        "blocked": len(missing.blocked),
        "failures": [
            {
                "asset": f.key.kind,
                "partition": f.key.partition,
                "attempts": f.attempts,
                "parked": f.parked,
                "error": f.message,
            }
            for f in opened.ledger.failures().values()
        ],
        "refused": [{"delivery": r.delivered_as, "error": r.message} for r in opened.ledger.rejections()],
        "arriving": [listing.delivered_as for listing in arrivals(opened).arriving],
    }
    print_json(found) if as_json else _show_status(found)


def _show_status(found: dict[str, Any]) -> None:
    plain = [(name, ", ".join(map(str, value)) if isinstance(value, list) else value) for name, value in found.items()]
    print_table("status", ("", ""), [row for row in plain if row[0] not in ("failures", "refused")])
    if found["failures"]:
        print_table(
            "failures", ("asset", "partition", "attempts", "parked", "error"), [f.values() for f in found["failures"]]
        )
        console.print("next  mediafm retry, to try them again as they are")
    if found["refused"]:
        print_table("refused deliveries", ("delivery", "error"), [r.values() for r in found["refused"]])
