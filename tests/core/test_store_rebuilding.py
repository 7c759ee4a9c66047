"""Rebuilding the ledger: a sound home stays as it is; what is lost or damaged is made again."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm_core.errors import ArtifactError
from mediafm_core.planning.plan import plan
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from tests.catalogue import LONG, SILENT
from tests.fakes import apply, done, make_home
from tests.ledgers import dump

quick = settings(max_examples=15, deadline=None)


@pytest.fixture
def home(tmp_path: Path):
    made = make_home(tmp_path / "home", [SILENT, LONG])
    apply(made)
    yield made
    made.ledger.close()


def test_a_sound_home_stays_as_it_is(home: Home) -> None:
    before = dump(home.ledger)
    seen: list[tuple[int, int]] = []
    found = home.rebuild_ledger(lambda n_read, n: seen.append((n_read, n)))
    n = len(before["artifacts"])
    assert found == (n, (), (), (), 0)
    assert not found.changed
    assert seen == [(i, n) for i in range(1, n + 1)]
    assert dump(home.ledger) == before


def test_a_damaged_object_is_deleted_and_made_again(home: Home) -> None:
    row = next(row for row in home.ledger.artifacts("shots") if row.key.partition == "long")
    data = bytearray(home.objects.read(row.path))
    data[8] ^= 1  # its manifest stays readable
    home.objects.swap(row.path, bytes(data))
    with pytest.raises(ArtifactError, match="mediafm rebuild"):
        home.read(row.key)
    found = home.rebuild_ledger()
    assert found.damaged == (row.path,)
    assert found.changed
    assert done(apply(home)) == {("shots", "long"), ("snapshot", "")}
    assert home.read(row.key)


def test_a_lost_object_says_what_helps_and_that_helps(home: Home) -> None:
    row = next(row for row in home.ledger.artifacts("shots") if row.key.partition == "long")
    home.objects.delete(row.path)
    with pytest.raises(ArtifactError, match="mediafm rebuild"):
        home.read(row.key)
    assert home.rebuild_ledger().lost == (row.path,)
    assert done(apply(home)) == {("shots", "long"), ("snapshot", "")}


def test_a_lost_ledger_is_adopted_from_the_objects(home: Home) -> None:
    before = dump(home.ledger)
    home.ledger.close()
    for file in home.root.glob("ledger.db*"):
        file.unlink()
    found = home.rebuild_ledger()
    assert len(found.adopted) == found.n_artifacts == len(before["artifacts"])
    assert found.n_declarations == len(before["declarations"])
    assert dump(home.ledger) == before


def test_an_object_that_cannot_be_read_is_named_and_nothing_is_dropped(home: Home) -> None:
    row = next(row for row in home.ledger.artifacts("shots") if row.key.partition == "long")
    home.ledger.forget([row.key])
    home.objects.swap(row.path, b"no artifact")
    before = dump(home.ledger)
    with pytest.raises(ArtifactError, match=f"{row.path}.*Delete the file, then run `mediafm rebuild`"):
        home.rebuild_ledger()
    assert dump(home.ledger) == before


@quick
@given(st.sets(st.integers(0, 1000), max_size=4), st.sets(st.integers(0, 1000), max_size=4))
def test_whatever_is_lost_or_damaged_all_is_there_again(
    tmp_path_factory: pytest.TempPathFactory, lost: set[int], damaged: set[int]
) -> None:
    home = make_home(tmp_path_factory.mktemp("home"), [SILENT])
    apply(home)
    keys = set(home.ledger.committed_in_order())
    rows = home.ledger.artifacts()
    for n in damaged:
        home.objects.swap(rows[n % len(rows)].path, b"damaged")
    for n in lost:
        home.objects.delete(rows[n % len(rows)].path)
    home.rebuild_ledger()
    apply(home)
    assert plan(read_state(home)).steps == ()
    assert set(home.ledger.committed_in_order()) == keys
    assert all(home.read(key) for key in keys)
    home.ledger.close()
