"""From frames to shots."""

import dagster as dg

from mediafm_assets.carrying import materialise
from mediafm_assets.partitions import titles
from mediafm_assets.resources import HomeResource
from mediafm_core.catalogue.kinds import KINDS


@dg.asset(
    deps=["deliveries"],
    partitions_def=titles,
    backfill_policy=dg.BackfillPolicy.multi_run(64),
    group_name="shots",
    code_version=str(KINDS["shots"].code_version),
    kinds={"parquet", "openvino"},
)
def shots(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """The shots of a title: half-open spans in seconds, between the transitions that TransNetV2 finds."""
    return materialise(context, home)


@dg.asset(
    deps=["shots"],
    partitions_def=titles,
    backfill_policy=dg.BackfillPolicy.multi_run(64),
    group_name="shots",
    code_version=str(KINDS["thumbnails"].code_version),
    kinds={"parquet"},
)
def thumbnails(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """One small picture from the middle of each shot."""
    return materialise(context, home)
