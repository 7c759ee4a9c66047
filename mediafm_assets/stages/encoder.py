"""A MediaFM encoder: what it is trained on, and the trained model."""

import dagster as dg
from pydantic import Field

from mediafm_assets.carrying import materialise
from mediafm_assets.partitions import encoders, every_partition
from mediafm_assets.resources import HomeResource
from mediafm_assets.training.launching import trained_by
from mediafm_core.catalogue.kinds import KINDS


class Processes(dg.Config):
    """How an encoder is trained; it is the same encoder either way, but for rounding."""

    processes: int = Field(default=1, ge=1, description="Processes of this machine that train together.")


@dg.asset(
    deps=[
        dg.AssetDep("fused_embeddings", partition_mapping=every_partition),
        dg.AssetDep("metadata_embedding", partition_mapping=every_partition),
    ],
    partitions_def=encoders,
    group_name="encoder",
    code_version=str(KINDS["pretraining_corpus"].code_version),
    kinds={"parquet"},
)
def pretraining_corpus(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """The frozen set of fused and metadata embeddings that an encoder learns from."""
    return materialise(context, home)


@dg.asset(
    deps=["pretraining_corpus"],
    partitions_def=encoders,
    group_name="encoder",
    code_version=str(KINDS["mediafm_encoder"].code_version),
    kinds={"torch", "safetensors"},
)
def mediafm_encoder(context: dg.AssetExecutionContext, config: Processes, home: HomeResource) -> dg.MaterializeResult:
    """A Transformer over the shots of a title, pre-trained by Masked Shot Modeling, beside baselines."""
    return materialise(context, home, trained_by(context, config.processes))
