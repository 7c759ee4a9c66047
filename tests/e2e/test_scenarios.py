"""Executed equals planned, whatever happens to a home."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from mediafm_assets.jobs import ingest, landing_config, refresh, steps_config, train_encoder, training_config
from mediafm_core.catalogue.kinds import KINDS
from mediafm_core.catalogue.title import Part
from mediafm_core.identity import title_id
from mediafm_core.planning import making
from mediafm_core.planning.state import Step
from mediafm_core.release.retiring import retire
from mediafm_core.release.withdrawing import withdraw
from mediafm_core.stock import explained_plan, read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import Status
from tests import homes
from tests.e2e.scenario import (
    SNAPSHOT,
    Account,
    Recorder,
    Scenario,
    chain,
    execute,
    of_title,
    planned_now,
    run,
    run_plan,
)
from tests.homes import declare_small_encoder, deliver, describe, materialised, subtitle
from tests.ledgers import dump


def redeliver_alpha(
    home: Home, folder: Path, *, synopsis: str = "A fox.", caption: str = "Hello there.", **more: object
) -> None:
    """Deliver `alpha` again: the same film, the given words."""
    title = read_state(home).titles[title_id("alpha")]
    delivery = folder / "alpha"
    delivery.mkdir()
    (media,) = title.part_files(Part.MEDIA)
    (delivery / media.name).write_bytes(home.blobs.path(media.sha256).read_bytes())
    describe(delivery, synopsis, **more)
    subtitle(delivery, caption)
    homes.ingest(home, delivery)


def edit_synopsis(home: Home, folder: Path) -> None:
    redeliver_alpha(home, folder, synopsis="A very old owl.")


def edit_cast(home: Home, folder: Path) -> None:
    redeliver_alpha(home, folder, cast=["Ada Ember"])


def edit_captions(home: Home, folder: Path) -> None:
    redeliver_alpha(home, folder, caption="Good night, good night.")


def recut(home: Home, folder: Path) -> None:
    """Deliver `alpha` with another film and the words that it has."""
    deliver(folder, "alpha", scenes=(20, 35, 20), synopsis="A fox.", caption="Hello there.")
    homes.ingest(home, folder / "alpha")


def declare_and_retire(home: Home, folder: Path) -> None:
    declare_small_encoder(home, "v2")
    retire(home, "v2")


def deliver_gamma(home: Home, folder: Path) -> None:
    homes.ingest(home, deliver(folder, "gamma", synopsis="A third film.", caption="Here I am."))


SCENARIOS = [
    Scenario("nothing happens", lambda home, folder: None, lambda home: ()),
    Scenario("the same delivery comes again", redeliver_alpha, lambda home: ()),
    Scenario("a new title", deliver_gamma, lambda home: chain(home, "gamma") | {SNAPSHOT}),
    Scenario(
        "an edited synopsis",
        edit_synopsis,
        lambda home: of_title(home, "alpha", "deliveries", "metadata_embedding", "contextual_embeddings") | {SNAPSHOT},
    ),
    Scenario(
        "an edited cast",
        edit_cast,
        lambda home: of_title(home, "alpha", "deliveries", "metadata_embedding", "contextual_embeddings") | {SNAPSHOT},
    ),
    Scenario(
        "edited captions",
        edit_captions,
        lambda home: (
            of_title(
                home,
                "alpha",
                "deliveries",
                "timed_text",
                "text_embeddings",
                "fused_embeddings",
                "contextual_embeddings",
            )
            | {SNAPSHOT}
        ),
    ),
    Scenario(
        "another film with the same words",
        recut,
        lambda home: chain(home, "alpha") - of_title(home, "alpha", "metadata_embedding") | {SNAPSHOT},
    ),
    Scenario(
        "an edit of what nobody computes from",
        lambda home, folder: redeliver_alpha(home, folder, attribution="Somebody"),
        lambda home: of_title(home, "alpha", "deliveries") | {SNAPSHOT},
    ),
    Scenario(
        "an encoder that is retired before anything was made of it",
        declare_and_retire,
        lambda home: (),
    ),
    Scenario(
        "a title that is withdrawn",
        lambda home, folder: withdraw(home, "beta"),
        lambda home: {SNAPSHOT},
    ),
    Scenario(
        "a new encoder",
        lambda home, folder: declare_small_encoder(home, "v2") and None,
        lambda home: {
            ("pretraining_corpus", "v2"),
            ("mediafm_encoder", "v2"),
            ("contextual_embeddings", "v2|alpha"),
            ("contextual_embeddings", "v2|beta"),
        },
    ),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_is_planned_is_executed_committed_and_shown_and_nothing_else(home, tmp_path, scenario):
    scenario.happens(home, tmp_path)
    account = run_plan(home)
    assert account.planned == frozenset(scenario.planned(home))
    assert account.agrees, account
    assert account.success
    assert planned_now(home) == frozenset()


def test_a_second_run_of_the_same_steps_computes_nothing_and_shows_every_key(home):
    everything = [pair for pair in materialised_in(home) if pair != SNAPSHOT]
    config = {"ops": {"carry_out_steps": {"config": {"steps": [list(pair) for pair in everything]}}}}
    account = run(home, refresh, config, planned=frozenset())
    assert account.executed == account.committed == frozenset()
    assert account.materialised == frozenset(everything)
    assert account.success


@pytest.mark.parametrize(
    ("kind", "behind"),
    [
        ("thumbnails", ()),
        ("timed_text", ("text_embeddings", "fused_embeddings", "contextual_embeddings")),
        ("contextual_embeddings", ()),
    ],
)
def test_other_code_of_one_stage_makes_that_and_what_is_behind_it_again(home, monkeypatch, kind, behind):
    raised = replace(KINDS[kind], code_version=KINDS[kind].code_version + 1)
    monkeypatch.setattr(making, "KINDS", {**KINDS, kind: raised})
    account = run_plan(home)
    both = of_title(home, "alpha", kind, *behind) | of_title(home, "beta", kind, *behind)
    assert account.planned == both | ({SNAPSHOT} if kind != "thumbnails" else set())
    assert account.agrees, account
    assert planned_now(home) == frozenset()


class Meanwhile(Recorder):
    """A reporter during whose first step somebody else runs the whole plan."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__()
        self._happens = [happens]

    def begin(self, step: Step) -> None:
        while self._happens:
            self._happens.pop()()


def test_two_runs_of_one_plan_at_once_make_each_step_once_and_both_show_every_key(home, tmp_path):
    deliver_gamma(home, tmp_path)
    plan, other = explained_plan(home, read_state(home)), Recorder()
    planned, before = {step.key for step in plan.steps}, set(home.ledger.committed_in_order())
    with dg.DagsterInstance.ephemeral() as instance, dg.DagsterInstance.ephemeral() as instance_of_other:
        config = steps_config(plan.steps)
        one = Meanwhile(lambda: execute(refresh, config, home, instance_of_other, other) and None)
        assert execute(refresh, config, home, instance, one).success
        assert other.having(Status.MADE) == {key[:2] for key in planned}
        assert one.having(Status.MADE) == frozenset()
        assert materialised(instance, KINDS) == materialised(instance_of_other, KINDS) == {key[:2] for key in planned}
    assert set(home.ledger.committed_in_order()) - before == planned


def materialised_in(home: Home) -> list[tuple[str, str]]:
    """What the ledger has, upstream before downstream."""
    return [key[:2] for key in home.ledger.committed_in_order()]


def test_a_delivery_in_the_landing_folder_is_made_by_ingest_as_the_plan_said(home, tmp_path):
    deliver(home.landing, "gamma", synopsis="A third film.", caption="Here I am.")
    account = run(home, ingest, landing_config(["gamma"]), planned=chain(home, "gamma") | {SNAPSHOT})
    assert account.agrees, account
    assert planned_now(home) == frozenset()


def test_a_refused_delivery_leaves_the_rest_as_it_was_and_lets_others_in(home):
    before = dump(home.ledger)["declarations"]
    (home.landing / "broken").mkdir()
    (home.landing / "broken" / "media.mp4").write_bytes(b"no film at all" * 100)
    account = run(home, ingest, landing_config(["broken"]), planned=frozenset())
    assert account.success
    assert account.agrees, account
    assert dump(home.ledger)["declarations"] == before
    assert [rejection.delivered_as for rejection in home.ledger.rejections()] == ["broken"]


def test_a_delivery_that_vanished_before_its_run_stops_no_other(home):
    deliver(home.landing, "gamma", caption="Here I am.")
    account = run(home, ingest, landing_config(["gone", "gamma"]), planned=chain(home, "gamma") | {SNAPSHOT})
    assert account.success
    assert account.agrees, account


def spoil_media(home: Home, title: str) -> None:
    """Spoil the kept media of a title, as a disk may."""
    (media,) = read_state(home).titles[title_id(title)].part_files(Part.MEDIA)
    path = home.blobs.path(media.sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:2000])


def test_a_title_that_cannot_be_decoded_is_parked_and_others_go_on(home, tmp_path):
    homes.ingest(home, deliver(tmp_path, "delta", scenes=(20, 20), caption="Oh."))
    spoil_media(home, "delta")
    deliver_gamma(home, tmp_path)
    account = run_plan(home)
    assert not account.success
    assert ("shots", "delta") in account.failed
    assert "shots of delta" in account.failure
    assert chain(home, "gamma") <= account.executed
    assert account.executed == account.committed == account.materialised
    assert {failure.key.partition for failure in home.ledger.failures().values() if failure.parked} >= {"delta"}
    assert not any("delta" in partition for _, partition in planned_now(home) - {("deliveries", "delta")})


class Killed(Recorder):
    """A reporter that ends the run right after the first artifact was committed, before Dagster hears of it."""

    def end(self, outcome) -> None:
        super().end(outcome)
        raise RuntimeError("killed")


def test_a_run_that_dies_between_commit_and_event_has_made_its_artifact_for_good(home, tmp_path):
    deliver_gamma(home, tmp_path)
    plan = explained_plan(home, read_state(home))
    with dg.DagsterInstance.ephemeral() as instance:
        execute(refresh, steps_config(plan.steps), home, instance, Killed())
        assert materialised(instance, KINDS) == frozenset()
        first = plan.steps[0].key
        assert home.ledger.artifact(first) is not None
        again = Recorder()
        assert execute(refresh, steps_config(plan.steps), home, instance, again).success
        assert first not in [outcome.key for outcome in again.outcomes if outcome.status == "made"]
        assert materialised(instance, KINDS) == frozenset(step.key[:2] for step in plan.steps)


def test_the_job_trains_an_encoder_that_was_declared(home):
    declare_small_encoder(home, "v2")
    wanted = frozenset({("pretraining_corpus", "v2"), ("mediafm_encoder", "v2")})
    account: Account = run(home, train_encoder, training_config("v2"), planned=wanted)
    assert account.agrees, account
