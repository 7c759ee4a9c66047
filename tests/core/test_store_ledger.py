"""The ledger says what holds, loses nothing to concurrency, and can be made again from the home's objects."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.errors import HomeError, StoreError
from mediafm_core.identity import Fingerprint, fingerprint
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import MAX_ATTEMPTS, Declaration, Rejection
from mediafm_core.store.manifest import Manifest
from tests.catalogue import LONG, SILENT, TITLES, with_media
from tests.fakes import Fakes, apply, deliver, done, make_home
from tests.full_disk import no_file_beyond
from tests.ledgers import dump

quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEY = ArtifactKey("deliveries", "x", fingerprint("deliveries", {}))


@pytest.fixture
def home(tmp_path: Path):
    home = Home.create(tmp_path / "home")
    yield home
    home.ledger.close()


def rebuilt(home: Home) -> Home:
    """The same objects with a ledger made again from them."""
    home.ledger.close()
    for file in home.root.glob("ledger.db*"):
        file.unlink()
    fresh = Home.open(home.root)
    fresh.rebuild_ledger()
    return fresh


# A home


@pytest.mark.parametrize("name", ["plain", "ho me #1?x=1 %20 é [ab] *"])
def test_a_home_lies_in_its_own_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    home = make_home(tmp_path / name, TITLES[:2])
    apply(home)
    home.ledger.close()
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert read_state(Home.open(tmp_path / name)).published


def test_making_a_home_twice_changes_nothing(home: Home) -> None:
    deliver(home, SILENT)
    again = Home.create(home.root)
    assert dump(again.ledger) == dump(home.ledger)
    again.ledger.close()


def test_there_is_no_home_where_nobody_made_one(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="mediafm init"):
        Home.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ['{"layout": 2}', "{", "[]", '{"other": 1}', ""])
def test_a_home_of_another_layout_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "home.json").write_text(content)
    with pytest.raises(HomeError):
        Home.open(tmp_path)


def test_a_home_without_instruments_is_not_initialised(home: Home) -> None:
    with pytest.raises(HomeError, match="mediafm init"):
        read_state(home)


# Declarations


def test_the_newest_declaration_holds(home: Home) -> None:
    assert home.declare("title", "x", {"v": 1})
    assert not home.declare("title", "x", {"v": 1})
    assert home.declare("title", "y", {"v": 1})
    assert home.declare("title", "x", {"v": 2})
    assert home.declare("title", "x", {"v": 1})
    assert home.ledger.declared("title") == {"x": {"v": 1}, "y": {"v": 1}}
    assert list(home.ledger.declared("title")) == ["x", "y"]
    assert home.ledger.declared_one("title", "z") is None


def test_tuples_and_lists_are_the_same_declaration(home: Home) -> None:
    assert home.declare("title", "x", {"tags": ("a", "b")})
    assert not home.declare("title", "x", {"tags": ["a", "b"]})


def test_a_declaration_whose_writer_died_before_the_row_counts(home: Home) -> None:
    home.declare("title", "x", {"v": 1})
    left = Declaration(2, "title", "x", {"v": 2})
    home.objects.create("declarations/000000002.json", json.dumps(left._asdict()).encode())
    assert home.declare("title", "y", {"v": 3})
    assert home.ledger.declared("title") == {"x": {"v": 2}, "y": {"v": 3}}
    assert [d.sequence for d in home.ledger.declarations()] == [1, 2, 3]


def test_a_declaration_that_was_left_behind_and_is_made_again_stands_once(home: Home) -> None:
    left = Declaration(1, "title", "x", {"v": 1})
    home.objects.create("declarations/000000001.json", json.dumps(left._asdict()).encode())
    home.declare("title", "x", {"v": 1})
    assert home.ledger.declarations() == [left]


# Failures


def test_a_step_is_parked_after_its_last_attempt(home: Home) -> None:
    for attempt in range(1, MAX_ATTEMPTS + 1):
        home.ledger.fail(KEY, f"attempt {attempt}", final=False)
        failure = home.ledger.failures()[KEY]
        assert (failure.attempts, failure.message) == (attempt, f"attempt {attempt}")
        assert failure.parked == (attempt == MAX_ATTEMPTS)
    home.ledger.forgive([KEY])
    assert home.ledger.failures() == {}


def test_a_final_failure_parks_at_once(home: Home) -> None:
    home.ledger.fail(KEY, "no film", final=True)
    assert home.ledger.failures()[KEY].parked


def test_what_is_made_at_last_has_not_failed(home: Home) -> None:
    home.ledger.fail(KEY, "once", final=False)
    home.commit(Manifest(key=KEY, ingredients={}, inputs={}), {})
    assert home.ledger.failures() == {}


@pytest.mark.timeout(30)
def test_a_disk_that_takes_no_more_is_an_error_of_the_store_and_loses_nothing(home: Home) -> None:
    key = ArtifactKey("shots", "alpha", Fingerprint("0" * 64))
    home.ledger.fail(key, "first", final=False)
    limit = (home.root / "ledger.db-wal").stat().st_size
    with no_file_beyond(limit), pytest.raises(StoreError, match=r"the database .*ledger.*SQLITE_.*Free space"):
        home.ledger.fail(key, "second " * 5_000, final=False)
    home.ledger.fail(key, "third", final=False)
    assert [(row.attempts, row.message) for row in home.ledger.failures().values()] == [(2, "third")]


def test_a_delivery_is_refused_once(home: Home) -> None:
    for message in ("first", "again"):
        home.ledger.reject(Rejection("s" * 64, "film", message))
    assert home.ledger.rejections() == [Rejection("s" * 64, "film", "first")]


# The ledger made again


def test_the_ledger_made_again_from_the_objects_is_the_same(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    apply(home)
    deliver(home, with_media(LONG, "other pictures"))
    apply(home)
    before, state = dump(home.ledger), read_state(home)
    fresh = rebuilt(home)
    assert dump(fresh.ledger) == before
    assert read_state(fresh) == state
    assert len(before["artifacts"]) > len(TITLES)
    fresh.ledger.close()


@quick
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 2)), max_size=8))
def test_any_declarations_come_back(tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, str, int]]) -> None:
    home = Home.create(tmp_path_factory.mktemp("home"))
    for subject, name, value in said:
        home.declare(subject, name, {"é": [value]})
    before = dump(home.ledger)
    fresh = rebuilt(home)
    assert dump(fresh.ledger) == before
    fresh.ledger.close()


def test_rebuilding_what_is_there_adds_what_is_missing_and_changes_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path, [SILENT])
    apply(home)
    before = dump(home.ledger)
    home.rebuild_ledger()
    assert dump(home.ledger) == before
    home.ledger.close()


def test_what_was_deleted_is_forgotten_and_made_again(tmp_path: Path) -> None:
    home = make_home(tmp_path, [SILENT, LONG])
    apply(home)
    gone = next(row for row in home.ledger.artifacts("shots") if row.key.partition == "long")
    home.objects.delete(gone.path)
    home.rebuild_ledger()
    assert home.ledger.artifact(gone.key) is None
    assert done(apply(home)) == {("shots", "long"), ("snapshot", "")}
    home.ledger.close()


def test_leftovers_of_a_killed_write_are_no_artifacts(tmp_path: Path) -> None:
    home = make_home(tmp_path, [SILENT])
    apply(home)
    (tmp_path / "artifacts" / "shots" / "silent" / ".partial-0").write_bytes(b"PAR1")
    before = dump(home.ledger)
    fresh = rebuilt(home)
    assert dump(fresh.ledger) == before
    fresh.ledger.close()


# Many processes at once

N_PROCESSES, N_EACH = 8, 6


def _work(root: Path, worker: int) -> int:
    home = Home.create(root)
    for i in range(N_EACH):
        home.declare("title", f"t{worker}-{i}", {"by": worker})
        home.declare("title", "shared", {"by": worker, "i": i})
        made_from = {"worker": worker, "i": i}
        own = ArtifactKey("deliveries", f"t{worker}", fingerprint("deliveries", made_from))
        home.commit(Manifest(key=own, ingredients=made_from, inputs={}), {"by": worker})
        shared = ArtifactKey("deliveries", "shared", fingerprint("deliveries", {"i": i}))
        home.commit(Manifest(key=shared, ingredients={"i": i}, inputs={}), {"by": worker})
        home.ledger.fail(KEY, "again", final=False)
    home.ledger.close()
    return worker


def test_eight_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    root = tmp_path / "home"
    with ProcessPoolExecutor(N_PROCESSES, mp_context=multiprocessing.get_context("forkserver")) as pool:
        assert sorted(pool.map(_work, [root] * N_PROCESSES, range(N_PROCESSES))) == list(range(N_PROCESSES))
    home = Home.open(root)
    declared = home.ledger.declared("title")
    assert set(declared) == {f"t{w}-{i}" for w in range(N_PROCESSES) for i in range(N_EACH)} | {"shared"}
    assert [d.sequence for d in home.ledger.declarations()] == list(range(1, 2 * N_PROCESSES * N_EACH + 1))
    assert len(home.ledger.artifacts()) == N_PROCESSES * N_EACH + N_EACH
    assert home.ledger.failures()[KEY].attempts == N_PROCESSES * N_EACH
    before = dump(home.ledger)
    fresh = rebuilt(home)
    assert dump(fresh.ledger) == before
    fresh.ledger.close()


def test_a_ledger_s_rows_are_its_records(home: Home) -> None:
    manifest = Manifest(key=KEY, ingredients={"a": 1}, inputs={}, made_at=2.0)
    row = home.commit(manifest, {"b": 2})
    assert home.ledger.artifacts("deliveries") == [row]
    assert home.ledger.artifacts("shots") == []
    assert home.ledger.latest("deliveries", "x") == row
    assert home.ledger.latest("deliveries", "y") is None
    assert home.ledger.committed_in_order() == [KEY]
    assert asdict(row.manifest) == asdict(manifest)


def test_fakes_are_fair() -> None:
    """The fakes make every kind, so that no law above holds for want of artifacts."""
    assert set(Fakes().stages) >= {"deliveries", "contextual_embeddings", "snapshot"}
