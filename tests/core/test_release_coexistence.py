"""While a candidate is built or a suite is replaced, production serves and takes in titles as if nothing was."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from mediafm_core.errors import PlanError
from mediafm_core.pretraining.declaring import declare_encoder, is_cut_off
from mediafm_core.probes.tasks import TASKS
from mediafm_core.release.candidates import candidates
from mediafm_core.release.retiring import retire
from mediafm_core.snapshots import open_snapshot
from mediafm_core.store.home import Home
from mediafm_core.workbench import Status
from tests import catalogue
from tests.candidates import Candidates, live, seen
from tests.catalogue import LONG, NO_ID, ONE_SHOT, SECOND_SUITE, SILENT, V2
from tests.fakes import apply, deliver, done, make_home, pairs, planned

TITLES = (SILENT, ONE_SHOT, LONG)
V3 = catalogue.encoder("v3", seed=3)


@pytest.fixture
def makers() -> Candidates:
    return Candidates()


@pytest.fixture
def home(tmp_path: Path, makers: Candidates):
    """A home where v1 is live as v1-r1."""
    home = make_home(tmp_path / "home", TITLES, production=None)
    for task in TASKS:
        home.declare("labels", task, asdict(catalogue.labels(task, *TITLES)))
    makers.run(home)
    makers.go_live(home, "v1")
    yield home
    home.ledger.close()


def shown(home: Home) -> dict[str, str]:
    """The titles that readers see, and by which encoder."""
    rows = open_snapshot(str(home.root)).table.to_pylist()
    encoders = {
        row["title"]: {row[f"{role}_path"].split("/")[2] for role in ("contextual", "predictions")} for row in rows
    }
    assert all(len(found) == 1 for found in encoders.values())
    return {title: found.pop() for title, found in encoders.items()}


def test_a_half_built_candidate_is_invisible_at_every_step_and_titles_come_in_meanwhile(
    home: Home, makers: Candidates
) -> None:
    before = seen(home)[:2]
    home.declare("encoder", "v2", asdict(V2))
    half = pairs(planned(home).steps)[:4]
    for pair in half:
        makers.run(home, pair)
        assert seen(home)[:2] == before
    deliver(home, NO_ID)
    makers.run(home, *(pair for pair in pairs(planned(home).steps) if not pair[1].startswith("v2")))
    assert shown(home) == dict.fromkeys([*(t.id for t in TITLES), NO_ID.id], "v1")
    left = {pair for pair in pairs(planned(home).steps) if pair[1] == f"v2|{NO_ID.id}"}
    assert {kind for kind, _ in left} == {"contextual_embeddings", "predictions"}
    outcomes = makers.run(home)
    assert {o.status for o in outcomes} == {Status.MADE}
    assert live(home) == "v1-r1"
    makers.go_live(home, "v2")
    assert shown(home) == dict.fromkeys([*(t.id for t in TITLES), NO_ID.id], "v2")


def test_two_candidates_at_once_are_built_side_by_side_and_each_is_judged_against_what_is_live_then(
    home: Home, makers: Candidates
) -> None:
    for spec in (V2, V3):
        home.declare("encoder", spec.name, asdict(spec))
    deliver(home, NO_ID)
    made = Counter(pair for pair in done(makers.run(home)) if pair[1].endswith(f"|{NO_ID.id}"))
    both = {(k, f"{e}|{NO_ID.id}") for k in ("contextual_embeddings", "predictions") for e in ("v1", "v2", "v3")}
    assert both <= made.keys()
    assert {c.encoder: c.standing.value for c in candidates(home)} == {"v1": "live", "v2": "ready", "v3": "ready"}
    makers.go_live(home, "v3")
    makers.go_live(home, "v2")
    against = {row.manifest.facts["name"]: row.manifest.facts["against"] for row in home.ledger.artifacts("release")}
    assert against == {"v1-r1": None, "v3-r1": "v1-r1", "v2-r1": "v3-r1"}
    retire(home, "v3", force=True)
    assert live(home) == "v2-r1"
    assert planned(home).steps == ()


def test_a_suite_is_replaced_side_by_side_until_the_switch_and_the_old_is_never_made_again(
    home: Home, makers: Candidates
) -> None:
    old = set(home.ledger.committed_in_order())
    home.declare("suite", SECOND_SUITE.id, asdict(SECOND_SUITE))
    home.declare("encoder", "v2", asdict(catalogue.encoder("v2", TITLES, of=SECOND_SUITE)))
    before = seen(home)[:2]
    outcomes = makers.run(home)
    assert all(of_the_new(pair) for pair in done(outcomes))
    assert seen(home)[:2] == before
    deliver(home, NO_ID)
    made = done(makers.run(home))
    suites = {pair[1].split("|")[0] for pair in made if pair[0] == "fused_embeddings"}
    assert suites == {catalogue.SUITE.id, SECOND_SUITE.id}
    assert shown(home)[NO_ID.id] == "v1"
    makers.go_live(home, "v2")
    assert set(shown(home).values()) == {"v2"}
    assert len(shown(home)) == len(TITLES) + 1
    assert old <= set(home.ledger.committed_in_order())
    assert planned(home).steps == ()


def test_an_encoder_is_trained_on_the_suite_that_is_asked_for_else_on_that_of_most_titles(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", TITLES, suites=(catalogue.SUITE, SECOND_SUITE))
    apply(home)
    asked = declare_encoder(home, "asked", preset="demo", seed=0, of_suite=SECOND_SUITE.id)
    assert (asked.suite, len(asked.corpus)) == (SECOND_SUITE.id, len(TITLES))
    for suite, goes_on in ((None, True), (SECOND_SUITE.id, True), (catalogue.SUITE.id, False)):
        assert is_cut_off(home, "asked", preset="demo", seed=0, of_suite=suite) == goes_on
    assert declare_encoder(home, "plain", preset="demo", seed=0).suite == catalogue.SUITE.id
    with pytest.raises(PlanError, match="suite 'none'"):
        declare_encoder(home, "odd", preset="demo", seed=0, of_suite="none")


def of_the_new(pair: tuple[str, str]) -> bool:
    return pair[1].startswith((SECOND_SUITE.id, "v2"))


def test_a_failing_candidate_holds_up_neither_production_nor_another_candidate(home: Home) -> None:
    for spec in (V2, V3):
        home.declare("encoder", spec.name, asdict(spec))
    deliver(home, NO_ID)
    makers = Candidates(failing={("mediafm_encoder", "v2"): ValueError("diverged")})
    outcomes = makers.run(home)
    assert not [o.key for o in outcomes if o.error and not o.key.partition.startswith("v2")]
    assert shown(home)[NO_ID.id] == "v1"
    makers.go_live(home, "v3")
    assert live(home) == "v3-r1"
