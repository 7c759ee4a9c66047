"""Declaring which canaries a suite is watched by, and accepting what has moved."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Final

from mediafm_core.catalogue.declared import CanarySet
from mediafm_core.catalogue.suite import Suite
from mediafm_core.drift.canaries import Canary, to_bytes
from mediafm_core.drift.history import Measurement, history
from mediafm_core.drift.made import made_canaries
from mediafm_core.errors import PlanError
from mediafm_core.planning.state import State
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home

_SUBJECT: Final = "canaries"


def watch(home: Home, suite: str) -> CanarySet:
    """The canaries of a suite; made and declared where it has none yet.

    Raises:
        PlanError: there is no such suite, or its vectors are delivered: no encoder is there to be watched.
    """
    state = read_state(home, ())  # of no title
    check_watchable(state, suite)
    if suite in state.canaries:
        return state.canaries[suite]
    made = next((each.tables[0] for each in state.canaries.values()), None)  # all suites are watched by the same
    found = CanarySet(suite=suite, tables=(made or home.blobs.keep_bytes(to_bytes(made_canaries())),))
    home.declare(_SUBJECT, suite, asdict(found))
    return found


def watchable(state: State) -> list[Suite]:
    """The suites whose encoders run here or are called from here."""
    return [suite for suite in state.suites if not suite.is_delivered]


def in_use(state: State) -> list[str]:
    """The suites that are watched already or that an encoder is bound to, of those that can be."""
    bound = {encoder.suite for encoder in state.encoders}
    return [suite.id for suite in watchable(state) if suite.id in state.canaries or suite.id in bound]


def before_promotion(home: Home, encoder: str) -> list[tuple[str, str]]:
    """The (asset, partition) pairs that judging and promoting begin with, whoever asks: the canaries of the suite.

    None for a suite without encoders to run, and for an encoder that nobody knows.
    """
    state = read_state(home, ())  # of no title
    suites = {each.suite for each in state.encoders if each.name == encoder}
    return [("canaries", watch(home, suite).suite) for suite in in_use(state) if suite in suites]


def check_watchable(state: State, suite: str) -> None:
    """Refuse a suite that has no canaries.

    Raises:
        PlanError: there is no such suite, or its vectors are delivered.
    """
    if suite in {each.id for each in watchable(state)}:
        return
    known = suite in {each.id for each in state.suites}
    raise PlanError(
        f"canaries of suite {suite!r}",
        found="embeddings that are delivered, so no encoder to run again" if known else "no such suite",
        expected=f"one of {', '.join(each.id for each in watchable(state)) or 'none yet'}",
        next_step="Whoever delivers the embeddings watches their encoders." if known else "Check the name.",
    )


def add_canaries(home: Home, suite: str, given: Iterable[Canary]) -> CanarySet:
    """Watch a suite by further inputs, from now on. What had moved before stays found: it is not accepted by this.

    Raises:
        PlanError: see `watch`.
    """
    wish = watch(home, suite)
    table = home.blobs.keep_bytes(to_bytes(given))
    found = replace(wish, tables=tuple(dict.fromkeys([*wish.tables, table])))
    home.declare(_SUBJECT, suite, asdict(found))
    return found


def accept(home: Home, suite: str, *, why: str, by: str = "") -> Measurement:
    """Let what a suite's encoders give today be the reference, and say why; the history stays.

    Returns:
        The measurement that was accepted.

    Raises:
        PlanError: nothing was measured, or nothing has moved, or no reason is given.
    """
    wish = watch(home, suite)
    measured = history(home, suite, accepted=wish.accepted)
    if not measured or not measured[-1].findings or not why.strip():
        raise PlanError(
            f"canaries of suite {suite!r}",
            found="no reason" if measured and measured[-1].findings else "nothing that has moved",
            expected="a measurement that moved, and why that is accepted",
            next_step="Look at `mediafm canaries status`; measure with `mediafm canaries run`.",
        )
    home.declare(_SUBJECT, suite, asdict(replace(wish, accepted=wish.accepted + 1, why=why, by=by)))
    return measured[-1]
