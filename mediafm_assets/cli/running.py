"""A home and its Dagster instance, opened together; and jobs of the asset graph, run in this process."""

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from sqlalchemy.exc import OperationalError

from mediafm_assets.automations import write_automations
from mediafm_assets.cli.progress import ShownProgress
from mediafm_assets.jobs import pairs_config, refresh
from mediafm_assets.partitions import sync
from mediafm_assets.resources import REPORTER, HomeResource
from mediafm_core.errors import DeliveryError, PlanError, StoreError
from mediafm_core.ingest.listing import Listing
from mediafm_core.ingest.taking import Examined, arrivals, check_active, examine
from mediafm_core.media.leftovers import sweep
from mediafm_core.planning.plan import Plan
from mediafm_core.stock import explained_plan, read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import Outcome, Status

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

DAGSTER_YAML = """\
# The Dagster instance of this home: SQLite below this folder. For PostgreSQL see docs/operations.md.
telemetry:
  enabled: false
nux:
  enabled: false
run_queue:
  max_concurrent_runs: 2        # a training, and beside it one run of steps: they share the machine
  tag_concurrency_limits:
    - {key: mediafm/slot, value: training, limit: 1}
    - {key: mediafm/slot, value: steps, limit: 1}   # raise both where there is more than one worker
  dequeue_interval_seconds: 1
run_monitoring:
  enabled: true
  max_runtime_seconds: 86400    # a run whose worker died with the machine does not stay 'started' for ever
retention:
  sensor:
    purge_after_days: 7
"""


def initialise(root: Path) -> Home:
    """Make a home whole: folders, ledger, instruments, suite, and its Dagster instance; harmless where it exists.

    Processes that do so at once do it one after another: Dagster's databases break for good when several make them.
    """
    work = root / "work"
    work.mkdir(parents=True, exist_ok=True)
    with (work / "initialising").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the system lets go of it when the process dies
        return _initialised(root)


def _initialised(root: Path) -> Home:
    from mediafm_core.encoders.suites import embedded_suite
    from mediafm_core.shots.detector import DETECTOR
    from mediafm_core.timed_text.recognition import RECOGNISER

    home = Home.create(root)
    sweep(home)
    home.declare("instrument", "detector", asdict(DETECTOR))
    home.declare("instrument", "recogniser", asdict(RECOGNISER))
    suite = embedded_suite()
    home.declare("suite", suite.id, asdict(suite))
    settings = dagster_folder(home) / "dagster.yaml"
    if not settings.exists():
        settings.write_text(DAGSTER_YAML)
    write_automations(home.root)
    with dagster_instance(home) as instance:
        sync(instance, home)
    return home


def dagster_folder(home: Home) -> Path:
    """The DAGSTER_HOME of a home."""
    return home.root / "dagster"


def dagster_instance(home: Home) -> dg.DagsterInstance:
    """The Dagster instance of a home."""
    return dg.DagsterInstance.from_config(str(dagster_folder(home)))


def landing_plan(home: Home) -> tuple[Plan, list[DeliveryError]]:
    """The plan for the catalogue as it would be with what lies complete in the landing folder; nothing is taken.

    Returns:
        The plan, and why deliveries would be refused.
    """
    found = [_examined(home, listing) for listing in arrivals(home).complete]
    state = read_state(home).with_titles(*(each.title for each in found if isinstance(each, Examined)))
    return explained_plan(home, state), [each for each in found if isinstance(each, DeliveryError)]


def _examined(home: Home, listing: Listing) -> Examined | DeliveryError:
    try:
        examined = examine(listing.path)
        check_active(home, examined.title)
        return examined
    except DeliveryError as error:
        return error


def carry_out_plan(home: Home, plan: Plan, console: Console) -> list[Outcome]:
    """Run the steps of a plan as one run of the job `refresh`, with progress, and return what became of each."""
    return carry_out_pairs(home, [(step.key.kind, step.key.partition) for step in plan.steps], console)


def carry_out_pairs(home: Home, wanted: list[tuple[str, str]], console: Console) -> list[Outcome]:
    """Make the artifacts of these partitions, in this order, in the same way."""
    return run_job(home, refresh, pairs_config(wanted), len(wanted), console)


def run_job(
    home: Home,
    job: dg.JobDefinition,
    config: dict[str, Any],
    n_steps: int,
    console: Console,
    *,
    says_errors: bool = True,
) -> list[Outcome]:
    """Run a job in this process on a home's instance; what it did stands in Dagster's history as any other run.

    Args:
        home: an open home.
        job: of the asset graph.
        config: of the run.
        n_steps: how many steps it has.
        console: where its progress is shown.
        says_errors: whether that tells what failed, too.

    Raises:
        PlanError: the run ended before its last step, for another reason than that a step could not be made.
        StoreError: Dagster could not write its own databases.
    """
    shown = ShownProgress(console, n_steps, says_errors=says_errors)
    with _needing_room(home), dagster_instance(home) as instance, shown as progress:
        token = REPORTER.set(progress)
        try:
            result = job.execute_in_process(
                run_config={**config, **_QUIET},
                instance=instance,
                resources={"home": HomeResource(root=str(home.root))},
                raise_on_error=False,
            )
        finally:
            REPORTER.reset(token)
    if not result.success:
        _check_ended(result, progress.outcomes)
    return progress.outcomes


@contextmanager
def _needing_room(home: Home) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise StoreError(
            f"Dagster's databases in {dagster_folder(home)}",
            found=str(error.orig),
            expected="databases that take what is written",
            next_step="Free space where the disk is full, then run this again; what was committed stands.",
        ) from error


def _check_ended(result: dg.ExecuteInProcessResult, outcomes: Iterable[Outcome]) -> None:
    """Check that a failed run ended as such runs do: it tried all its steps and named those that were not done."""
    data = next((event.step_failure_data for event in result.all_events if event.is_step_failure), None)
    told = data.user_failure_data if data else None
    if told and any(outcome.status in (Status.FAILED, Status.BLOCKED) for outcome in outcomes):
        return
    if data and data.error_source and data.error_source.name == "INTERRUPT":
        raise _interrupted(result.run_id)
    error = data.error if data else None
    root = (error.cause or error).message.strip() if error else "a failure outside its steps"
    raise PlanError(
        f"run {result.run_id}",
        found=(told.description if told else None) or root,
        expected="a run that tries all its steps",
        next_step="What was finished is kept. Mend the cause and run the command again; `mediafm dev` shows the run.",
    )


def _interrupted(run_id: str) -> PlanError:
    return PlanError(
        f"run {run_id}",
        found="interrupted",
        expected="a run that tries all its steps",
        next_step="What was finished is kept, to an ablation's last row and a training's last saved state: "
        "the same command goes on from there.",
    )
