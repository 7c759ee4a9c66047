"""A step's reason names what brought it about: a title, an encoder; many steps are counted by their reasons."""

from dataclasses import replace

import pytest

from mediafm_core.catalogue.title import Title
from mediafm_core.planning.desired import desired
from mediafm_core.planning.plan import plan
from mediafm_core.planning.reasons import in_groups, with_reasons
from mediafm_core.planning.state import State, Step
from tests import catalogue
from tests.catalogue import LONG, NO_ID, SILENT, UNSORTED, V2
from tests.live_states import LIVE, with_trained


def explained(state: State) -> list[Step]:
    """The plan for what became of the live catalogue, with reasons."""
    before = [*desired(LIVE).steps(), *plan(LIVE).steps]
    return with_reasons(plan(state).steps, {(step.key.kind, step.key.partition): step.ingredients for step in before})


def reasons(steps: list[Step], title: str) -> dict[str, str]:
    return {step.key.kind: step.reason for step in steps if step.title == title}


def test_a_new_title_is_the_reason_of_all_that_an_old_encoder_makes_of_it() -> None:
    found = reasons(explained(LIVE.with_titles(NO_ID)), NO_ID.id)
    assert {"contextual_embeddings", "predictions"} <= found.keys()
    assert set(found.values()) == {f"title {NO_ID.id!r}: not yet computed"}


def test_a_new_encoder_is_the_reason_of_what_it_makes_of_old_titles() -> None:
    found = reasons(explained(with_trained(LIVE, "v2")), LONG.id)
    assert found == dict.fromkeys(("contextual_embeddings", "predictions"), "encoder v2: not yet computed")


def test_an_encoder_that_is_still_to_be_trained_is_the_reason_of_what_it_makes_of_new_titles_too() -> None:
    state = replace(LIVE.with_titles(NO_ID), encoders=(*LIVE.encoders, V2))
    by = {step.axes["encoder"]: step.reason for step in explained(state) if step.key.kind == "contextual_embeddings"}
    assert by == {"v1": f"title {NO_ID.id!r}: not yet computed", "v2": "encoder v2: not yet computed"}


def test_an_encoder_is_the_reason_where_the_title_was_fused_before_it_was_read() -> None:
    state = with_trained(LIVE, "v2").with_titles(catalogue.with_captions(LONG, "other words"))
    by = {step.axes.get("encoder"): step.reason for step in explained(state) if step.title == LONG.id}
    assert by["v1"] == "title 'long': captions changed"
    assert by["v2"] == "encoder v2: not yet computed"


def test_captions_that_come_or_go_are_no_change_of_the_media_that_is_listened_to_without_them() -> None:
    spoken, written = _timed_text(LONG), _timed_text(catalogue.with_captions(LONG, "words"))
    for before, now in ((spoken, written), (written, spoken)):
        (told,) = with_reasons([now], {(now.key.kind, now.key.partition): before.ingredients})
        assert told.reason == "title 'long': captions changed"


def _timed_text(title: Title) -> Step:
    steps = desired(LIVE.with_titles(title)).steps()
    return next(step for step in steps if (step.key.kind, step.title) == ("timed_text", title.id))


def test_media_and_captions_that_both_changed_are_both_named() -> None:
    both = catalogue.with_media(catalogue.with_captions(UNSORTED, "words"), "other")
    found = reasons(explained(LIVE.with_titles(both)), UNSORTED.id)
    assert found["deliveries"] == "title 'unsorted': media and captions changed"


def test_many_steps_are_counted_by_asset_and_reason_without_their_titles() -> None:
    state = with_trained(LIVE, "v2").with_titles(NO_ID, catalogue.with_captions(SILENT, "words"))
    steps = explained(state)
    groups = in_groups(steps)
    assert sum(group.n_steps for group in groups) == len(steps)
    assert len({group[:2] for group in groups}) == len(groups)
    assert ("deliveries", "title: not yet computed", 1) in groups
    assert ("deliveries", "title: captions changed", 1) in groups
    assert ("contextual_embeddings", "encoder v2: not yet computed", len(LIVE.titles)) in groups
    assert not [group for group in groups if NO_ID.id in group.reason]


@pytest.mark.parametrize("n_titles", [1, 40])
def test_groups_are_as_few_for_many_titles_as_for_one(n_titles: int) -> None:
    many = catalogue.state(*(replace(LONG, id=f"t{n}") for n in range(n_titles)))
    assert len(in_groups(with_reasons(plan(many).steps, {}))) == 13
