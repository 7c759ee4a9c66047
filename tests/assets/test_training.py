"""Training as users meet it: it goes on where it was killed, says how it goes, and ends with a verdict."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from mediafm_assets.carrying import STAGES
from mediafm_assets.cli.app import app
from mediafm_assets.definitions import defs
from mediafm_assets.jobs import pairs_config, refresh, train_encoder, training_config
from mediafm_assets.partitions import sync
from mediafm_assets.resources import REPORTER
from mediafm_assets.training.launching import _Heard
from mediafm_assets.training.showing import NowAndThen
from mediafm_core.errors import PlanError, StoreError
from mediafm_core.execution import carry_out
from mediafm_core.model.container import unpack
from mediafm_core.planning.desired import desired
from mediafm_core.pretraining.curves import Curve
from mediafm_core.pretraining.going import Training
from mediafm_core.pretraining.progress import Progress
from mediafm_core.pretraining.state import FORMAT
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import Bench, LogReporter, Outcome, Status
from tests.e2e.scenario import Recorder, failure_of
from tests.event_files import scalars
from tests.full_disk import no_file_beyond
from tests.homes import resources
from tests.narrative_homes import N_TITLES, declare_tiny_encoder, one_thread

ENCODER = [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)]
STEPS = [("pretraining_corpus", "v1"), ("mediafm_encoder", "v1")]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    one_thread()


class Killing(LogReporter):
    """A reporter that ends the training after some steps, as a kill would: nothing more is saved."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, fraction: float, note: str = "") -> None:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("killed")


def train(home: Home, reporter: LogReporter | None = None) -> Outcome:
    """Carry out the encoder's steps without Dagster."""
    return list(carry_out(home, STEPS, STAGES, reporter or LogReporter()))[-1]


def training_of(home: Home, reporter: LogReporter | None = None) -> Training:
    state = read_state(home)
    return Training(Bench(home, state, reporter or LogReporter()), desired(state).encoders["v1"].trained)


def shape(facts: Any) -> dict[str, Any]:
    """The facts that do not depend on how fast it went."""
    timed = ("wall_s", "shots_per_s")
    curve = [{name: value for name, value in row.items() if name not in timed} for row in facts["curve"]]
    return {**facts, "curve": curve}


# What is kept while it goes on


def test_a_killed_training_goes_on_to_the_same_encoder_and_the_same_curve(ingested_home, tmp_path):
    declare_tiny_encoder(ingested_home, "v1", checkpoint_every=2)
    killed = train(ingested_home, Killing(after=5))
    assert killed.status is Status.FAILED
    assert "killed" in killed.error
    assert [row["step"] for row in training_of(ingested_home).curve().rows()] == [1, 2, 3, 4]
    assert len(scalars(ingested_home.root / "curves" / "v1")["loss/msm"]) in (5, 6)  # some of it is lost with the state

    done = train(ingested_home)
    assert done.status is Status.MADE
    shown = scalars(ingested_home.root / "curves" / "v1")
    assert [step for step, _ in shown["loss/msm"]] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in shown["loss/held_out"]] == [3, 6]
    assert {"rate/muon", "rate/adamw", "gradient_norm", "shots_per_s", "loss/visible"} <= shown.keys()
    assert [step for step, _ in shown["baseline/nearest"]] == [1, 6]

    whole = Home.open(copied(ingested_home, tmp_path))
    whole.ledger.forget([done.key])
    (whole.root / "artifacts" / "mediafm_encoder" / "v1" / f"{done.key.fingerprint}.safetensors").unlink()
    assert shape(train(whole).facts) == shape(done.facts)


class Hearing(LogReporter):
    """A reporter that keeps what it is told of the baselines."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def advance(self, fraction: float, note: str = "") -> None:
        self.heard += [note] if "GRU" in note else []


def test_a_gru_that_was_killed_goes_on_from_its_last_saved_state(ingested_home):
    declare_tiny_encoder(ingested_home, "v1", checkpoint_every=2, gru_steps=5)
    assert "killed" in train(ingested_home, Killing(after=6 + 3)).error  # in the GRU's fourth step
    hearing = Hearing()
    assert train(ingested_home, hearing).status is Status.MADE
    assert [note.rpartition(" ")[2] for note in hearing.heard] == ["5/5"]
    assert not list(ingested_home.work.glob("training-*"))


def copied(home: Home, tmp_path: Path) -> Path:
    return shutil.copytree(home.root, tmp_path / "copy")


def test_what_was_saved_is_removed_only_when_the_encoder_is_committed(ingested_home, monkeypatch):
    declare_tiny_encoder(ingested_home, "v1")
    with monkeypatch.context() as patch:
        patch.setattr(Home, "commit", refuse_encoders(Home.commit))
        assert "No space" in train(ingested_home).error
    assert list(ingested_home.work.glob("training-*"))
    assert train(ingested_home, Killing(after=0)).status is Status.MADE  # no step is left
    assert not list(ingested_home.work.glob("training-*"))


class Filling(LogReporter):
    """A reporter after whose first words no file of this process grows beyond some bytes any more."""

    def __init__(self, n_bytes: int, only: str = "") -> None:
        self.full = ExitStack()
        self._n_bytes = n_bytes
        self._only = only

    def advance(self, fraction: float, note: str = "") -> None:
        if self._only in note:
            self.full.enter_context(no_file_beyond(self._n_bytes))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("only", "ended"), [("", "pre-training, step 15"), ("GRU", "the GRU among the baselines, step 15")]
)
def test_a_full_disk_ends_a_training_at_its_next_state_and_says_what_it_cannot_record(ingested_home, only, ended):
    declare_tiny_encoder(ingested_home, "v1", steps=30, checkpoint_every=15, evaluate_every=30, gru_steps=30)
    filling, said = Filling(1_000, only), r"cannot be recorded \(.*SQLITE_.*\): {}: the state could not be saved"
    with filling.full, pytest.raises(StoreError, match=said.format(ended)):
        train(ingested_home, filling)
    assert train(ingested_home).status is Status.MADE


@pytest.mark.timeout(60)
def test_curves_that_cannot_be_shown_stop_nothing_and_are_a_fact(ingested_home):
    declare_tiny_encoder(ingested_home, "v1")
    (ingested_home.root / "curves").write_text("in the way")
    done = train(ingested_home)
    assert done.status is Status.MADE
    assert done.facts["event_file"].startswith("not written: ")
    assert len(done.facts["curve"]) == 6


def refuse_encoders(commit: Any) -> Any:
    def refusing(self: Home, manifest: Any, payload: Any) -> Any:
        if manifest.key.kind == "mediafm_encoder":
            raise OSError(28, "No space left on device")
        return commit(self, manifest, payload)

    return refusing


def test_titles_are_read_one_by_one(ingested_home, monkeypatch):
    declare_tiny_encoder(ingested_home, "v1")
    train(ingested_home, Killing(after=0))
    read: list[str] = []
    monkeypatch.setattr(Home, "read", lambda self, key, _read=Home.read: read.append(key.kind) or _read(self, key))
    corpus = training_of(ingested_home).corpus
    assert read == ["pretraining_corpus"]
    assert len(corpus) == N_TITLES == len(corpus.described)
    arrays = corpus.read(3)
    assert (arrays.title, len(arrays.fused)) == corpus.described[3]
    assert read[1:] == ["fused_embeddings", "metadata_embedding"]


# What is said of it


def test_an_encoder_s_facts_have_the_table_and_a_verdict(ingested_home):
    declare_tiny_encoder(ingested_home, "v1", gru_steps=2)
    facts = train(ingested_home).facts
    names = [row["name"].partition(",")[0] for row in facts["baselines"]]
    assert names == ["corpus mean", "nearest", "interpolation", "Gaussian", "GRU", "encoder"]
    assert facts["baselines"][-1]["loss"] == pytest.approx(facts["held_out_loss"], abs=1e-5)
    assert (facts["n_titles"], facts["n_held_out"], facts["learnt"]) == (N_TITLES, 3, "no")
    assert "best baseline" in facts["why"]


def test_the_page_of_the_asset_shows_curve_and_table(ingested_home):
    declare_tiny_encoder(ingested_home, "v1")
    train(ingested_home)
    with dg.DagsterInstance.ephemeral() as instance:
        (event,) = materialised(ingested_home, instance).asset_materializations_for_node("mediafm_encoder")
    assert "data:image/svg+xml" in event.metadata["training"].value
    steps = [record.data["step"] for record in event.metadata["curve"].records]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert event.metadata["learnt"].value == "no"
    assert event.metadata["baselines"].records[-1].data["name"] == "encoder"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A curve is shown after every step."""
    monkeypatch.setattr("mediafm_assets.training.showing._EVERY_S", 0.0)
    monkeypatch.setattr("mediafm_assets.training.showing._EVERY_SHARE", 0.0)


def observed(instance: dg.DagsterInstance) -> list[dg.AssetObservation]:
    records = instance.fetch_observations(dg.AssetKey("mediafm_encoder"), limit=100, ascending=True).records
    return [record.asset_observation for record in records if record.asset_observation]


def test_the_page_of_the_asset_shows_the_curve_while_the_training_goes_on(ingested_home, at_once):
    declare_tiny_encoder(ingested_home, "v1")
    train(ingested_home, Killing(after=0))  # the corpus alone
    token = REPORTER.set(Killing(after=4))
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            assert not materialised(ingested_home, instance).success
            shown = observed(instance)
    finally:
        REPORTER.reset(token)
    assert [len(each.metadata["curve"].records) for each in shown] == [1, 2, 3, 4]
    assert {each.partition for each in shown} == {"v1"}
    assert "data:image/svg+xml" in str(shown[-1].metadata["training"].value)
    said = str(shown[-1].metadata["progress"].value)
    assert re.fullmatch(r"step 4/6, loss \d\.\d+, [\d,]+ shots/s, \d+ s left", said)


@pytest.mark.parametrize("job", ["train_encoder", "refresh"])
def test_so_it_does_in_a_run_of_a_job(ingested_home, at_once, job):
    declare_tiny_encoder(ingested_home, "v1")
    config = training_config("v1") if job == "train_encoder" else pairs_config(STEPS)
    made = {"train_encoder": train_encoder, "refresh": refresh}[job]
    with dg.DagsterInstance.ephemeral() as instance:
        assert made.execute_in_process(run_config=config, instance=instance, resources=resources(ingested_home)).success
        assert len(observed(instance)) == 6


def test_a_curve_is_shown_every_half_minute_and_less_often_in_a_long_training():
    now, shown = [0.0], []
    seen = NowAndThen(lambda stands, rows: shown.append(now[0]), clock=lambda: now[0])
    curve = Curve()
    curve.note({"step": 1.0, "loss/msm": 0.5})
    for second in range(0, 100_000, 10):
        now[0] = float(second)
        seen(progress(1), curve)
    assert shown[:4] == [30.0, 60.0, 90.0, 120.0]
    assert 0.05 <= 1 - shown[-2] / shown[-1] < 0.06
    assert len(shown) < 150


def test_what_the_first_process_tells_of_its_curve_is_shown():
    shown = []
    heard = _Heard(LogReporter(), lambda stands, rows: shown.append((stands, rows)))
    heard.take({"stands": "step 1/2", "curve": [{"step": 1.0}]})
    assert shown == [("step 1/2", [{"step": 1.0}])]


def progress(step: int) -> Progress:
    return Progress(
        step=step, steps=9, msm=0.5, parts={}, shots_per_s=1.0, left_s=1.0, rates={}, grad_norm=1.0, held_out=None
    )


def materialised(home: Home, instance: dg.DagsterInstance, processes: int = 1) -> dg.ExecuteInProcessResult:
    sync(instance, home)
    return dg.materialize(
        ENCODER,
        selection=["mediafm_encoder"],
        partition_key="v1",
        run_config={"ops": {"mediafm_encoder": {"config": {"processes": processes}}}},
        instance=instance,
        resources=resources(home),
        raise_on_error=False,
    )


def command(home: Home, *arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments), "--home", str(home.root)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The preset `demo`, cut to what `declare_tiny_encoder` declares."""
    from mediafm_core.pretraining import declaring
    from mediafm_core.pretraining.presets import preset_config

    def tiny(name: str, **given: Any) -> dict[str, Any]:
        config = preset_config(name, **given)
        config["model"] |= {"hidden": 16, "layers": 1, "heads": 2}
        config["trainer"] |= {"steps": 4, "shots_per_step": 80, "warm_up_steps": 1, "checkpoint_every": 1}
        return config

    monkeypatch.setattr(declaring, "preset_config", tiny)


def test_the_command_trains_lists_and_reports(ingested_home, short):
    told = command(ingested_home, "encoder", "train", "v1", "--preset", "demo")
    assert "learnt: not judged (no title was held out of training: its configuration holds none out" in told
    (row,) = json.loads(command(ingested_home, "encoder", "list", "--json"))
    assert (row["learnt"], row["steps"]) == ("not judged", 4)


def test_a_changed_field_is_declared_and_goes_on_by_the_same_changes_alone(ingested_home, short):
    from mediafm_core.pretraining.declaring import declare_encoder, is_cut_off

    slower = ["trainer.adamw_rate=0.001", "objective.masking=spans"]
    declare_encoder(ingested_home, "v1", preset="demo", seed=0, changes=slower)
    assert is_cut_off(ingested_home, "v1", preset="demo", seed=0, changes=slower[::-1])
    assert not is_cut_off(ingested_home, "v1", preset="demo", seed=0)
    with pytest.raises(PlanError, match=r"Go on with it by `mediafm encoder train v1 .*--set objective.masking=spans"):
        declare_encoder(ingested_home, "v1", preset="demo", seed=1, changes=slower)
    command(ingested_home, "encoder", "train", "v1", "--preset", "demo", "--set", slower[0], "--set", slower[1])
    report = json.loads(command(ingested_home, "encoder", "report", "v1", "--json"))["training"]
    assert {*slower} < {*report["changes"]}
    assert report["preset"] == "own"


def test_the_job_takes_the_same_changes_and_refuses_what_cannot_be(ingested_home, short):
    for name, change in (("v1", "trainer.adamw_rate=0.001"), ("v2", "trainer.stpes=2")):
        asked = {"name": name, "preset": "demo", "changes": [change]}
        done = train_encoder.execute_in_process(
            run_config={"ops": {"train": {"config": asked}}}, resources=resources(ingested_home), raise_on_error=False
        )
        assert done.success == (name == "v1")
    declared = ingested_home.ledger.declared("encoder")
    assert {name: record["config"]["trainer"]["adamw_rate"] for name, record in declared.items()} == {"v1": 0.001}


def test_a_training_that_was_cut_off_goes_on_by_the_same_command_and_by_no_other(ingested_home, short, monkeypatch):
    from mediafm_core.pretraining.declaring import declare_encoder, is_cut_off

    declare_encoder(ingested_home, "v1", preset="demo", seed=0)
    train(ingested_home, Killing(after=2))
    assert is_cut_off(ingested_home, "v1", preset="demo", seed=0)
    assert not is_cut_off(ingested_home, "v1", preset="demo", seed=1)
    assert not is_cut_off(ingested_home, "v1", preset="plain", seed=0)
    assert not is_cut_off(ingested_home, "v2", preset="demo", seed=0)
    told: list[str] = []
    monkeypatch.setattr(
        "mediafm_assets.cli.progress.ShownProgress.advance", lambda self, fraction, note="": told.append(note)
    )
    command(ingested_home, "encoder", "train", "v1", "--preset", "demo")
    assert [note.partition(",")[0] for note in told] == ["step 3/4", "step 4/4"]
    assert not is_cut_off(ingested_home, "v1", preset="demo", seed=0)


# Several processes


dagster_pipes_reads_a_deprecated_name = pytest.mark.filterwarnings(
    "ignore:AssetExecutionContext.run_id is deprecated:DeprecationWarning"
)


class Notes(Recorder):
    """A recorder that keeps what is said on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def advance(self, fraction: float, note: str = "") -> None:
        self.notes.append(note)


@pytest.fixture
def notes() -> Iterator[Notes]:
    made = Notes()
    token = REPORTER.set(made)
    yield made
    REPORTER.reset(token)


@pytest.mark.slow
@dagster_pipes_reads_a_deprecated_name
def test_two_processes_make_the_encoder_that_one_makes(ingested_home, tmp_path, notes):
    declare_tiny_encoder(ingested_home, "v1", steps=20, checkpoint_every=5)
    train(ingested_home, Killing(after=0))  # the corpus alone
    alone = Home.open(copied(ingested_home, tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialised(ingested_home, instance, processes=2)
    assert result.success
    assert any(note.startswith("step 20/20, loss") for note in notes.notes)
    (outcome,) = notes.outcomes
    one = train(alone).facts
    assert outcome.facts["processes"] == 2
    assert outcome.facts["last_loss"] == pytest.approx(one["last_loss"], rel=1e-3)
    assert outcome.facts["held_out_loss"] == pytest.approx(one["held_out_loss"], rel=1e-3)
    same = ("n_titles", "n_held_out", "n_shots", "n_parameters", "steps", "kept_step", "centring", "learnt")
    assert {fact: outcome.facts[fact] for fact in same} == {fact: one[fact] for fact in same}
    assert [step for step, _ in scalars(ingested_home.root / "curves" / "v1")["loss/msm"]] == list(range(1, 21))
    assert not list(ingested_home.work.glob("training-*"))


def workers(parent: int) -> dict[int, int]:
    """Process ids of the training processes below a process, by rank."""
    found: dict[int, int] = {}
    below = [
        int(pid) for task in Path(f"/proc/{parent}/task").iterdir() for pid in (task / "children").read_text().split()
    ]
    for pid in below:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        variables = dict(v.split(b"=", 1) for v in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if b"=" in v)
        if b"torch.distributed.run" not in words and b"RANK" in variables:
            found[int(variables[b"RANK"])] = pid
        found |= workers(pid)
    return found


def wait_for_a_state(home: Home) -> None:
    while not list(home.work.glob("training-*.safetensors")):
        time.sleep(0.05)


def kill_one(home: Home, rank: int, died_at: list[float]) -> None:
    """Kill one of the processes as soon as a state was saved."""
    wait_for_a_state(home)
    os.kill(workers(os.getpid())[rank], signal.SIGKILL)
    died_at.append(time.monotonic())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("rank", [0, 1])
@dagster_pipes_reads_a_deprecated_name
def test_when_one_process_is_killed_the_run_fails_soon_and_the_next_goes_on(ingested_home, tmp_path, notes, rank):
    """Through torchrun and Dagster Pipes, whether it is the one that saves and tells or another one."""
    declare_tiny_encoder(ingested_home, "v1", steps=300, checkpoint_every=20, evaluate_every=300)
    train(ingested_home, Killing(after=0))
    died_at: list[float] = []
    killer = Thread(target=kill_one, args=(ingested_home, rank, died_at))
    killer.start()
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialised(ingested_home, instance, processes=2)
        ended_at = time.monotonic()
        killer.join()
        assert ended_at - died_at[0] < 60
        assert not result.success
        said = failure_of(result)
        assert "encoder 'v1', trained by 2 processes" in said or "another process is gone" in said
        assert "last saved state" in said
        assert workers(os.getpid()) == {}
        saved = training_of(ingested_home).states.read()
        assert saved is not None
        stands = unpack(saved, "a state", FORMAT).manifest["step"]
        assert stands >= 20

        notes.notes.clear()
        assert materialised(ingested_home, instance, processes=2).success
    first = int(notes.notes[0].split()[1].partition("/")[0])
    assert first > stands  # the first word after it may be of a later step
    alone = Home.open(copied(ingested_home, tmp_path))
    outcome = notes.outcomes[-1]
    assert outcome.facts["steps"] == 300
    alone.ledger.forget([outcome.key])
    (alone.root / "artifacts" / "mediafm_encoder" / "v1" / f"{outcome.key.fingerprint}.safetensors").unlink()
    assert train(alone).facts["last_loss"] == pytest.approx(outcome.facts["last_loss"], rel=0.02)


@pytest.mark.slow
def test_when_the_run_itself_is_killed_no_process_trains_on_for_long(ingested_home):
    """Else it would write states beside the training that takes its place."""
    declare_tiny_encoder(ingested_home, "v1", steps=100_000, checkpoint_every=20)
    code = (
        "import sys; from mediafm_assets.cli.running import *; from mediafm_assets.jobs import *;"
        "run_job(Home.open(Path(sys.argv[1])), train_encoder, training_config('v1', 2), 2, Console())"
    )
    run = subprocess.Popen([sys.executable, "-c", code, str(ingested_home.root)])  # noqa: S603
    wait_for_a_state(ingested_home)
    left = workers(run.pid)
    assert sorted(left) == [0, 1]
    run.kill()
    run.wait()
    end = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in left.values()) and time.monotonic() < end:
        time.sleep(0.2)
    assert [pid for pid in left.values() if Path(f"/proc/{pid}").exists()] == []
    assert len(training_of(ingested_home).curve()) >= 20  # what was saved stands
