"""What the five tasks make of an encoder: labels, heads, predictions, the report, the ablation."""

import dagster as dg

from mediafm_assets.carrying import materialise
from mediafm_assets.partitions import (
    encoder_of_encoder_title,
    encoder_tasks,
    encoder_titles,
    encoders,
    every_partition,
    same_encoder,
    task_of_encoder_task,
    tasks,
)
from mediafm_assets.resources import HomeResource
from mediafm_core.catalogue.kinds import KINDS


@dg.asset(
    deps=[dg.AssetDep("deliveries", partition_mapping=every_partition)],
    partitions_def=tasks,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="probes",
    code_version=str(KINDS["labels"].code_version),
    kinds={"parquet"},
)
def labels(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """The frozen labels of a task: clips and what people say of them."""
    return materialise(context, home)


@dg.asset(
    deps=[
        dg.AssetDep("labels", partition_mapping=task_of_encoder_task),
        dg.AssetDep("mediafm_encoder", partition_mapping=encoder_of_encoder_title),
        dg.AssetDep("contextual_embeddings", partition_mapping=same_encoder),
    ],
    partitions_def=encoder_tasks,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="probes",
    code_version=str(KINDS["probe_heads"].code_version),
    kinds={"safetensors"},
)
def probe_heads(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """A linear head for each task, fitted on one encoder's frozen embeddings, and its scores of titles held out."""
    return materialise(context, home)


@dg.asset(
    deps=["contextual_embeddings", dg.AssetDep("probe_heads", partition_mapping=same_encoder)],
    partitions_def=encoder_titles,
    backfill_policy=dg.BackfillPolicy.multi_run(64),
    group_name="probes",
    code_version=str(KINDS["predictions"].code_version),
    kinds={"parquet"},
)
def predictions(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """What the heads of an encoder say of a title: of every delivered clip, and of windows over all of it."""
    return materialise(context, home)


@dg.asset(
    deps=[dg.AssetDep("probe_heads", partition_mapping=encoder_of_encoder_title)],
    partitions_def=encoders,
    group_name="probes",
    code_version=str(KINDS["probe_report"].code_version),
    kinds={"json"},
)
def probe_report(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """What an encoder reaches on each task, on titles held out, beside baselines that no encoder has read."""
    return materialise(context, home)


@dg.asset(
    deps=[
        dg.AssetDep("mediafm_encoder", partition_mapping=every_partition),
        dg.AssetDep("probe_heads", partition_mapping=encoder_of_encoder_title),
    ],
    partitions_def=encoders,
    group_name="probes",
    code_version=str(KINDS["ablation_report"].code_version),
    kinds={"json"},
)
def ablation_report(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """What each ingredient of an encoder is worth on each task, beside other encoders; made where somebody asked."""
    return materialise(context, home)
