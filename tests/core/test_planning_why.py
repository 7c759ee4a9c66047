"""One step is explained by what it is made from; a plan's cost is what such steps took before."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mediafm_core.errors import MediaError, PlanError
from mediafm_core.planning.cost import Past, cost, price
from mediafm_core.planning.desired import desired
from mediafm_core.planning.plan import plan
from mediafm_core.planning.state import State, Step
from mediafm_core.planning.why import Explained, Standing, explain
from mediafm_core.stock import cost_of, explain_step, read_state, title_plan
from tests import catalogue
from tests.catalogue import LONG, NO_ID, SILENT, SUITE, V2
from tests.fakes import BrokenError, Fakes, apply, deliver, make_home, pairs
from tests.live_states import LIVE, applied, with_trained

BROKEN = MediaError("media 'a'", found="noise", expected="film", next_step="Deliver again.")


def why(state: State, kind: str, partition: str, before: State | None = None) -> Explained:
    """The explanation of the only step of a partition; `before` is when its last artifact was made."""
    steps = desired(before).steps() if before else ()
    last = next((s.ingredients for s in steps if (s.key.kind, s.key.partition) == (kind, partition)), None)
    (found,) = explain(state, kind, partition, last)
    return found


def verdicts(found: Explained) -> dict[str, str]:
    return {each.name: each.verdict for each in found.ingredients}


# Standings


def test_what_was_made_is_there_and_made_from_what_it_was_made_from() -> None:
    found = why(LIVE, "shots", "long", LIVE)
    assert found.standing is Standing.THERE
    assert set(verdicts(found).values()) == {"same"}


def test_each_ingredient_stands_beside_what_it_was() -> None:
    changed = LIVE.with_titles(catalogue.with_captions(LONG, "now it speaks"))
    found = why(changed, "timed_text", "long", LIVE)
    assert found.standing is Standing.PLANNED
    assert verdicts(found) == {
        "code": "same",
        "captions": "new",
        "shots": "same",
        "media": "gone",
        "recogniser": "gone",
    }


def test_a_planned_step_names_the_inputs_that_it_waits_for() -> None:
    changed = LIVE.with_titles(catalogue.with_media(LONG, "other"))
    found = why(changed, "thumbnails", "long", LIVE)
    assert [key[:2] for key in found.waits_for] == [("shots", "long")]
    assert verdicts(found) == {"code": "same", "media": "changed", "shots": "changed"}


def test_a_parked_step_is_parked_and_what_is_behind_it_names_it() -> None:
    changed = LIVE.with_titles(catalogue.with_media(LONG, "other"))
    shots = next(s.key for s in plan(changed).steps if s.key.kind == "shots")
    parked = replace(changed, parked=frozenset([shots]))
    assert why(parked, "shots", "long").standing is Standing.PARKED
    behind = {"thumbnails": "long", "fused_embeddings": f"{SUITE.id}|long", "predictions": "v1|long"}
    for kind, partition in behind.items():
        found = why(parked, kind, partition)
        assert found.standing is Standing.BLOCKED
        assert set(found.waits_for) == {shots}


@pytest.mark.parametrize("state", [LIVE, applied(with_trained(LIVE, "v2")), LIVE.with_titles(NO_ID)])
def test_every_step_is_explained_as_the_plan_has_it(state: State) -> None:
    planned = {step.key for step in plan(state).steps}
    wanted: list[Step] = list(desired(state).steps())
    for step in wanted:
        found = next(e for e in explain(state, step.key.kind, step.key.partition) if e.key == step.key)
        assert found.standing is (Standing.PLANNED if step.key in planned else Standing.THERE)


def test_a_release_is_made_on_request_and_a_snapshot_is_explained_too() -> None:
    assert why(applied(with_trained(LIVE, "v2")), "release", "v2").standing is Standing.ON_REQUEST
    assert why(LIVE, "release", "v1").standing is Standing.THERE
    assert why(LIVE, "snapshot", "").standing is Standing.THERE
    assert why(LIVE.with_titles(NO_ID), "snapshot", "").standing is Standing.PLANNED


def test_where_nothing_is_asked_for_the_reason_is_said() -> None:
    delivered = replace(catalogue.title("bare"), files=())
    for kind in ("thumbnails", "timed_text"):
        found = why(LIVE.with_titles(delivered), kind, "bare")
        assert (found.standing, found.because) == (Standing.NOT_ASKED, "the title was delivered without media")
    assert "nobody asked" in why(LIVE, "ablation_report", "v1").because
    assert "no encoder is in production" in why(replace(LIVE, production=None, release=None), "snapshot", "").because


@pytest.mark.parametrize(
    ("kind", "partition"),
    [
        ("nothing", "long"),
        ("shots", "nobody"),
        ("shots", "a|b"),
        ("shots", ""),
        ("snapshot", "long"),
        ("fused_embeddings", "plain|long"),
        ("contextual_embeddings", "v9|long"),
        ("probe_heads", "v1|taste"),
        ("release", "v9"),
    ],
)
def test_what_is_not_in_the_catalogue_is_an_error(kind: str, partition: str) -> None:
    with pytest.raises(PlanError):
        explain(LIVE, kind, partition)


# Cost


def steps_of(kind: str) -> list[Step]:
    return [step for step in desired(LIVE).steps() if step.key.kind == kind]


def test_a_kind_costs_the_median_of_what_it_took() -> None:
    (found,) = cost(steps_of("deliveries"), lambda _: [Past(s, None) for s in (1.0, 2.0, 90.0)]).kinds
    assert (found.n_steps, found.seconds, found.n_runs) == (4, 8.0, 3)


def test_a_title_whose_shots_are_known_costs_by_the_shot() -> None:
    past = [Past(1.0, 10), Past(4.0, 20), Past(3.0, 10)]  # 0.1, 0.2 and 0.3 s a shot; 3 s a title
    (found,) = cost(steps_of("video_embeddings"), lambda _: past, {LONG.id: 1000}).kinds
    assert found.seconds == pytest.approx(0.2 * 1000 + 3 * 3.0)


def test_what_was_never_made_has_no_estimate_and_is_named() -> None:
    found = cost([*steps_of("shots"), *steps_of("deliveries")], lambda k: [Past(1.0, None)] if k == "shots" else [])
    assert (found.seconds, found.unknown) == (4.0, ("deliveries",))
    assert [kind.basis for kind in found.kinds] == ["median of 1", "no past run"]
    assert found.in_words == "at least 4.000"


def test_where_no_kind_was_ever_made_the_cost_is_unknown_and_not_nothing() -> None:
    found = cost([*steps_of("shots"), *steps_of("deliveries")], lambda _: [])
    assert (found.seconds, found.in_words) == (None, "unknown")


def test_texts_that_are_known_cost_their_tokens_and_others_the_mean() -> None:
    said = {"n_steps": 5, "known": [30, 0], "usual": [10, 30], "usd_per_million": 1000.0, "counted": "bytes"}
    found = price("text_embeddings", "paper-1", **said)
    assert (found.n_tokens, found.usd) == (90.0, pytest.approx(0.09))
    assert found.basis == "2 by the bytes of their texts, 3 by the mean of known titles"


def test_where_no_text_is_known_nothing_is_said_of_the_price() -> None:
    found = price("text_embeddings", "s", n_steps=3, known=[], usual=[], usd_per_million=1.0, counted="tokens")
    assert (found.usd, found.n_unknown, found.n_estimated, found.basis) == (0.0, 3, 0, "3 unknown")


def test_nothing_costs_nothing() -> None:
    assert (cost([], lambda _: []).seconds, cost([], lambda _: []).in_words) == (0.0, "0.000")


# A home


@pytest.fixture
def home(tmp_path: Path):
    home = make_home(tmp_path / "home", (SILENT, LONG))
    yield home
    home.ledger.close()


def test_a_home_tells_since_when_and_how_often_it_failed(home) -> None:
    apply(home, Fakes(failing={("shots", "long"): BROKEN, ("audio_embeddings", f"{SUITE.id}|silent"): BrokenError()}))
    (there,) = explain_step(home, "shots", "silent")
    assert (there.explained.standing, there.attempts, there.error) == (Standing.THERE, 0, "")
    assert there.since
    (parked,) = explain_step(home, "shots", "long")
    assert (parked.explained.standing, parked.attempts) == (Standing.PARKED, 1)
    assert "noise" in parked.error
    (failed,) = explain_step(home, "audio_embeddings", f"{SUITE.id}|silent")
    assert (failed.explained.standing, failed.attempts) == (Standing.PLANNED, 1)
    (behind,) = explain_step(home, "thumbnails", "long")
    assert [key[:2] for key in behind.explained.waits_for] == [("shots", "long")]


def test_the_plan_of_a_title_holds_what_can_be_made_and_the_rest_waits(home) -> None:
    found = title_plan(home, "long")
    assert {step.title for step in found.steps} == {"long"}
    assert pairs(found.blocked) == [("contextual_embeddings", "v1|long")]
    apply(home)
    assert title_plan(home, "long") == ((), ())
    home.declare("encoder", "v2", asdict(V2))
    deliver(home, catalogue.with_synopsis(LONG, "Otherwise."))
    found = title_plan(home, "long")
    assert {step.reason for step in found.steps} == {"title 'long': metadata changed"}
    assert pairs(found.blocked) == [("contextual_embeddings", "v2|long")]
    with pytest.raises(PlanError, match="nobody"):
        title_plan(home, "nobody")


def test_an_estimate_rests_on_what_was_made_in_the_home(home) -> None:
    steps = plan(read_state(home)).steps
    assert set(cost_of(home, steps).unknown) == {step.key.kind for step in steps}
    apply(home)
    found = cost_of(home, steps)
    assert found.unknown == ()
    assert {kind.kind: kind.n_runs for kind in found.kinds}["shots"] == 2
    assert found.seconds > 0
