"""Sensors only ask: the landing folder what has arrived, the planner what is missing."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import dagster as dg

from mediafm_assets.asking import asked, price_tags, prices_of
from mediafm_assets.automations import why_off
from mediafm_assets.jobs import (
    MAX_DELIVERIES_PER_RUN,
    MAX_STEPS_PER_RUN,
    ingest,
    landing_config,
    landing_names,
    refresh,
    steps_config,
    train_encoder,
    trained_name,
    training_config,
)
from mediafm_assets.partitions import sync
from mediafm_assets.postponed import for_automation, postponed
from mediafm_assets.resources import HomeResource, is_alive
from mediafm_assets.told import Look, untold
from mediafm_core.execution import count_deaths
from mediafm_core.identity import fingerprint
from mediafm_core.ingest.taking import arrivals
from mediafm_core.planning.state import State, Step
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import MAX_ATTEMPTS

SIGNATURE = "mediafm/signature"
"""The tag of a run that says what it was submitted for."""

_FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
UNDER_WAY = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
"""The statuses of runs that are not over."""
_COMPLETE: dict[Path, tuple[Any, ...]] = {}
"""By home: what its ledger said when this process last found nothing missing. A plan of thousands of titles takes
seconds, and follows from the ledger and the code; new code is a new process."""
_WITH_PROCESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@dg.sensor(job=ingest, minimum_interval_seconds=10, default_status=dg.DefaultSensorStatus.RUNNING)
def new_titles(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
    """Takes what lies complete in the landing folder: with a `_COMPLETE` file, or unchanged for half a minute.

    Each content is taken once. A changed delivery is a re-delivery; one that vanishes is nothing.
    """
    if off := why_off(home.open().root, "new_titles"):
        return dg.SkipReason(off)
    found = arrivals(home.open())
    being_taken = _being_taken(context.instance)
    new = [listing for listing in found.complete if listing.path.name not in being_taken]
    if not new:
        return dg.SkipReason(f"Nothing new is complete; {len(found.arriving)} deliveries are still arriving.")
    new = new[:MAX_DELIVERIES_PER_RUN]
    what = {"signatures": [listing.signature for listing in new]}
    return _bounded(context.instance, [_Wish(ingest, what, landing_config([listing.path.name for listing in new]))])


@dg.sensor(jobs=[refresh, train_encoder], minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def reconcile(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
    """Submits what the planner misses: what a failed run left, what a new encoder asks for, what code changed.

    It waits while any run is under way, which may be making what is missing; a training holds up nothing but itself. A
    step that failed three times is parked: `mediafm status` shows it, and it is not submitted again.
    """
    opened = home.open()
    if off := why_off(opened.root, "reconcile"):
        return dg.SkipReason(off)
    _settle_abandoned(context.instance, home)
    training = _in_training(context.instance)
    if busy := _busy(context.instance, training):
        return dg.SkipReason(busy)
    look = Look.from_cursor(context.cursor)
    ledger = (opened.ledger.as_of(), opened.ledger.failures(), postponed(opened))
    all_told = look is not None and not _failed_since(context.instance, look)
    if all_told and _COMPLETE.get(opened.root) == ledger:
        return dg.SkipReason("Nothing is missing.")
    sync(context.instance, opened)
    state = for_automation(opened, read_state(opened))
    found = asked(state, training)
    steps = found.steps or (() if all_told else _untold(context, opened, state))
    if not (steps or found.trainings or training):
        _COMPLETE[opened.root] = ledger
    return _submit(context.instance, opened, steps[:MAX_STEPS_PER_RUN], found.trainings)


@dg.sensor(job=refresh, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def new_encoders(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
    """Embeds the whole catalogue with an encoder as soon as its training has finished, and makes its heads and report.

    It remembers the encoders that it has brought up to the catalogue, and plans nothing until there is another one.
    """
    opened = home.open()
    if off := why_off(opened.root, "new_encoders"):
        return dg.SkipReason(off)
    trained = {row.key.partition: row.key.fingerprint for row in opened.ledger.artifacts("mediafm_encoder")}
    served = json.loads(context.cursor) if context.cursor else {}
    if all(served.get(name) == made for name, made in trained.items()):
        return dg.SkipReason("No encoder has finished its training.")
    _settle_abandoned(context.instance, home)
    training = _in_training(context.instance)
    if busy := _busy(context.instance, training):
        return dg.SkipReason(busy)
    sync(context.instance, opened)
    missing = asked(for_automation(opened, read_state(opened)), training).steps
    steps = [step for step in missing if _serves(step, set(trained))][:MAX_STEPS_PER_RUN]
    if steps:
        return _submit(context.instance, opened, steps)
    context.update_cursor(json.dumps(trained))
    return dg.SkipReason("Every trained encoder has what it needs.")


def _serves(step: Step, trained: set[str]) -> bool:
    """Whether a step is about a trained encoder, or is the labels that its heads are fitted on."""
    return step.key.kind == "labels" or (step.axes.get("encoder") in trained and step.key.kind != "ablation_report")


def _in_training(instance: dg.DagsterInstance) -> list[str]:
    """The encoders that runs under way train, one for each such run."""
    runs = instance.get_runs(dg.RunsFilter(job_name=train_encoder.name, statuses=list(UNDER_WAY)))
    return [trained_name(run.run_config) for run in runs]


def _busy(instance: dg.DagsterInstance, training: Collection[str]) -> str:
    n_under_way = instance.get_runs_count(dg.RunsFilter(statuses=list(UNDER_WAY))) - len(training)
    return f"{n_under_way} runs are under way; they may be making what is missing." if n_under_way else ""


def _submit(
    instance: dg.DagsterInstance, home: Home, steps: Sequence[Step], trainings: Sequence[str] = ()
) -> dg.SensorResult | dg.SkipReason:
    what = {"keys": [list(step.key) for step in steps]}
    tags = price_tags(partial(prices_of, home, steps), len(steps))
    of_steps = [_Wish(refresh, what, steps_config(steps), tags)] if steps else []
    of_trainings = [_Wish(train_encoder, {"train": name}, training_config(name)) for name in trainings]
    if not of_steps and not of_trainings:
        return dg.SkipReason("Nothing is missing.")
    return _bounded(instance, [*of_steps, *of_trainings])


def _untold(context: dg.SensorEvaluationContext, home: Home, state: State) -> tuple[Step, ...]:
    """Steps of which Dagster was not told. They are looked for at first, and after runs that failed."""
    since, now = Look.from_cursor(context.cursor), Look.of_now(home.ledger)
    found = untold(context.instance, home.ledger, state, since)
    if not found:
        context.update_cursor(now.cursor())
    return found


def _failed_since(instance: dg.DagsterInstance, look: Look) -> bool:
    failed = dg.RunsFilter(statuses=_FAILED, updated_after=datetime.fromtimestamp(look.at_s, UTC))
    return instance.get_runs_count(failed) > 0


def _being_taken(instance: dg.DagsterInstance) -> set[str]:
    """The names in the landing folder that runs under way are about to take."""
    runs = instance.get_runs(dg.RunsFilter(job_name=ingest.name, statuses=list(UNDER_WAY)))
    return {name for run in runs for name in landing_names(run.run_config)}


def _settle_abandoned(instance: dg.DagsterInstance, home: HomeResource) -> None:
    """End in Dagster's eyes the runs whose process died; they would stay 'started', and others would wait for them.

    A run that died while it worked has left a lock that nobody holds. One that died before or after has none: there
    only its process tells.
    """
    count_deaths(home.open())
    for run_id in home.abandoned():
        _end(instance, run_id)
        home.forget(run_id)
    for run in instance.get_runs(dg.RunsFilter(statuses=_WITH_PROCESS)):
        pid = _process_of(instance, run.run_id)
        if pid is not None and not home.is_held(run.run_id) and not is_alive(pid):
            _end(instance, run.run_id)


def _end(instance: dg.DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)  # as it is now: it may have ended by itself just before its process did
    if run and run.status in UNDER_WAY:
        instance.report_run_failed(run, "The process of this run died; what it finished is kept.")


def _process_of(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """The id of the process that Dagster started last for a run; None where it has not noted down any."""
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    events = [log.dagster_event for log in reversed(logs) if log.dagster_event]
    said = (event.engine_event_data.metadata.get("pid") for event in events)
    return next((int(str(pid.value)) for pid in said if pid), None)


class _Wish(NamedTuple):
    """A run that is asked for."""

    job: dg.JobDefinition
    what: dict[str, Any]  # what it would be for
    config: dict[str, Any]
    tags: Mapping[str, str] = MappingProxyType({})


def _bounded(instance: dg.DagsterInstance, wishes: Sequence[_Wish]) -> dg.SensorResult | dg.SkipReason:
    """Ask for runs, but for those that were tried too often within a day.

    A failed run is tried again under a new key, for Dagster never runs a key twice; a tick that is evaluated twice
    asks for the same key.
    """
    requests = [_request(instance, wish) for wish in wishes]
    if wanted := [request for request in requests if request]:
        return dg.SensorResult(run_requests=wanted)
    return dg.SkipReason(f"{MAX_ATTEMPTS} runs for just this failed within a day: look at them, or `mediafm apply`.")


def _request(instance: dg.DagsterInstance, wish: _Wish) -> dg.RunRequest | None:
    signature = fingerprint("steps", wish.what)
    tags = {SIGNATURE: signature}
    yesterday = datetime.now(tz=UTC) - timedelta(days=1)
    if instance.get_runs_count(dg.RunsFilter(statuses=_FAILED, tags=tags, created_after=yesterday)) >= MAX_ATTEMPTS:
        return None
    attempt = instance.get_runs_count(dg.RunsFilter(tags=tags))
    key = f"{signature}-{attempt}"
    return dg.RunRequest(run_key=key, job_name=wish.job.name, run_config=wish.config, tags={**tags, **wish.tags})
