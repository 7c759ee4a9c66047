"""Freezing the labels of a task: from a file, or from what the deliveries brought."""

from collections.abc import Container, Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.catalogue.declared import FrozenLabels
from mediafm_core.catalogue.title import Part
from mediafm_core.delivered import read_label_table
from mediafm_core.identity import TitleId
from mediafm_core.planning.desired import desired
from mediafm_core.planning.state import State
from mediafm_core.probes.labels import LabelSet
from mediafm_core.probes.reading import merge_labels, read_labels
from mediafm_core.probes.tasks import TASKS, Task, TaskKind, task_named
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home


def set_labels(home: Home, task: str, path: Path) -> FrozenLabels:
    """Take a file as the labels of a task from now on; its heads and what hangs on them become stale.

    Raises:
        LabelsError: there is no such task, or the file breaks a rule; then nothing changes.
    """
    labels = read_labels(path, task_named(task), _durations(home, read_state(home)))
    return _declare(home, labels)


def freeze_delivered(home: Home, *, again: bool = False) -> list[FrozenLabels]:
    """Freeze the labels that the titles of today were delivered with, for each task that has some.

    A title whose shots are not known yet is left out: whether its clips lie within it cannot be said.

    Args:
        home: the home.
        again: also where a task has labels already; else those stay as they are.

    Raises:
        LabelsError: a delivered row breaks a rule.
    """
    state = read_state(home)
    durations = _durations(home, state)
    tables = _delivered_tables(home, state, durations)
    asked = {name for table in tables.values() for name in table["task"].unique().to_pylist()}
    tasks = [task for name, task in TASKS.items() if name in asked and (again or name not in state.labels)]
    return [_declare(home, merge_labels(tables, task, durations)) for task in tasks]


def _delivered_tables(home: Home, state: State, titles: Container[str]) -> dict[str, pa.Table]:
    """What each of these titles was delivered with."""
    found = {title.id: title.part_files(Part.LABELS) for title in state.titles.values() if title.id in titles}
    return {title: read_label_table(home.blobs.path(files[0].sha256)) for title, files in found.items() if files}


def _durations(home: Home, state: State) -> Mapping[str, float]:
    """Seconds of every title whose shots are known, of the delivery that is current."""
    wanted = {s.key for chain in desired(state).chains.values() for s in chain if s.key.kind == "shots"}
    rows = [row for row in home.ledger.artifacts("shots") if row.key in wanted]
    return {row.key.partition: row.manifest.facts["duration_s"] for row in rows}


def _declare(home: Home, labels: LabelSet) -> FrozenLabels:
    sink = BytesIO()
    pq.write_table(label_table(labels), sink, compression="zstd")
    table = home.blobs.keep_bytes(sink.getvalue())
    frozen = FrozenLabels(task=labels.task.name, table=table, titles=tuple(TitleId(t) for t in labels.titles))
    home.declare("labels", labels.task.name, asdict(frozen))
    return frozen


def label_table(labels: LabelSet) -> pa.Table:
    """A label set as the table that `read_labels` reads."""
    columns = {
        "title": [labels.titles[i] for i in labels.of],
        "start_s": labels.start_s,
        "end_s": labels.end_s,
    }
    return pa.table({**columns, **_values(labels.task, labels)})


def _values(task: Task, labels: LabelSet) -> dict[str, pa.Array]:
    if task.kind is TaskKind.RANKING:
        return {"rank": pa.array(labels.targets[:, 0], pa.float64())}
    named = [[labels.names[j] for j in row.nonzero()[0]] for row in labels.targets]
    return {"labels": pa.array(named, pa.list_(pa.string()))}
