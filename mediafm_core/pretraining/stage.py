"""An encoder's corpus and its training, from what is frozen in the encoder's record."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mediafm_core.catalogue import ArtifactKey, CorpusMember, EncoderSpec, join_partition
from mediafm_core.errors import ArtifactError
from mediafm_core.execution import Bench, Draft
from mediafm_core.planning.state import Step
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import ArtifactRow
from mediafm_core.store.vectors import vectors_of


def make_corpus(bench: Bench, step: Step) -> Draft:
    """The list of what an encoder learns from: for each title its fused embeddings and its metadata embedding."""
    spec = bench.encoder(step)
    rows = [_member_row(bench.home, spec, member) for member in spec.corpus]
    n_shots = sum(row["n_shots"] for row in rows)
    facts = {"n_titles": len(rows), "n_shots": n_shots, "suite": spec.suite}
    return Draft(pa.Table.from_pylist(rows), facts)


def _member_row(home: Home, spec: EncoderSpec, member: CorpusMember) -> dict[str, Any]:
    partition = join_partition(suite=spec.suite, title=member.title)
    fused = _committed(home, ArtifactKey("fused_embeddings", partition, member.fused))
    metadata = _committed(home, ArtifactKey("metadata_embedding", partition, member.metadata))
    return {
        "title": member.title,
        "fused": fused.key.fingerprint,
        "metadata": metadata.key.fingerprint,
        "n_shots": fused.manifest.facts["n_shots"],
    }


def _committed(home: Home, key: ArtifactKey) -> ArtifactRow:
    row = home.ledger.artifact(key)
    if row is None:
        raise ArtifactError(
            f"{key.kind} of {key.partition!r}",
            found="nothing under the fingerprint that the corpus froze",
            expected=key.fingerprint,
            next_step="Declare a new encoder over what exists now.",
        )
    return row


def make_encoder(bench: Bench, step: Step) -> Draft:
    """Train an encoder by Masked Shot Modeling; a training that was killed goes on from its last checkpoint."""
    from mediafm_core.model.checkpoint import save
    from mediafm_core.pretraining.config import PretrainingConfig
    from mediafm_core.pretraining.corpus import InMemory
    from mediafm_core.pretraining.trainer import train
    from mediafm_core.sequence.titles import TitleArrays

    spec = bench.encoder(step)
    members = bench.read_table(step, "corpus").to_pylist()
    titles = [TitleArrays(row["title"], *_arrays(bench.home, spec, row)) for row in members]
    saved = bench.home.work / f"training-{step.key.fingerprint}.safetensors"
    trained = train(
        InMemory(titles),
        PretrainingConfig.from_json(spec.config),
        seed=spec.seed,
        report=lambda at: bench.reporter.advance(at.step / at.steps, f"step {at.step}/{at.steps}, loss {at.msm:.3f}"),
        resume=saved.read_bytes() if saved.exists() else None,
        checkpoint=lambda state: bench.home.objects.swap(str(saved.relative_to(bench.home.root)), state),
    )
    saved.unlink(missing_ok=True)
    facts = {
        "n_titles": len(titles),
        "n_shots": sum(len(title.fused) for title in titles),
        "n_parameters": sum(parameter.numel() for parameter in trained.encoder.parameters()),
        "steps": len(trained.train_losses),
        "first_loss": trained.train_losses[0],
        "last_loss": trained.train_losses[-1],
        "held_out_loss": trained.held_out_losses[-1][1] if trained.held_out_losses else None,
        "losses": [round(loss, 4) for loss in trained.train_losses],
        "quality": "not judged: this home has no tasks",
    }
    return Draft(save(trained.encoder, {"encoder": spec.name, "suite": spec.suite, "seed": spec.seed}), facts)


def _arrays(home: Home, spec: EncoderSpec, row: Mapping[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(S, F) fused embeddings and (M,) metadata embedding of one member."""
    partition = join_partition(suite=spec.suite, title=row["title"])
    fused = home.read(ArtifactKey("fused_embeddings", partition, row["fused"]))
    metadata = home.read(ArtifactKey("metadata_embedding", partition, row["metadata"]))
    return vectors_of(pq.read_table(BytesIO(fused))), vectors_of(pq.read_table(BytesIO(metadata)))[0]
