"""What automation leaves alone for a day: work for which a run had not the money or the device, until a person acts.

A budget is one run's. Were its steps asked for again at the next tick, the next run would spend it again.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from mediafm_core.catalogue.kinds import split_partition
from mediafm_core.planning.desired import desired
from mediafm_core.planning.state import State
from mediafm_core.store.home import Home
from mediafm_core.workbench import Outcome, Status

_SUBJECT = "postponed"
_DAY_S = 86_400.0


class Postponed(NamedTuple):
    """One sort of work that waits."""

    what: str  # an asset, and the suite where it has one
    since: float  # seconds since the epoch
    why: str


def postponed(home: Home) -> list[Postponed]:
    """What waits now."""
    found = ((what, body) for what, body in home.ledger.declared(_SUBJECT).items() if body)
    waiting = [Postponed(what, body["since"], body["why"]) for what, body in found]
    return [each for each in waiting if time.time() - each.since < _DAY_S]


def note(home: Home, outcomes: Sequence[Outcome]) -> None:
    """Postpone the sorts of work that a run could not afford; what it made is postponed no longer."""
    short = {_sort(o.key.kind, o.key.partition): o.error for o in outcomes if o.is_short}
    made = {_sort(o.key.kind, o.key.partition) for o in outcomes if o.status is Status.MADE}
    for what, why in short.items():
        home.declare(_SUBJECT, what, {"since": time.time(), "why": why})
    lift(home, made.difference(short))


def lift(home: Home, sorts: Iterable[str] | None = None) -> list[str]:
    """Let automation try these sorts of work again, or all; returns those that were postponed."""
    lifted = [each.what for each in postponed(home) if sorts is None or each.what in sorts]
    for what in lifted:
        home.declare(_SUBJECT, what, {})
    return lifted


def for_automation(home: Home, state: State) -> State:
    """The state by which sensors and schedules plan: what is postponed counts as parked, so nothing waits for it."""
    waiting = {each.what for each in postponed(home)}
    if not waiting:
        return state
    steps = (step.key for step in desired(state).steps())
    return replace(state, parked=state.parked | {key for key in steps if _sort(key.kind, key.partition) in waiting})


def affordable(home: Home, wanted: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The (asset, partition) pairs that are not postponed, in their order."""
    waiting = {each.what for each in postponed(home)}
    return [pair for pair in wanted if _sort(*pair) not in waiting]


def _sort(kind: str, partition: str) -> str:
    suite = split_partition(kind, partition).get("suite")
    return f"{kind} by {suite}" if suite else kind
