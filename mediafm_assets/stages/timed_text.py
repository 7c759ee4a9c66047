"""What is said in each shot."""

import dagster as dg

from mediafm_assets.carrying import materialise
from mediafm_assets.partitions import titles
from mediafm_assets.resources import HomeResource
from mediafm_core.catalogue.kinds import KINDS


@dg.asset(
    deps=["shots"],
    partitions_def=titles,
    backfill_policy=dg.BackfillPolicy.multi_run(64),
    group_name="shots",
    code_version=str(KINDS["timed_text"].code_version),
    kinds={"parquet"},
)
def timed_text(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """The text of each shot: from captions or audio description, or from speech recognition where neither came."""
    return materialise(context, home)
