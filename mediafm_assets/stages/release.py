"""Going live: an encoder with all its heads and predictions, or not at all."""

import dagster as dg
from pydantic import Field

from mediafm_assets.carrying import materialise
from mediafm_assets.partitions import encoder_of_encoder_title, encoders, every_partition
from mediafm_assets.resources import HomeResource
from mediafm_core.catalogue.kinds import KINDS
from mediafm_core.drift.watching import before_promotion
from mediafm_core.release.promotion import make_release
from mediafm_core.workbench import Stage


class Judging(dg.Config):
    """What happens behind the gate."""

    promote: bool = Field(default=False, description="Let an encoder that the gate lets through go live.")


@dg.asset(
    deps=[
        "probe_report",
        dg.AssetDep("predictions", partition_mapping=encoder_of_encoder_title),
        dg.AssetDep("canaries", partition_mapping=every_partition),
    ],
    partitions_def=encoders,
    group_name="release",
    code_version=str(KINDS["release"].code_version),
    kinds={"json"},
)
def release(context: dg.AssetExecutionContext, config: Judging, home: HomeResource) -> dg.MaterializeResult:
    """The gate: canaries that are steady, and no task worse than what is live by more than titles vary.

    The canaries of the encoder's suite are measured first, as for every promotion. Production stays as it is.

    Set `promote` in the run's configuration to let the encoder go live, then materialise `snapshot` to let readers see
    it; or run the job `upgrade`, which does both.
    """
    judged_only = {"release": Stage(make_release)}
    canaries = [pair for encoder in context.partition_keys for pair in before_promotion(home.open(), encoder)]
    return materialise(context, home, {} if config.promote else judged_only, before=canaries)
