"""A release goes live whole or not at all, stays what it was, and can be gone back to."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mediafm_core import snapshots
from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.errors import PlanError, ReleaseError
from mediafm_core.planning.desired import desired
from mediafm_core.probes.tasks import TASKS
from mediafm_core.release import rollback
from mediafm_core.release.promotion import promote
from mediafm_core.release.rollback import roll_back
from mediafm_core.snapshots import open_snapshot
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.manifest import read_document
from mediafm_core.store.pointer import POINTER
from mediafm_core.workbench import Status
from tests import catalogue
from tests.candidates import SNAPSHOT, Candidates, Readers, live, seen
from tests.catalogue import LONG, NO_ID, ONE_SHOT, SILENT, V2
from tests.fakes import deliver, make_home, pairs, planned

TITLES = (SILENT, ONE_SHOT, LONG)


class DiedError(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def candidates() -> Candidates:
    return Candidates()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Homes to copy: in `live` v1 is live as v1-r1, and in `ready` v2 is complete beside it."""
    base, candidates = tmp_path_factory.mktemp("built"), Candidates()
    home = make_home(base / "live", TITLES, production=None)
    for task in TASKS:
        home.declare("labels", task, asdict(catalogue.labels(task, *TITLES)))
    candidates.run(home)
    candidates.go_live(home, "v1")
    home.ledger.close()
    home = Home.open(shutil.copytree(base / "live", base / "ready"))
    home.declare("encoder", "v2", asdict(V2))
    candidates.run(home)
    home.ledger.close()
    return {name: base / name for name in ("live", "ready")}


@pytest.fixture
def home(built: dict[str, Path], tmp_path: Path):
    """A home where v1 is live as v1-r1."""
    home = Home.open(shutil.copytree(built["live"], tmp_path / "home"))
    yield home
    home.ledger.close()


@pytest.fixture
def ready(built: dict[str, Path], tmp_path: Path):
    """And where v2 is complete."""
    home = Home.open(shutil.copytree(built["ready"], tmp_path / "home"))
    yield home
    home.ledger.close()


# Going live


def test_before_a_promotion_readers_of_a_home_with_tasks_see_nothing(tmp_path: Path, candidates: Candidates) -> None:
    home = make_home(tmp_path / "home", TITLES, production=None)
    for task in TASKS:
        home.declare("labels", task, asdict(catalogue.labels(task, *TITLES)))
    candidates.run(home)
    assert not (home.root / POINTER).exists()
    assert planned(home).steps == ()


def test_a_release_holds_its_encoder_with_all_five_heads_and_every_title(ready: Home, candidates: Candidates) -> None:
    candidates.go_live(ready, "v2")
    release = read_state(ready).release
    assert release is not None
    heads = {task: step.key.fingerprint for task, step in desired(read_state(ready)).encoders["v2"].heads.items()}
    assert (release.name, release.encoder, dict(release.heads)) == ("v2-r1", "v2", heads)
    assert set(heads) == set(TASKS)
    shown = open_snapshot(str(ready.root))
    assert (shown.encoder, shown.release, shown.table.num_rows) == ("v2", "v2-r1", len(TITLES))
    for row in shown.table.to_pylist():
        assert "/v2/" in row["contextual_path"]
        assert "/v2/" in row["predictions_path"]
    assert planned(ready).steps == ()


def test_its_record_says_how_each_task_was_judged_and_against_what(ready: Home, candidates: Candidates) -> None:
    candidates.go_live(ready, "v2")
    release = read_state(ready).release
    assert release is not None
    document = read_document(ready.read(ArtifactKey("release", "v2", release.fingerprint)))
    assert document["against"] == "v1-r1"
    assert {row["task"]: row["verdict"] for row in document["gate"]} == dict.fromkeys(TASKS, "passes")


def test_promoting_again_what_is_live_changes_nothing(ready: Home, candidates: Candidates) -> None:
    candidates.go_live(ready, "v2")
    before, committed = seen(ready), ready.ledger.committed_in_order()
    outcomes = candidates.go_live(ready, "v2")
    assert {outcome.status for outcome in outcomes} == {Status.KEPT}
    assert seen(ready) == before
    assert ready.ledger.committed_in_order() == committed


def test_promoting_what_is_live_while_a_title_is_not_there_yet_is_no_error(ready: Home, candidates: Candidates) -> None:
    candidates.go_live(ready, "v2")
    deliver(ready, catalogue.with_media(TITLES[0], "a longer cut"))
    before = seen(ready)
    (kept, _) = candidates.go_live(ready, "v2")
    assert kept.status is Status.KEPT
    assert seen(ready)[1:] == before[1:]


def test_edited_labels_of_the_live_encoder_give_its_next_release(home: Home, candidates: Candidates) -> None:
    home.declare("labels", "tone", asdict(catalogue.labels("tone", *TITLES, version=2)))
    before = (home.root / POINTER).read_bytes()
    candidates.run(home)
    assert (home.root / POINTER).read_bytes() == before
    candidates.go_live(home, "v1")
    assert live(home) == "v1-r2"


# Refusals


@pytest.mark.parametrize("task", TASKS)
def test_a_worse_task_is_named_with_its_figures_and_nothing_changes(
    home: Home, candidates: Candidates, task: str
) -> None:
    candidates.worse = {("v2", task)}
    home.declare("encoder", "v2", asdict(V2))
    candidates.run(home)
    before = seen(home)
    (refused, *_) = candidates.go_live(home, "v2")
    assert refused.status is Status.FAILED
    assert f"task {task} blocks: worse than production" in refused.error
    assert "95 % between -" in refused.error
    assert not any(f"task {other} blocks" in refused.error for other in TASKS if other != task)
    assert seen(home) == before
    assert not [row for row in home.ledger.artifacts("release") if row.key.partition == "v2"]


def test_a_refused_release_publishes_nothing_else_either(home: Home, candidates: Candidates) -> None:
    candidates.worse = {("v2", "tone")}
    home.declare("encoder", "v2", asdict(V2))
    candidates.run(home)
    title = next(iter(read_state(home).titles.values()))
    home.declare("title", title.id, asdict(replace(title, metadata=replace(title.metadata, attribution="another"))))
    before = seen(home)
    refused, snapshot = candidates.go_live(home, "v2")
    assert (refused.status, snapshot.status) == (Status.FAILED, Status.BLOCKED)
    assert seen(home) == before


@pytest.mark.parametrize("kind", ["contextual_embeddings", "predictions"])
def test_a_candidate_without_a_titles_vectors_or_predictions_is_refused(
    ready: Home, candidates: Candidates, kind: str
) -> None:
    gone = ready.ledger.latest(kind, "v2|long")
    assert gone is not None
    ready.ledger.forget([gone.key])
    before = seen(ready)
    (refused, *_) = candidates.go_live(ready, "v2")
    assert refused.status is Status.FAILED
    assert f"1 of 6 titles' embeddings or predictions missing, first {kind} of v2|long" in refused.error
    assert seen(ready) == before
    candidates.run(ready)
    candidates.go_live(ready, "v2")
    assert live(ready) == "v2-r1"


def test_a_candidate_without_its_heads_waits_for_them(home: Home, candidates: Candidates) -> None:
    home.declare("encoder", "v2", asdict(V2))
    before = seen(home)
    (blocked, *_) = candidates.go_live(home, "v2")
    assert blocked.status is Status.BLOCKED
    assert "probe_heads" in blocked.error
    assert seen(home) == before


def test_a_new_title_that_is_not_made_yet_holds_a_promotion_up(ready: Home, candidates: Candidates) -> None:
    deliver(ready, NO_ID)
    (refused, *_) = candidates.go_live(ready, "v2")
    assert refused.status is Status.FAILED
    assert live(ready) == "v1-r1"


def test_a_release_of_before_does_not_go_live_again_while_it_lacks_a_title(ready: Home, candidates: Candidates) -> None:
    candidates.go_live(ready, "v2")
    roll_back(ready)
    candidates.run(ready)
    deliver(ready, NO_ID)
    before = seen(ready)
    with pytest.raises(ReleaseError, match="titles' embeddings or predictions missing"):
        candidates.go_live(ready, "v2")
    assert seen(ready) == before
    candidates.run(ready)
    candidates.go_live(ready, "v2")
    assert live(ready) == "v2-r1"


def test_no_labels_no_release(tmp_path: Path, candidates: Candidates) -> None:
    home = make_home(tmp_path / "home", TITLES)
    candidates.run(home)
    before = seen(home)
    with pytest.raises(PlanError, match="no labels for any task"):
        candidates.go_live(home, "v1")
    assert seen(home) == before


def test_an_unknown_encoder_is_said(home: Home, candidates: Candidates) -> None:
    with pytest.raises(PlanError, match="encoder 'v9'"):
        candidates.go_live(home, "v9")


# Back


def test_rollback_gives_readers_the_former_bytes_and_forth_again_too(ready: Home, candidates: Candidates) -> None:
    first = seen(ready)
    candidates.go_live(ready, "v2")
    second = seen(ready)
    assert roll_back(ready).name == "v1-r1"
    (outcome,) = candidates.run(ready, SNAPSHOT)
    assert outcome.status is Status.KEPT
    assert seen(ready)[:2] == first[:2]
    (kept, _) = candidates.go_live(ready, "v2")
    assert kept.status is Status.KEPT
    assert seen(ready)[:2] == second[:2]


def test_rollback_goes_back_over_an_edit_of_labels(home: Home, candidates: Candidates) -> None:
    first = seen(home)
    home.declare("labels", "tone", asdict(catalogue.labels("tone", *TITLES, version=2)))
    candidates.run(home)
    candidates.go_live(home, "v1")
    roll_back(home)
    candidates.run(home, SNAPSHOT)
    assert seen(home)[:2] == first[:2]
    assert planned(home).steps == ()


def test_a_title_that_came_meanwhile_is_scored_by_the_release_that_is_gone_back_to(
    ready: Home, candidates: Candidates
) -> None:
    candidates.go_live(ready, "v2")
    deliver(ready, NO_ID)
    candidates.run(ready)
    roll_back(ready)
    candidates.run(ready)
    rows = open_snapshot(str(ready.root)).table.to_pylist()
    assert len(rows) == len(TITLES) + 1
    assert all("/v1/" in row["predictions_path"] for row in rows)


def test_without_an_earlier_release_there_is_no_way_back(home: Home) -> None:
    before = seen(home)
    with pytest.raises(PlanError, match="no release that was live before"):
        roll_back(home)
    assert seen(home) == before


def test_where_nothing_was_ever_live_there_is_no_way_back(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no release that was live before"):
        roll_back(make_home(tmp_path / "home", TITLES))


# Death


def test_death_after_the_release_is_recorded_leaves_the_old_and_promoting_again_ends_it(
    ready: Home, candidates: Candidates
) -> None:
    before = seen(ready)
    candidates.promote = die
    with pytest.raises(DiedError):
        candidates.go_live(ready, "v2")
    assert ready.ledger.latest("release", "v2") is not None
    assert seen(ready) == before
    assert planned(ready).steps == ()
    candidates.promote = promote
    candidates.go_live(ready, "v2")
    assert live(ready) == "v2-r1"


def test_death_after_the_declaration_leaves_readers_the_old_and_the_next_plan_ends_it(
    ready: Home, candidates: Candidates
) -> None:
    before = seen(ready)
    candidates.promote = lambda bench, step: die(promote(bench, step))
    with pytest.raises(DiedError):
        candidates.go_live(ready, "v2")
    _ends_by_plan(ready, candidates, before)


def test_death_before_the_swap_leaves_readers_the_old_and_the_next_plan_ends_it(
    ready: Home, candidates: Candidates, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seen(ready)
    monkeypatch.setattr(snapshots, "swap_pointer", die)
    with pytest.raises(DiedError):
        candidates.go_live(ready, "v2")
    monkeypatch.undo()
    _ends_by_plan(ready, candidates, before)


def test_death_in_a_rollback_leaves_the_new_and_the_next_plan_ends_it(
    ready: Home, candidates: Candidates, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = seen(ready)
    candidates.go_live(ready, "v2")
    monkeypatch.setattr(rollback, "swap_pointer", die)
    with pytest.raises(DiedError):
        roll_back(ready)
    assert live(ready) == "v2-r1"
    assert pairs(planned(ready).steps) == [SNAPSHOT]
    candidates.run(ready)
    assert seen(ready)[:2] == first[:2]


def _ends_by_plan(home: Home, candidates: Candidates, before: Readers) -> None:
    assert seen(home)[:2] == before[:2]
    assert pairs(planned(home).steps) == [SNAPSHOT]
    candidates.run(home)
    assert live(home) == "v2-r1"
    assert planned(home).steps == ()


def die(*_: object) -> None:
    """The process ends here."""
    raise DiedError
