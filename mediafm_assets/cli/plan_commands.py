"""What is missing, why, and what it will cost; and making it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from mediafm_assets.asking import prices_of
from mediafm_assets.cli.context import HomeOption, JsonOption, console, open_home, print_json, print_table
from mediafm_assets.cli.progress import describe
from mediafm_assets.cli.release_commands import show_next_promotion
from mediafm_core.catalogue.kinds import UNPARTITIONED, ArtifactKey
from mediafm_core.errors import DeliveryError
from mediafm_core.ingest.taking import arrivals, take_or_refuse
from mediafm_core.media.leftovers import sweep_now_and_then
from mediafm_core.planning.cost import Cost, Price
from mediafm_core.planning.plan import Plan
from mediafm_core.planning.reasons import Alike, in_groups
from mediafm_core.planning.why import Standing, shortened
from mediafm_core.stock import Told, cost_of, explain_step, explained_plan, read_state, title_plan
from mediafm_core.store.home import Home
from mediafm_core.store.paid import dollars
from mediafm_core.workbench import Status

_SHOWN_STEPS = 60

_TitleOption = Annotated[
    str | None,
    typer.Option(
        "--title",
        help="Only this title. Others are read only if a head is yet to be fitted on them.",
        metavar="TITLE",
        show_default=False,
    ),
]
_WhyOption = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--why",
        help="Explain one step: its asset, and its partition, '' where it has none.",
        metavar="ASSET PARTITION",
        show_default=False,
    ),
]


def plan(
    why: _WhyOption = None, title: _TitleOption = None, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show what is missing, why, and what it will cost, with what lies complete in the landing folder. Changes nothing.

    Examples: mediafm plan --json; mediafm plan --title my-film; mediafm plan --why shots my-film
    """
    opened = open_home(home)
    if why is not None:
        return _print_why(opened, *why, as_json=as_json)
    found = title_plan(opened, title) if title else _landing_plan(opened)
    return print_json(_plan_json(opened, found)) if as_json else show_plan(opened, found)


def _landing_plan(home: Home) -> Plan:
    from mediafm_assets.cli.running import landing_plan

    found, refused = landing_plan(home)
    for error in refused:
        typer.echo(f"would be refused  {type(error).__name__}: {error}", err=True)
    return found


def _plan_json(home: Home, found: Plan) -> dict[str, Any]:
    cost = cost_of(home, found.steps)
    return {
        "steps": [{"asset": s.key.kind, "partition": s.key.partition, "reason": s.reason} for s in found.steps],
        "blocked": [{"asset": s.key.kind, "partition": s.key.partition} for s in found.blocked],
        "cost": {
            "seconds": cost.seconds,
            "unknown": list(cost.unknown),
            "assets": [
                {"asset": k.kind, "steps": k.n_steps, "seconds": k.seconds, "past_runs": k.n_runs} for k in cost.kinds
            ],
        },
        "price": [_price_json(each) for each in prices_of(home, found.steps)],
    }


def _price_json(price: Price) -> dict[str, Any]:
    said = {"asset": price.kind, "suite": price.suite, "steps": price.n_steps, "known": price.n_known}
    counts = {"estimated": price.n_estimated, "unknown": price.n_unknown, "counted": price.counted}
    return {**said, **counts, "tokens": round(price.n_tokens), "usd": price.usd}


def _show_prices(found: Sequence[Price]) -> None:
    """Print what a plan will cost in money, beside what a run may spend."""
    from mediafm_assets.resources import BUDGET_VARIABLE, payer_from_environment

    if not found:
        return
    rows = [(each.kind, each.suite, each.n_steps, _dollars(each), each.basis) for each in found]
    print_table("to pay", ("asset", "suite", "steps", "US dollars", "from"), rows)
    if any(each.counted == "bytes" for each in found):
        console.print("A byte is taken to be a token; English has about four bytes for each.")
    total, budget = sum(each.usd for each in found), payer_from_environment().budget_usd
    if budget is not None and total > budget:
        console.print(f"A run may spend {dollars(budget)} ({BUDGET_VARIABLE}): what exceeds it waits for the next run.")


def show_plan(home: Home, found: Plan) -> None:
    """Print a plan: its steps with their reasons, and what they will take by what such steps took before.

    Of more than a screenful of steps those are counted that are missing for the same reason.
    """
    if not found.steps:
        console.print(f"Nothing is missing.{_blocked_said(found)}")
        return
    if len(found.steps) <= _SHOWN_STEPS:
        rows = [(*step.key[:2], step.reason) for step in found.steps]
        print_table("missing", ("asset", "partition", "reason"), rows)
    else:
        _show_groups(in_groups(found.steps))
    cost = cost_of(home, found.steps)
    rows = [(kind.kind, kind.n_steps, kind.seconds, kind.basis) for kind in cost.kinds]
    print_table(f"{len(found.steps)} steps", ("asset", "steps", "seconds", "from"), [*rows, _sum_of(cost)])
    _show_prices(prices_of(home, found.steps))
    if found.blocked:
        console.print(_blocked_said(found).strip())


def _show_groups(groups: Sequence[Alike]) -> None:
    print_table("missing", ("asset", "reason", "steps"), groups[:_SHOWN_STEPS])
    if left := groups[_SHOWN_STEPS:]:
        console.print(f"and {sum(group.n_steps for group in left)} steps more; `mediafm plan --json` lists them all")


def _dollars(price: Price) -> str | None:
    return dollars(price.usd).removeprefix("$") if price.n_unknown < price.n_steps else None


def _sum_of(cost: Cost) -> tuple[object, ...]:
    return "together", sum(kind.n_steps for kind in cost.kinds), cost.in_words, ""


def _blocked_said(found: Plan) -> str:
    said = f" {len(found.blocked)} steps wait for others: `mediafm plan --why ASSET PARTITION` says for which."
    return said if found.blocked else ""


def _print_why(home: Home, asset: str, partition: str, *, as_json: bool) -> None:
    told = explain_step(home, asset, partition)
    if as_json:
        return print_json([_why_json(each) for each in told])
    for each in told:
        console.print(f"{describe(asset, partition)}: {_in_words(each)}", markup=False)
        rows = [(i.name, shortened(i.now), shortened(i.before), i.verdict) for i in each.explained.ingredients]
        if rows:
            print_table("made from", ("ingredient", "now", "last time", ""), rows)
    return None


def _why_json(told: Told) -> dict[str, Any]:
    found = told.explained
    return {
        "standing": found.standing.value,
        "fingerprint": found.key.fingerprint if found.key else None,
        "in_words": _in_words(told),
        "since": told.since,
        "seconds": told.seconds,
        "attempts": told.attempts,
        "error": told.error,
        "waits_for": [{"asset": key.kind, "partition": key.partition} for key in found.waits_for],
        "ingredients": [{**each._asdict(), "verdict": each.verdict} for each in found.ingredients],
    }


def _in_words(told: Told) -> str:
    found, waits = told.explained, _described(told.explained.waits_for)
    match found.standing:
        case Standing.THERE:
            at = datetime.fromtimestamp(told.since or 0.0, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            return f"there since {at}, made in {told.seconds or 0.0:.1f} s"
        case Standing.PARKED:
            return f"parked after {told.attempts} failed attempts: {told.error}"
        case Standing.BLOCKED:
            return f"blocked by what is parked: {waits}"
        case Standing.NOT_ASKED:
            return f"not asked for: {found.because}"
        case Standing.ON_REQUEST:
            said = "made when somebody asks for it, by no plan"
        case Standing.PLANNED:
            said = "planned: " + _changed(told)
    said += f"; after {waits}" if waits else ""
    return said + (f"; failed {told.attempts} times: {told.error}" if told.attempts else "")


def _changed(told: Told) -> str:
    ingredients = told.explained.ingredients
    if all(each.before is None for each in ingredients):
        return "never made"
    changed = [each.name for each in ingredients if each.verdict != "same"]
    return f"{' and '.join(changed)} changed" if changed else "the last one is gone"


def _described(keys: tuple[ArtifactKey, ...], n_shown: int = 5) -> str:
    named = [describe(key.kind, key.partition) for key in dict.fromkeys(keys)]
    return ", ".join(named[:n_shown]) + (f" and {len(named) - n_shown} more" if len(named) > n_shown else "")


def apply(title: _TitleOption = None, home: HomeOption = None) -> None:
    """Take what lies complete in the landing folder and make everything that is missing, or make what one title misses.

    Examples: mediafm apply; mediafm apply --title my-film
    """
    opened = open_home(home)
    if not (apply_title(opened, title) if title else apply_all(opened)):
        raise typer.Exit(1)


def apply_all(home: Home) -> bool:
    """Take arrivals and carry out the plan; whether all of it was done."""
    sweep_now_and_then(home)
    taken = [take_or_refuse(home, listing) for listing in arrivals(home).complete]
    refused = [error for error in taken if isinstance(error, DeliveryError)]
    for error in refused:
        typer.echo(f"refused  {type(error).__name__}: {error}", err=True)
    found = explained_plan(home, read_state(home))
    _show_prices(prices_of(home, found.steps))
    done = _carry_out(home, [step.key[:2] for step in found.steps])
    show_next_promotion(home)
    return done and not refused


def apply_title(home: Home, title: str) -> bool:
    """Carry out what can be made of one title now, and let readers see it; whether all of it was done.

    Raises:
        PlanError: there is no such title.
    """
    steps = title_plan(home, title).steps
    _show_prices(prices_of(home, steps))
    wanted = [step.key[:2] for step in steps]
    return _carry_out(home, [*wanted, ("snapshot", UNPARTITIONED)] if wanted else [])


def _carry_out(home: Home, wanted: list[tuple[str, str]]) -> bool:
    from mediafm_assets.cli.running import carry_out_pairs

    if not wanted:
        console.print("Nothing was missing.")
        return True
    outcomes = carry_out_pairs(home, wanted, console)
    failed = [outcome for outcome in outcomes if outcome.status in (Status.FAILED, Status.BLOCKED)]
    not_done = {outcome.key[:2] for outcome in failed}
    n_done = sum(pair not in not_done for pair in wanted)
    console.print(f"{n_done} of {len(wanted)} steps done, {len(wanted) - n_done} not.")
    for outcome in failed:
        typer.echo(f"{outcome.key.kind} of {outcome.key.partition}: {outcome.error}", err=True)
    return not failed
