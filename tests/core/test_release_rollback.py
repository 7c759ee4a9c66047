"""Back to any release that was ever live: the same bytes, nothing of another encoder, and a history that stays."""

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from mediafm_core.consumption.catalogue import open_catalogue
from mediafm_core.errors import NotYetAvailableError, PlanError, ReleaseError, SnapshotError
from mediafm_core.probes.tasks import TASKS
from mediafm_core.release import rollback
from mediafm_core.release.history import Actor, How, history, verdicts
from mediafm_core.release.rollback import hidden_titles, publish_standing, roll_back
from mediafm_core.snapshots import open_snapshot
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home, read_checked
from tests import catalogue
from tests.candidates import Candidates, live, released_home
from tests.catalogue import LONG, NO_ID, ONE_SHOT, SILENT, V2
from tests.fakes import deliver, make_home, pairs, planned

TITLES = (SILENT, ONE_SHOT, LONG)
SOMEBODY = Actor(user="somebody", through="a test", run="r1")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where v1-r1, then v1-r2 with other labels, then v2-r1 went live."""
    root, candidates = tmp_path_factory.mktemp("three") / "home", Candidates()
    home = released_home(root, TITLES)
    home.declare("labels", "tone", asdict(catalogue.labels("tone", *TITLES, version=2)))
    candidates.run(home)
    candidates.go_live(home, "v1")
    home.declare("encoder", "v2", asdict(V2))
    candidates.run(home)
    candidates.go_live(home, "v2")
    home.ledger.close()
    return root


@pytest.fixture
def home(built: Path, tmp_path: Path):
    home = Home.open(shutil.copytree(built, tmp_path / "home"))
    yield home
    home.ledger.close()


def read_by_readers(home: Home) -> dict[str, bytes]:
    """The bytes of all that readers can reach: the pointer, the snapshot, and each object that it names."""
    shown = open_snapshot(str(home.root))
    found = {
        "pointer": (home.root / "production.json").read_bytes(),
        "snapshot": repr(shown.table.to_pylist()).encode(),
    }
    for row in shown.table.to_pylist():
        for role in ("contextual", "fused", "shots", "timed_text", "predictions"):
            path = row[f"{role}_path"]
            found[path] = read_checked(shown.objects, path, row[f"{role}_digest"])
    return found


def back(home: Home, to: str | None = None) -> str:
    """What `mediafm release rollback` does where no title changed."""
    name = roll_back(home, to=to, by=SOMEBODY).name
    assert publish_standing(home)
    return name


def test_each_release_reads_as_it_did_whatever_was_live_in_between(home: Home) -> None:
    seen = {}
    for name in ("v2-r1", "v1-r1", "v1-r2", "v2-r1", "v1-r2", "v1-r1"):
        if live(home) != name:
            assert back(home, name) == live(home) == name
        now = read_by_readers(home)
        assert seen.setdefault(name, now) == now
        assert planned(home).steps == ()
    predictions = {name: {path for path in found if "/predictions/" in path} for name, found in seen.items()}
    assert all(len(paths) == len(TITLES) for paths in predictions.values())
    assert predictions["v1-r1"].isdisjoint(predictions["v1-r2"])


def test_without_a_name_it_is_the_release_that_was_live_before(home: Home) -> None:
    assert [back(home), back(home)] == ["v1-r2", "v2-r1"]
    back(home, "v1-r1")
    assert back(home) == "v2-r1"


def test_back_to_what_is_live_changes_nothing(home: Home) -> None:
    before = home.ledger.declarations(), read_by_readers(home)
    assert back(home, "v2-r1") == "v2-r1"
    assert (home.ledger.declarations(), read_by_readers(home)) == before


@pytest.mark.parametrize("name", ["v3-r1", "v2", "", "v1-r3"])
def test_a_release_that_was_never_live_is_refused_with_those_that_were(home: Home, name: str) -> None:
    before = home.ledger.declarations(), read_by_readers(home)
    with pytest.raises(PlanError, match="v1-r1, v1-r2, v2-r1" if name else "never|ever"):
        roll_back(home, to=name or "-")
    assert (home.ledger.declarations(), read_by_readers(home)) == before


def test_where_the_heads_are_gone_there_is_no_way_back(home: Home) -> None:
    (first,) = {e.release.heads["tone"] for e in history(home) if e.release and e.release.name == "v1-r1"}
    (lost,) = (row.key for row in home.ledger.artifacts("probe_heads") if row.key.fingerprint == first)
    home.ledger.forget([lost])
    before = read_by_readers(home)
    with pytest.raises(ReleaseError, match=r"heads v1\|tone are missing"):
        roll_back(home, to="v1-r1")
    assert read_by_readers(home) == before


def test_where_all_predictions_are_gone_readers_keep_what_they_see(home: Home) -> None:
    home.ledger.forget(row.key for row in home.ledger.artifacts("predictions") if row.key.partition.startswith("v1|"))
    before = read_by_readers(home)
    with pytest.raises(ReleaseError, match="no title has its predictions"):
        roll_back(home, to="v1-r1")
    assert read_by_readers(home) == before


def test_a_history_without_what_readers_saw_leads_back_too(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    back(home, "v1-r2")
    before = read_by_readers(home)
    back(home, "v2-r1")
    monkeypatch.setattr(rollback, "_left", lambda *_: None)  # as an earlier version wrote it
    back(home, "v1-r2")
    assert read_by_readers(home) == before


def test_what_readers_had_is_theirs_again_before_any_plan_is_made(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    back(home, "v1-r1")
    before = read_by_readers(home)
    back(home, "v2-r1")
    monkeypatch.setattr(rollback, "desired", None)  # whoever planned would fail
    roll_back(home, to="v1-r1")
    assert read_by_readers(home) == before


# A title that came since


def test_a_title_that_came_since_is_not_yet_available_and_never_served_by_the_other_encoder(home: Home) -> None:
    candidates = Candidates()
    before = read_by_readers(home)
    back(home, "v1-r1")
    of_r1 = read_by_readers(home)
    back(home, "v2-r1")
    deliver(home, NO_ID)
    candidates.run(home, *(pair for pair in pairs(planned(home).steps) if not pair[1].startswith("v1|")))
    assert open_catalogue(str(home.root)).shots(NO_ID.id).encoder == "v2"
    back(home, "v1-r1")
    assert read_by_readers(home) == of_r1 != before
    reader = open_catalogue(str(home.root))
    assert hidden_titles(home) == 1
    for read in (reader.title, reader.shots, reader.predictions, reader.fused):
        with pytest.raises(NotYetAvailableError, match="'v1-r1', which is live"):
            read(NO_ID.id)
    missing = {pair for pair in pairs(planned(home).steps) if pair[1] == f"v1|{NO_ID.id}"}
    assert {kind for kind, _ in missing} == {"contextual_embeddings", "predictions"}
    candidates.run(home)
    assert hidden_titles(home) == 0
    rows = open_snapshot(str(home.root)).table.to_pylist()
    assert len(rows) == len(TITLES) + 1
    assert all("/v1/" in row["contextual_path"] and "/v1/" in row["predictions_path"] for row in rows)


def test_a_title_that_nobody_delivered_is_no_title(home: Home) -> None:
    for name in ("nobody", "../artifacts", "*", ""):
        with pytest.raises(SnapshotError) as found:
            open_catalogue(str(home.root)).shots(name)
        assert type(found.value) is SnapshotError


# The history


def test_the_history_says_what_was_live_how_and_by_whom_and_is_only_added_to(home: Home) -> None:
    before = history(home)
    assert [(e.how, e.before, e.after) for e in before] == [
        (How.PROMOTION, None, "v1-r1"),
        (How.PROMOTION, "v1-r1", "v1-r2"),
        (How.PROMOTION, "v1-r2", "v2-r1"),
    ]
    back(home, "v1-r1")
    after = history(home)
    assert after[:-1] == before
    assert after[-1][1:5] == (How.ROLLBACK, "v2-r1", "v1-r1", SOMEBODY)
    assert all(event.at for event in after)


def test_every_entry_has_the_verdicts_by_which_its_release_went_live(home: Home) -> None:
    for event in history(home):
        assert event.release is not None
        assert {row["task"]: row["verdict"] for row in verdicts(home, event.release)} == dict.fromkeys(TASKS, "passes")


def test_history_of_an_earlier_version_is_read_as_far_as_it_says(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", TITLES)
    (event,) = history(home)
    assert event == (None, How.PROMOTION, None, "v1", Actor(), None, None)


def test_a_rolled_back_release_is_the_one_that_the_next_candidate_is_judged_against(home: Home) -> None:
    back(home, "v1-r2")
    assert read_state(home).release == next(e.release for e in history(home) if e.after == "v1-r2")
