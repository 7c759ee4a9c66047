"""What is carried out is what was planned; one title's failure is its own."""

from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.catalogue.title import Title
from mediafm_core.consumption.catalogue import open_catalogue
from mediafm_core.errors import ArtifactError, MediaError, PlanError
from mediafm_core.execution import carry_out
from mediafm_core.planning.state import Step
from mediafm_core.snapshots import make_snapshot, open_snapshot
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home, artifact_path
from mediafm_core.store.ledger import MAX_ATTEMPTS
from mediafm_core.workbench import LogReporter, Outcome, Stage, Status
from tests import catalogue
from tests.catalogue import LONG, ONE_SHOT, SILENT, TITLES, UNSORTED, V2
from tests.fakes import BrokenError, Fakes, apply, deliver, done, make_home, pairs, planned

CHAIN = {"contextual_embeddings", "fused_embeddings", "video_embeddings", "audio_embeddings", "text_embeddings"}


@pytest.fixture
def home(tmp_path: Path):
    home = make_home(tmp_path / "home", [SILENT, LONG, ONE_SHOT])
    yield home
    home.ledger.close()


def partition(kind: str, title: Title) -> str:
    """The partition of a kind for one title of the only suite and encoder."""
    return {"contextual_embeddings": f"v1|{title.id}"}.get(
        kind, f"{catalogue.SUITE.id}|{title.id}" if kind.endswith("embeddings") else title.id
    )


# Executed is planned

EDITS = st.sampled_from(
    [
        lambda home: deliver(home, ONE_SHOT),
        lambda home: deliver(home, SILENT),
        lambda home: deliver(home, UNSORTED),
        lambda home: deliver(home, catalogue.with_captions(SILENT, "now it speaks")),
        lambda home: deliver(home, catalogue.with_media(ONE_SHOT, "other pictures")),
        lambda home: deliver(home, catalogue.with_synopsis(UNSORTED, "said once")),
        lambda home: home.declare("encoder", "v2", asdict(V2)),
    ]
)


@settings(max_examples=8, deadline=None)
@given(edits=st.lists(st.lists(EDITS, min_size=1, max_size=2), min_size=1, max_size=3))
def test_executed_is_planned_and_then_nothing_is_left(tmp_path_factory: pytest.TempPathFactory, edits: list) -> None:
    home = make_home(tmp_path_factory.mktemp("home"), [SILENT])
    for together in edits:
        for edit in together:
            edit(home)
        fakes, plan = Fakes(), planned(home)
        outcomes = apply(home, fakes)
        kept = done(outcomes, Status.KEPT)  # back at an earlier content, the snapshot has only to be published again
        assert set(pairs(plan.steps)) == done(outcomes) | kept
        assert done(outcomes) == set(fakes.made)
        assert kept <= {("snapshot", "")}
        assert {step.key for step in plan.steps} == {outcome.key for outcome in outcomes}
        assert len(fakes.made) + len(kept) == len(outcomes) == len(plan.steps)
        assert planned(home) == ((), ())
        assert apply(home, fakes) == []
    home.ledger.close()


def test_the_whole_awkward_catalogue_is_made_and_shown(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    apply(home)
    assert open_snapshot(str(tmp_path)).table["title"].to_pylist() == sorted(title.id for title in TITLES)
    home.ledger.close()


def test_what_exists_is_kept_and_not_made_again(home: Home) -> None:
    wanted = pairs(planned(home).steps)
    apply(home)
    fakes = Fakes()
    outcomes = list(carry_out(home, wanted, fakes.stages, LogReporter()))
    assert done(outcomes, Status.KEPT) == set(wanted)
    assert fakes.made == []


def test_what_is_settled_is_settled_again_for_what_was_kept(home: Home) -> None:
    apply(home)
    (home.root / "production.json").unlink()  # as after a death between the snapshot's row and the swap
    assert [(s.key.kind, s.reason) for s in planned(home).steps] == [("snapshot", "catalogue: made, not yet published")]
    outcomes = apply(home)
    assert done(outcomes, Status.KEPT) == {("snapshot", "")}
    assert planned(home).steps == ()
    assert open_snapshot(str(home.root)).encoder == "v1"


def test_each_outcome_is_told_as_soon_as_it_is_known(home: Home) -> None:
    told: list[str] = []

    class Reporter(LogReporter):
        def begin(self, step: Step) -> None:
            told.append(f"begin {step.key.kind}")

        def end(self, outcome: Outcome) -> None:
            told.append(f"end {outcome.key.kind}")

    wanted = [("deliveries", "silent"), ("shots", "silent")]
    running = carry_out(home, wanted, Fakes().stages, Reporter())
    assert next(running).key.kind == "deliveries"
    assert told == ["begin deliveries", "end deliveries"]
    assert home.ledger.artifacts("shots") == []
    running.close()


# Failures


@pytest.mark.parametrize("error", [BrokenError(), ValueError("odd"), AssertionError(), MemoryError()])
def test_a_failed_title_leaves_the_others_done(home: Home, error: Exception) -> None:
    fakes = Fakes(failing={("shots", "long"): error})
    outcomes = apply(home, fakes)
    assert done(outcomes, Status.FAILED) == {("shots", "long")}
    behind = {"thumbnails", "timed_text", *CHAIN}
    assert done(outcomes, Status.BLOCKED) == {(kind, partition(kind, LONG)) for kind in behind}
    shown = open_snapshot(str(home.root)).table["title"].to_pylist()
    assert shown == ["one-shot", "silent"]
    (failure,) = home.ledger.failures().values()
    assert failure.message
    assert not failure.parked


def test_the_next_attempt_makes_just_what_was_left(home: Home) -> None:
    apply(home, Fakes(failing={("audio_embeddings", partition("audio_embeddings", LONG)): BrokenError()}))
    assert done(apply(home)) == {
        (kind, partition(kind, LONG)) for kind in ("audio_embeddings", "fused_embeddings", "contextual_embeddings")
    } | {("snapshot", "")}
    assert home.ledger.failures() == {}


def test_a_step_that_failed_too_often_is_parked_and_blocks_exactly_its_downstream(home: Home) -> None:
    fakes = Fakes(failing={("timed_text", "long"): BrokenError()})
    for _ in range(MAX_ATTEMPTS):
        assert planned(home).steps
        apply(home, fakes)
    found = planned(home)
    assert found.steps == ()
    behind = ("timed_text", "text_embeddings", "fused_embeddings", "contextual_embeddings")
    assert set(pairs(found.blocked)) == {(kind, partition(kind, LONG)) for kind in behind}


def test_a_delivery_that_cannot_be_decoded_is_parked_at_once(home: Home) -> None:
    error = MediaError("media 'a'", found="noise", expected="film", next_step="Deliver again.")
    apply(home, Fakes(failing={("shots", "long"): error}))
    assert planned(home).steps == ()
    assert ("shots", "long") in pairs(planned(home).blocked)


def test_a_new_delivery_is_tried_though_the_old_one_is_parked(home: Home) -> None:
    error = MediaError("media 'a'", found="noise", expected="film", next_step="Deliver again.")
    apply(home, Fakes(failing={("shots", "long"): error}))
    deliver(home, catalogue.with_media(LONG, "whole"))
    assert ("shots", "long") in done(apply(home))
    assert planned(home) == ((), ())


def test_readers_keep_the_old_chain_of_a_title_whose_new_media_fails(home: Home) -> None:
    apply(home)
    before = open_snapshot(str(home.root)).table.to_pylist()
    deliver(home, catalogue.with_media(LONG, "broken"))
    error = MediaError("media 'a'", found="noise", expected="film", next_step="Deliver again.")
    apply(home, Fakes(failing={("shots", "long"): error}))
    after = open_snapshot(str(home.root)).table.to_pylist()
    assert after == before
    assert planned(home).steps == ()


def test_an_object_that_was_damaged_before_its_row_is_one_title_s_failure(home: Home) -> None:
    (shots,) = [s.key for s in planned(home).steps if (s.key.kind, s.key.partition) == ("shots", "long")]
    home.objects.create(artifact_path(shots), b"half")
    outcomes = apply(home)
    assert done(outcomes, Status.FAILED) == {("shots", "long")}
    assert open_snapshot(str(home.root)).table["title"].to_pylist() == ["one-shot", "silent"]
    (failure,) = home.ledger.failures().values()
    assert artifact_path(shots) in failure.message


def test_a_snapshot_that_cannot_be_made_is_parked_like_any_step(home: Home) -> None:
    fakes = Fakes(failing={("snapshot", ""): BrokenError()})
    for _ in range(MAX_ATTEMPTS):
        apply(home, fakes)
    assert pairs(planned(home).blocked) == [("snapshot", "")]
    home.ledger.forgive(home.ledger.failures())
    apply(home)
    assert planned(home) == ((), ())


# What nobody asks for


@pytest.mark.parametrize(
    "pair", [("shots", "nobody"), ("nothing", "long"), ("shots", "a|b"), ("contextual_embeddings", "v9|long")]
)
def test_a_partition_that_nobody_asks_for_stops_all_before_the_first(home: Home, pair: tuple[str, str]) -> None:
    with pytest.raises(PlanError):
        list(carry_out(home, [("deliveries", "long"), pair], Fakes().stages, LogReporter()))
    assert home.ledger.artifacts() == []


def test_a_snapshot_of_nothing_is_no_step(home: Home) -> None:
    assert list(carry_out(home, [("snapshot", "")], Fakes().stages, LogReporter())) == []


def test_an_input_that_does_not_exist_blocks(home: Home) -> None:
    (outcome,) = carry_out(home, [("thumbnails", "long")], Fakes().stages, LogReporter())
    assert outcome.status is Status.BLOCKED
    assert outcome.error == "waits for its shots"


def test_an_artifact_says_what_it_was_made_from(home: Home) -> None:
    apply(home)
    for row in home.ledger.artifacts():
        assert row.manifest.provenance["mediafm"]
        assert row.manifest.made_at > 0
        for upstream in row.manifest.inputs.values():
            assert home.ledger.artifact(ArtifactKey(*upstream))


# Recovery


def test_a_lost_snapshot_is_made_again_after_the_ledger_was_mended(home: Home) -> None:
    apply(home)
    before = open_snapshot(str(home.root)).table
    (row,) = home.ledger.artifacts("snapshot")
    home.objects.swap(row.path, b"damaged")
    with pytest.raises(ArtifactError, match="mediafm rebuild"):
        open_snapshot(str(home.root))
    home.rebuild_ledger()
    assert done(apply(home)) == {("snapshot", "")}
    assert open_snapshot(str(home.root)).table.equals(before)
    assert read_state(home).published


def test_a_lost_artifact_is_made_again_and_readers_see_the_new_one(home: Home) -> None:
    apply(home)
    gone = next(row for row in home.ledger.artifacts("timed_text") if row.key.partition == "long")
    home.objects.delete(gone.path)
    home.rebuild_ledger()
    assert done(apply(home)) == {("timed_text", "long"), ("snapshot", "")}
    assert len(open_catalogue(str(home.root)).shots("long").texts) == 513
    assert planned(home) == ((), ())


def test_a_stage_without_settling_needs_none() -> None:
    assert Stage(make_snapshot).settle is None
