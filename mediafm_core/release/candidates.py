"""What stands between each encoder and production: what is missing of what, or nothing, or the gate's refusal."""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from mediafm_core.errors import IncompleteError
from mediafm_core.execution import read_state
from mediafm_core.planning.desired import Desired, EncoderSteps, desired, encoder_steps, release
from mediafm_core.planning.state import State, Step
from mediafm_core.release.promotion import at_gate, of_titles
from mediafm_core.store.home import Home


class Standing(StrEnum):
    """How far an encoder is."""

    LIVE = "live"  # with the heads of today
    UNLABELLED = "no labels"  # no task to judge it by
    INCOMPLETE = "incomplete"  # something of it was not made yet
    READY = "ready"  # all is there; it was not judged, or passed and is not live now
    REFUSED = "refused"  # by the gate, as it stands


class Missing(NamedTuple):
    """What a candidate lacks of one asset."""

    n_missing: int
    n_wanted: int
    n_parked: int  # among the missing: those that somebody must mend first


class Candidate(NamedTuple):
    """One encoder on its way."""

    encoder: str
    standing: Standing
    missing: Mapping[str, Missing]  # by asset; empty where nothing is
    reason: str  # in words; "" where the standing says all

    @property
    def lacks(self) -> str:
        """What is missing, in words."""
        said = [
            f"{m.n_missing} of {m.n_wanted} {asset}" + (f" ({m.n_parked} parked)" if m.n_parked else "")
            for asset, m in self.missing.items()
        ]
        return ", ".join(said)


def candidates(home: Home) -> list[Candidate]:
    """Every active encoder, in the order of their declarations."""
    state = read_state(home)
    wanted = desired(state)
    return [_candidate(home, state, wanted, spec.name) for spec in state.encoders]


def candidate(home: Home, encoder: str) -> Candidate:
    """One of them.

    Raises:
        PlanError: there is no such encoder.
    """
    state = read_state(home)
    wanted = desired(state)
    encoder_steps(wanted, encoder)
    return _candidate(home, state, wanted, encoder)


def check_complete(found: Candidate) -> None:
    """Check that a candidate can be judged.

    Raises:
        IncompleteError: something of it was not made; the message says how much of what.
    """
    if found.missing:
        raise IncompleteError(
            f"encoder {found.encoder!r}",
            found=f"missing: {found.lacks}",
            expected="an encoder with its heads and report, and every active title's embeddings and predictions",
            next_step="Run `mediafm apply`, and look at `mediafm status` for what is parked. Production is as it was.",
        )


def _candidate(home: Home, state: State, wanted: Desired, encoder: str) -> Candidate:
    steps = wanted.encoders[encoder]
    missing = _missing(state, _needed(wanted, steps))
    live = state.release
    if live and live.encoder == encoder and live.heads == {task: s.key.fingerprint for task, s in steps.heads.items()}:
        return Candidate(encoder, Standing.LIVE, missing, "")
    if steps.report is None:
        standing = Standing.LIVE if state.production == encoder and live is None else Standing.UNLABELLED
        return Candidate(encoder, standing, missing, "")
    if missing:
        found = Candidate(encoder, Standing.INCOMPLETE, missing, "")
        return found._replace(reason=f"missing: {found.lacks}")
    refusal = _refusal(home, release(steps, live, state.floors), encoder)
    return Candidate(encoder, Standing.REFUSED if refusal else Standing.READY, {}, refusal)


def _needed(wanted: Desired, steps: EncoderSteps) -> Iterable[Step]:
    """All that a release of an encoder holds or is judged by."""
    yield from [wanted.labels[task] for task in steps.heads]
    yield from (steps.corpus, steps.trained)
    yield from steps.heads.values()
    yield from [steps.report] if steps.report else []
    yield from of_titles(steps)


def _missing(state: State, needed: Iterable[Step]) -> dict[str, Missing]:
    keys = [step.key for step in needed]
    wanted = Counter(key.kind for key in keys)
    absent = Counter(key.kind for key in keys if key not in state.committed)
    parked = Counter(key.kind for key in keys if key in state.parked and key not in state.committed)
    return {kind: Missing(n, wanted[kind], parked[kind]) for kind, n in absent.items()}


def _refusal(home: Home, step: Step, encoder: str) -> str:
    """Why the gate refused just this candidate; "" where it did not, or somebody had it forgotten."""
    failure = home.ledger.failures().get(step.key)
    return failure.message if failure and failure.message.startswith(at_gate(encoder)) else ""
