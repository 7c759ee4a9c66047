"""No promotion while canaries alarm: an encoder's suite is measured before the gate lets it through."""

from typing import NamedTuple

from mediafm_core.drift.history import Measurement, history
from mediafm_core.drift.measuring import measure
from mediafm_core.execution import Bench
from mediafm_core.planning.state import State
from mediafm_core.store.home import Home, now

FRESH_S = 3600.0
"""A measurement of the last hour counts as one that was made for a promotion."""


class Alarm(NamedTuple):
    """Why an encoder may not go live."""

    found: str
    next_step: str


def latest(home: Home, state: State, suite: str) -> Measurement | None:
    """The last measurement of a watched suite since its last acceptance."""
    wish = state.canaries.get(suite)
    measured = history(home, suite, accepted=wish.accepted) if wish else []
    return measured[-1] if measured else None


def canary_alarm(bench: Bench, encoder: str) -> Alarm | None:
    """What the canaries of an encoder's suite say; they are measured now, unless that was done within the hour.

    None where they are steady, and where the suite is not watched, as one whose embeddings are delivered.
    """
    suite = next(each.suite for each in bench.state.encoders if each.name == encoder)
    step = bench.wanted.canaries.get(suite)
    if step is None:
        return None
    if bench.home.ledger.artifact(step.key) is None:
        return Alarm(f"canaries of suite {suite} without a reference", "Run `mediafm canaries run`.")
    found = latest(bench.home, bench.state, suite)
    if found is None or now() - found.at > FRESH_S:
        measure(bench, step)
        found = latest(bench.home, bench.state, suite)
    assert found is not None
    if not found.findings:
        return None
    return Alarm(f"canaries of suite {suite}: {'; '.join(f.said for f in found.found)}", found.found[0].advice)
