"""Scenarios: something happens to a home, and exactly this must be made because of it, by every account there is.

Four accounts are compared as sets of (asset, partition): what the planner listed, what the stages executed, which rows
the ledger gained, and which keys Dagster shows as materialised.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg

from mediafm_assets.jobs import refresh, steps_config
from mediafm_assets.resources import REPORTER
from mediafm_core.catalogue.kinds import KINDS, UNPARTITIONED
from mediafm_core.planning.state import Step
from mediafm_core.stock import explained_plan, read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import Outcome, Reporter, Status
from tests.homes import materialised, resources

Pairs = frozenset[tuple[str, str]]
"""(asset, partition); the partition of an asset without any is ''."""

SNAPSHOT = ("snapshot", UNPARTITIONED)
OF_TITLE = tuple(kind.name for kind in KINDS.values() if kind.axes == ("title",))
OF_SUITE_TITLE = tuple(kind.name for kind in KINDS.values() if kind.axes == ("suite", "title"))


class Scenario(NamedTuple):
    """Something that happens to a home."""

    name: str
    happens: Callable[[Home, Path], None]  # given the home and a folder for deliveries
    planned: Callable[[Home], Iterable[tuple[str, str]]]  # what must be made then, no more and no less


class Account(NamedTuple):
    """One run, by four accounts and its outcome."""

    planned: Pairs
    executed: Pairs
    committed: Pairs
    materialised: Pairs
    failed: Pairs
    blocked: Pairs
    success: bool
    failure: str

    @property
    def agrees(self) -> bool:
        """Whether what was planned, executed, committed and shown is one set."""
        return self.planned == self.executed == self.committed == self.materialised


class Recorder:
    """A reporter that keeps the outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def begin(self, step: Step) -> None:
        """See `Reporter`."""

    def advance(self, fraction: float, note: str = "") -> None:
        """See `Reporter`."""

    def end(self, outcome: Outcome) -> None:
        """See `Reporter`."""
        self.outcomes.append(outcome)

    def having(self, *statuses: Status) -> Pairs:
        """The steps that ended in one of these ways."""
        return frozenset(outcome.key[:2] for outcome in self.outcomes if outcome.status in statuses)


def of_title(home: Home, title: str, *kinds: str) -> Pairs:
    """The pairs of some kinds for one title, by every suite and encoder of the home."""
    state = read_state(home)
    values = {"suite": [suite.id for suite in state.suites], "encoder": [encoder.name for encoder in state.encoders]}
    pairs = set()
    for kind in kinds:
        (*others, _) = KINDS[kind].axes
        pairs |= {
            (kind, "|".join([*beside, title])) for beside in ([[v] for v in values[others[0]]] if others else [[]])
        }
    return frozenset(pairs)


def chain(home: Home, title: str) -> Pairs:
    """Everything that is ever made of one title alone."""
    return of_title(home, title, *OF_TITLE, *OF_SUITE_TITLE, "contextual_embeddings")


def planned_now(home: Home) -> Pairs:
    """What the planner misses."""
    return frozenset(step.key[:2] for step in explained_plan(home, read_state(home)).steps)


def run_plan(home: Home) -> Account:
    """Carry out the whole plan as the job `refresh`."""
    plan = explained_plan(home, read_state(home))
    return run(home, refresh, steps_config(plan.steps), planned=frozenset(step.key[:2] for step in plan.steps))


def run(home: Home, job: dg.JobDefinition, config: Mapping[str, Any], *, planned: Pairs) -> Account:
    """Run a job in this process, on a Dagster instance that has seen nothing, and take all accounts of it."""
    before, recorder = set(home.ledger.committed_in_order()), Recorder()
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(job, config, home, instance, recorder)
        shown = materialised(instance, KINDS)
    gained = set(home.ledger.committed_in_order()) - before
    return Account(
        planned=planned,
        executed=recorder.having(Status.MADE),
        committed=frozenset(key[:2] for key in gained),
        materialised=shown,
        failed=recorder.having(Status.FAILED),
        blocked=recorder.having(Status.BLOCKED),
        success=result.success,
        failure=failure_of(result),
    )


def execute(
    job: dg.JobDefinition, config: Mapping[str, Any], home: Home, instance: dg.DagsterInstance, reporter: Reporter
) -> dg.ExecuteInProcessResult:
    """Run a job in this process and tell `reporter`."""
    token = REPORTER.set(reporter)
    try:
        return job.execute_in_process(
            run_config=dict(config), instance=instance, resources=resources(home), raise_on_error=False
        )
    finally:
        REPORTER.reset(token)


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What the run said when it failed; '' where it did not."""
    data = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return "\n".join(str(d.user_failure_data.description if d.user_failure_data else d.error) for d in data)
