"""What stands between each encoder and production: what is missing of what, or nothing, or the gate's refusal."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from mediafm_core.errors import IncompleteError
from mediafm_core.planning.completeness import completeness
from mediafm_core.planning.desired import Desired, EncoderSteps, desired, encoder_steps, release
from mediafm_core.planning.state import State, Step
from mediafm_core.release.promotion import at_gate
from mediafm_core.stock import read_declared, read_state
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import FailureRow


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


def promotable(home: Home) -> list[str]:
    """The encoders that are ready to follow what is live: those that were declared after it, or it with newer heads.

    One that was live, or passed the gate and was gone back from, is not among them, unless nothing is live.
    """
    found, live = candidates(home), home.ledger.declared_one("production", "encoder") or {}
    names = [each.encoder for each in found]
    newer = found[names.index(live["name"]) :] if live.get("name") in names else found
    return [each.encoder for each in newer if each.standing is Standing.READY and not (live and each.reason)]


def candidate(home: Home, encoder: str) -> Candidate:
    """One of them.

    Raises:
        PlanError: there is no such encoder.
    """
    state = read_state(home)
    wanted = desired(state)
    encoder_steps(wanted, encoder)
    return _candidate(home, state, wanted, encoder)


class Refusal(NamedTuple):
    """What the gate said no to."""

    encoder: str
    reason: str  # names the tasks that block, or the canaries that moved


def refusals(home: Home) -> list[Refusal]:
    """The encoders that the gate refuses as they stand: with the heads, the floors and what is live of today.

    It reads declarations and no title, for each run asks at its end. Titles that came since change nothing about a
    refusal. A head whose training set is not frozen yet is one that the gate has not seen.
    """
    refused = {key: failure for key, failure in home.ledger.failures().items() if _is_refusal(failure)}
    if not refused:
        return []
    state, names = read_declared(home), {key.partition for key in refused}
    wanted = desired(replace(state, encoders=tuple(spec for spec in state.encoders if spec.name in names)))
    judged = [release(steps, state.release, state.floors) for steps in wanted.encoders.values() if steps.report]
    standing = [refused[step.key] for step in judged if step.key in refused and not home.ledger.artifact(step.key)]
    return [Refusal(failure.key.partition, failure.message) for failure in standing]


def check_made(found: Candidate) -> None:
    """Check that all is there that a candidate is judged by.

    Raises:
        IncompleteError: something of it was not made; the message says how much of what.
    """
    if found.standing is Standing.INCOMPLETE or found.missing:
        raise IncompleteError(
            f"encoder {found.encoder!r}",
            found=found.reason or f"missing: {found.lacks}",
            expected="an encoder with its heads and report, and the embeddings and predictions of its titles",
            next_step="Run `mediafm apply`, and look at `mediafm status` for what is parked. Production is as it was.",
        )


def _candidate(home: Home, state: State, wanted: Desired, encoder: str) -> Candidate:
    steps, titles = wanted.encoders[encoder], completeness(state, wanted, encoder)
    missing = _missing(state, wanted, steps, titles.missing)
    live = state.release
    if live and live.encoder == encoder and live.heads == {task: s.key.fingerprint for task, s in steps.heads.items()}:
        return Candidate(encoder, Standing.LIVE, missing, "")
    if steps.report is None:
        standing = Standing.LIVE if state.production == encoder and live is None else Standing.UNLABELLED
        return Candidate(encoder, standing, missing, "")
    if missing or titles.lost:
        found = Candidate(encoder, Standing.INCOMPLETE, missing, "")
        lacks = [f"missing: {found.lacks}"] if missing else []
        lost = [f"readers would see {len(titles.lost)} titles no more, whose steps are parked"] if titles.lost else []
        return found._replace(reason="; ".join([*lacks, *lost]))
    return _judged(home, encoder, release(steps, live, state.floors))


def _missing(state: State, wanted: Desired, steps: EncoderSteps, of_titles: Iterable[Step]) -> dict[str, Missing]:
    """What was not made of an encoder itself, and of titles what must be."""
    own = [*(wanted.labels[task] for task in steps.heads), steps.corpus, steps.trained, *steps.heads.values()]
    own += [steps.report] if steps.report else []
    needed = Counter(step.key.kind for step in (*own, *steps.contextual.values(), *steps.scored.values()))
    keys = [step.key for step in (*own, *of_titles) if step.key not in state.committed]
    absent, parked = Counter(key.kind for key in keys), Counter(key.kind for key in keys if key in state.parked)
    return {kind: Missing(n, needed[kind], parked[kind]) for kind, n in absent.items()}


def _judged(home: Home, encoder: str, step: Step) -> Candidate:
    """What the gate said of just this candidate: nothing yet, that it passed, or why it was refused."""
    if record := home.ledger.artifact(step.key):
        return Candidate(encoder, Standing.READY, {}, f"passed the gate as {record.manifest.facts['name']}")
    failure = home.ledger.failures().get(step.key)
    if failure and _is_refusal(failure):
        return Candidate(encoder, Standing.REFUSED, {}, failure.message)
    return Candidate(encoder, Standing.READY, {}, "")


def _is_refusal(failure: FailureRow) -> bool:
    return failure.key.kind == "release" and failure.message.startswith(at_gate(failure.key.partition))
