"""Everything that Dagster loads."""

import warnings

import dagster as dg

from mediafm_assets.checks import all_checks
from mediafm_assets.jobs import ingest, refresh, train_encoder, upgrade, watch_canaries
from mediafm_assets.resources import HOME_VARIABLE, HomeResource
from mediafm_assets.schedules import daily_canaries, nightly, weekly_training
from mediafm_assets.sensors import new_encoders, new_titles, reconcile

with warnings.catch_warnings():
    # the policy by which a backfill takes many titles per run is marked beta; tests/upstream pins what we use of it
    warnings.simplefilter("ignore", dg.BetaWarning)
    from mediafm_assets.stages import (
        canaries,
        contextual,
        deliveries,
        embeddings,
        encoder,
        probes,
        release,
        shots,
        snapshot,
        timed_text,
    )

defs = dg.Definitions(
    assets=dg.load_assets_from_modules(
        [deliveries, shots, timed_text, embeddings, encoder, contextual, probes, canaries, release, snapshot]
    ),
    asset_checks=all_checks,
    jobs=[ingest, refresh, train_encoder, upgrade, watch_canaries],
    schedules=[nightly, daily_canaries, weekly_training],
    sensors=[new_titles, new_encoders, reconcile],
    resources={"home": HomeResource(root=dg.EnvVar(HOME_VARIABLE))},
    executor=dg.in_process_executor,  # many titles share one process, its decoded media and its loaded models
)
