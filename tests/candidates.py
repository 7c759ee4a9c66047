"""Candidates for a release whose heads are as good as a test wants, and all that readers see of a home."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mediafm_core.catalogue.title import Title
from mediafm_core.execution import carry_out
from mediafm_core.planning.state import Step
from mediafm_core.probes.features import Origin
from mediafm_core.probes.heads import Head, Probe
from mediafm_core.probes.labels import OutOfFold, label_set
from mediafm_core.probes.stage import freeze_training
from mediafm_core.probes.tasks import TASKS, TaskKind, task_named
from mediafm_core.release.promotion import make_release, promote
from mediafm_core.snapshots import open_snapshot
from mediafm_core.store.home import Home
from mediafm_core.store.pointer import POINTER
from mediafm_core.workbench import Bench, Draft, LogReporter, Outcome, Stage
from tests import catalogue
from tests.fakes import Fakes, Pair, make_home, pairs, planned

SNAPSHOT = ("snapshot", "")
N_JUDGED, N_CLIPS = 8, 6  # titles that held-out scores are about, and clips of each


class Candidates:
    """Fake makers with heads of a chosen quality, and the real release and snapshot."""

    def __init__(self, failing: Mapping[Pair, Exception] | None = None) -> None:
        self.failing = dict(failing or {})
        self.worse: set[tuple[str, str]] = set()  # (encoder, task) whose held-out scores are upside down
        self.promote: Callable[[Bench, Step], None] = promote

    def _head(self, bench: Bench, step: Step) -> Draft:
        sign = -1.0 if (step.axes["encoder"], step.axes["task"]) in self.worse else 1.0
        return Draft(probe(step.axes["encoder"], step.axes["task"], sign).to_bytes(), {})

    def run(self, home: Home, *wanted: tuple[str, str]) -> list[Outcome]:
        """Carry out these steps, or the plan."""
        heads, release = Stage(self._head, freeze_training), Stage(make_release, lambda b, s: self.promote(b, s))
        stages = {**Fakes(failing=self.failing).stages, "probe_heads": heads, "release": release}
        return list(carry_out(home, wanted or pairs(planned(home).steps), stages, LogReporter()))

    def go_live(self, home: Home, encoder: str) -> list[Outcome]:
        """What `mediafm release promote` does."""
        return self.run(home, ("release", encoder), SNAPSHOT)


def released_home(root: Path, titles: Sequence[Title], *, worse: Iterable[tuple[str, str]] = ()) -> Home:
    """A home where v1 went live, with heads for each task; heads of `worse`, by encoder and task, are upside down."""
    home, candidates = make_home(root, titles, production=None), Candidates()
    candidates.worse |= set(worse)
    for task in TASKS:
        home.declare("labels", task, asdict(catalogue.labels(task, *titles)))
    candidates.run(home)
    candidates.go_live(home, "v1")
    return home


def probe(encoder: str, task: str, sign: float) -> Probe:
    """A head that scores held-out clips by their labels, in the right order or the reverse."""
    of = task_named(task)
    titles = [f"judged-{i}" for i in range(N_JUDGED) for _ in range(N_CLIPS)]
    starts = [float(j) for _ in range(N_JUDGED) for j in range(N_CLIPS)]
    bears = [j % 2 for _ in range(N_JUDGED) for j in range(N_CLIPS)]
    name = of.labels[0] if of.labels else "some"
    said: dict[str, Any] = (
        {"ranks": starts} if of.kind is TaskKind.RANKING else {"labels": [[name] if b else [] for b in bears]}
    )
    labels = label_set(of, titles, starts, [start + 1 for start in starts], **said)
    width = len(labels.names)
    head = Head(
        task=of,
        origin=Origin(encoder, "a suite"),
        read="clip",
        regularisation=1.0,
        names=labels.names,
        mean=np.zeros(1, np.float32),
        scale=np.ones(1, np.float32),
        weights=np.ones((1, width), np.float32),
        bias=np.ones(width, np.float32),
    )
    return Probe(head, OutOfFold(labels, sign * labels.targets.astype(np.float32)))


class Readers(NamedTuple):
    """All that anyone outside sees, and all that the catalogue states."""

    pointer: bytes
    snapshot: bytes
    declarations: object


def seen(home: Home) -> Readers:
    pointer = (home.root / POINTER).read_bytes()
    shown = open_snapshot(str(home.root)).table.to_pylist()
    return Readers(pointer, repr(shown).encode(), home.ledger.declarations())


def live(home: Home) -> str | None:
    """The name of what readers see."""
    return open_snapshot(str(home.root)).release
