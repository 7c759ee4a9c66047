"""One parked step holds up what hangs on it and nothing else: no other title, no head, no promotion, no reader."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mediafm_core.catalogue.declared import VECTOR_KINDS, TrainingSet
from mediafm_core.catalogue.kinds import KINDS
from mediafm_core.catalogue.title import Part, Title
from mediafm_core.errors import MediaError
from mediafm_core.planning import making
from mediafm_core.planning.completeness import Completeness, completeness
from mediafm_core.planning.desired import desired
from mediafm_core.planning.plan import plan, visible
from mediafm_core.planning.reasons import with_reasons
from mediafm_core.planning.state import State, Step
from mediafm_core.snapshots import open_snapshot
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import MAX_ATTEMPTS
from mediafm_core.store.manifest import read_document
from mediafm_core.workbench import Status
from tests import catalogue
from tests.candidates import Candidates, live
from tests.catalogue import LONG, NO_ID, ONE_SHOT, SILENT, TASKS, UNSORTED, V2
from tests.fakes import BrokenError, deliver, make_home, planned
from tests.live_states import LABELLED, LIVE, applied, counts, labelled, promoted, with_labels, with_trained

BROKEN = MediaError("media 'a'", found="noise", expected="film", next_step="Deliver again.")


def parked(state: State, *kinds: str, of: Title, encoder: str = "") -> State:
    """The state in which these steps of a title are parked."""
    steps = [
        s for s in desired(state).steps() if s.key.kind in kinds and s.title == of.id and encoder in s.key.partition
    ]
    assert steps
    return replace(state, parked=state.parked | {step.key for step in steps})


def heads(state: State, encoder: str) -> dict[str, Step]:
    return desired(state).encoders[encoder].heads


# What readers see


@pytest.mark.parametrize("kind", ["predictions", "contextual_embeddings", "shots"])
@pytest.mark.parametrize(
    "change",
    [
        catalogue.with_media,
        catalogue.with_captions,
        lambda t, c: catalogue.with_part(t, Part.LABELS, "labels.parquet", c),
    ],
)
def test_a_title_is_seen_as_it_was_last_whole_while_something_of_its_new_delivery_is_parked(
    kind: str, change: Callable[[Title, str], Title]
) -> None:
    changed = LIVE.with_titles(change(LONG, "other"))
    after = applied(parked(changed, kind, of=LONG))
    before = visible(LIVE, desired(LIVE))[LONG.id]
    shown = visible(after, desired(after))[LONG.id]
    absent = [s for s in desired(after).steps() if s.title == LONG.id and s.key not in after.committed]
    assert (shown[1:] == before[1:]) == bool(absent)
    assert visible(after, desired(after)).keys() == LIVE.titles.keys()


def test_the_newest_whole_pair_is_seen_and_not_an_older_one() -> None:
    second = applied(LIVE.with_titles(catalogue.with_media(LONG, "second")))
    third = second.with_titles(catalogue.with_media(LONG, "third"))
    after = applied(parked(third, "predictions", of=LONG))
    assert visible(after, desired(after))[LONG.id][1:] == visible(second, desired(second))[LONG.id][1:]


def test_a_pair_that_other_heads_scored_is_not_seen() -> None:
    ready = applied(with_trained(LIVE, "v2"))
    edited = promoted(applied(with_labels(ready, "tone", 2)), "v1", 2)
    changed = parked(edited.with_titles(catalogue.with_media(LONG, "other")), "predictions", of=LONG)
    shown = visible(applied(changed), desired(applied(changed)))[LONG.id]
    assert shown[1:] == visible(edited, desired(edited))[LONG.id][1:]


# Heads


def test_a_new_training_set_does_without_a_parked_labelled_title_and_says_so() -> None:
    state = parked(with_trained(LIVE, "v2"), "contextual_embeddings", of=LONG, encoder="v2")
    fitted = heads(state, "v2")
    assert {head.without for head in fitted.values()} == {(LONG.id,)}
    members = {key.partition for head in fitted.values() for key in head.also}
    assert members == {f"v2|{title.id}" for title in LABELLED if title != LONG}
    steps = with_reasons(plan(state).steps, {})
    assert counts(steps)["probe_heads"] == len(TASKS)
    assert {s.reason for s in steps if s.key.kind == "probe_heads"} == {
        "encoder v2: not yet computed, without long, which wait for parked steps"
    }


@pytest.mark.parametrize("kind", ["shots", "fused_embeddings", "metadata_embedding"])
def test_a_title_is_kept_out_by_any_parked_step_that_its_vectors_hang_on(kind: str) -> None:
    state = replace(labelled(*LABELLED), encoders=(V2,))
    assert heads(parked(state, kind, of=LONG), "v2")["tone"].without == (LONG.id,)


@pytest.mark.parametrize("kind", ["thumbnails", "deliveries", "predictions"])
def test_a_title_is_not_kept_out_by_what_its_vectors_do_not_hang_on(kind: str) -> None:
    state = replace(labelled(*LABELLED), encoders=(V2,))
    assert heads(parked(state, kind, of=LONG), "v2")["tone"].without == ()


def test_parking_changes_no_training_set_that_is_frozen() -> None:
    changed = LIVE.with_titles(catalogue.with_media(LONG, "other"))
    assert heads(parked(changed, "shots", of=LONG), "v1") == heads(LIVE, "v1")


def test_a_title_that_can_be_made_again_makes_no_head_stale_that_was_fitted_without_it() -> None:
    state = applied(parked(with_trained(LIVE, "v2"), "contextual_embeddings", of=LONG, encoder="v2"))
    again = replace(state, parked=frozenset())
    assert counts(plan(again).steps) == {"contextual_embeddings": 1, "predictions": 1}
    assert heads(again, "v2")["tone"].key == heads(state, "v2")["tone"].key


def test_where_every_labelled_title_is_parked_heads_wait() -> None:
    state = with_trained(LIVE, "v2")
    for title in LABELLED:
        state = parked(state, "contextual_embeddings", of=title, encoder="v2")
    found = plan(state)
    assert counts(found.blocked)["probe_heads"] == len(TASKS)


def test_a_parked_encoder_keeps_no_title_out() -> None:
    state = replace(LIVE, encoders=(*LIVE.encoders, V2))
    state = replace(state, parked=frozenset([desired(state).encoders["v2"].trained.key]))
    assert {head.without for head in heads(state, "v2").values()} == {()}
    assert counts(plan(state).blocked)["probe_heads"] == len(TASKS)


# New code under a frozen training set


@pytest.mark.parametrize("kind", ["contextual_embeddings", "mediafm_encoder", "pretraining_corpus"])
def test_heads_are_fitted_anew_on_vectors_of_today_when_code_that_makes_vectors_changes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "KINDS", {**KINDS, kind: replace(KINDS[kind], code_version=7)})
    wanted = desired(LIVE).encoders["v1"]
    for head in wanted.heads.values():
        assert set(head.also) == {wanted.contextual[title.id].key for title in LABELLED}
    assert plan(applied(LIVE)).steps == ()


def test_new_code_of_vectors_shows_readers_the_old_ones_with_their_scores_until_a_promotion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bumped = {**KINDS, "contextual_embeddings": replace(KINDS["contextual_embeddings"], code_version=7)}
    monkeypatch.setattr(making, "KINDS", bumped)
    after = applied(LIVE)
    assert visible(after, desired(after)) == visible(LIVE, desired(LIVE))
    assert after.published == LIVE.published
    moved = promoted(after, "v1", 2)
    wanted = desired(moved).encoders["v1"].contextual
    assert {t: s.contextual for t, s in visible(moved, desired(moved)).items()} == {t: s.key for t, s in wanted.items()}


def test_a_training_set_that_does_not_say_its_code_is_of_the_first() -> None:
    record = asdict(LIVE.training["v1", "tone"])
    del record["made_by"]
    assert TrainingSet.from_json(record).made_by == dict.fromkeys(VECTOR_KINDS, 1)


# A promotion


READY = applied(with_trained(LIVE, "v2"))


def lacks(state: State, encoder: str = "v2") -> Completeness:
    return completeness(state, desired(state), encoder)


def test_what_is_made_of_every_title_is_whole() -> None:
    assert lacks(READY) == ((), (), ())


def test_what_can_be_made_is_waited_for() -> None:
    found = lacks(READY.with_titles(NO_ID))
    assert counts(found.missing) == {"contextual_embeddings": 1, "predictions": 1}
    assert not found.whole


def test_a_parked_title_that_nobody_sees_may_be_missing() -> None:
    found = lacks(parked(READY.with_titles(NO_ID), "shots", of=NO_ID))
    assert found == ((), (), (NO_ID.id,))
    assert found.whole


def test_a_parked_title_that_readers_see_is_waited_for() -> None:
    state = with_trained(LIVE, "v2")
    state = applied(parked(state, "predictions", of=LONG, encoder="v2"))
    assert lacks(state) == ((), (LONG.id,), ())
    assert not lacks(state).whole


def test_a_parked_delivery_of_a_title_that_the_candidate_shows_as_it_was_holds_nothing_up() -> None:
    changed = parked(READY.with_titles(catalogue.with_media(LONG, "noise")), "shots", of=LONG)
    assert lacks(changed) == ((), (), ())


# A home


@pytest.fixture
def home(tmp_path: Path):
    """A home where v1 is live."""
    home = make_home(tmp_path / "home", (SILENT, ONE_SHOT, LONG), production=None)
    for task in TASKS:
        home.declare("labels", task, asdict(catalogue.labels(task, SILENT, ONE_SHOT, LONG)))
    Candidates().run(home)
    Candidates().go_live(home, "v1")
    yield home
    home.ledger.close()


def rows(home: Home) -> list[dict]:
    return open_snapshot(str(home.root)).table.to_pylist()


def test_readers_keep_a_title_whose_new_predictions_fail(home: Home) -> None:
    before = rows(home)
    deliver(home, catalogue.with_media(LONG, "other"))
    failing = Candidates(failing={("predictions", "v1|long"): BrokenError()})
    for _ in range(MAX_ATTEMPTS):
        failing.run(home)
        assert rows(home) == before
    assert planned(home).steps == ()
    deliver(home, catalogue.with_attribution(SILENT, "Somebody"))  # the next snapshot shows it, too
    failing.run(home)
    assert [row["contextual_path"] for row in rows(home)] == [row["contextual_path"] for row in before]
    home.ledger.forgive(home.ledger.failures())
    Candidates().run(home)
    assert rows(home) != before


def test_a_release_goes_live_without_a_broken_delivery_and_its_record_names_it(home: Home) -> None:
    deliver(home, UNSORTED)
    home.declare("encoder", "v2", asdict(V2))
    Candidates(failing={("shots", "unsorted"): BROKEN}).run(home)
    (judged, _) = Candidates().go_live(home, "v2")
    assert (judged.status, live(home)) == (Status.MADE, "v2-r1")
    assert read_document(home.read(judged.key))["without"] == ["unsorted"]
    assert judged.facts["without"] == ["unsorted"]
    assert [row["title"] for row in rows(home)] == ["long", "one-shot", "silent"]


def test_a_release_that_would_take_a_title_from_readers_is_refused_with_its_name(home: Home) -> None:
    home.declare("encoder", "v2", asdict(V2))
    failing = Candidates(failing={("predictions", "v2|long"): BrokenError()})
    for _ in range(MAX_ATTEMPTS):
        failing.run(home)
    (refused, _) = failing.go_live(home, "v2")
    assert "readers would see 1 titles no more, whose steps are parked: long" in refused.error
    assert live(home) == "v1-r1"
    assert read_state(home).production == "v1"
