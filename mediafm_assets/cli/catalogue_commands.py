"""What arrives, what is missing, and making it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mediafm_assets.cli.context import HomeOption, JsonOption, console, open_home, print_json, print_table
from mediafm_assets.postponed import postponed
from mediafm_core.catalogue.kinds import UNPARTITIONED
from mediafm_core.errors import DeliveryError, MediaFMError, PlanError
from mediafm_core.ingest.listing import deliveries_in
from mediafm_core.ingest.taking import arrivals, examine, take
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home


def ingest(
    path: Annotated[
        Path, typer.Argument(help="A delivery, a folder of deliveries, or a media file with its sidecars.")
    ],
    title: Annotated[str | None, typer.Option(help="The id to take a single delivery under.")] = None,
    reinstate: Annotated[
        bool, typer.Option("--reinstate", help="Take also titles that were withdrawn: they are active again.")
    ] = False,
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
    refused = [error for delivery in found if (error := _take_one(opened, delivery, title, reinstate))]
    if len(refused) < len(found):
        console.print("next  mediafm plan, then mediafm apply")
    if refused:
        raise typer.Exit(1)


def _take_one(home: Home, path: Path, title: str | None, reinstate: bool) -> MediaFMError | None:
    try:
        with console.status(f"taking {path.name}"):
            examined = examine(path, title=title)
            changed = take(home, examined, reinstate=reinstate)
    except MediaFMError as error:
        typer.echo(f"refused  {type(error).__name__}: {error}", err=True)
        return error
    for name in examined.listing.ignored:
        console.print(f"ignored  {path.name}/{name}: no part of a delivery", markup=False)
    console.print(f"{'taken' if changed else 'known'}    {examined.title.id}", markup=False)
    return None


def withdraw(
    title: Annotated[str, typer.Argument(help="A title that must go, e.g. because a licence ended.")],
    why: Annotated[str, typer.Option(help="Kept with the record of the withdrawal.")] = "",
    home: HomeOption = None,
) -> None:
    """Withdraw a title: readers lose sight of it, and all that was derived from it is deleted.

    Its delivered files go, its embeddings and predictions, and older snapshots that show it. Heads are fitted anew
    without it. Encoders that were trained with it keep their weights and are named. Given again, the command goes on
    where it was cut off. `mediafm ingest PATH --reinstate` takes the title again.

    Example: mediafm withdraw big-buck-bunny --why "licence ended"
    """
    from mediafm_assets.cli.running import carry_out_pairs
    from mediafm_assets.resources import user_of_process
    from mediafm_core.release.history import Actor
    from mediafm_core.release.withdrawing import freed_of, learnt_from
    from mediafm_core.release.withdrawing import withdraw as declare_withdrawn

    opened = open_home(home)
    by = Actor(user=user_of_process(), through="mediafm withdraw")
    declare_withdrawn(opened, title, why=why, by=by)
    carry_out_pairs(opened, [("snapshot", UNPARTITIONED)], console)
    freed = freed_of(opened, title)
    if freed is None:
        console.print(f"withdrawn  {title}: no plan has it any more, but readers still see it", markup=False)
        console.print("next  mediafm apply, which publishes a snapshot without it and deletes what it owned")
        raise typer.Exit(1)
    n_objects, n_bytes = freed
    console.print(f"withdrawn  {title}: {n_objects} objects, {n_bytes / 2**20:.1f} MiB deleted", markup=False)
    if trained := learnt_from(opened, title):
        console.print(f"trained with it  {', '.join(trained)}: their weights stand; a new encoder has no part of it")
    console.print("next  mediafm apply, which fits the heads anew that had read it")


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
        "withdrawn": sorted(state.withdrawn),
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
        "postponed": [{"what": each.what, "since": each.since, "why": each.why} for each in postponed(opened)],
        "refused": [{"delivery": r.delivered_as, "error": r.message} for r in opened.ledger.rejections()],
        "arriving": [listing.delivered_as for listing in arrivals(opened).arriving],
    }
    print_json(found) if as_json else _show_status(found)


def _show_status(found: dict[str, Any]) -> None:
    plain = [(name, ", ".join(map(str, value)) if isinstance(value, list) else value) for name, value in found.items()]
    print_table("status", ("", ""), [row for row in plain if row[0] not in ("failures", "refused", "postponed")])
    if found["failures"]:
        print_table(
            "failures", ("asset", "partition", "attempts", "parked", "error"), [f.values() for f in found["failures"]]
        )
        console.print("next  mediafm retry, to try them again as they are")
    if found["postponed"]:
        print_table("postponed for a day", ("what", "why"), [(p["what"], p["why"]) for p in found["postponed"]])
        console.print("next  mediafm apply, or mediafm retry, after which automation tries again")
    if found["refused"]:
        print_table("refused deliveries", ("delivery", "error"), [r.values() for r in found["refused"]])
