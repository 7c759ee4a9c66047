"""Carrying out steps: skip what exists, commit what is made, name what failed, go on with the rest.

A `Maker` turns the inputs of one step into its payload; this room does all that is the same for every kind.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.catalogue import (
    RETIRED,
    UNPARTITIONED,
    AblationWish,
    ArtifactKey,
    EncoderSpec,
    FrozenLabels,
    Instrument,
    Part,
    Release,
    Suite,
    Title,
    TrainingSet,
)
from mediafm_core.errors import DeliveryError, HomeError, MediaFMError, PlanError
from mediafm_core.identity import Fingerprint, TitleId
from mediafm_core.planning.desired import desired, encoder_steps, release
from mediafm_core.planning.plan import Plan, plan, snapshot_step, standing_of, with_reasons
from mediafm_core.planning.state import Scored, State, Step, scored_by
from mediafm_core.store.home import Home, now, provenance
from mediafm_core.store.manifest import Manifest, Payload
from mediafm_core.store.pointer import read_pointer

_log = logging.getLogger(__name__)


class Draft(NamedTuple):
    """What a maker hands over to be committed."""

    payload: Payload
    facts: Mapping[str, Any]  # counts and durations, shown beside the artifact


class Status(StrEnum):
    """What became of a step."""

    MADE = "made"
    KEPT = "kept"  # it existed
    FAILED = "failed"
    BLOCKED = "blocked"  # an input does not exist, so it was not tried


class Outcome(NamedTuple):
    """What became of one step."""

    key: ArtifactKey
    status: Status
    seconds: float = 0.0
    facts: Mapping[str, Any] = {}
    error: str = ""


class Reporter(Protocol):
    """Who is told how work goes on."""

    def begin(self, step: Step) -> None:
        """A step starts."""
        ...

    def advance(self, fraction: float, note: str = "") -> None:
        """The step that runs is done to this fraction, 0 to 1."""
        ...

    def end(self, outcome: Outcome) -> None:
        """A step has ended, one way or another."""
        ...


class LogReporter:
    """Tells the log."""

    def begin(self, step: Step) -> None:
        """See `Reporter`."""
        _log.debug("%s of %s", step.key.kind, step.key.partition)

    def advance(self, fraction: float, note: str = "") -> None:
        """See `Reporter`."""
        _log.debug("%3.0f %% %s", 100 * fraction, note)

    def end(self, outcome: Outcome) -> None:
        """See `Reporter`."""
        level = logging.WARNING if outcome.error else logging.INFO
        _log.log(level, "%s of %s %s %s", outcome.key.kind, outcome.key.partition, outcome.status, outcome.error)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a maker works with: the home, the state that its step was derived from, and whom to tell."""

    home: Home
    state: State
    reporter: Reporter

    def title(self, step: Step) -> Title:
        """The title that a step is about."""
        assert step.title is not None
        return self.state.titles[step.title]

    def delivered(self, step: Step, part: Part) -> Path:
        """The one file of a part of the step's title, as it was delivered.

        Raises:
            ArtifactError: its bytes are no longer in the home.
        """
        (file,) = self.title(step).part_files(part)
        return self.home.blobs.path(file.sha256)

    def suite(self, step: Step) -> Suite:
        """The suite that a step is about."""
        return next(suite for suite in self.state.suites if suite.id == step.axes["suite"])

    def encoder(self, step: Step) -> EncoderSpec:
        """The encoder that a step is about."""
        return next(encoder for encoder in self.state.encoders if encoder.name == step.axes["encoder"])

    def read(self, step: Step, role: str) -> bytes:
        """The bytes of one input."""
        return self.home.read(step.inputs[role])

    def read_table(self, step: Step, role: str) -> pa.Table:
        """One input as a table."""
        return pq.read_table(BytesIO(self.read(step, role)))


Maker = Callable[[Bench, Step], Draft]


class Stage(NamedTuple):
    """How one kind of artifact comes to be."""

    make: Maker
    settle: "Callable[[Bench, Step], None] | None" = None
    """What is left to do once the artifact is committed; called also when it was before, so it must be harmless."""


def read_state(home: Home) -> State:
    """The catalogue and what exists of it, as the ledger has them now.

    Raises:
        HomeError: the home has not been initialised with its instruments.
    """
    ledger = home.ledger
    instruments = {name: Instrument.from_json(body) for name, body in ledger.declared("instrument").items()}
    if not {"detector", "recogniser"} <= instruments.keys():
        raise HomeError(
            f"home {str(home.root)!r}",
            found="no declared shot detector and speech recogniser",
            expected="an initialised home",
            next_step="Run `mediafm init`.",
        )
    committed = ledger.committed_in_order()
    declared, retired = ledger.declared("encoder"), ledger.declared(RETIRED)
    live = ledger.declared_one("production", "encoder") or {}
    return State(
        **instruments,
        titles={TitleId(name): Title.from_json(body) for name, body in ledger.declared("title").items()},
        suites=tuple(Suite.from_json(body) for body in ledger.declared("suite").values()),
        encoders=tuple(EncoderSpec.from_json(body) for name, body in declared.items() if name not in retired),
        retired=tuple(EncoderSpec.from_json(body) for name, body in declared.items() if name in retired),
        labels={task: FrozenLabels.from_json(body) for task, body in ledger.declared("labels").items()},
        training={(t.encoder, t.task): t for t in map(TrainingSet.from_json, ledger.declared("training").values())},
        ablations={n: AblationWish.from_json(body) for n, body in ledger.declared("ablation").items() if body},
        production=live.get("name"),
        release=Release.from_json(live["release"]) if live.get("release") else None,
        floors={task: body["value"] for task, body in ledger.declared("floor").items() if body},
        committed=frozenset(committed),
        standing=standing_of(committed),
        parked=frozenset(key for key, failure in ledger.failures().items() if failure.parked),
        scored=partial(_scored, home),
        published=pointer.snapshot if (pointer := read_pointer(home.objects)) else None,
    )


def _scored(home: Home, partition: str) -> tuple[Scored, ...]:
    rows = reversed(home.ledger.history("predictions", partition))
    return tuple(scored_by(row.key, row.manifest.inputs) for row in rows)


def explained_plan(home: Home, state: State) -> Plan:
    """The plan for a state, with the reason of each step found in the ledger."""
    found = plan(state)
    standing = [
        ArtifactKey(step.key.kind, step.key.partition, Fingerprint(state.standing[step.key.kind, step.key.partition]))
        for step in found.steps
        if (step.key.kind, step.key.partition) in state.standing
    ]
    rows = [row for row in map(home.ledger.artifact, standing) if row]
    earlier = {(row.key.kind, row.key.partition): row.manifest.ingredients for row in rows}
    return found._replace(steps=tuple(with_reasons(found.steps, earlier)))


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
    """
    refused = False
    for step, state in _steps(home, list(wanted)):
        reporter.begin(step)
        if refused and step.key.kind == "snapshot":  # a refused release changes nothing that readers see
            outcome = Outcome(step.key, Status.BLOCKED, error="waits for its release")
        else:
            outcome = _carry_out_one(Bench(home, state, reporter), step, stages[step.key.kind])
        refused |= step.key.kind == "release" and outcome.status is Status.FAILED
        reporter.end(outcome)
        yield outcome


def _steps(home: Home, wanted: list[tuple[str, str]]) -> Iterator[tuple[Step, State]]:
    state = read_state(home)
    known: dict[tuple[str, str], list[Step]] = {}
    for step in desired(state).steps():
        known.setdefault((step.key.kind, step.key.partition), []).append(step)
    unknown = [pair for pair in wanted if pair not in known and not _is_judged_late(*pair)]
    if unknown:
        raise PlanError(
            f"{len(unknown)} partitions, the first {unknown[0][1]!r} of {unknown[0][0]}",
            found="nothing that asks for them",
            expected="active titles, known suites, declared encoders, ablations that were asked for",
            next_step="Look at `mediafm titles` and `mediafm encoder list`; an ablation is asked for by command.",
        )
    for kind, partition in dict.fromkeys(wanted):
        if not _is_judged_late(kind, partition):
            yield from ((step, state) for step in known[kind, partition])
        else:
            state = read_state(home)
            yield from ((step, state) for step in _judged_now(state, kind, partition))


def _is_judged_late(kind: str, partition: str) -> bool:
    """Whether a step depends on what could be made until then, and so is derived only when its turn comes."""
    return kind == "release" or (kind, partition) == ("snapshot", UNPARTITIONED)


def _judged_now(state: State, kind: str, partition: str) -> list[Step]:
    wanted = desired(state)
    if kind == "release":
        return [release(encoder_steps(wanted, partition), state.release, state.floors)]
    publish = snapshot_step(state, wanted)
    return [publish] if publish else []


def _carry_out_one(bench: Bench, step: Step, stage: Stage) -> Outcome:
    ledger = bench.home.ledger
    start = time.perf_counter()
    if (row := ledger.artifact(step.key)) is not None:
        outcome = Outcome(step.key, Status.KEPT, row.manifest.seconds, row.manifest.facts)
    elif absent := [key for key in step.reads if ledger.artifact(key) is None]:
        names = dict.fromkeys(key.kind for key in absent)
        return Outcome(step.key, Status.BLOCKED, error=f"waits for its {' and '.join(names)}")
    else:
        try:
            draft = stage.make(bench, step)
            outcome = _commit(bench.home, step, draft, time.perf_counter() - start)
        except Exception as error:  # noqa: BLE001 one title's failure, whatever it is, is recorded and stops no other
            return _failed(bench, step, error, time.perf_counter() - start)
    if stage.settle:
        stage.settle(bench, step)
    return outcome


def _commit(home: Home, step: Step, draft: Draft, seconds: float) -> Outcome:
    manifest = Manifest(
        key=step.key,
        ingredients=step.ingredients,
        inputs=step.inputs,
        facts=draft.facts,
        seconds=seconds,
        provenance=provenance(),
        made_at=now(),
    )
    row = home.commit(manifest, draft.payload)
    return Outcome(step.key, Status.MADE, seconds, row.manifest.facts)


def _failed(bench: Bench, step: Step, error: Exception, seconds: float) -> Outcome:
    message = str(error) if isinstance(error, MediaFMError) else f"{type(error).__name__}: {error}"
    _log.debug("%s of %s", step.key.kind, step.key.partition, exc_info=error)
    bench.home.ledger.fail(step.key, message, final=isinstance(error, DeliveryError))
    return Outcome(step.key, Status.FAILED, seconds, error=message)
