"""A plan of tasks and releases: exactly what an upgrade, edited labels or a title reach, and what readers see of it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm_core.catalogue.declared import AblationWish
from mediafm_core.catalogue.kinds import KINDS, ArtifactKey
from mediafm_core.catalogue.title import Title
from mediafm_core.errors import PlanError
from mediafm_core.planning import making
from mediafm_core.planning.desired import desired, encoder_steps, predictions, release
from mediafm_core.planning.plan import plan, visible
from mediafm_core.planning.state import State
from tests import catalogue
from tests.catalogue import LONG, NO_ID, TASKS, UNSORTED, V1, V2
from tests.live_states import LABELLED, LIVE, TITLES, applied, counts, labelled, promoted, with_labels, with_trained

CHAIN = {kind.name for kind in KINDS.values() if "title" in kind.axes}

# Written out by hand, as in test_planning; of what the live release shows, only other vectors or scores are news.
DOWNSTREAM = {
    "labels": {"probe_heads", "predictions", "probe_report"},
    "probe_heads": {"predictions", "probe_report"},
    "predictions": {"snapshot"},
    "probe_report": set(),
    "contextual_embeddings": {"probe_heads", "predictions", "probe_report"},
    "mediafm_encoder": {"contextual_embeddings", "probe_heads", "predictions", "probe_report", "snapshot"},
}

quick = settings(max_examples=25, deadline=None)


# Laws


@st.composite
def states(draw: st.DrawFn) -> State:
    """What may have become of a live release: any of an edit of labels, a title, a delivery, an encoder, each made or
    not before the next."""
    state = LIVE
    happenings = {
        "labels": lambda s: with_labels(s, draw(st.sampled_from(TASKS)), draw(st.integers(1, 3))),
        "title": lambda s: s.with_titles(NO_ID),
        "media": lambda s: s.with_titles(catalogue.with_media(draw(st.sampled_from(TITLES)), "other")),
        "encoder": lambda s: with_trained(s, "v2") if V2 not in s.encoders else s,
        "promotion": lambda s: promoted(applied(s), draw(st.sampled_from([e.name for e in s.encoders])), 2),
        "nothing": applied,
    }
    for name in draw(st.lists(st.sampled_from(sorted(happenings)), max_size=5)):
        state = happenings[name](state)
    return state


@quick
@given(states())
def test_planning_after_applying_is_empty(state: State) -> None:
    assert plan(applied(state)) == ((), ())


@quick
@given(states())
def test_each_step_stands_once_and_after_all_that_it_reads(state: State) -> None:
    available = set(state.committed)
    for step in plan(state).steps:
        assert available.issuperset(step.reads)
        assert step.key not in available or step.key.kind == "snapshot"
        available.add(step.key)


@quick
@given(states(), st.booleans())
def test_readers_see_one_encoders_vectors_scored_by_the_heads_of_its_live_release(state: State, made: bool) -> None:
    state = applied(state) if made else state
    assert state.release is not None
    for title, shown in visible(state, desired(state)).items():
        of = f"{state.release.encoder}|{title}"
        scored = predictions(state.release.encoder, state.titles[title], shown.contextual, state.release.heads)
        assert shown.contextual[:2] == ("contextual_embeddings", of)
        assert shown.predictions == scored.key
        assert shown.predictions in state.committed
        heads = {key.fingerprint for role, key in scored.inputs.items() if role.startswith("head_")}
        assert heads == set(state.release.heads.values())
    if made:
        assert visible(state, desired(state)).keys() == state.titles.keys()


# An upgrade


def test_a_trained_encoder_plans_its_vectors_five_heads_predictions_and_one_report() -> None:
    steps = plan(with_trained(LIVE, "v2")).steps
    n_titles = len(TITLES)
    expected = {"contextual_embeddings": n_titles, "probe_heads": 5, "predictions": n_titles, "probe_report": 1}
    assert counts(steps) == expected
    assert {step.axes["encoder"] for step in steps} == {"v2"}


def test_a_candidate_changes_nothing_that_readers_see() -> None:
    ready = applied(with_trained(LIVE, "v2"))
    assert ready.published == LIVE.published
    assert visible(ready, desired(ready)) == visible(LIVE, desired(LIVE))


def test_a_promotion_plans_the_snapshot_alone_and_so_does_going_back() -> None:
    ready = applied(with_trained(LIVE, "v2"))
    live = promoted(ready, "v2")
    assert counts(plan(replace(ready, production="v2", release=live.release)).steps) == {"snapshot": 1}
    back = replace(live, production="v1", release=LIVE.release)
    assert counts(plan(back).steps) == {"snapshot": 1}
    assert applied(back).published == LIVE.published


def test_a_heads_training_vectors_are_all_of_its_own_encoder() -> None:
    ready = applied(with_trained(LIVE, "v2"))
    for name, steps in desired(ready).encoders.items():
        for head in steps.heads.values():
            assert head.inputs["encoder"] == steps.trained.key
            assert {key.partition.split("|")[0] for key in head.also} == {name}


# An edit of labels


def test_edited_labels_plan_that_head_predictions_and_the_report() -> None:
    steps = plan(with_labels(LIVE, "tone", 2)).steps
    assert counts(steps) == {"labels": 1, "probe_heads": 1, "predictions": len(TITLES), "probe_report": 1}
    assert {s.key.partition for s in steps if s.key.kind in ("labels", "probe_heads")} == {"tone", "v1|tone"}


def test_new_heads_are_not_seen_before_their_release() -> None:
    edited = applied(with_labels(LIVE, "tone", 2))
    assert edited.published == LIVE.published
    assert applied(promoted(edited, "v1", 2)).published != LIVE.published


def test_after_an_edit_of_labels_a_new_title_is_scored_by_live_heads_and_by_those_of_today() -> None:
    edited = applied(with_labels(LIVE, "tone", 2)).with_titles(NO_ID)
    found = [step for step in plan(edited).steps if step.key.kind == "predictions"]
    assert [step.title for step in found] == [NO_ID.id, NO_ID.id]
    tones = {step.inputs["head_tone"].fingerprint for step in found}
    assert edited.release is not None
    assert tones == {edited.release.heads["tone"], desired(edited).encoders["v1"].heads["tone"].key.fingerprint}


def test_edited_labels_are_fitted_on_the_vectors_of_today() -> None:
    moved = applied(LIVE.with_titles(catalogue.with_media(LONG, "other pictures")))
    contextual = desired(moved).encoders["v1"].contextual[LONG.id].key
    assert contextual not in desired(moved).encoders["v1"].heads["tone"].also
    edited = with_labels(moved, "tone", 2)
    assert contextual in desired(edited).encoders["v1"].heads["tone"].also


def test_labels_of_no_title_of_the_catalogue_make_no_head() -> None:
    state = replace(labelled(UNSORTED), encoders=(V1,))
    steps = desired(state).encoders["v1"]
    assert (steps.heads, steps.report, steps.predictions) == ({}, None, ())
    with pytest.raises(PlanError, match="no labels"):
        release(steps, None)


# Titles


def test_a_new_title_plans_its_chain_with_predictions_and_the_snapshot() -> None:
    steps = plan(LIVE.with_titles(NO_ID)).steps
    assert counts(steps) == {**dict.fromkeys(CHAIN, 1), "snapshot": 1}
    assert {step.title for step in steps} == {NO_ID.id, None}


def test_a_new_labelled_title_makes_no_head_stale() -> None:
    named = {task: catalogue.labels(task, *LABELLED, NO_ID) for task in TASKS}
    steps = plan(replace(LIVE, labels=named).with_titles(NO_ID)).steps  # the same table: only who is in it is news
    assert {"labels", "probe_heads", "probe_report"}.isdisjoint(counts(steps))


@pytest.mark.parametrize("title", LABELLED, ids=lambda title: title.id)
def test_a_training_title_that_is_delivered_anew_makes_no_head_stale(title: Title) -> None:
    steps = plan(LIVE.with_titles(catalogue.with_media(title, "other pictures"))).steps
    assert counts(steps) == {**dict.fromkeys(CHAIN - {"metadata_embedding"}, 1), "snapshot": 1}


def test_a_training_title_that_is_gone_makes_no_head_stale() -> None:
    left = {title: found for title, found in LIVE.titles.items() if title != LONG.id}
    assert counts(plan(replace(LIVE, titles=left)).steps) == {"snapshot": 1}


def test_a_title_without_live_predictions_is_not_seen() -> None:
    state = LIVE.with_titles(NO_ID)
    scored = next(step for step in plan(state).steps if step.key.kind == "predictions")
    found = plan(replace(state, parked=frozenset([scored.key])))
    assert counts(found.blocked) == {"predictions": 1}
    assert "snapshot" not in counts(found.steps)  # the others are shown as they were


# A release


def test_what_is_live_is_not_judged_against_itself() -> None:
    assert LIVE.release is not None
    again = release(encoder_steps(desired(LIVE), "v1"), LIVE.release)
    assert again.key == ArtifactKey("release", "v1", LIVE.release.fingerprint)
    assert again.key in LIVE.committed


@pytest.mark.parametrize("change", ["labels", "encoder", "against"])
def test_another_head_encoder_or_rival_is_another_release(change: str) -> None:
    ready = applied(with_trained(with_labels(LIVE, "tone", 2) if change == "labels" else LIVE, "v2"))
    encoder = "v1" if change == "labels" else "v2"
    step = release(encoder_steps(desired(ready), encoder), None if change == "against" else ready.release)
    first = release(encoder_steps(desired(LIVE), "v1"), None)
    assert step.key.fingerprint not in {first.key.fingerprint, LIVE.release and LIVE.release.fingerprint}
    assert {role for role in step.inputs if role.startswith("head_")} == {f"head_{task}" for task in TASKS}


@pytest.mark.parametrize("kind", DOWNSTREAM)
def test_new_code_of_a_kind_plans_that_kind_and_its_downstream(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bumped = {**KINDS, kind: replace(KINDS[kind], code_version=KINDS[kind].code_version + 1)}
    monkeypatch.setattr(making, "KINDS", bumped)
    assert set(counts(plan(LIVE).steps)) == {kind, *DOWNSTREAM[kind]}


def test_a_plan_never_holds_a_release() -> None:
    ready = with_labels(with_trained(LIVE, "v2"), "tone", 2)
    assert "release" not in counts(plan(ready).steps)


def test_an_ablation_is_planned_only_where_somebody_asked_for_it() -> None:
    assert "ablation_report" not in counts(desired(LIVE).steps())
    asked = replace(LIVE, ablations={"v1": AblationWish(encoder="v1"), "gone": AblationWish(encoder="gone")})
    assert counts(plan(asked).steps) == {"ablation_report": 1}
    assert plan(applied(asked)).steps == ()


def test_a_new_encoder_makes_no_ablation_stale_and_other_labels_and_another_wish_do() -> None:
    made = applied(replace(LIVE, ablations={"v1": AblationWish(encoder="v1")}))
    later = applied(with_trained(made, "v2"))
    assert plan(later).steps == ()
    assert counts(plan(with_labels(made, "tone", 2)).steps)["ablation_report"] == 1
    for wish in (AblationWish(encoder="v1", others=("v2",)), AblationWish(encoder="v1", outside={"x": "0" * 64})):
        assert counts(plan(replace(later, ablations={"v1": wish})).steps) == {"ablation_report": 1}


def test_an_ablation_stands_in_a_plan_after_all_that_it_reads() -> None:
    wish = AblationWish(encoder="v1", others=("v2",))
    state = replace(with_trained(labelled(*TITLES), "v2"), ablations={"v1": wish})
    order = [step.key for step in plan(state).steps]
    (step,) = [step for step in plan(state).steps if step.key.kind == "ablation_report"]
    assert {key.kind for key in step.reads} == {"mediafm_encoder", "probe_heads"}
    assert all(order.index(key) < order.index(step.key) for key in step.reads if key in order)
