"""Readers see one whole snapshot of one version, before, during and after the next is published."""

import json
import threading
from dataclasses import asdict
from pathlib import Path

import pytest

from mediafm_core import snapshots
from mediafm_core.catalogue.kinds import UNPARTITIONED, ArtifactKey
from mediafm_core.errors import ArtifactError, SnapshotError
from mediafm_core.execution import carry_out
from mediafm_core.identity import fingerprint
from mediafm_core.planning.desired import desired
from mediafm_core.planning.plan import snapshot_step
from mediafm_core.planning.state import Step
from mediafm_core.snapshots import open_snapshot, publish
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.pointer import POINTER, Pointer, read_pointer
from mediafm_core.workbench import LogReporter
from tests import catalogue
from tests.catalogue import LONG, ONE_SHOT, SILENT, V2
from tests.fakes import Fakes, apply, deliver, make_home, pairs, planned

N_READS = 200


@pytest.fixture
def home(tmp_path: Path):
    home = make_home(tmp_path / "home", [SILENT, ONE_SHOT])
    yield home
    home.ledger.close()


def rows(home: Home) -> dict[str, dict]:
    return {row["title"]: row for row in open_snapshot(str(home.root)).table.to_pylist()}


def test_a_row_names_artifacts_of_one_lineage(home: Home) -> None:
    apply(home)
    for title, row in rows(home).items():
        by_path = {artifact.path: artifact for artifact in home.ledger.artifacts()}
        contextual = by_path[row["contextual_path"]]
        fused = by_path[row["fused_path"]]
        assert contextual.manifest.inputs["fused"] == fused.key
        assert by_path[row["shots_path"]].key.partition == title
        for role in ("contextual", "fused", "shots", "timed_text"):
            assert row[f"{role}_digest"] == by_path[row[f"{role}_path"]].digest


def test_a_row_shows_what_the_title_says_of_itself(home: Home) -> None:
    apply(home)
    row = rows(home)["one-shot"]
    assert (row["name"], row["synopsis"]) == ("One Shot", "A door stays shut.")
    assert (row["n_shots"], row["duration_s"]) == (1, catalogue.SHOT_S)


def test_rows_that_are_taken_over_are_as_if_made_anew(home: Home, tmp_path: Path) -> None:
    apply(home)
    deliver(home, LONG)
    deliver(home, catalogue.with_attribution(SILENT, "Somebody"))
    apply(home)
    before = json.loads(json.dumps(rows(home), default=bytes.hex))
    (home.root / POINTER).unlink()  # nothing to take over from
    made = snapshots.make_snapshot(_bench(home), planned(home).steps[-1]).payload
    assert json.loads(json.dumps({r["title"]: r for r in made.to_pylist()}, default=bytes.hex)) == before
    assert before["silent"]["attribution"] == "Somebody"


def _bench(home: Home):
    from mediafm_core.workbench import Bench

    return Bench(home, read_state(home), LogReporter())


def test_an_open_snapshot_never_changes(home: Home) -> None:
    apply(home)
    held = open_snapshot(str(home.root))
    before = held.table.to_pylist()
    deliver(home, LONG)
    deliver(home, catalogue.with_media(SILENT, "other"))
    apply(home)
    assert held.table.to_pylist() == before
    for row in before:  # and all that it names can still be read
        held.objects.read(row["contextual_path"])


def test_while_snapshots_are_published_each_read_is_of_one_version(home: Home) -> None:
    apply(home)
    stop, errors = threading.Event(), []

    def write() -> None:
        version = 0
        while not stop.is_set():
            version += 1
            for title in (SILENT, ONE_SHOT):
                deliver(home, catalogue.with_attribution(title, f"version {version}"))
            wanted = pairs(planned(home).steps)
            errors.extend(outcome.error for outcome in carry_out(home, wanted, Fakes().stages, LogReporter()))

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[frozenset[str]] = []
    try:
        while len(seen) < N_READS or len(set(seen)) < 2:  # until reads fell between publications
            seen.append(frozenset(row["attribution"] for row in rows(home).values()))
    finally:
        stop.set()
        writer.join()
    assert set(errors) == {""}
    assert all(len(versions) == 1 for versions in seen)


def test_a_snapshot_that_is_no_longer_due_is_not_published(home: Home) -> None:
    apply(home)
    stale = _due(home)
    deliver(home, LONG)
    apply(home)
    current = read_pointer(home.objects)
    publish(_bench(home), stale)
    assert read_pointer(home.objects) == current


def _due(home: Home) -> Step:
    state = read_state(home)
    step = snapshot_step(state, desired(state))
    assert step is not None
    return step


def test_going_back_publishes_the_earlier_snapshot_as_it_was(home: Home) -> None:
    apply(home)
    before = (home.root / POINTER).read_bytes()
    deliver(home, catalogue.with_attribution(SILENT, "Somebody"))
    apply(home)
    deliver(home, SILENT)
    apply(home)
    assert (home.root / POINTER).read_bytes() == before


def test_a_death_before_the_swap_is_mended_by_the_next_plan(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(home)
    deliver(home, LONG)
    wanted = pairs(planned(home).steps)

    class DiedError(BaseException):
        """Stands for the end of the process."""

    def die(*_: object) -> None:
        raise DiedError

    monkeypatch.setattr(snapshots, "swap_pointer", die)
    with pytest.raises(DiedError):
        list(carry_out(home, wanted, Fakes().stages, LogReporter()))
    monkeypatch.undo()
    assert set(rows(home)) == {"silent", "one-shot"}
    assert pairs(planned(home).steps) == [("snapshot", UNPARTITIONED)]
    apply(home)
    assert set(rows(home)) == {"silent", "one-shot", "long"}


def test_readers_see_the_encoder_in_production(home: Home) -> None:
    apply(home)
    home.declare("encoder", "v2", asdict(V2))
    apply(home)
    assert open_snapshot(str(home.root)).encoder == "v1"
    home.declare("production", "encoder", {"name": "v2"})
    apply(home)
    assert open_snapshot(str(home.root)).encoder == "v2"
    assert all("/v2/" in row["contextual_path"] for row in rows(home).values())


# What is no snapshot


def test_nothing_published_is_said(home: Home) -> None:
    with pytest.raises(SnapshotError, match="encoder train"):
        open_snapshot(str(home.root))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"snapshot": "x"}', "null"])
def test_a_damaged_pointer_is_said(home: Home, content: str) -> None:
    apply(home)
    (home.root / POINTER).write_text(content)
    with pytest.raises(SnapshotError, match=f"Delete {POINTER}"):
        open_snapshot(str(home.root))
    (home.root / POINTER).unlink()  # as it says
    apply(home)
    assert set(rows(home)) == {"silent", "one-shot"}


def test_a_damaged_snapshot_is_said(home: Home) -> None:
    apply(home)
    (row,) = home.ledger.artifacts("snapshot")
    home.objects.swap(row.path, home.objects.read(row.path)[:-1])
    with pytest.raises(ArtifactError, match=row.path):
        open_snapshot(str(home.root))


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b"])
def test_a_pointer_leads_nowhere_outside_the_home(home: Home, path: str) -> None:
    pointer = Pointer(fingerprint("snapshot", {}), path, "0" * 64, "v1")
    home.objects.swap(POINTER, json.dumps(pointer._asdict()).encode())
    with pytest.raises(ArtifactError, match="leaves"):
        open_snapshot(str(home.root))


def test_a_key_of_a_snapshot_has_no_partition(home: Home) -> None:
    apply(home)
    (row,) = home.ledger.artifacts("snapshot")
    assert row.key == ArtifactKey("snapshot", UNPARTITIONED, row.key.fingerprint)
    assert row.manifest.facts["n_titles"] == 2
    assert row.manifest.facts["encoder"] == "v1"
