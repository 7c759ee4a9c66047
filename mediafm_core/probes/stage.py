"""Labels, heads, predictions and the report of an encoder, from what is stored.

Heavy imports stand in bodies: who lists the stages needs no torch.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.catalogue.declared import TRAINING, TrainingSet
from mediafm_core.catalogue.kinds import KINDS, ArtifactKey, split_partition
from mediafm_core.catalogue.title import Part
from mediafm_core.delivered import read_label_table
from mediafm_core.identity import TitleId, fingerprint
from mediafm_core.planning.desired import desired
from mediafm_core.planning.state import Step
from mediafm_core.planning.training_sets import vectors_made_by
from mediafm_core.snapshots import TITLE_VECTOR
from mediafm_core.store.home import Home
from mediafm_core.store.manifest import manifest_of, read_document
from mediafm_core.store.vectors import vectors_of, with_metadata
from mediafm_core.workbench import Bench, Draft

if TYPE_CHECKING:
    from mediafm_core.probes.features import TitleShots
    from mediafm_core.probes.heads import Probe

WINDOW_S = 30.0
"""Beside the delivered clips, every title is scored in windows of this length."""
STRIDE_S = 15.0

LABEL_NAMES = "label_names"
"""Entry of a predictions table: JSON, the names of each task's scores in their order."""


def make_labels(bench: Bench, step: Step) -> Draft:
    """The frozen labels of a task."""
    frozen = bench.state.labels[step.axes["task"]]
    table = pq.read_table(bench.home.blobs.path(frozen.table))
    return Draft(table, {"n_clips": table.num_rows, "n_titles": len(frozen.titles)})


def make_head(bench: Bench, step: Step) -> Draft:
    """The head of one task on one encoder, with its scores of the titles held out."""
    from mediafm_core.probes.labels import LabelSet
    from mediafm_core.probes.metrics import measure
    from mediafm_core.probes.probing import fit_probe
    from mediafm_core.probes.reading import read_labels
    from mediafm_core.probes.reads import CONTEXTUAL_READS
    from mediafm_core.probes.tasks import task_named

    task = task_named(step.axes["task"])
    members = {split_partition(key.kind, key.partition)["title"]: key for key in step.also}
    all_labels: LabelSet = read_labels(bench.home.blobs.path(bench.state.labels[task.name].table), task)
    labels = all_labels.of_titles(members)
    titles = {title: contextual_shots(bench.home, key, bench.encoder(step).suite) for title, key in members.items()}
    probe = fit_probe(labels, titles, CONTEXTUAL_READS)
    value = measure(task.metric, probe.held_out.scores, labels.targets, labels.of)
    facts = {
        "metric": task.metric.value,
        "held_out": float(value),
        "n_clips": len(labels),
        "n_titles": len(labels.titles),
        "left_out": sorted(set(all_labels.titles).difference(labels.titles)),
        "read": probe.head.read,
        "regularisation": probe.head.regularisation,
        "dims": probe.head.dims,
    }
    return Draft(probe.to_bytes(), facts)


def freeze_training(bench: Bench, step: Step) -> None:
    """Remember what a head was fitted on, so that a title which comes later makes it no staler."""
    axes = step.axes
    members = tuple((TitleId(split_partition(key.kind, key.partition)["title"]), key.fingerprint) for key in step.also)
    table = bench.state.labels[axes["task"]].table
    made_by = vectors_made_by()
    frozen = TrainingSet(encoder=axes["encoder"], task=axes["task"], table=table, members=members, made_by=made_by)
    bench.home.declare(TRAINING, step.key.partition, asdict(frozen))


def make_predictions(bench: Bench, step: Step) -> Draft:
    """Every head's scores of a title's delivered clips, and of windows over all of it."""
    from mediafm_core.probes.heads import predict

    shots = contextual_shots(bench.home, step.inputs["contextual"], bench.encoder(step).suite)
    windows = _windows(float(shots.end_s[-1]))
    delivered = _delivered_clips(bench, step)
    tables, names = [], {}
    for probe in probes_of(bench.home, step):
        task = probe.head.task.name
        clips = sorted({*delivered.get(task, ()), *windows})
        starts, ends = (np.array(times, np.float64) for times in zip(*clips, strict=True))
        scores = predict(probe.head, shots, starts, ends)
        names[task] = list(probe.head.names)
        columns = {"task": [task] * len(clips), "start_s": starts, "end_s": ends, "scores": list(scores)}
        tables.append(pa.table(columns, schema=_PREDICTIONS))
    table = with_metadata(pa.concat_tables(tables), {LABEL_NAMES: json.dumps(names).encode()})
    return Draft(table, {"n_clips": table.num_rows, "n_tasks": len(names)})


_PREDICTIONS = pa.schema(
    [
        ("task", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("scores", pa.list_(pa.float32())),
    ]
)


def _windows(duration_s: float) -> list[tuple[float, float]]:
    """Windows of 30 s, each 15 s after the last, the last one ending with the title; one where it is shorter."""
    starts = np.arange(0.0, max(duration_s - WINDOW_S, 0.0) + 1e-9, STRIDE_S).tolist()
    if starts[-1] + WINDOW_S < duration_s:
        starts.append(duration_s - WINDOW_S)
    return [(start, min(start + WINDOW_S, duration_s)) for start in starts]


def _delivered_clips(bench: Bench, step: Step) -> Mapping[str, set[tuple[float, float]]]:
    found: dict[str, set[tuple[float, float]]] = {}
    if bench.title(step).part_files(Part.LABELS):
        for row in read_label_table(bench.delivered(step, Part.LABELS)).to_pylist():
            found.setdefault(row["task"], set()).add((row["start_s"], row["end_s"]))
    return found


def make_report(bench: Bench, step: Step) -> Draft:
    """What an encoder reaches on each task, beside baselines that no encoder has read.

    Baselines are the same for every encoder that is judged on the same labels and fused embeddings: an earlier report's
    are taken over, by the hash of what they were made from.
    """
    from mediafm_core.probes.report import CONTEXTUAL, contextual_row

    heads = desired(bench.state).encoders[step.axes["encoder"]].heads
    known = _known_baselines(bench.home)
    rows, baselines = [], {}
    for probe in probes_of(bench.home, step):
        fused = {_title(key): _fused_key(bench.home, key) for key in heads[probe.head.task.name].also}
        made_from = fingerprint("baselines", {"labels": probe.held_out.labels.digest, "fused": fused, "code": _CODE})
        baselines[made_from] = known.get(made_from) or _baselines(bench, step, probe, fused)
        rows += [contextual_row(probe)._asdict(), *baselines[made_from]]
    figures = {row["task"]: row["value"] for row in rows if row["features"] == CONTEXTUAL}
    document = {"encoder": step.axes["encoder"], "rows": rows, "baselines": baselines}
    return Draft(document, {**figures, "rows": rows})


_CODE = KINDS["probe_report"].code_version


def _known_baselines(home: Home) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for row in home.ledger.artifacts("probe_report"):
        found |= read_document(home.read(row.key))["baselines"]
    return found


def _baselines(bench: Bench, step: Step, probe: "Probe", fused: Mapping[str, ArtifactKey]) -> list[dict[str, Any]]:
    from mediafm_core.probes.report import baseline_rows

    suite = bench.encoder(step).suite
    shots = {title: _fused_shots(bench.home, key, title, suite) for title, key in fused.items()}
    return [row._asdict() for row in baseline_rows(probe.held_out.labels, shots)]


def _title(contextual: ArtifactKey) -> str:
    return split_partition(contextual.kind, contextual.partition)["title"]


def _fused_key(home: Home, contextual: ArtifactKey) -> ArtifactKey:
    """The fused embeddings that these contextual ones were made from."""
    row = home.ledger.artifact(contextual)
    assert row is not None, "a head was fitted on it"
    return row.manifest.inputs["fused"]


def probes_of(home: Home, step: Step) -> Iterable["Probe"]:
    """The heads among the inputs of a step, by task."""
    from mediafm_core.probes.heads import Probe

    return [Probe.from_bytes(home.read(key)) for role, key in sorted(step.inputs.items()) if role.startswith("head_")]


def contextual_shots(home: Home, key: ArtifactKey, suite: str) -> "TitleShots":
    """Contextual embeddings as the store has them."""
    from mediafm_core.probes.features import Origin, TitleShots

    table = pq.read_table(BytesIO(home.read(key)))
    axes = split_partition(key.kind, key.partition)
    vector = np.frombuffer(base64.b64decode(table.schema.metadata[TITLE_VECTOR]), np.float16).astype(np.float32)
    return TitleShots(
        title=axes["title"],
        origin=Origin(axes["encoder"], suite, manifest_of(table.schema).inputs["encoder"].fingerprint),
        start_s=table["start_s"].to_numpy(),
        end_s=table["end_s"].to_numpy(),
        vectors=vectors_of(table),
        title_vector=vector,
    )


def _fused_shots(home: Home, key: ArtifactKey, title: str, suite: str) -> "TitleShots":
    from mediafm_core.probes.features import FUSED, Origin, TitleShots

    table = pq.read_table(BytesIO(home.read(key)))
    return TitleShots(
        title=title,
        origin=Origin(FUSED, suite),
        start_s=table["start_s"].to_numpy(),
        end_s=table["end_s"].to_numpy(),
        vectors=vectors_of(table),
    )
