"""One code path for every way in which a step can be asked for: the same stages, the same events.

A run that succeeds over many partitions returns one result, from which Dagster makes an event for each key. A run in
which some failed logs an event for each that was finished, then fails and names the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import dagster as dg

from mediafm_assets.metadata import outcome_metadata, summary_metadata
from mediafm_assets.previews import preview
from mediafm_assets.resources import (
    REPORTER,
    HomeResource,
    device_from_environment,
    engine_settings_from_environment,
    payer_from_environment,
    portion_bytes_from_environment,
    user_of_process,
)
from mediafm_core.catalogue.kinds import UNPARTITIONED
from mediafm_core.contextual.stage import make_contextual
from mediafm_core.drift.measuring import make_reference, measure
from mediafm_core.encoders.stage import make_audio, make_metadata, make_text, make_video
from mediafm_core.errors import MediaFMError
from mediafm_core.execution import carry_out
from mediafm_core.fusion import make_fused
from mediafm_core.ingest.taking import make_delivery
from mediafm_core.media.cache import decode_ahead
from mediafm_core.pretraining.stage import forget_training, make_corpus, make_encoder
from mediafm_core.probes.ablation.stage import forget_rows, make_ablation
from mediafm_core.probes.stage import freeze_training, make_head, make_labels, make_predictions, make_report
from mediafm_core.release.history import Actor
from mediafm_core.release.promotion import make_release, promote
from mediafm_core.shots.stage import make_shots, make_thumbnails
from mediafm_core.snapshots import make_snapshot, publish
from mediafm_core.timed_text.stage import make_timed_text
from mediafm_core.workbench import Outcome, Stage, Status

STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "deliveries": Stage(make_delivery),
        "shots": Stage(make_shots, read_ahead=decode_ahead),
        "thumbnails": Stage(make_thumbnails),
        "timed_text": Stage(make_timed_text),
        "video_embeddings": Stage(partial(make_video, bound=portion_bytes_from_environment), read_ahead=decode_ahead),
        "audio_embeddings": Stage(partial(make_audio, bound=portion_bytes_from_environment), read_ahead=decode_ahead),
        "text_embeddings": Stage(
            partial(make_text, payer=payer_from_environment, bound=portion_bytes_from_environment)
        ),
        "metadata_embedding": Stage(
            partial(make_metadata, payer=payer_from_environment, bound=portion_bytes_from_environment)
        ),
        "fused_embeddings": Stage(make_fused),
        "pretraining_corpus": Stage(make_corpus),
        "mediafm_encoder": Stage(partial(make_encoder, device=device_from_environment), settle=forget_training),
        "contextual_embeddings": Stage(partial(make_contextual, device=device_from_environment)),
        "labels": Stage(make_labels),
        "probe_heads": Stage(make_head, settle=freeze_training),
        "predictions": Stage(make_predictions),
        "probe_report": Stage(make_report),
        "ablation_report": Stage(partial(make_ablation, device=device_from_environment), settle=forget_rows),
        "canaries": Stage(
            partial(make_reference, payer=payer_from_environment, settings=engine_settings_from_environment),
            settle=partial(
                measure,
                payer=payer_from_environment,
                device=device_from_environment,
                settings=engine_settings_from_environment,
            ),
        ),
        "release": Stage(make_release, settle=promote),
        "snapshot": Stage(make_snapshot, settle=publish),
    }
)
"""How each asset is made."""

_DONE = {Status.MADE, Status.KEPT}


def materialise(
    context: dg.AssetExecutionContext,
    home: HomeResource,
    own: Mapping[str, Stage] = MappingProxyType({}),
    before: Sequence[tuple[str, str]] = (),
) -> dg.MaterializeResult:
    """Carry out the run's partitions of its asset; what exists already costs no compute.

    Args:
        context: of the asset.
        home: where it is made.
        own: stages of this run that differ from `STAGES`.
        before: pairs of other assets and their partitions that come first in the same run, with an event for each.

    Raises:
        dg.Failure: some partitions could not be made; it names them.
    """
    kind = context.asset_key.path[-1]
    partitions = (
        context.partition_keys if context.has_partition_key_range or context.has_partition_key else [UNPARTITIONED]
    )
    with home.held(context.run.run_id):
        wanted = [*before, *((kind, str(partition)) for partition in partitions)]
        outcomes = list(run_steps(home, wanted, actor_of(context.run), own))
        write_cards(home, outcomes)
    own_outcomes = [outcome for outcome in outcomes if outcome.key.kind == kind]
    failed = [outcome for outcome in outcomes if outcome.status not in _DONE]
    for outcome in outcomes:  # Dagster makes the events of the asset itself, where nothing failed
        if outcome.status in _DONE and (failed or outcome.key.kind != kind):
            context.log_event(event_of(home, outcome))
    if failed:
        raise failure(failed)
    if not own_outcomes:
        raise dg.Failure("Nothing to publish: no title has embeddings of an encoder in production yet.")
    (first, *more) = own_outcomes
    return dg.MaterializeResult(metadata=summary_metadata(own_outcomes) if more else _shown(home, first))


def actor_of(run: dg.DagsterRun) -> Actor:
    """Who or what acts in a run. Of its tags only the names of what submitted it are kept."""
    submitted = next((f"{what} {run.tags[tag]}" for tag, what in _SUBMITTERS.items() if tag in run.tags), None)
    return Actor(user=user_of_process(), through=submitted or f"job {run.job_name}", run=run.run_id)


_SUBMITTERS = {"dagster/sensor_name": "sensor", "dagster/schedule_name": "schedule", "dagster/backfill": "backfill"}


def run_steps(
    home: HomeResource,
    wanted: Iterable[tuple[str, str]],
    by: Actor,
    own: Mapping[str, Stage] = MappingProxyType({}),
) -> Iterator[Outcome]:
    """Carry out (asset, partition) pairs in their order, yielding each outcome as soon as it is known.

    Args:
        home: where they are made.
        wanted: the pairs.
        by: whose hand it is.
        own: stages of this run that differ from `STAGES`.

    Raises:
        dg.Failure: the steps cannot be tried at all.
    """
    try:
        portion_bytes_from_environment()  # where that is wrong, it is no step's fault
        live = Stage(make_release, settle=partial(promote, by=by))
        yield from carry_out(home.open(), wanted, {**STAGES, "release": live, **own}, REPORTER.get())
    except MediaFMError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def write_cards(home: HomeResource, outcomes: Iterable[Outcome]) -> None:
    """Write the card of each release that the gate let through: whether it is live stands in it."""
    for outcome in outcomes:
        if outcome.key.kind == "release" and outcome.status in _DONE:
            from mediafm_core.reports.release_card import write_card

            write_card(home.open(), outcome.facts["name"])


def event_of(home: HomeResource, outcome: Outcome) -> dg.AssetMaterialization:
    """The event that tells Dagster of one finished artifact."""
    return dg.AssetMaterialization(
        asset_key=outcome.key.kind, partition=outcome.key.partition or None, metadata=_shown(home, outcome)
    )


def _shown(home: HomeResource, outcome: Outcome) -> dict[str, dg.MetadataValue]:
    return {**outcome_metadata(outcome), **preview(home.open(), outcome)}


def failure(failed: Sequence[Outcome]) -> dg.Failure:
    """The failure of a run, with the name of each step that was not done, and why."""
    lines = [f"{outcome.key.kind} of {outcome.key.partition}: {outcome.error}" for outcome in failed]
    return dg.Failure(f"{len(failed)} steps were not done.\n" + "\n".join(lines))
