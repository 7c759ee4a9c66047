"""What every maker is written against: a step in, a draft out, and who is told meanwhile.

A `Maker` turns the inputs of one step into its payload; `execution` does all that is the same for every kind.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.catalogue.suite import Suite
from mediafm_core.catalogue.title import Part, Title
from mediafm_core.planning.desired import Desired, desired
from mediafm_core.planning.state import State, Step
from mediafm_core.store.home import Home
from mediafm_core.store.manifest import Payload, read_table

_log = logging.getLogger(__name__)


class Draft(NamedTuple):
    """What a maker hands over to be committed."""

    payload: Payload
    facts: Mapping[str, Any]  # counts and durations, shown beside the artifact
    libraries: tuple[str, ...] = ()  # that it hangs on, as pip names them, beside those that are told of everything


class Status(StrEnum):
    """What became of a step."""

    MADE = "made"
    KEPT = "kept"  # it existed
    FAILED = "failed"
    BLOCKED = "blocked"  # an input, the run's money or the device is not there; not held against the step


class Outcome(NamedTuple):
    """What became of one step."""

    key: ArtifactKey
    status: Status
    seconds: float = 0.0
    facts: Mapping[str, Any] = {}
    error: str = ""
    is_short: bool = False  # blocked since the run's money or this machine's devices do not do


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
    derived: Desired | None = None  # what the state asks for, where it was worked out

    @property
    def wanted(self) -> Desired:
        """All that the state asks for."""
        return self.derived or desired(self.state)

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

    def delivered_files(self, step: Step, part: Part) -> dict[str, Path]:
        """The files of a part of the step's title, by the names under which they were delivered.

        Raises:
            ArtifactError: the bytes of one are no longer in the home.
        """
        return {file.name: self.home.blobs.path(file.sha256) for file in self.title(step).part_files(part)}

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
        return read_table(self.read(step, role))


Maker = Callable[[Bench, Step], Draft]


class Stage(NamedTuple):
    """How one kind of artifact comes to be."""

    make: Maker
    settle: "Callable[[Bench, Step], None] | None" = None
    """What is left to do once the artifact is committed; called also when it was before, so it must be harmless."""
    read_ahead: "Callable[[Bench, Step, str], None] | None" = None
    """What may be read of a step's media while another title, given by its id, is worked on: in a thread, where the
    ledger is not asked, and with no effect on what the step makes."""
