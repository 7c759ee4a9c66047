"""Whether a suite's encoders still compute what they computed."""

import dagster as dg

from mediafm_assets.carrying import materialise
from mediafm_assets.partitions import suites
from mediafm_assets.resources import HomeResource
from mediafm_core.catalogue.kinds import KINDS
from mediafm_core.drift.watching import watch
from mediafm_core.errors import PlanError


@dg.asset(
    partitions_def=suites,
    group_name="release",
    code_version=str(KINDS["canaries"].code_version),
    kinds={"parquet"},
)
def canaries(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """Fixed inputs, embedded by a suite once as the reference and again each time this is materialised.

    Every measurement is kept. One that differs from the reference fails the check and holds up every promotion.
    """
    try:
        for suite in context.partition_keys:
            watch(home.open(), suite)
    except PlanError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    return materialise(context, home)
