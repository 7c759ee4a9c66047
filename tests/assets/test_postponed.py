"""Work that a run could not afford is left alone by automation for a day; a person may try at any time."""

from pathlib import Path

import dagster as dg
import pytest

from mediafm_assets import carrying, postponed
from mediafm_assets.checks import parked_evaluation
from mediafm_assets.jobs import pairs_config, refresh
from mediafm_assets.postponed import lift
from mediafm_assets.sensors import reconcile
from mediafm_core.errors import BudgetError
from mediafm_core.planning.plan import plan
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from tests.catalogue import LONG, SILENT, SUITE
from tests.fakes import Fakes, make_home, pairs
from tests.homes import resources

SHORT = BudgetError("budget", found="$0.01 left", expected="$0.02", next_step="Raise it.")
WHAT = f"text_embeddings by {SUITE.id}"
BY_SENSOR = {"dagster/sensor_name": "reconcile"}


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    made = Fakes(failing={("text_embeddings", f"{SUITE.id}|{t.id}"): SHORT for t in (SILENT, LONG)})
    monkeypatch.setattr(carrying, "STAGES", made.stages)
    monkeypatch.setattr(carrying, "preview", lambda _home, _outcome: {})
    return made


@pytest.fixture
def home(tmp_path: Path):
    home = make_home(tmp_path / "home", (SILENT, LONG), encoders=(), production=None)
    yield home
    home.ledger.close()


def run(home: Home, tags: dict[str, str]) -> None:
    steps = [tuple(pair) for pair in pairs(plan(read_state(home)).steps)]
    refresh.execute_in_process(
        run_config=pairs_config(steps), resources=resources(home), tags=tags, raise_on_error=False
    )


def tick(home: Home) -> list[list[str]]:
    with dg.DagsterInstance.ephemeral() as instance:
        result = reconcile(dg.build_sensor_context(instance=instance, resources=resources(home)))
    if isinstance(result, dg.SkipReason):
        return []
    assert isinstance(result, dg.SensorResult)
    (request,) = result.run_requests or []
    return request.run_config["ops"]["carry_out_steps"]["config"]["steps"]


def kinds(asked: list[list[str]]) -> set[str]:
    return {kind for kind, _ in asked}


def test_what_money_does_not_allow_is_asked_for_once_a_day_and_shown(home: Home, fakes: Fakes, monkeypatch) -> None:
    assert "text_embeddings" in kinds(tick(home))
    run(home, BY_SENSOR)
    assert [each.what for each in postponed.postponed(home)] == [WHAT]
    found = parked_evaluation(home)
    assert not found.passed
    assert WHAT in str(found.metadata["faults"])
    assert not {"text_embeddings", "fused_embeddings"} & kinds(tick(home))
    now = postponed.time.time()
    monkeypatch.setattr(postponed.time, "time", lambda: now + 90_000)
    assert "text_embeddings" in kinds(tick(home))


def test_a_run_of_automation_that_was_queued_before_spends_nothing_either(home: Home, fakes: Fakes) -> None:
    run(home, BY_SENSOR)
    fakes.failing.clear()
    run(home, BY_SENSOR)
    assert not {"text_embeddings"} & {kind for kind, _ in fakes.made}


def test_others_go_on(home: Home, fakes: Fakes) -> None:
    run(home, BY_SENSOR)
    assert {"shots", "video_embeddings", "metadata_embedding"} <= {kind for kind, _ in fakes.made}
    assert read_state(home).parked == frozenset()


def test_a_person_s_run_tries_and_lifts_it_and_so_does_retry(home: Home, fakes: Fakes) -> None:
    run(home, BY_SENSOR)
    assert lift(home) == [WHAT]
    assert "text_embeddings" in kinds(tick(home))
    run(home, BY_SENSOR)
    fakes.failing.clear()
    run(home, {})
    assert postponed.postponed(home) == []
    assert plan(read_state(home)).steps == ()
