"""Makers that take no time: what each makes follows from its step's fingerprint alone. They remember what they made."""

import base64
import json
import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.catalogue.kinds import KINDS
from mediafm_core.catalogue.suite import Suite
from mediafm_core.catalogue.title import Title
from mediafm_core.errors import MediaFMError
from mediafm_core.execution import carry_out
from mediafm_core.identity import Span
from mediafm_core.planning.plan import Plan
from mediafm_core.planning.state import Step
from mediafm_core.snapshots import TITLE_VECTOR, make_snapshot, publish
from mediafm_core.stock import explained_plan, read_state
from mediafm_core.store.home import Home
from mediafm_core.store.vectors import span_columns, spans_of, vector_table, with_metadata
from mediafm_core.workbench import Bench, Draft, LogReporter, Outcome, Stage, Status
from tests import catalogue

HIDDEN = 4
Pair = tuple[str, str]
"""(kind, partition)."""


@dataclass
class Fakes:
    """Fake makers of every kind but the snapshot, which is the real one."""

    made: list[Pair] = field(default_factory=list)
    failing: dict[Pair, Exception] = field(default_factory=dict)

    @property
    def stages(self) -> dict[str, Stage]:
        """How each kind is made."""
        stages = {kind: Stage(self._make) for kind in KINDS}
        return {**stages, "snapshot": Stage(self._snapshot, settle=publish)}

    def _make(self, bench: Bench, step: Step) -> Draft:
        pair = step.key.kind, step.key.partition
        if pair in self.failing:
            raise self.failing[pair]
        self.made.append(pair)
        return draft(bench, step)

    def _snapshot(self, bench: Bench, step: Step) -> Draft:
        if ("snapshot", "") in self.failing:
            raise self.failing["snapshot", ""]
        self.made.append(("snapshot", ""))
        return make_snapshot(bench, step)


def draft(bench: Bench, step: Step) -> Draft:
    """What a fake hands over for a step."""
    match KINDS[step.key.kind].suffix:
        case ".json":
            return Draft({"of": step.key.partition, "rows": []}, {"n_files": 1})
        case ".safetensors":
            return Draft(safetensors(), {"n_titles": 1})
    if step.key.kind == "shots":
        shown = spans(step)
        return Draft(pa.table(span_columns(shown)), {"n_shots": len(shown), "duration_s": shown[-1].end_s})
    if step.key.kind == "labels":
        return Draft(pa.table({"title": list(bench.state.labels[step.axes["task"]].titles)}), {})
    if step.title is None:
        return Draft(pa.table({"title": [member.title for member in bench.encoder(step).corpus]}), {})
    return _rows(bench, step)


def _rows(bench: Bench, step: Step) -> Draft:
    role = next((role for role in ("shots", "timed_text", "video", "fused") if role in step.inputs), None)
    shown = spans_of(bench.read_table(step, role)) if role else [Span(0.0, 1.0)]
    if step.key.kind == "timed_text":
        texts = [f"line {i}" if i % 2 else "" for i in range(len(shown))]
        return Draft(pa.table({**span_columns(shown), "text": texts}), {"n_shots": len(shown)})
    table = vector_table(shown, vectors(step, len(shown)))
    if step.key.kind == "contextual_embeddings":
        title_vector = base64.b64encode(vectors(step, 1).astype(np.float16).tobytes())
        table = with_metadata(table, {TITLE_VECTOR.decode(): title_vector})
    return Draft(table, {"n_shots": len(shown)})


def spans(step: Step) -> list[Span]:
    """The shots that fakes find in a title."""
    assert step.title is not None
    n_shots = catalogue.N_SHOTS.get(step.title, catalogue.N_SHOTS_ELSE)
    return [Span(i * catalogue.SHOT_S, (i + 1) * catalogue.SHOT_S) for i in range(n_shots)]


def vectors(step: Step, n: int) -> NDArray[np.float32]:
    """(n, HIDDEN) float32 that fp16 holds exactly, from the step's fingerprint."""
    random = np.random.default_rng(int(step.key.fingerprint[:12], 16))
    return random.integers(-64, 65, (n, HIDDEN)).astype(np.float32) / 16


def safetensors() -> bytes:
    """The smallest file with a tensor: one float32."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + struct.pack("<f", 1.0)


def make_home(
    root: Path,
    titles: Iterable[Title] = catalogue.TITLES,
    *,
    suites: Iterable[Suite] = (catalogue.SUITE,),
    encoders: Iterable[EncoderSpec] = (catalogue.V1,),
    production: str | None = "v1",
) -> Home:
    """A home in which this catalogue is declared and nothing is made."""
    home = Home.create(root)
    home.declare("instrument", "detector", asdict(catalogue.DETECTOR))
    home.declare("instrument", "recogniser", asdict(catalogue.RECOGNISER))
    for suite in suites:
        home.declare("suite", suite.id, asdict(suite))
    for encoder in encoders:
        home.declare("encoder", encoder.name, asdict(encoder))
    if production:
        home.declare("production", "encoder", {"name": production})
    for title in titles:
        deliver(home, title)
    return home


def deliver(home: Home, title: Title) -> bool:
    """Declare a title as ingest does."""
    return home.declare("title", title.id, asdict(title))


def planned(home: Home) -> Plan:
    """The plan of a home, with reasons."""
    return explained_plan(home, read_state(home))


def pairs(steps: Iterable[Step]) -> list[Pair]:
    """(kind, partition) of steps, in their order."""
    return [(step.key.kind, step.key.partition) for step in steps]


def apply(home: Home, fakes: Fakes | None = None) -> list[Outcome]:
    """Carry out the plan of a home."""
    stages = (fakes or Fakes()).stages
    return list(carry_out(home, pairs(planned(home).steps), stages, LogReporter()))


def done(outcomes: Iterable[Outcome], status: Status = Status.MADE) -> set[Pair]:
    """The partitions with which this became of them."""
    return {(outcome.key.kind, outcome.key.partition) for outcome in outcomes if outcome.status is status}


class BrokenError(MediaFMError):
    """A failure that another attempt may mend."""

    def __init__(self) -> None:
        super().__init__("a fake", found="a fault", expected="none", next_step="Try again.")
