"""Jobs that sensors and the command submit. Each runs the stages of the asset graph and logs an event per artifact.

One op carries out steps of any assets and partitions in the order of the plan, so a title's whole chain is one run.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import dagster as dg
from pydantic import Field

from mediafm_assets.carrying import actor_of, event_of, failure, run_steps, write_cards
from mediafm_assets.checks import canaries_evaluation, parked_evaluation, refused_evaluation
from mediafm_assets.partitions import sync
from mediafm_assets.postponed import affordable, note
from mediafm_assets.resources import HomeResource
from mediafm_assets.training.launching import trained_by
from mediafm_core.catalogue.kinds import UNPARTITIONED
from mediafm_core.drift.watching import before_promotion
from mediafm_core.errors import DeliveryError, MediaFMError
from mediafm_core.ingest.listing import deliveries_below, listed
from mediafm_core.ingest.taking import take_or_refuse
from mediafm_core.media.leftovers import sweep_now_and_then
from mediafm_core.planning.plan import for_titles, plan
from mediafm_core.planning.state import Step
from mediafm_core.pretraining.declaring import declare_encoder
from mediafm_core.probes.declaring import freeze_delivered
from mediafm_core.release.withdrawing import free_withdrawn
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import Outcome, Stage, Status

_STEPS, _TRAINING = {"mediafm/slot": "steps"}, {"mediafm/slot": "training"}
"""Tags by which a home's queue lets one run of each sort go at a time (DAGSTER_YAML)."""

MAX_STEPS_PER_RUN = 500
"""At most so many steps go into a run that no person submits: of a sensor's the next tick submits the next ones."""


MAX_DELIVERIES_PER_RUN = 50
"""At most so many deliveries, each with its title's chain, go into a run of the sensor `new_titles`."""


class Steps(dg.Config):
    """Which artifacts to make."""

    steps: list[list[str]] = Field(
        description="Pairs of asset and partition, each after those that it reads; '' where an asset has no partitions."
    )


class Landing(dg.Config):
    """Which deliveries to take."""

    names: list[str] = Field(description="Names of folders or media files in the home's landing folder.")


class Training(dg.Config):
    """Which encoder to train."""

    name: str = Field(description="An encoder that was declared with `mediafm encoder train`, or a new one.")
    preset: str = Field(default="mediafm", description="Of a new one: mediafm, paper, demo or plain.")
    size: str = Field(default="tiny", description="Of a new one: tiny, base or large.")
    seed: int = Field(default=0, ge=0, description="Of a new one: of the weights, the masks and the order of the data.")
    changes: list[str] = Field(
        default=[],
        description="Of a new one: single fields of the preset, e.g. trainer.steps=200, as `--set` takes them.",
    )
    processes: int = Field(default=1, ge=1, description="Processes of this machine that train together.")


class Upgrade(dg.Config):
    """Which encoder to bring up to the whole catalogue and into production."""

    encoder: str = Field(description="A trained encoder, e.g. v2.")


def steps_config(steps: Iterable[Step]) -> dict[str, Any]:
    """The run configuration with which `refresh` carries out the steps of a plan."""
    return pairs_config((step.key.kind, step.key.partition) for step in steps)


def pairs_config(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The run configuration with which `refresh` carries out these (asset, partition) pairs, in this order."""
    return {"ops": {"carry_out_steps": {"config": {"steps": [list(pair) for pair in dict.fromkeys(pairs)]}}}}


def landing_config(names: Sequence[str]) -> dict[str, Any]:
    """The run configuration with which `ingest` takes deliveries from the landing folder."""
    return {"ops": {"take_deliveries": {"config": {"names": list(names)}}}}


def landing_names(config: Mapping[str, Any]) -> list[str]:
    """The names in such a configuration."""
    return list(config["ops"]["take_deliveries"]["config"]["names"])


def training_config(name: str, processes: int = 1) -> dict[str, Any]:
    """The run configuration with which `train_encoder` trains a declared encoder."""
    return {"ops": {"train": {"config": {"name": name, "processes": processes}}}}


def trained_name(config: Mapping[str, Any]) -> str:
    """The encoder in such a configuration."""
    return str(config["ops"]["train"]["config"]["name"])


@dg.op
def carry_out_steps(context: dg.OpExecutionContext, config: Steps, home: HomeResource) -> None:
    """Make these artifacts, log an event for each, and fail at the end if some could not be made."""
    with home.held(context.run_id):
        _carry_out(context, home, [(kind, partition) for kind, partition in config.steps], trained_by(context, 1))


@dg.op
def take_deliveries(context: dg.OpExecutionContext, config: Landing, home: HomeResource) -> None:
    """Take deliveries from the landing folder, or refuse them, then make what hangs on their titles."""
    opened = home.open()
    with home.held(context.run_id):
        titles = {title for name in config.names if (title := _take(context, opened, name))}
        state = read_state(opened)
        wanted = for_titles(plan(state).steps, state, titles)
        _carry_out(context, home, [(step.key.kind, step.key.partition) for step in wanted])


@dg.op
def train(context: dg.OpExecutionContext, config: Training, home: HomeResource) -> None:
    """Declare an encoder over what is fused now, unless it was declared before, and train it."""
    opened = home.open()
    try:
        if config.name not in opened.ledger.declared("encoder"):
            freeze_delivered(opened)
            asked = {"preset": config.preset, "seed": config.seed, "size": config.size, "changes": config.changes}
            declare_encoder(opened, config.name, **asked)
    except MediaFMError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    with home.held(context.run_id):
        wanted = [("pretraining_corpus", config.name), ("mediafm_encoder", config.name)]
        _carry_out(context, home, wanted, trained_by(context, config.processes))


@dg.op
def upgrade_to(context: dg.OpExecutionContext, config: Upgrade, home: HomeResource) -> None:
    """Make all that the encoder's release needs, then judge it; a refusal fails the run with the gate's reason."""
    missing = plan(read_state(home.open())).steps
    own = [
        (step.key.kind, step.key.partition)
        for step in missing
        if step.axes.get("encoder") == config.encoder and step.key.kind != "ablation_report"  # no release waits for it
    ]
    labels = [(step.key.kind, step.key.partition) for step in missing if step.key.kind == "labels"]
    with home.held(context.run_id):
        asked = [*before_promotion(home.open(), config.encoder), ("release", config.encoder)]
        _carry_out(context, home, [*labels, *own, *asked, ("snapshot", UNPARTITIONED)])


def _take(context: dg.OpExecutionContext, home: Home, name: str) -> str | None:
    listing = next((listed(path) for path in deliveries_below(home.landing) if path.name == name), None)
    if listing is None:
        context.log.info("%s is no longer in the landing folder: nothing to take.", name)
        return None
    taken = take_or_refuse(home, listing)
    if isinstance(taken, DeliveryError):
        context.log.error("Refused: %s", taken)
        return None
    return taken.title.id


_SUBMITTED_BY_ITSELF = {"dagster/sensor_name", "dagster/schedule_name"}
"""Tags of runs that no person asked for."""


def _carry_out(
    context: dg.OpExecutionContext,
    home: HomeResource,
    wanted: list[tuple[str, str]],
    own: Mapping[str, Stage] = MappingProxyType({}),
) -> None:
    sync(context.instance, home.open())
    sweep_now_and_then(home.open())
    done: list[Outcome] = []
    failed: list[Outcome] = []
    if _SUBMITTED_BY_ITSELF & context.run.tags.keys():
        wanted = affordable(home.open(), wanted)
    for outcome in run_steps(home, wanted, actor_of(context.run), own):
        if outcome.status in (Status.MADE, Status.KEPT):
            context.log_event(event_of(home, outcome))
            done.append(outcome)
        else:
            failed.append(outcome)
    note(home.open(), [*done, *failed])
    write_cards(home, done)  # last: whatever else was asked for stands by then
    for title, freed in free_withdrawn(home.open()).items():
        context.log.info("%s was withdrawn: %d objects deleted, %d bytes.", title, freed.total, freed.n_bytes)
    for evaluated in (parked_evaluation, canaries_evaluation, refused_evaluation):
        context.instance.report_runless_asset_event(evaluated(home.open()))
    if failed:
        raise failure(failed)


@dg.job(
    tags=_STEPS,
    description="Make the artifacts that the planner misses; what `mediafm apply` and the sensor `reconcile` run.",
)
def refresh() -> None:
    """See the description."""
    carry_out_steps()


@dg.job(tags=_STEPS, description="Take new deliveries from the landing folder and make everything that hangs on them.")
def ingest() -> None:
    """See the description."""
    take_deliveries()


@dg.job(tags=_TRAINING, description="Train a new encoder on everything that is fused now.")
def train_encoder() -> None:
    """See the description."""
    train()


@dg.job(
    tags=_STEPS,
    description="Embed the catalogue with an encoder, fit its heads, judge it against what is live, and promote it.",
)
def upgrade() -> None:
    """See the description."""
    upgrade_to()


watch_canaries = dg.define_asset_job(
    "watch_canaries",
    selection=dg.AssetSelection.assets("canaries"),
    tags=_STEPS,
    description="Embed a suite's canaries again, and check that they have not moved; what `daily_canaries` submits.",
)
