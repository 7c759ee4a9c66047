"""Carrying out steps: skip what exists, commit what is made, name what failed, go on with the rest."""

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mediafm_core.catalogue.kinds import UNPARTITIONED, ArtifactKey, split_partition
from mediafm_core.errors import BudgetError, DeliveryError, DeviceError, MediaFMError, PlanError, StoreError
from mediafm_core.lookahead import Coming, Lookahead
from mediafm_core.planning.desired import Desired, desired, encoder_steps, release
from mediafm_core.planning.plan import snapshot_step
from mediafm_core.planning.state import State, Step
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home, now, provenance
from mediafm_core.store.lease import abandoned, lease
from mediafm_core.store.manifest import Manifest
from mediafm_core.workbench import Bench, Draft, Outcome, Reporter, Stage, Status

_log = logging.getLogger(__name__)


def carry_out(
    home: Home, wanted: Iterable[tuple[str, str]], stages: Mapping[str, Stage], reporter: Reporter
) -> Iterator[Outcome]:
    """Make the artifacts of these partitions, in this order, yielding what became of each as soon as it is known.

    Args:
        wanted: (kind, partition) pairs, each after those that it reads.
        stages: how each kind is made.
        reporter: whom to tell.

    Raises:
        PlanError: nothing asks for one of the partitions; then none is tried.
        StoreError: a failure cannot be recorded, as on a full disk; it says which, and why.
    """
    refused, wanted = False, list(dict.fromkeys(wanted))
    known = _known(home, [pair for pair in wanted if not _is_judged_late(*pair)])
    places = {pair: place for place, pair in enumerate(known)}
    ahead = Lookahead(_reading_media(home, known, stages, reporter))
    for step, state, derived in _steps(home, wanted, known):
        reporter.begin(step)
        if refused and step.key.kind == "snapshot":  # a refused release changes nothing that readers see
            outcome = Outcome(step.key, Status.BLOCKED, error="waits for its release")
        else:
            if _reads_ahead(step, stages):
                ahead.begin(places[step.key[:2]], str(step.title))
            outcome = _carry_out_one(Bench(home, state, reporter, derived), step, stages[step.key.kind])
        refused |= step.key.kind == "release" and outcome.status is Status.FAILED
        reporter.end(outcome)
        yield outcome
    ahead.wait()


class _Asked(NamedTuple):
    """A step, and what it was derived from."""

    step: Step
    state: State
    wanted: Desired


_Known = dict[tuple[str, str], list[_Asked]]
"""By kind and partition, in the order in which they were asked for."""


def _reads_ahead(step: Step, stages: Mapping[str, Stage]) -> bool:
    return stages[step.key.kind].read_ahead is not None and bool(step.ingredients.get("media"))


def _reading_media(home: Home, known: _Known, stages: Mapping[str, Stage], reporter: Reporter) -> Iterator[Coming]:
    """The steps whose media can be read ahead."""
    for place, each in enumerate(known.values()):
        for step, state, derived in each:
            if (read := stages[step.key.kind].read_ahead) and _reads_ahead(step, stages):
                bench = Bench(home, state, reporter, derived)
                is_wanted = partial(home.ledger.absent, [step.key])
                yield Coming(place, str(step.title), is_wanted, partial(read, bench, step))


def _steps(home: Home, wanted: list[tuple[str, str]], known: _Known) -> Iterator[_Asked]:
    unknown = [pair for pair, steps in known.items() if not steps]
    if unknown:
        raise PlanError(
            f"{len(unknown)} partitions, the first {unknown[0][1]!r} of {unknown[0][0]}",
            found="nothing that asks for them",
            expected="active titles, known suites, declared encoders, ablations that were asked for",
            next_step="Look at `mediafm titles` and `mediafm encoder list`; an ablation is asked for by command.",
        )
    for pair in wanted:
        yield from _judged_now(home, *pair) if _is_judged_late(*pair) else known[pair]


def _known(home: Home, wanted: list[tuple[str, str]]) -> _Known:
    """What is asked for in these partitions. Where they are all of titles, only those titles are read.

    Raises:
        PlanError: a kind is unknown, or a partition cannot be one of its kind.
    """
    known: _Known = {pair: [] for pair in wanted}
    if wanted:
        titles = {split_partition(kind, partition).get("title") for kind, partition in wanted}
        state = read_state(home, None if None in titles else {title for title in titles if title})
        all_steps = desired(state)
        for step in all_steps.steps():
            if (pair := (step.key.kind, step.key.partition)) in known:
                known[pair].append(_Asked(step, state, all_steps))
    return known


def _is_judged_late(kind: str, partition: str) -> bool:
    """Whether a step depends on what could be made until then, and so is derived only when its turn comes."""
    return kind == "release" or (kind, partition) == ("snapshot", UNPARTITIONED)


def _judged_now(home: Home, kind: str, partition: str) -> list[_Asked]:
    state = read_state(home)
    wanted = desired(state)
    if kind == "release":
        found = release(encoder_steps(wanted, partition), state.release, state.floors)
    else:
        found = snapshot_step(state, wanted)
    return [_Asked(found, state, wanted)] if found else []


def _carry_out_one(bench: Bench, step: Step, stage: Stage) -> Outcome:
    outcome = _kept(bench, step) or _waiting(bench, step)
    if outcome is None:
        told = partial(bench.reporter.advance, 0.0, "another run is making it")
        with lease(steps_under_way(bench.home), step.key.fingerprint, told, json.dumps(step.key)):
            outcome = _kept(bench, step) or _made(bench, step, stage)
    if stage.settle and outcome.status in (Status.MADE, Status.KEPT):
        stage.settle(bench, step)
    return outcome


def steps_under_way(home: Home) -> Path:
    """The folder of the leases of steps."""
    return home.work / "steps"


def count_deaths(home: Home) -> None:
    """Count the death of a process against the step that it worked on, so that one which kills every run is parked.

    A training is spared: it goes on from its last saved state, however often it is cut off, and in a run of its own.
    """
    for said in abandoned(steps_under_way(home)):
        key = ArtifactKey(*json.loads(said))
        if key.kind != "mediafm_encoder":
            home.ledger.fail(key, "The process that worked on it died.", final=False)


def _kept(bench: Bench, step: Step) -> Outcome | None:
    row = bench.home.ledger.artifact(step.key)
    return Outcome(step.key, Status.KEPT, row.manifest.seconds, row.manifest.facts) if row else None


def _waiting(bench: Bench, step: Step) -> Outcome | None:
    names = dict.fromkeys(key.kind for key in bench.home.ledger.absent(step.reads))
    return Outcome(step.key, Status.BLOCKED, error=f"waits for its {' and '.join(names)}") if names else None


def _made(bench: Bench, step: Step, stage: Stage) -> Outcome:
    start = time.perf_counter()
    try:
        draft = stage.make(bench, step)
        return _commit(bench.home, step, draft, time.perf_counter() - start)
    except (BudgetError, DeviceError) as error:  # nothing is wrong with the step: it waits for another run
        return Outcome(step.key, Status.BLOCKED, error=str(error), is_short=True)
    except Exception as error:  # noqa: BLE001 one title's failure, whatever it is, is recorded and stops no other
        return _failed(bench, step, error, time.perf_counter() - start)


def _commit(home: Home, step: Step, draft: Draft, seconds: float) -> Outcome:
    manifest = Manifest(
        key=step.key,
        ingredients=step.ingredients,
        inputs=step.inputs,
        facts=draft.facts,
        seconds=seconds,
        provenance=provenance(draft.libraries),
        made_at=now(),
    )
    row = home.commit(manifest, draft.payload)
    return Outcome(step.key, Status.MADE, seconds, row.manifest.facts)


def _failed(bench: Bench, step: Step, error: Exception, seconds: float) -> Outcome:
    message = str(error) if isinstance(error, MediaFMError) else f"{type(error).__name__}: {error}"
    _log.debug("%s of %s", step.key.kind, step.key.partition, exc_info=error)
    try:
        bench.home.ledger.fail(step.key, message, final=isinstance(error, DeliveryError))
    except StoreError as unwritten:  # then nothing can be recorded any more: this run is at its end
        raise StoreError(
            f"{step.key.kind} of {step.key.partition!r}",
            found=f"a failure that cannot be recorded ({unwritten.found}): {message}",
            expected=unwritten.expected,
            next_step=unwritten.next_step,
        ) from error
    return Outcome(step.key, Status.FAILED, seconds, error=message)
