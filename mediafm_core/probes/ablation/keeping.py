"""Finished rows of an ablation under way, in the home's work folder: a run that was killed goes on after them."""

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.identity import canonical_json
from mediafm_core.probes.labels import LabelSet, OutOfFold
from mediafm_core.probes.metrics import Interval
from mediafm_core.probes.report import ReportRow
from mediafm_core.store.home import Home


class FinishedRow(NamedTuple):
    """One row, with what else the report says of it."""

    row: ReportRow
    ahead: Interval  # how much better the encoder in context is than this, on the same clips
    held_out: OutOfFold | None  # only of rows that findings are judged by


def keep(home: Home, key: ArtifactKey, made: FinishedRow) -> None:
    """Keep a finished row; what a kill leaves half written is read by nothing."""
    folder = _folder(home, key)
    folder.mkdir(parents=True, exist_ok=True)
    scores = base64.b64encode(made.held_out.scores.astype("<f4").tobytes()).decode() if made.held_out else None
    record = {"row": made.row._asdict(), "ahead": list(made.ahead), "scores": scores}
    name = hashlib.sha256(f"{made.row.task}|{made.row.features}".encode()).hexdigest()
    temporary = folder / f".{name}"
    temporary.write_text(canonical_json(record), encoding="utf-8")
    temporary.replace(folder / f"{name}.json")


def kept(home: Home, key: ArtifactKey, labels: Mapping[str, LabelSet]) -> Iterator[FinishedRow]:
    """The rows that an earlier run finished.

    Args:
        home: the home.
        key: of the ablation.
        labels: by task; they are what the key stands for, so scores of the earlier run are scores of theirs.
    """
    for path in sorted(_folder(home, key).glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        row = ReportRow(**record["row"])
        held_out = _scores(record["scores"], labels[row.task]) if record["scores"] else None
        yield FinishedRow(row, Interval(*record["ahead"]), held_out)


def _scores(text: str, labels: LabelSet) -> OutOfFold:
    return OutOfFold(labels, np.frombuffer(base64.b64decode(text), "<f4").reshape(labels.targets.shape))


def forget(home: Home, key: ArtifactKey) -> None:
    """Remove them; harmless where there are none."""
    shutil.rmtree(_folder(home, key), ignore_errors=True)


def _folder(home: Home, key: ArtifactKey) -> Path:
    return home.work / f"ablation-{key.fingerprint}"
