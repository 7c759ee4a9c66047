"""A withdrawn title is gone: from plans, from what readers see, from new corpora and heads, and from disk."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mediafm_core.catalogue.title import DeliveredFile, Part
from mediafm_core.errors import ArtifactError, PlanError
from mediafm_core.planning.desired import desired
from mediafm_core.pretraining.declaring import declare_encoder
from mediafm_core.release.history import Actor
from mediafm_core.release.rollback import roll_back
from mediafm_core.release.withdrawing import free_withdrawn, freed_of, learnt_from, withdraw
from mediafm_core.snapshots import open_snapshot
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.pointer import POINTER
from tests import catalogue
from tests.candidates import SNAPSHOT, Candidates, released_home
from tests.catalogue import LONG, ONE_SHOT, SILENT, V2
from tests.fakes import deliver, pairs, planned

TITLES = (SILENT, ONE_SHOT, LONG)
GONE = ONE_SHOT.id


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which v1 went live, then v2, each with heads for all tasks, over three titles."""
    root, candidates = tmp_path_factory.mktemp("withdrawing") / "home", Candidates()
    home = released_home(root, TITLES)
    home.declare("encoder", V2.name, asdict(V2))
    candidates.run(home)
    candidates.go_live(home, V2.name)
    home.ledger.close()
    return root


@pytest.fixture
def home(built: Path, tmp_path: Path):
    home = Home.open(shutil.copytree(built, tmp_path / "home"))
    yield home
    home.ledger.close()


def shown(home: Home) -> set[str]:
    return set(open_snapshot(str(home.root)).table["title"].to_pylist())


def owned(home: Home) -> list[str]:
    """The objects of the title."""
    return [path for path in home.objects.sizes("artifacts") if GONE in path.split("/")]


def test_readers_lose_sight_of_it_and_then_nothing_of_it_is_left(home: Home) -> None:
    n_objects = len(owned(home))
    withdraw(home, GONE, why="licence ended", by=Actor(user="somebody"))
    assert free_withdrawn(home) == {}, "readers still see it: nothing may be missing for them"
    assert GONE in shown(home)
    assert freed_of(home, GONE) is None
    Candidates().run(home, SNAPSHOT)
    assert shown(home) == {SILENT.id, LONG.id}
    (freed,) = free_withdrawn(home).values()
    assert freed.total == n_objects > 0
    assert owned(home) == []
    assert [key for key in home.ledger.committed_in_order() if GONE in key.partition.split("|")] == []
    assert freed_of(home, GONE) == (freed.total, freed.n_bytes)
    assert free_withdrawn(home) == {}
    assert not home.rebuild_ledger().damaged


def test_heads_that_had_read_it_are_fitted_anew_and_nothing_else_is_made(home: Home) -> None:
    withdraw(home, GONE)
    steps = planned(home).steps
    heads = {("probe_heads", f"{encoder}|{task}") for encoder in ("v1", "v2") for task in read_state(home).labels}
    scored = {("predictions", f"{encoder}|{title.id}") for encoder in ("v1", "v2") for title in (SILENT, LONG)}
    assert set(pairs(steps)) == {*heads, *scored, ("probe_report", "v1"), ("probe_report", "v2"), SNAPSHOT}
    assert {step.reason for step in steps if step.key.kind == "probe_heads"} == {
        "encoder v1: the titles that it is fitted on changed",
        "encoder v2: the titles that it is fitted on changed",
    }
    Candidates().run(home)
    free_withdrawn(home)
    assert planned(home) == ((), ())


def test_it_is_in_no_new_corpus_and_those_that_learnt_from_it_are_named(home: Home) -> None:
    withdraw(home, GONE)
    spec = declare_encoder(home, "v3", preset="demo", seed=0)
    assert {member.title for member in spec.corpus} == {SILENT.id, LONG.id}
    assert learnt_from(home, GONE) == ("v1", "v2")


def test_no_rollback_shows_it_again(home: Home) -> None:
    withdraw(home, GONE)
    Candidates().run(home, SNAPSHOT)
    roll_back(home)  # before anything is deleted: the snapshot of v1 with the title is still whole
    assert GONE not in shown(home)
    Candidates().run(home)
    assert open_snapshot(str(home.root)).release == "v1-r1"
    assert shown(home) == {SILENT.id, LONG.id}


def test_snapshots_that_show_it_are_deleted_and_the_one_that_readers_see_stands(home: Home) -> None:
    assert len(home.ledger.artifacts("snapshot")) == 2
    withdraw(home, GONE)
    Candidates().run(home, SNAPSHOT)
    free_withdrawn(home)
    assert len(home.ledger.artifacts("snapshot")) == 1
    assert len(home.objects.sizes("artifacts/snapshot")) == 1


def test_what_a_late_worker_commits_is_deleted_by_the_next_look(home: Home) -> None:
    key = desired(read_state(home)).encoders["v2"].contextual[GONE].key
    row = home.ledger.artifact(key)
    assert row is not None
    data = home.objects.read(row.path)
    withdraw(home, GONE)
    Candidates().run(home, SNAPSHOT)
    free_withdrawn(home)
    home.objects.create(row.path, data)
    home.ledger.commit(row)
    home.ledger.fail(key, "its input is gone", final=False)
    (freed,) = free_withdrawn(home).values()
    assert freed.total == 1
    assert owned(home) == []
    assert home.ledger.failures() == {}


def test_delivered_bytes_go_unless_another_title_has_the_same(home: Home) -> None:
    own, common = home.blobs.keep_bytes(b"its film"), home.blobs.keep_bytes(b"a trailer")
    files = [
        DeliveredFile(part=Part.MEDIA, name="media.mp4", sha256=own, n_bytes=8),
        DeliveredFile(part=Part.CAPTIONS, name="captions.vtt", sha256=common, n_bytes=9),
    ]
    deliver(home, replace(ONE_SHOT, files=tuple(files)))
    deliver(home, replace(LONG, files=(*LONG.files, files[1])))
    (home.work / own).mkdir(parents=True)
    withdraw(home, GONE)
    Candidates().run(home)
    free_withdrawn(home)
    with pytest.raises(ArtifactError):
        home.blobs.path(own)
    assert home.blobs.path(common).read_bytes() == b"a trailer"
    assert not (home.work / own).exists()


def test_where_no_title_is_left_readers_see_that_nothing_is_published(home: Home) -> None:
    for title in TITLES:
        withdraw(home, title.id)
    Candidates().run(home)
    assert set(free_withdrawn(home)) == {title.id for title in TITLES}
    assert not (home.root / POINTER).exists()
    assert not home.objects.sizes("artifacts/snapshot")


def test_given_again_it_says_nothing_new_and_an_unknown_title_is_refused(home: Home) -> None:
    withdraw(home, GONE)
    before = home.ledger.declarations()
    withdraw(home, GONE)
    assert home.ledger.declarations() == before
    with pytest.raises(PlanError, match="no such title"):
        withdraw(home, "nobody")


def test_heads_are_fitted_on_the_new_vectors_of_a_title_that_came_back_before_they_were_fitted_without_it(
    home: Home,
) -> None:
    withdraw(home, GONE)
    Candidates().run(home, SNAPSHOT)
    assert set(free_withdrawn(home)) == {GONE}
    home.declare("withdrawn", GONE, {})
    deliver(home, catalogue.with_captions(ONE_SHOT, "other"))
    Candidates().run(home)
    assert planned(home) == ((), ())
    state = read_state(home)
    read = {(each.encoder, vector) for each in state.training.values() for _, vector in each.members}
    made = {(key.partition.split("|")[0], key.fingerprint) for key in state.committed if "contextual" in key.kind}
    assert read <= made
    assert all(GONE in dict(each.members) for each in state.training.values())


def test_a_title_that_comes_back_is_made_again_and_can_go_again(home: Home) -> None:
    withdraw(home, GONE)
    Candidates().run(home)
    free_withdrawn(home)
    home.declare("withdrawn", GONE, {})
    deliver(home, ONE_SHOT)
    Candidates().run(home)
    assert GONE in shown(home)
    withdraw(home, GONE)
    Candidates().run(home)
    assert set(free_withdrawn(home)) == {GONE}
    assert owned(home) == []
