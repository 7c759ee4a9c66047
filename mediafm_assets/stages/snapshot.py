"""What readers see."""

import dagster as dg

from mediafm_assets.carrying import materialise
from mediafm_assets.partitions import every_partition
from mediafm_assets.resources import HomeResource
from mediafm_core.catalogue.kinds import KINDS


@dg.asset(
    deps=[
        dg.AssetDep(asset, partition_mapping=every_partition)
        for asset in ("contextual_embeddings", "predictions", "release")
    ],
    group_name="release",
    code_version=str(KINDS["snapshot"].code_version),
    kinds={"parquet"},
)
def snapshot(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """The table that readers read: a row for each title of the encoder in production, all of one version."""
    return materialise(context, home)
