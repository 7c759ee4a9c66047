"""What a suite of unimodal encoders sees, hears and reads, and their fusion."""

import dagster as dg

from mediafm_assets.carrying import materialise
from mediafm_assets.partitions import suite_titles, title_of_suite_title
from mediafm_assets.resources import HomeResource
from mediafm_core.catalogue.kinds import KINDS


def _of_title(asset: str) -> dg.AssetDep:
    return dg.AssetDep(asset, partition_mapping=title_of_suite_title)


@dg.asset(
    deps=[_of_title("shots")],
    partitions_def=suite_titles,
    backfill_policy=dg.BackfillPolicy.multi_run(64),
    group_name="embeddings",
    code_version=str(KINDS["video_embeddings"].code_version),
    kinds={"parquet", "torch"},
)
def video_embeddings(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """One vector per shot from its frames."""
    return materialise(context, home)


@dg.asset(
    deps=[_of_title("shots")],
    partitions_def=suite_titles,
    backfill_policy=dg.BackfillPolicy.multi_run(64),
    group_name="embeddings",
    code_version=str(KINDS["audio_embeddings"].code_version),
    kinds={"parquet"},
)
def audio_embeddings(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """One vector per shot from its sound."""
    return materialise(context, home)


@dg.asset(
    deps=[_of_title("timed_text")],
    partitions_def=suite_titles,
    backfill_policy=dg.BackfillPolicy.multi_run(64),
    group_name="embeddings",
    code_version=str(KINDS["text_embeddings"].code_version),
    kinds={"parquet", "torch"},
)
def text_embeddings(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """One vector per shot from its timed text; zeros where nothing is said."""
    return materialise(context, home)


@dg.asset(
    deps=[_of_title("deliveries")],
    partitions_def=suite_titles,
    backfill_policy=dg.BackfillPolicy.multi_run(64),
    group_name="embeddings",
    code_version=str(KINDS["metadata_embedding"].code_version),
    kinds={"parquet", "torch"},
)
def metadata_embedding(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """One vector for a title's synopsis and tags: what [GLOBAL] is made from."""
    return materialise(context, home)


@dg.asset(
    deps=["video_embeddings", "audio_embeddings", "text_embeddings"],
    partitions_def=suite_titles,
    backfill_policy=dg.BackfillPolicy.multi_run(64),
    group_name="embeddings",
    code_version=str(KINDS["fused_embeddings"].code_version),
    kinds={"parquet"},
)
def fused_embeddings(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """One unit-length vector per shot, joining what is seen, heard and said."""
    return materialise(context, home)
