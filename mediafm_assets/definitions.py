"""Everything that Dagster loads."""

import dagster as dg

from mediafm_assets.checks import all_checks
from mediafm_assets.jobs import ingest, refresh, train_encoder
from mediafm_assets.resources import HOME_VARIABLE, HomeResource
from mediafm_assets.sensors import new_titles, reconcile
from mediafm_assets.stages import (
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
        [deliveries, shots, timed_text, embeddings, encoder, contextual, probes, release, snapshot]
    ),
    asset_checks=all_checks,
    jobs=[ingest, refresh, train_encoder],
    sensors=[new_titles, reconcile],
    resources={"home": HomeResource(root=dg.EnvVar(HOME_VARIABLE))},
    executor=dg.in_process_executor,  # many titles share one process, its decoded media and its loaded models
)
