"""What measurements of canaries let pass: no promotion while they alarm, and no long time without one."""

from datetime import UTC, datetime
from typing import NamedTuple

from mediafm_core.drift.history import Measurement, history
from mediafm_core.drift.watching import watchable
from mediafm_core.planning.state import State
from mediafm_core.store.home import Home, now

FRESH_S = 3600.0
"""A measurement of the last hour counts as one that was made for a promotion."""

MEASURE = "Run `mediafm canaries run`, or materialise the asset `canaries`."


class Alarm(NamedTuple):
    """Why an encoder may not go live."""

    found: str
    next_step: str


class Overdue(NamedTuple):
    """A suite whose encoders nobody has looked at for long."""

    suite: str
    since: float | None  # of the last measurement, in seconds since the epoch; None where there is none

    @property
    def said(self) -> str:
        """When it was measured last."""
        return f"not measured since {_date(self.since)}" if self.since is not None else "never measured"


def latest(home: Home, state: State, suite: str) -> Measurement | None:
    """The last measurement of a watched suite since its last acceptance."""
    wish = state.canaries.get(suite)
    measured = history(home, suite, accepted=wish.accepted) if wish else []
    return measured[-1] if measured else None


def canary_alarm(home: Home, state: State, encoder: str) -> Alarm | None:
    """What the canaries of an encoder's suite said when they were measured, which must be within the hour.

    Whatever promotes begins with the pairs of `before_promotion`, so that they are. None where they are steady, and
    where the suite is not watched, as one whose embeddings are delivered.
    """
    suite = next(each.suite for each in state.encoders if each.name == encoder)
    if suite not in state.canaries or suite not in {each.id for each in watchable(state)}:
        return None
    found = latest(home, state, suite)
    if found is None or now() - found.at > FRESH_S:
        said = Overdue(suite, found.at if found else None).said
        again = "`mediafm release promote`, the job `upgrade` and the asset `release` measure first."
        return Alarm(f"canaries of suite {suite}: {said}", f"{MEASURE} {again}")
    if not found.findings:
        return None
    said = "; ".join([found.moved_said, *found.sees_said])
    return Alarm(f"canaries of suite {suite}: {said}", found.found[0].advice)


def seen_for(home: Home, state: State, encoder: str) -> list[str]:
    """What the last measurement of an encoder's suite could see, in words; nothing of limits that are exact."""
    suite = next(each.suite for each in state.encoders if each.name == encoder)
    found = latest(home, state, suite)
    return found.sees_said if found else []


def overdue(home: Home, state: State, after_s: float) -> list[Overdue]:
    """The suites that are watched or live and were not measured for so long, or never since they were accepted.

    Args:
        home: the home.
        state: of the home.
        after_s: seconds without a measurement that are too many.
    """
    live = {encoder.suite for encoder in state.encoders if encoder.name == state.production}
    asked = [suite.id for suite in watchable(state) if suite.id in state.canaries or suite.id in live]
    last = [(suite, latest(home, state, suite)) for suite in asked]
    return [Overdue(suite, m.at if m else None) for suite, m in last if m is None or now() - m.at > after_s]


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
