"""Checks: they pass on a good home, and each fails on a home that is spoiled in its own way."""

import json
import sqlite3
from dataclasses import asdict

import dagster as dg
import pytest

from mediafm_assets import checks, jobs
from mediafm_core.identity import Span
from mediafm_core.planning.desired import desired
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import Rejection
from tests.candidates import Candidates
from tests.catalogue import LONG, SILENT, V2, labels
from tests.fakes import make_home
from tests.homes import resources

read, spans = checks.vectors_of, checks.spans_of


def result_of(check: dg.AssetChecksDefinition, home: Home) -> dg.AssetCheckResult:
    result = check(**resources(home))
    assert isinstance(result, dg.AssetCheckResult)
    return result


def n_faults(result: dg.AssetCheckResult) -> int:
    faults = result.metadata["faults"]
    assert isinstance(faults, dg.TableMetadataValue)
    return len(faults.records)


NEED_MORE = (checks.context_is_worth_something, checks.what_is_live_passed_its_gate, checks.canaries_are_steady)
"""They look at reports, releases and canaries: a home without tasks whose encoders nobody watches has none of them."""

OF_ENCODERS = (checks.encoders_have_learnt, checks.no_candidate_is_refused)


@pytest.mark.parametrize(
    "check",
    [check for check in checks.all_checks if check not in NEED_MORE],
    ids=lambda check: next(iter(check.check_keys)).name,
)
def test_a_check_passes_on_a_good_home_and_says_how_much_it_looked_at(home, check):
    result = result_of(check, home)
    assert result.passed
    assert result.metadata["n_checked"].value == (1 if check in OF_ENCODERS else 2)  # v1; alpha, beta


@pytest.mark.parametrize("check", checks.all_checks, ids=lambda check: next(iter(check.check_keys)).name)
def test_a_check_passes_on_an_empty_home(empty_home, check):
    assert result_of(check, empty_home).passed


def test_a_parked_step_and_a_refused_delivery_are_shown(home):
    key = next(iter(desired(read_state(home)).steps())).key
    home.ledger.fail(key, "no film", final=True)
    home.ledger.reject(Rejection("s", "broken", "no media"))
    result = result_of(checks.nothing_is_parked, home)
    assert not result.passed
    assert n_faults(result) == 2


def test_a_step_that_failed_once_is_no_fault_yet(home):
    key = next(iter(desired(read_state(home)).steps())).key
    home.ledger.fail(key, "try again", final=False)
    assert result_of(checks.nothing_is_parked, home).passed


def change_fact(home: Home, kind: str, partition: str, fact: str, value: object) -> None:
    """Change one fact in the ledger's copy of a manifest."""
    with sqlite3.connect(home.root / "ledger.db") as ledger:
        where = "where kind = ? and partition = ?"
        (text,) = ledger.execute(f"select manifest from artifacts {where}", (kind, partition)).fetchone()  # noqa: S608
        manifest = json.loads(text)
        manifest["facts"][fact] = value
        ledger.execute(f"update artifacts set manifest = ? {where}", (json.dumps(manifest), kind, partition))  # noqa: S608
    ledger.close()


def test_shots_that_end_before_their_title_are_a_fault(home):
    change_fact(home, "shots", "alpha", "duration_s", 99.0)
    result = result_of(checks.shots_tile_their_title, home)
    assert not result.passed
    assert n_faults(result) == 1


def test_a_gap_between_shots_is_a_fault(home, monkeypatch):
    def with_a_gap(table):
        (*before, last) = spans(table)
        return [*before, Span(last.start_s + 0.2, last.end_s)]

    monkeypatch.setattr(checks, "spans_of", with_a_gap)
    result = result_of(checks.shots_tile_their_title, home)
    assert not result.passed
    assert n_faults(result) == 2


def test_a_row_count_that_is_not_the_shots_is_a_fault(home):
    change_fact(home, "contextual_embeddings", "v1|beta", "n_shots", 7)
    result = result_of(checks.contextual_embeddings_match_shots, home)
    assert not result.passed
    assert n_faults(result) == 1


@pytest.mark.parametrize("learnt", ["yes", "no", "undecided", "not judged"])
def test_an_encoder_that_has_not_learnt_is_a_fault_and_one_that_was_not_judged_is_none(home, learnt):
    change_fact(home, "mediafm_encoder", "v1", "learnt", learnt)
    result = result_of(checks.encoders_have_learnt, home)
    assert result.passed == (learnt != "no")
    told = result.metadata["encoders"]
    assert isinstance(told, dg.TableMetadataValue)
    assert [(row.data["encoder"], row.data["learnt"]) for row in told.records] == [("v1", learnt)]


def test_vectors_that_are_too_long_are_a_fault(home, monkeypatch):
    monkeypatch.setattr(checks, "vectors_of", lambda table: 2 * read(table))
    assert not result_of(checks.fused_embeddings_are_unit_length, home).passed


def test_vectors_that_are_no_numbers_are_a_fault(home, monkeypatch):
    monkeypatch.setattr(checks, "vectors_of", lambda table: float("nan") * read(table))
    assert not result_of(checks.fused_embeddings_are_unit_length, home).passed


def test_a_refused_candidate_is_a_fault_with_the_gates_reason(tmp_path):
    candidates, titles = Candidates(), (SILENT, LONG)
    home = make_home(tmp_path / "home", titles, production=None)
    home.declare("labels", "tone", asdict(labels("tone", *titles)))
    candidates.run(home)
    candidates.go_live(home, "v1")
    home.declare("encoder", "v2", asdict(V2))
    candidates.worse = {("v2", "tone")}
    candidates.run(home)
    assert result_of(checks.no_candidate_is_refused, home).passed
    candidates.go_live(home, "v2")
    result = result_of(checks.no_candidate_is_refused, home)
    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.WARN
    faults = result.metadata["faults"]
    assert isinstance(faults, dg.TableMetadataValue)
    ((row,),) = (faults.records,)
    assert row.data["encoder"] == "v2"
    assert "task tone blocks: worse than production" in str(row.data["reason"])

    assert said_at_the_end_of_a_run(home) == (False, result.metadata["faults"])
    home.declare("labels", "tone", asdict(labels("tone", *titles, version=2)))
    assert said_at_the_end_of_a_run(home)[0]


def said_at_the_end_of_a_run(home: Home) -> tuple[bool, object]:
    """Whether `no_candidate_is_refused` holds as a run with nothing to do reports it, and the faults."""
    with dg.DagsterInstance.ephemeral() as instance:
        ran = jobs.refresh.execute_in_process(
            run_config=jobs.pairs_config([]), instance=instance, resources=resources(home)
        )
        assert ran.success
        check = dg.AssetCheckKey(dg.AssetKey("release"), "no_candidate_is_refused")
        record = instance.get_latest_asset_check_evaluation_record(check)
    assert record is not None
    assert record.event is not None
    evaluation = record.event.asset_check_evaluation
    assert evaluation is not None
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    return evaluation.passed, evaluation.metadata["faults"]
