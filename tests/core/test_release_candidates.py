"""What stands between an encoder and production is said: what is missing of what, ready, or refused and why."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.errors import IncompleteError, LabelsError, PlanError, ReleaseError
from mediafm_core.planning.desired import desired
from mediafm_core.release.candidates import Missing, Standing, candidate, candidates, check_made, promotable, refusals
from mediafm_core.release.floors import set_floor
from mediafm_core.release.promotion import refusal_told_by
from mediafm_core.release.rollback import publish_standing, roll_back
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import MAX_ATTEMPTS
from mediafm_core.store.manifest import read_document
from mediafm_core.workbench import Status
from tests import catalogue
from tests.candidates import Candidates, live, released_home, seen
from tests.catalogue import LONG, NO_ID, ONE_SHOT, SILENT, V2
from tests.fakes import deliver, make_home, pairs, planned

TITLES = (SILENT, ONE_SHOT, LONG)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where v1 is live and v2 is complete beside it."""
    root, makers = tmp_path_factory.mktemp("beside") / "home", Candidates()
    home = released_home(root, TITLES)
    home.declare("encoder", "v2", asdict(V2))
    makers.run(home)
    home.ledger.close()
    return root


@pytest.fixture
def home(built: Path, tmp_path: Path):
    home = Home.open(shutil.copytree(built, tmp_path / "home"))
    yield home
    home.ledger.close()


@pytest.fixture
def makers() -> Candidates:
    return Candidates()


def standings(home: Home) -> dict[str, str]:
    """How far each encoder is; whom the gate refused is also known without reading a title."""
    found = candidates(home)
    refused = {each.encoder: each.reason for each in found if each.standing is Standing.REFUSED}
    assert {each.encoder: each.reason for each in refusals(home)} == refused
    return {each.encoder: each.standing.value for each in found}


def test_a_complete_candidate_is_ready_beside_what_is_live(home: Home, makers: Candidates) -> None:
    assert standings(home) == {"v1": "live", "v2": "ready"}
    makers.go_live(home, "v2")
    assert standings(home) == {"v1": "ready", "v2": "live"}


def test_what_is_ready_and_newer_than_what_is_live_can_be_promoted(home: Home, makers: Candidates) -> None:
    assert promotable(home) == ["v2"]
    makers.go_live(home, "v2")
    assert promotable(home) == []  # v1 is ready too, and older
    roll_back(home)
    assert standings(home)["v2"] == "ready"
    assert promotable(home) == []  # somebody went back from it
    home.declare("encoder", "v3", asdict(catalogue.encoder("v3", seed=3)))
    assert promotable(home) == []
    makers.run(home)
    assert promotable(home) == ["v3"]


def test_where_nothing_is_live_every_ready_candidate_can_be_promoted(tmp_path: Path, makers: Candidates) -> None:
    home = make_home(tmp_path / "home", TITLES, production=None)
    home.declare("labels", "tone", asdict(catalogue.labels("tone", *TITLES)))
    assert promotable(home) == []
    makers.run(home)
    assert promotable(home) == ["v1"]
    home.ledger.close()


def test_a_half_built_candidate_says_how_much_of_what_is_missing(home: Home, makers: Candidates) -> None:
    home.declare("encoder", "v3", asdict(catalogue.encoder("v3", seed=3)))
    makers.run(home, *pairs(planned(home).steps)[:3])
    found = candidate(home, "v3")
    assert found.standing is Standing.INCOMPLETE
    assert found.missing == {
        "contextual_embeddings": Missing(2, 3, 0),
        "probe_heads": Missing(5, 5, 0),
        "probe_report": Missing(1, 1, 0),
        "predictions": Missing(3, 3, 0),
    }
    assert found.reason == f"missing: {found.lacks}"
    with pytest.raises(IncompleteError, match=r"missing: 5 of 5 probe_heads, .* 2 of 3 contextual_embeddings"):
        check_made(found)


def test_what_is_parked_of_the_encoder_itself_is_said(home: Home) -> None:
    home.declare("labels", "tone", asdict(catalogue.labels("tone", *TITLES, version=2)))
    key = desired(read_state(home)).encoders["v2"].heads["tone"].key
    for _ in range(MAX_ATTEMPTS):
        home.ledger.fail(key, "no memory", final=False)
    assert "1 of 5 probe_heads (1 parked)" in candidate(home, "v2").reason


def test_a_parked_title_that_readers_never_saw_is_not_waited_for(home: Home) -> None:
    deliver(home, NO_ID)
    assert candidate(home, "v2").missing["contextual_embeddings"] == Missing(1, 4, 0)
    (shots,) = (step.key for step in planned(home).steps if step.key[:2] == ("shots", NO_ID.id))
    home.ledger.fail(shots, "no frame", final=True)
    assert standings(home)["v2"] == "ready"


def test_a_candidate_without_labels_has_nothing_to_be_judged_by(tmp_path: Path, makers: Candidates) -> None:
    home = make_home(tmp_path / "home", TITLES, encoders=(catalogue.V1, V2))
    makers.run(home)
    assert standings(home) == {"v1": "live", "v2": "no labels"}


def test_a_refused_candidate_says_the_gates_reason_until_it_is_another_one(home: Home, makers: Candidates) -> None:
    home.declare("labels", "tone", asdict(catalogue.labels("tone", *TITLES, version=2)))
    makers.worse = {("v2", "tone")}
    makers.run(home)
    assert standings(home) == {"v1": "ready", "v2": "ready"}
    makers.go_live(home, "v2")
    found = candidate(home, "v2")
    assert found.standing is Standing.REFUSED
    assert "task tone blocks: worse than production" in found.reason
    assert str(refusal_told_by("v2", found.reason)) == found.reason
    assert refusal_told_by("v2", "encoder 'v22' at the gate: nothing; expected something. Do it.") is None
    assert found.missing == {}
    assert standings(home)["v2"] == "refused"
    deliver(home, NO_ID)  # it is incomplete then, and as bad
    assert refusals(home) == [("v2", found.reason)]
    home.declare("labels", "tone", asdict(catalogue.labels("tone", *TITLES, version=3)))
    assert refusals(home) == []
    makers.worse = set()
    makers.run(home)
    assert standings(home)["v2"] == "ready"


def test_an_attempt_that_came_too_early_is_no_refusal(home: Home, makers: Candidates) -> None:
    deliver(home, NO_ID)
    (failed, _) = makers.go_live(home, "v2")
    assert failed.status is Status.FAILED
    makers.run(home)
    assert candidate(home, "v2").standing is Standing.READY


def test_an_unknown_candidate_is_said(home: Home) -> None:
    with pytest.raises(PlanError, match="encoder 'v9'"):
        candidate(home, "v9")


# Floors


def test_a_floor_refuses_what_production_alone_would_let_pass(home: Home, makers: Candidates) -> None:
    assert set_floor(home, "popularity", 1.0)
    (kept, _) = makers.go_live(home, "v2")  # scores are as the labels: 1.0
    assert kept.status is Status.MADE
    roll_back(home)
    publish_standing(home)
    before = seen(home)
    assert not set_floor(home, "popularity", 1.0)
    makers.worse = {("v3", "popularity")}
    home.declare("encoder", "v3", asdict(catalogue.encoder("v3", seed=3)))
    makers.run(home)
    before = seen(home)
    (refused, _) = makers.go_live(home, "v3")
    assert "task popularity blocks: -1.0000 is below the floor of 1.0000" in refused.error
    assert standings(home)["v3"] == "refused"
    assert seen(home) == before


def test_a_floor_asks_for_its_task_even_where_nothing_is_live(tmp_path: Path, makers: Candidates) -> None:
    home = make_home(tmp_path / "home", TITLES, production=None)
    home.declare("labels", "tone", asdict(catalogue.labels("tone", *TITLES)))
    makers.run(home)
    set_floor(home, "genre", 0.1)
    (refused, *_) = makers.go_live(home, "v1")
    assert "task genre blocks: the candidate has no head for it" in refused.error
    set_floor(home, "genre", None)
    makers.go_live(home, "v1")
    assert live(home) == "v1-r1"


def test_what_passed_once_is_judged_anew_by_a_new_floor_and_what_is_live_stays(home: Home, makers: Candidates) -> None:
    makers.go_live(home, "v2")
    roll_back(home)
    publish_standing(home)
    set_floor(home, "tone", 0.5)
    assert live(home) == "v1-r1"
    (made, _) = makers.go_live(home, "v2")
    assert made.status is Status.MADE
    assert live(home) == "v2-r2"
    release = read_state(home).release
    assert release is not None
    assert read_document(home.read(ArtifactKey("release", "v2", release.fingerprint)))["floors"] == {"tone": 0.5}


def test_a_floor_that_was_taken_back_leaves_no_trace_in_what_is_asked_for(home: Home) -> None:
    before = read_state(home)
    assert set_floor(home, "tone", 0.5)
    assert read_state(home).floors == {"tone": 0.5}
    assert set_floor(home, "tone", None)
    assert not set_floor(home, "tone", None)
    assert replace(read_state(home), as_of=before.as_of) == before


@pytest.mark.parametrize(
    ("task", "value"), [("tone", 1.1), ("tone", -0.1), ("popularity", -1.1), ("tone", float("nan"))]
)
def test_a_floor_that_no_encoder_could_be_measured_by_is_refused(home: Home, task: str, value: float) -> None:
    before = seen(home)
    with pytest.raises(ReleaseError, match="floor of task"):
        set_floor(home, task, value)
    assert seen(home) == before


def test_a_floor_of_no_task_is_refused(home: Home) -> None:
    with pytest.raises(LabelsError, match="mood"):
        set_floor(home, "mood", 0.5)
