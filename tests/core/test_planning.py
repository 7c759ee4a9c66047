"""A plan holds exactly what an edit reaches: no step more, no step less, each with its reason and in its order."""

import gc
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm_core.catalogue.kinds import KINDS, ArtifactKey
from mediafm_core.catalogue.title import LATER, Metadata, Title
from mediafm_core.identity import canonical_json
from mediafm_core.planning import making
from mediafm_core.planning.desired import desired
from mediafm_core.planning.plan import for_titles, plan, snapshot_step, visible
from mediafm_core.planning.reasons import with_reasons
from mediafm_core.planning.state import State, Step
from tests import catalogue
from tests.catalogue import LONG, ONE_SHOT, SECOND_SUITE, SILENT, SUITE, TITLES, UNSORTED, V2
from tests.fakes import pairs
from tests.live_states import remembering

PER_SUITE = {"video_embeddings", "audio_embeddings", "text_embeddings", "metadata_embedding", "fused_embeddings"}
PER_TITLE = {"deliveries", "shots", "thumbnails", "timed_text", *PER_SUITE}

# Written out by hand from the graph, so that the code's own graph is not its own judge.
DOWNSTREAM = {
    "deliveries": set(),
    "shots": PER_TITLE - {"deliveries", "shots", "metadata_embedding"} | {"contextual_embeddings", "snapshot"},
    "thumbnails": set(),
    "timed_text": {"text_embeddings", "fused_embeddings", "contextual_embeddings", "snapshot"},
    "video_embeddings": {"fused_embeddings", "contextual_embeddings", "snapshot"},
    "audio_embeddings": {"fused_embeddings", "contextual_embeddings", "snapshot"},
    "text_embeddings": {"fused_embeddings", "contextual_embeddings", "snapshot"},
    "metadata_embedding": {"contextual_embeddings", "snapshot"},
    "fused_embeddings": {"contextual_embeddings", "snapshot"},
    "pretraining_corpus": {"mediafm_encoder", "contextual_embeddings", "snapshot"},
    "mediafm_encoder": {"contextual_embeddings", "snapshot"},
    "contextual_embeddings": {"snapshot"},
    "snapshot": set(),
}

any_title = st.sampled_from(TITLES)
quick = settings(max_examples=30, deadline=None)


def kinds(steps: Iterable[Step]) -> set[str]:
    return {step.key.kind for step in steps}


def about(title: Title, steps: Iterable[Step]) -> bool:
    """Whether the steps are about this title alone, and the snapshot."""
    return {step.title for step in steps if step.key.kind != "snapshot"} <= {title.id}


def applied(state: State) -> State:
    """The state after all of its plan was carried out."""
    steps = plan(state).steps
    published = next((s.key.fingerprint for s in steps if s.key.kind == "snapshot"), state.published)
    made = remembering(state.with_committed(*(step.key for step in steps)), steps)
    return replace(made, published=published)


@st.composite
def states(draw: st.DrawFn) -> State:
    """Any part of the awkward catalogue, with up to two suites and encoders, some of it made."""
    titles = draw(st.lists(any_title, unique=True))
    suites = draw(st.sampled_from([(SUITE,), (SUITE, SECOND_SUITE)]))
    encoders = draw(st.sampled_from([(), (catalogue.V1,), (catalogue.V1, V2)]))
    production = draw(st.sampled_from([None, *[encoder.name for encoder in encoders]]))
    state = replace(catalogue.state(), titles={}, suites=suites, encoders=encoders, production=production)
    state = state.with_titles(*titles)
    keys = [step.key for step in desired(state).steps()]
    some = st.lists(st.sampled_from(keys), unique=True) if keys else st.just([])
    return state.with_committed(*draw(some))


# Laws


@quick
@given(states())
def test_planning_after_applying_is_empty(state: State) -> None:
    assert plan(applied(state)) == ((), ())


@quick
@given(states())
def test_each_step_stands_after_all_that_it_reads(state: State) -> None:
    available = set(state.committed)
    for step in plan(state).steps:
        assert available.issuperset(step.inputs.values())
        available.add(step.key)


@quick
@given(states())
def test_no_step_is_planned_twice_or_though_it_exists(state: State) -> None:
    keys = [step.key for step in plan(state).steps]
    assert len(set(keys)) == len(keys)
    assert state.committed.isdisjoint(keys)


@quick
@given(states(), any_title)
def test_a_delivery_of_the_same_content_plans_nothing(state: State, title: Title) -> None:
    made = applied(state.with_titles(title))
    again = replace(title, files=tuple(reversed(title.files)))  # the order of files is no content
    assert plan(made.with_titles(again)).steps == () or again != title
    assert kinds(plan(made.with_titles(again)).steps) <= {"snapshot"}


@quick
@given(st.data())
def test_a_parked_step_blocks_exactly_what_is_downstream_of_it(data: st.DataObject) -> None:
    state = catalogue.state(LONG, SILENT, UNSORTED)
    parked = data.draw(st.sampled_from(list(desired(state).steps())))
    found = plan(replace(state, parked=frozenset([parked.key])))
    hit = [step for step in found.blocked if step.key != parked.key]
    assert kinds(hit) == DOWNSTREAM[parked.key.kind] - {"snapshot"}
    assert all(step.title == parked.title or parked.title is None for step in hit)
    unreached = {step.key for step in desired(state).steps()} - {step.key for step in found.blocked}
    assert {step.key for step in found.steps if step.key.kind != "snapshot"} == unreached


@quick
@given(st.permutations(TITLES))
def test_the_order_of_titles_changes_no_fingerprint(titles: list[Title]) -> None:
    def keys(state: State) -> set[ArtifactKey]:
        return {step.key for step in plan(state).steps}

    assert keys(catalogue.state(*titles)) == keys(catalogue.state(*TITLES))


# What each edit reaches

EDITS: dict[str, tuple[Callable[[Title], Title], set[str]]] = {
    "synopsis": (
        lambda title: catalogue.with_synopsis(title, "Another story."),
        {"deliveries", "metadata_embedding", "contextual_embeddings", "snapshot"},
    ),
    "attribution": (lambda title: catalogue.with_attribution(title, "Somebody"), {"deliveries", "snapshot"}),
    "captions": (
        lambda title: catalogue.with_captions(title, "other words"),
        {"deliveries", "timed_text", "text_embeddings", "fused_embeddings", "contextual_embeddings", "snapshot"},
    ),
    "media": (
        lambda title: catalogue.with_media(title, "other pictures"),
        PER_TITLE - {"metadata_embedding"} | {"contextual_embeddings", "snapshot"},
    ),
    "name of the delivery": (lambda title: replace(title, delivered_as="elsewhere"), {"deliveries", "snapshot"}),
}


@pytest.mark.parametrize("edit", EDITS)
@quick
@given(title=any_title)
def test_an_edit_plans_exactly_what_it_reaches(edit: str, title: Title) -> None:
    change, reached = EDITS[edit]
    steps = plan(applied(catalogue.state()).with_titles(change(title))).steps
    assert kinds(steps) == reached
    assert about(title, steps)
    assert len(steps) == len(reached)


def test_metadata_work_never_touches_pictures_sound_or_text() -> None:
    (change, _) = EDITS["synopsis"]
    steps = plan(applied(catalogue.state()).with_titles(change(ONE_SHOT))).steps
    heavy = {"shots", "thumbnails", "timed_text", "video_embeddings", "audio_embeddings", "text_embeddings"}
    assert heavy.isdisjoint(kinds(steps))


def test_going_back_to_an_earlier_delivery_plans_only_the_snapshot() -> None:
    first = applied(catalogue.state())
    second = applied(first.with_titles(catalogue.with_media(LONG, "other pictures")))
    back = plan(second.with_titles(LONG)).steps
    assert pairs(back) == [("snapshot", "")]


def test_a_new_title_plans_its_chain_alone_and_the_snapshot() -> None:
    made = applied(catalogue.state(SILENT, LONG))
    steps = plan(made.with_titles(ONE_SHOT)).steps
    assert kinds(steps) == PER_TITLE | {"contextual_embeddings", "snapshot"}
    assert about(ONE_SHOT, steps)
    assert len(steps) == len(PER_TITLE) + 2


def test_a_new_encoder_plans_nothing_upstream_of_it() -> None:
    made = applied(catalogue.state())
    steps = plan(replace(made, encoders=(*made.encoders, V2))).steps
    assert kinds(steps) == {"pretraining_corpus", "mediafm_encoder", "contextual_embeddings"}
    assert {step.axes["encoder"] for step in steps} == {"v2"}
    assert len(steps) == 2 + len(TITLES)


def test_another_encoder_in_production_plans_the_snapshot_alone() -> None:
    made = applied(replace(catalogue.state(), encoders=(catalogue.V1, V2)))
    assert pairs(plan(replace(made, production="v2")).steps) == [("snapshot", "")]


def test_a_new_suite_plans_its_embeddings_alone() -> None:
    made = applied(catalogue.state())
    steps = plan(replace(made, suites=(SUITE, SECOND_SUITE))).steps
    assert kinds(steps) == PER_SUITE
    assert {step.axes["suite"] for step in steps} == {SECOND_SUITE.id}


def test_a_new_detector_replaces_shots_and_what_hangs_on_them() -> None:
    made = applied(catalogue.state())
    other = replace(made, detector=catalogue.instrument("detector", threshold=0.4))
    assert kinds(plan(other).steps) == {"shots", *DOWNSTREAM["shots"]}


def test_a_new_recogniser_reaches_only_titles_without_captions() -> None:
    made = applied(catalogue.state(ONE_SHOT, SILENT))
    other = replace(made, recogniser=catalogue.instrument("recogniser", beam=5))
    steps = plan(other).steps
    assert kinds(steps) == {"timed_text", *DOWNSTREAM["timed_text"]}
    assert about(SILENT, steps)


@pytest.mark.parametrize("kind", DOWNSTREAM)  # those of tasks: test_planning_releases
def test_new_code_of_a_kind_plans_that_kind_and_its_downstream(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = applied(replace(catalogue.state(), suites=(SUITE, SECOND_SUITE)))
    bumped = {**KINDS, kind: replace(KINDS[kind], code_version=KINDS[kind].code_version + 1)}
    monkeypatch.setattr(making, "KINDS", bumped)
    steps = plan(made).steps
    assert kinds(steps) == {kind, *DOWNSTREAM[kind]}
    n_of_kind = {"title": len(TITLES), "suite": 2, "encoder": 1}
    expected = 1
    for axis in KINDS[kind].axes:
        expected *= n_of_kind[axis]
    assert sum(step.key.kind == kind for step in steps) == expected


def test_a_title_that_came_after_an_encoder_makes_it_not_stale() -> None:
    made = applied(catalogue.state(SILENT))
    steps = plan(made.with_titles(LONG)).steps
    assert {"pretraining_corpus", "mediafm_encoder"}.isdisjoint(kinds(steps))


# The snapshot


def test_a_snapshot_that_was_committed_and_not_published_is_planned() -> None:
    made = applied(catalogue.state())
    assert pairs(plan(replace(made, published=None)).steps) == [("snapshot", "")]


def test_nothing_is_published_without_an_encoder_in_production_or_a_title() -> None:
    assert "snapshot" not in kinds(plan(replace(catalogue.state(), production=None)).steps)
    assert "snapshot" not in kinds(plan(replace(catalogue.state(), titles={})).steps)


def test_a_parked_snapshot_is_blocked() -> None:
    made = applied(catalogue.state())
    changed = made.with_titles(catalogue.with_attribution(LONG, "Somebody"))
    (publish,) = [step for step in plan(changed).steps if step.key.kind == "snapshot"]
    found = plan(replace(changed, parked=frozenset([publish.key])))
    assert "snapshot" not in kinds(found.steps)
    assert kinds(found.blocked) == {"snapshot"}


def test_a_title_whose_new_media_is_parked_is_shown_with_its_standing_embeddings() -> None:
    made = applied(catalogue.state(LONG, SILENT))
    changed = made.with_titles(catalogue.with_media(LONG, "broken"))
    (shots,) = [step for step in plan(changed).steps if step.key.kind == "shots"]
    found = plan(replace(changed, parked=frozenset([shots.key])))
    assert kinds(found.steps) == {"deliveries", "snapshot"}


def test_a_snapshot_reads_the_standing_encoder_while_the_wanted_one_is_parked(monkeypatch: pytest.MonkeyPatch) -> None:
    made = applied(catalogue.state(LONG))
    standing = desired(made).encoders["v1"].trained.key
    bumped = {**KINDS, "mediafm_encoder": replace(KINDS["mediafm_encoder"], code_version=2)}
    monkeypatch.setattr(making, "KINDS", bumped)
    parked = replace(made, parked=frozenset([desired(made).encoders["v1"].trained.key]))
    found = plan(parked.with_titles(catalogue.with_attribution(LONG, "Somebody")))
    assert kinds(found.steps) == {"deliveries", "snapshot"}
    assert found.steps[-1].inputs == {"encoder": standing}


# What one title can have


def test_the_steps_of_some_titles_wait_for_no_other_title() -> None:
    state = catalogue.state(LONG, SILENT)
    before_training = for_titles(plan(state).steps, state, {LONG.id})
    assert kinds(before_training) == PER_TITLE
    assert about(LONG, before_training)
    encoder = desired(state).encoders["v1"]
    trained = state.with_committed(encoder.corpus.key, encoder.trained.key)
    after_training = for_titles(plan(trained).steps, trained, {LONG.id})
    assert kinds(after_training) == PER_TITLE | {"contextual_embeddings", "snapshot"}
    assert about(LONG, after_training)


# Reasons


def reasons(state: State, changed: State) -> dict[str, str]:
    earlier = {(s.key.kind, s.key.partition): s.ingredients for s in (*desired(state).steps(), *plan(state).steps)}
    return {step.key.kind: step.reason for step in with_reasons(plan(changed).steps, earlier)}


def test_a_reason_names_what_was_edited_and_every_step_behind_it_repeats_that() -> None:
    state = catalogue.state(ONE_SHOT)
    found = reasons(state, applied(state).with_titles(catalogue.with_captions(ONE_SHOT, "other words")))
    behind = ("timed_text", "text_embeddings", "fused_embeddings", "contextual_embeddings")
    assert {found[kind] for kind in behind} == {"title 'one-shot': captions changed"}
    assert found["deliveries"] == "title 'one-shot': captions changed"


def test_what_was_never_made_says_so() -> None:
    state = catalogue.state(ONE_SHOT)
    found = reasons(state, replace(applied(state), encoders=(catalogue.V1, V2)))
    assert found["mediafm_encoder"] == "encoder v2: not yet computed"
    assert found["contextual_embeddings"] == "encoder v2: not yet computed"
    fresh = with_reasons(plan(state).steps, {})
    assert fresh[0].reason == "title 'one-shot': not yet computed"


def test_new_code_is_the_reason_of_its_kind_and_of_all_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    state = catalogue.state(ONE_SHOT)
    made, earlier = applied(state), {(s.key.kind, s.key.partition): s.ingredients for s in plan(state).steps}
    bumped = {**KINDS, "audio_embeddings": replace(KINDS["audio_embeddings"], code_version=7)}
    monkeypatch.setattr(making, "KINDS", bumped)
    explained = with_reasons(plan(made).steps, earlier)
    of_encodings = {step.reason for step in explained if step.key.kind != "snapshot"}
    assert of_encodings == {"audio_embeddings: code version 1 is now 7"}


def test_a_snapshot_that_only_waits_for_the_pointer_says_so() -> None:
    state = catalogue.state(ONE_SHOT)
    found = reasons(state, replace(applied(state), published=None))
    assert found == {"snapshot": "catalogue: made, not yet published"}


# Cost


def test_the_number_of_fingerprints_for_each_title_is_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for n_titles in (0, 50, 100):
        n_calls = [0]

        def counted(kind: str, ingredients: object, n_calls: list[int] = n_calls) -> str:
            n_calls[0] += 1
            return f"{kind}-{n_calls[0]}".ljust(64, "0")

        monkeypatch.setattr(making, "fingerprint", counted)
        state = replace(catalogue.state(), titles={}).with_titles(*(catalogue.title(f"t{i}") for i in range(n_titles)))
        plan(state)
        counts.append(n_calls[0])
    none, fifty, hundred = counts
    assert fifty - none - 1 == 50 * (len(PER_TITLE) + 1)  # and contextual; the one is the snapshot
    assert hundred - fifty == 50 * (len(PER_TITLE) + 1)


def test_records_are_hashed_as_dataclasses_say_them() -> None:
    later = {each.name for each in fields(Metadata) if LATER in each.metadata}  # of these no title says anything
    for title in TITLES:
        record = asdict(title)
        record["metadata"] = {name: value for name, value in record["metadata"].items() if name not in later}
        assert canonical_json(making.plain(title)) == canonical_json(record)
    assert making.plain(catalogue.V1.corpus[0]) == asdict(catalogue.V1.corpus[0])


def test_the_garbage_collector_is_as_it_was_after_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    plan(catalogue.state(LONG))
    assert gc.isenabled()
    monkeypatch.setattr(making, "fingerprint", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plan(catalogue.state(LONG))
    assert gc.isenabled()


# After an encoder was trained anew, without heads


@pytest.fixture
def trained_anew(monkeypatch: pytest.MonkeyPatch) -> State:
    """Two titles are embedded by the former training, and the new one is done."""
    made = applied(catalogue.state(LONG, SILENT))
    monkeypatch.setattr(
        making, "KINDS", {**KINDS, "mediafm_encoder": replace(KINDS["mediafm_encoder"], code_version=2)}
    )
    steps = {step.key.kind: step for step in plan(made).steps}
    return made.with_committed(steps["mediafm_encoder"].key)


def shown_by_training(state: State) -> dict[str, str]:
    """The titles that a snapshot made now would show, and the fingerprint of the training that each is by."""
    past = {found.key: found for title in TITLES for found in state.embedded(f"v1|{title.id}")}
    shown = visible(state, desired(state))
    return {title: past[its.contextual].lineage.trained.fingerprint for title, its in shown.items()}


def having_read(state: State, *titles: Title) -> State:
    steps = [
        s for s in plan(state).steps if s.key.kind == "contextual_embeddings" and s.title in {t.id for t in titles}
    ]
    return remembering(state.with_committed(*(step.key for step in steps)), steps)


def test_readers_keep_the_former_training_until_every_title_is_there_by_the_new_one(trained_anew: State) -> None:
    before = shown_by_training(trained_anew)
    assert before.keys() == {LONG.id, SILENT.id}
    assert shown_by_training(having_read(trained_anew, LONG)) == before
    after = shown_by_training(having_read(trained_anew, LONG, SILENT))
    assert after.keys() == before.keys()
    assert set(after.values()).isdisjoint(before.values())


def test_a_title_that_only_waits_for_a_person_is_hidden_rather_than_shown_by_another_training(
    trained_anew: State,
) -> None:
    steps = plan(trained_anew).steps
    (stuck,) = [s.key for s in steps if s.key.kind == "contextual_embeddings" and s.title == SILENT.id]
    state = having_read(replace(trained_anew, parked=frozenset([stuck])), LONG)
    assert shown_by_training(state).keys() == {LONG.id}
    assert set(shown_by_training(state).values()).isdisjoint(shown_by_training(trained_anew).values())


def test_a_snapshot_names_the_training_whose_vectors_it_shows(trained_anew: State) -> None:
    state = having_read(trained_anew, LONG)
    due = snapshot_step(state, desired(state))
    assert due is not None
    assert {due.inputs["encoder"].fingerprint} == set(shown_by_training(state).values())
