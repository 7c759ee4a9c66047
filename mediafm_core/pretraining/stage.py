"""An encoder's corpus and its training, from what is frozen in the encoder's record."""

import hashlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mediafm_core.catalogue.declared import CorpusMember, EncoderSpec
from mediafm_core.catalogue.kinds import ArtifactKey, join_partition
from mediafm_core.devices import DeviceOf, name_of, on_cpu
from mediafm_core.errors import ArtifactError
from mediafm_core.planning.state import Step
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import ArtifactRow
from mediafm_core.workbench import Bench, Draft

if TYPE_CHECKING:
    from mediafm_core.pretraining.baselines.compare import Comparison
    from mediafm_core.pretraining.going import Shown, Training
    from mediafm_core.pretraining.trainer import Trained


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


def make_encoder(bench: Bench, step: Step, device: DeviceOf = on_cpu, shown: "Shown | None" = None) -> Draft:
    """Train an encoder by Masked Shot Modeling on this device, and compare it with the baselines.

    A training that was killed goes on from its last saved state, whoever began it. `shown` is given its curve as it
    grows.
    """
    from mediafm_core.model.checkpoint import save
    from mediafm_core.pretraining.going import Training
    from mediafm_core.pretraining.peers import Peers

    training = Training(bench, step, shown)
    trained = training.go_on(Peers(device=device()))
    comparison = training.compare(trained)
    lost = training.finish_curve({row.name: row.loss for row in comparison.rows if row.name != "encoder"})
    spec = training.spec
    facts = {**_corpus_facts(training), **_training_facts(training, trained), **_verdict_facts(comparison)}
    facts |= {"event_file": f"not written: {lost}"} if lost else {}
    return Draft(save(trained.encoder, {"encoder": spec.name, "suite": spec.suite, "seed": spec.seed}), facts)


def forget_training(bench: Bench, step: Step) -> None:
    """Remove the saved state of a training whose encoder is committed; harmless where there is none."""
    for left in bench.home.work.glob(f"training-{step.key.fingerprint}.*"):
        left.unlink(missing_ok=True)


def _corpus_facts(training: "Training") -> dict[str, Any]:
    described = training.corpus.described
    n_held_out = len(training.split.held_out)
    return {"n_titles": len(described), "n_held_out": n_held_out, "n_shots": sum(n for _, n in described)}


def _training_facts(training: "Training", trained: "Trained") -> dict[str, Any]:
    centred_by = hashlib.sha256(trained.encoder.centring.mean.cpu().numpy().tobytes()).hexdigest()
    held_out = dict(trained.held_out_losses or [])
    return {
        "n_parameters": sum(parameter.numel() for parameter in trained.encoder.parameters()),
        "centring": centred_by[:12],
        "device": name_of(trained.encoder.device),
        "steps": len(trained.train_losses),
        "kept_step": trained.kept_step,
        "first_loss": trained.train_losses[0],
        "last_loss": trained.train_losses[-1],
        "held_out_loss": held_out.get(trained.kept_step),
        "curve": training.curve().told(),
    }


def _verdict_facts(comparison: "Comparison") -> dict[str, Any]:
    """The table, and what it says: `learnt` is yes, no, undecided or not judged."""
    verdict = comparison.verdict
    rows = [{**row._asdict(), "loss": round(row.loss, 6)} for row in comparison.rows]
    return {"learnt": str(verdict.learnt), "why": verdict.why, "baselines": rows}
