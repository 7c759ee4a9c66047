"""Going live: an encoder with all its heads and predictions, or not at all."""

import dagster as dg

from mediafm_assets.carrying import materialise
from mediafm_assets.partitions import encoder_of_encoder_title, encoders
from mediafm_assets.resources import HomeResource
from mediafm_core.catalogue import KINDS


@dg.asset(
    deps=["probe_report", dg.AssetDep("predictions", partition_mapping=encoder_of_encoder_title)],
    partitions_def=encoders,
    group_name="release",
    code_version=str(KINDS["release"].code_version),
    kinds={"json"},
)
def release(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """The gate, and behind it production: no task worse than what is live by more than titles vary.

    Materialise it to promote an encoder, then `snapshot` to let readers see it.
    """
    return materialise(context, home)
