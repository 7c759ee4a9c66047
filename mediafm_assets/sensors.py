"""Sensors only ask: the landing folder what has arrived, the planner what is missing."""

from typing import Any

import dagster as dg

from mediafm_assets.jobs import ingest, landing_config, refresh, steps_config, train_encoder
from mediafm_assets.partitions import sync
from mediafm_assets.resources import HomeResource
from mediafm_core.execution import read_state
from mediafm_core.identity import fingerprint
from mediafm_core.ingest.taking import arrivals
from mediafm_core.planning.plan import plan

MAX_STEPS_PER_RUN = 500
"""At most so many steps go into one run; the next tick submits the next ones."""

_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(job=ingest, minimum_interval_seconds=10, default_status=dg.DefaultSensorStatus.RUNNING)
def new_titles(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
    """Takes what lies complete in the landing folder: with a `_COMPLETE` file, or unchanged for half a minute.

    Each content is taken once. A changed delivery is a re-delivery; one that vanishes is nothing.
    """
    found = arrivals(home.open())
    if not found.complete:
        return dg.SkipReason(f"Nothing new is complete; {len(found.arriving)} deliveries are still arriving.")
    names = [listing.path.name for listing in found.complete]
    signature = fingerprint("arrivals", {"signatures": [listing.signature for listing in found.complete]})
    return _once(context.instance, signature, landing_config(names))


@dg.sensor(job=refresh, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def reconcile(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
    """Submits what the planner misses: what a failed run left, what a new encoder asks for, what code changed.

    A step that failed three times is parked: `mediafm status` shows it, and it is not submitted again.
    """
    for job in (ingest, train_encoder):
        if _n_under_way(context.instance, job_name=job.name):
            return dg.SkipReason(f"A run of {job.name} is under way; it may be making what is missing.")
    opened = home.open()
    state = read_state(opened)
    sync(context.instance, state)
    steps = plan(state).steps[:MAX_STEPS_PER_RUN]
    if not steps:
        return dg.SkipReason("Nothing is missing.")
    signature = fingerprint("steps", {"keys": [list(step.key) for step in steps]})
    return _once(context.instance, signature, steps_config(steps))


def _once(instance: dg.DagsterInstance, signature: str, config: dict[str, object]) -> dg.SensorResult | dg.SkipReason:
    """One run at a time for a signature: a tick that is evaluated twice submits once, a failed run is tried again."""
    tags = {"mediafm/signature": signature}
    if _n_under_way(instance, tags=tags):
        return dg.SkipReason("A run for just this is under way.")
    attempt = instance.get_runs_count(dg.RunsFilter(tags=tags))
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"{signature}-{attempt}", run_config=config, tags=tags)])


def _n_under_way(instance: dg.DagsterInstance, **having: Any) -> int:
    return instance.get_runs_count(dg.RunsFilter(statuses=_UNDER_WAY, **having))
