"""What arrived for a title."""

import dagster as dg

from mediafm_assets.carrying import materialise
from mediafm_assets.partitions import titles
from mediafm_assets.resources import HomeResource
from mediafm_core.catalogue.kinds import KINDS


@dg.asset(
    partitions_def=titles,
    backfill_policy=dg.BackfillPolicy.multi_run(64),
    group_name="ingest",
    code_version=str(KINDS["deliveries"].code_version),
    kinds={"json"},
)
def deliveries(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """What was delivered for a title: media, captions and metadata, each by the hash of its content."""
    return materialise(context, home)
