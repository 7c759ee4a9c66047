"""A walk: a home to which one thing after another happens, and what must hold of it wherever the walk has come.

The planner, the ledger, the objects, releases, snapshots and the pointer are the real ones; makers are fakes, so that a
step costs its bookkeeping and no compute. The home lies in memory where the machine has such a place.
"""

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import dagster as dg
import pytest

from mediafm_assets import carrying
from mediafm_assets.jobs import refresh, train_encoder, trained_name
from mediafm_assets.sensors import reconcile
from mediafm_core.catalogue.declared import WITHDRAWN, Release
from mediafm_core.catalogue.kinds import KINDS, ArtifactKey, split_partition
from mediafm_core.catalogue.suite import Suite
from mediafm_core.catalogue.title import Title
from mediafm_core.execution import carry_out
from mediafm_core.identity import TitleId
from mediafm_core.planning import making
from mediafm_core.planning.desired import desired
from mediafm_core.planning.parking import held_up
from mediafm_core.planning.plan import Plan, plan
from mediafm_core.planning.state import Step, scored_by
from mediafm_core.probes.stage import freeze_training
from mediafm_core.release.history import history
from mediafm_core.release.promotion import make_release, promote
from mediafm_core.release.retiring_suites import retire_suite
from mediafm_core.release.withdrawing import free_withdrawn, withdraw
from mediafm_core.snapshots import make_snapshot, open_snapshot, publish
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home, artifact_path, read_checked
from mediafm_core.store.ledger import ArtifactRow
from mediafm_core.store.pointer import POINTER
from mediafm_core.workbench import Bench, Draft, LogReporter, Outcome, Stage, Status
from tests import catalogue, fakes
from tests.candidates import probe
from tests.catalogue import LONG, ONE_SHOT, SILENT, UNSORTED
from tests.e2e.scenario import Recorder, execute
from tests.fakes import BrokenError, Pair, deliver, make_home, pairs
from tests.homes import materialised, resources

TASKS = ("tone", "popularity")
POOL = (SILENT, ONE_SHOT, UNSORTED, LONG)
FIRST = POOL[:2]
ENCODERS = ("v1", "v2", "v3")
SUITES = (catalogue.SUITE, catalogue.SECOND_SUITE)


class Killed(BaseException):
    """The process died. No `Exception`: nothing in the code may catch it."""


@dataclass
class Makers:
    """Fakes that fail, or meet somebody else's work, as they are told."""

    failing: dict[Pair, int] = field(default_factory=dict)  # how many more attempts fail
    worse: set[str] = field(default_factory=set)  # encoders whose heads are fitted upside down
    meanwhile: Callable[[], None] | None = None  # happens once, while the next artifact is being made

    @property
    def stages(self) -> dict[str, Stage]:
        """How each kind is made."""
        own = {
            "probe_heads": Stage(self._maker(self._head), freeze_training),
            "release": Stage(self._maker(make_release), promote),
            "snapshot": Stage(self._maker(make_snapshot), publish),
        }
        return {kind: Stage(self._maker(fakes.draft)) for kind in KINDS} | own

    def _maker(self, make: Callable[[Bench, Step], Draft]) -> Callable[[Bench, Step], Draft]:
        def made(bench: Bench, step: Step) -> Draft:
            pair = step.key.kind, step.key.partition
            if self.failing.get(pair, 0) > 0:
                self.failing[pair] -= 1
                raise BrokenError
            if happens := self.meanwhile:
                self.meanwhile = None
                happens()
            return make(bench, step)

        return made

    def _head(self, _bench: Bench, step: Step) -> Draft:
        encoder, task = step.axes["encoder"], step.axes["task"]
        return Draft(probe(encoder, task, -1.0 if encoder in self.worse else 1.0).to_bytes(), {})


class Seen(NamedTuple):
    """What readers see."""

    titles: frozenset[str]
    live: str | None  # the release, or the encoder where there is none; None where nothing was published


class Walk:
    """The home, its makers, and the code versions of the moment."""

    def __init__(self, *, labelled: bool) -> None:
        memory = Path("/dev/shm")  # noqa: S108 a fresh folder below it
        self.folder = Path(tempfile.mkdtemp(prefix="mediafm-walk-", dir=memory if memory.is_dir() else None))
        self.patch = pytest.MonkeyPatch()
        self.makers = Makers()
        self.patch.setattr(carrying, "STAGES", self.makers.stages)
        self.patch.setattr(carrying, "preview", lambda _home, _outcome: {})  # of fakes there is nothing to see
        self.edits = 0
        self.labelled = labelled
        self.home: Home = make_home(
            self.folder / "home", FIRST, encoders=[catalogue.V1], production=None if labelled else "v1"
        )
        for task in TASKS if labelled else ():
            self.edit_labels(task)
        self.digests: dict[ArtifactKey, str] = {}
        self.withdrawn: set[TitleId] = set()
        self.ever_withdrawn: set[TitleId] = set()
        self.ever_retired: set[str] = set()  # ids of suites

    def close(self) -> None:
        """Remove the home."""
        self.patch.undo()
        self.home.ledger.close()
        resources(self.home)["home"].open().ledger.close()
        shutil.rmtree(self.folder)

    # What happens to the home

    def deliver(self, title: Title) -> None:
        """Deliver a title, or deliver it anew; one that was withdrawn is active again then."""
        deliver(self.home, title)
        if title.id in self.withdrawn:
            self.home.declare(WITHDRAWN, title.id, {})
            self.withdrawn.remove(title.id)

    def withdraw(self, title: Title) -> None:
        """Withdraw a title, if it is active."""
        if title.id in read_state(self.home).titles:
            withdraw(self.home, title.id)
            self.withdrawn.add(title.id)
            self.ever_withdrawn.add(title.id)

    def title(self, given: Title) -> Title:
        """The title as it stands in the catalogue, or as it would be delivered first."""
        return read_state(self.home).titles.get(given.id, given)

    def edit(self) -> str:
        """A text that was never there before."""
        self.edits += 1
        return f"edit {self.edits}"

    def edit_labels(self, task: str) -> None:
        """Declare other labels of a task, on the titles of today."""
        titles = list(read_state(self.home).titles.values())
        frozen = catalogue.labels(task, *titles)
        self.home.declare("labels", task, asdict(replace(frozen, table=catalogue.sha256(f"{task} {self.edit()}"))))

    def bump(self, kind: str) -> None:
        """Raise the code version of a kind."""
        kinds = dict(making.KINDS)
        kinds[kind] = replace(kinds[kind], code_version=kinds[kind].code_version + 1)
        self.patch.setattr(making, "KINDS", MappingProxyType(kinds))

    def declare_encoder(self, name: str, of: Suite) -> None:
        """Declare an encoder over the titles of today, by a suite that is asked for."""
        titles = tuple(read_state(self.home).titles.values())
        self.home.declare("encoder", name, asdict(catalogue.encoder(name, titles, of, seed=ENCODERS.index(name))))

    def retire_suite(self, suite: Suite) -> None:
        """Retire a suite, if it can be: readers see no change, and nothing is planned by it or left of it."""
        before = self.check_readers(), self._pointer()
        retire_suite(self.home, suite.id)
        self.ever_retired.add(suite.id)
        assert (self.check_readers(), self._pointer()) == before
        self.check_retired_suites()

    # Carrying out

    def plan(self) -> Plan:
        """What is missing now."""
        return plan(read_state(self.home))

    def carry_out(self, wanted: Iterable[Pair]) -> list[Outcome]:
        """Carry out these steps in this process, without Dagster."""
        return list(carry_out(self.home, wanted, self.makers.stages, LogReporter()))

    def apply(self) -> list[Outcome]:
        """Carry out the plan, and hold what came of it against the plan and the ledger."""
        planned, before, seen = self.plan(), self.committed(), self.check_readers()
        outcomes = self.carry_out(pairs(planned.steps))
        self.check_exact(planned, outcomes, before)
        self.check_none_lost(seen)
        return outcomes

    def die(self, at_commit: int, *, before_the_row: bool) -> bool:
        """Carry out the plan and die at a commit, before its row in the ledger or right after it.

        After it means before what is left to do with the artifact, and before Dagster hears of it.

        Returns:
            Whether the plan came so far.
        """
        wanted = pairs(self.plan().steps)
        try:
            with dying(self.home, at_commit, before_the_row=before_the_row):
                self.carry_out(wanted)
        except Killed:
            return True
        return False

    def tick_and_run(self) -> None:
        """Let Dagster carry out what the sensor `reconcile` asks for, which asks for the same when asked twice."""
        before = self.committed()
        with dg.DagsterInstance.ephemeral() as instance:
            asked, again = self._tick(instance), self._tick(instance)
            if asked is None or again is None:
                assert asked is again is None
                return
            assert [request.run_key for request in asked] == [request.run_key for request in again]
            recorder = Recorder()
            for request in asked:
                job = {job.name: job for job in (refresh, train_encoder)}[str(request.job_name)]
                execute(job, request.run_config, self.home, instance, recorder)
            gained = frozenset(key[:2] for key in self.committed() - before)
            assert recorder.having(Status.MADE) == gained
            shown, done = materialised(instance, KINDS), recorder.having(Status.MADE, Status.KEPT)
            assert shown == done, f"made and not shown, or the reverse: {shown ^ done}"
            assert {pair for request in asked for pair in _asked_pairs(request)} == recorder.having(*Status)

    def _tick(self, instance: dg.DagsterInstance) -> list[dg.RunRequest] | None:
        context = dg.build_sensor_context(instance=instance, resources=resources(self.home))
        result = reconcile(context)
        return list(result.run_requests) if isinstance(result, dg.SensorResult) and result.run_requests else None

    def committed(self) -> set[ArtifactKey]:
        """What the ledger has."""
        return set(self.home.ledger.committed_in_order())

    # What must hold

    def check_exact(self, planned: Plan, outcomes: list[Outcome], before: set[ArtifactKey]) -> None:
        """Executed, planned and committed are one set; where steps failed, what hangs on them is left out of all."""
        made = {outcome.key for outcome in outcomes if outcome.status is Status.MADE}
        wanted = {step.key for step in planned.steps}
        gained = self.committed() - before
        assert made == gained, f"made but not committed or the reverse: {made ^ gained}"
        assert not _of_suites(wanted, self._retired_suites()), "planned by a suite that is retired"
        failed = {outcome.key for outcome in outcomes if outcome.status in (Status.FAILED, Status.BLOCKED)}
        if failed:
            assert _but_snapshots(made | failed) == _but_snapshots(wanted)
        else:
            published = {key for key in wanted if key.kind == "snapshot" and key in before}
            assert made == wanted - published, f"not as planned: {made ^ wanted}"
            left = self.plan().steps
            assert not left, f"planned again: {pairs(left)}"

    def check_none_lost(self, before: Seen) -> None:
        """A title that readers saw they still see, unless what is live has changed, or it waits for a person."""
        now = self.check_readers()
        lost = before.titles - now.titles - self.withdrawn
        if before.live == now.live and lost:
            state = read_state(self.home)
            held = {key.partition.split("|")[-1] for key in held_up(state, desired(state).steps())}
            assert not self.labelled, f"readers see {lost} no more"
            assert lost <= held, f"readers see {lost} no more, of which {held} are held up"

    def check_kept(self) -> None:
        """What was committed is as it was, unless its encoder or suite was retired or its title withdrawn."""
        retired = {spec.name for spec in read_state(self.home).retired}
        now = {row.key: row.digest for row in self.home.ledger.artifacts()}
        for key, digest in self.digests.items():
            axes = split_partition(key.kind, key.partition)
            of_withdrawn = axes.get("title") in self.ever_withdrawn or (key.kind == "snapshot" and self.ever_withdrawn)
            may_be_gone = axes.get("encoder") in retired or axes.get("suite") in self.ever_retired or of_withdrawn
            assert (may_be_gone and key not in now) or now[key] == digest, f"{key} was rewritten or lost"
        self.digests = now

    def check_readers(self) -> Seen:
        """Readers see one release, one encoder, and of each title scores of just the embeddings that they see."""
        if self._pointer() is None:
            return Seen(frozenset(), None)
        shown = open_snapshot(str(self.home.root))
        rows = shown.table.to_pylist()
        by_path = {row.path: row for row in self.home.ledger.artifacts()}
        read = {row["title"]: by_path[row["contextual_path"]] for row in rows}
        trained = {found.manifest.inputs["encoder"] for found in read.values()}
        code = {found.manifest.ingredients["code"] for found in read.values()}
        assert len(trained) == len(code) == 1, f"readers see vectors of {trained}, by code {code}"
        assert trained.pop().partition == shown.encoder
        release = next((e.release for e in history(self.home) if e.release and e.release.name == shown.release), None)
        for row in rows:
            self._check_whole(row, by_path, release)
        return Seen(frozenset(read), shown.release or shown.encoder)

    def _check_whole(self, row: Mapping[str, str], by_path: Mapping[str, ArtifactRow], live: Release | None) -> None:
        for role in ("contextual", "fused", "shots", "timed_text", "predictions"):
            if row[f"{role}_path"]:
                read_checked(self.home.objects, row[f"{role}_path"], row[f"{role}_digest"])
        if live is None:
            assert row["predictions_path"] is None
            return
        predictions = by_path[row["predictions_path"]]
        scored = scored_by(predictions.key, predictions.manifest.inputs)
        assert scored.heads == live.heads
        assert artifact_path(scored.contextual) == row["contextual_path"]

    def check_withdrawn(self) -> None:
        """Of withdrawn titles nothing is seen and nothing is left."""
        free_withdrawn(self.home)
        assert not self.check_readers().titles & self.withdrawn
        paths = list(self.home.objects.sizes("artifacts"))
        assert not [path for path in paths if self.withdrawn.intersection(path.split("/"))]
        assert not [f for f in self.home.ledger.failures() if self.withdrawn.intersection(f.partition.split("|"))]

    def check_retired_suites(self) -> None:
        """By retired suites nothing is planned, and nothing is left of them."""
        retired, planned = self._retired_suites(), self.plan()
        assert not _of_suites((step.key for step in (*planned.steps, *planned.blocked)), retired)
        assert not _of_suites((*self.committed(), *self.home.ledger.failures()), retired)
        assert not [path for path in self.home.objects.sizes("artifacts") if retired.intersection(path.split("/"))]

    def _retired_suites(self) -> set[str]:
        return self.ever_retired - {suite.id for suite in read_state(self.home).suites}

    def _pointer(self) -> bytes | None:
        pointer = self.home.root / POINTER
        return pointer.read_bytes() if pointer.exists() else None

    def check_objects(self) -> None:
        """No object is damaged or lost; one without a row was left by a kill, and is what it would be made to again."""
        found = self.home.rebuild_ledger()
        assert not found.damaged
        assert not found.lost


def _asked_pairs(request: dg.RunRequest) -> set[Pair]:
    """What a run is to make."""
    if request.job_name == train_encoder.name:
        return {(kind, trained_name(request.run_config)) for kind in ("pretraining_corpus", "mediafm_encoder")}
    return {(kind, key) for kind, key in request.run_config["ops"]["carry_out_steps"]["config"]["steps"]}


def _of_suites(keys: Iterable[ArtifactKey], suites: Collection[str]) -> list[ArtifactKey]:
    return [key for key in keys if split_partition(key.kind, key.partition).get("suite") in suites]


def _but_snapshots(keys: Iterable[ArtifactKey]) -> set[ArtifactKey]:
    return {key for key in keys if key.kind != "snapshot"}


class dying:  # noqa: N801 it is used as a word
    """Within it, the process dies at the nth commit of this home."""

    def __init__(self, home: Home, at_commit: int, *, before_the_row: bool) -> None:
        self._ledger, self._left, self._before = home.ledger, at_commit, before_the_row
        self._commit = home.ledger.commit

    def __enter__(self) -> None:
        self._ledger.commit = self._die  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        self._ledger.commit = self._commit  # type: ignore[method-assign]

    def _die(self, row: ArtifactRow) -> bool:
        self._left -= 1
        if self._left == 0 and self._before:
            raise Killed
        first = self._commit(row)
        if self._left == 0:
            raise Killed
        return first
