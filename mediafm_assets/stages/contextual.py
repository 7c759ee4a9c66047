"""Shots read in the context of their title."""

import dagster as dg

from mediafm_assets.carrying import materialise
from mediafm_assets.partitions import encoder_of_encoder_title, encoder_titles, same_title
from mediafm_assets.resources import HomeResource
from mediafm_core.catalogue.kinds import KINDS


@dg.asset(
    deps=[
        dg.AssetDep("fused_embeddings", partition_mapping=same_title),
        dg.AssetDep("metadata_embedding", partition_mapping=same_title),
        dg.AssetDep("mediafm_encoder", partition_mapping=encoder_of_encoder_title),
    ],
    partitions_def=encoder_titles,
    backfill_policy=dg.BackfillPolicy.multi_run(64),
    group_name="contextual",
    code_version=str(KINDS["contextual_embeddings"].code_version),
    kinds={"parquet", "torch"},
)
def contextual_embeddings(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """One vector per shot, read in the context of the whole title, and one for the title."""
    return materialise(context, home)
