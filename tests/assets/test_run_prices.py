"""Runs that nobody asked for say in Dagster what they are expected to pay, as `mediafm plan` does."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from mediafm_assets.asking import PRICE, UNPRICED, price_tags
from mediafm_assets.cli.running import dagster_instance, initialise
from mediafm_assets.schedules import daily_canaries, nightly
from mediafm_assets.sensors import reconcile
from mediafm_core.catalogue.declared import CanarySet
from mediafm_core.catalogue.suite import Modality
from mediafm_core.drift.canaries import Canary, to_bytes
from mediafm_core.errors import RemoteError
from mediafm_core.planning.cost import Price, price
from mediafm_core.planning.desired import desired
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.manifest import Manifest
from tests import model_folders
from tests.commands import told
from tests.homes import deliver, ingest, resources

SYNOPSIS, TEXTS = "A fox. test", ("One.", "Twenty.")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home with a title that a model behind an API is to read, at a dollar a token."""
    home = initialise(tmp_path / "home")
    towers = ("--video", model_folders.clip(tmp_path / "clip"), "--audio", model_folders.speech(tmp_path / "speech"))
    api = ("--base-url", "http://127.0.0.1:9/v1", "--dims", 16, "--usd-per-million", 1e6)
    told(home, "suites", "add", "paper", *towers, *api)
    ingest(home, deliver(tmp_path / "in", "alpha", synopsis="A fox.", caption="Hello there."))
    yield home
    home.ledger.close()


def requests(home: Home, automation: dg.SensorDefinition | dg.ScheduleDefinition) -> list[dg.RunRequest]:
    with dagster_instance(home) as instance:
        given = {"instance": instance, "resources": resources(home)}
        if isinstance(automation, dg.SensorDefinition):
            result = automation(dg.build_sensor_context(**given))
            assert isinstance(result, dg.SensorResult)
            return [*(result.run_requests or [])]
        at = datetime(2026, 1, 2, tzinfo=UTC)
        result = automation(dg.build_schedule_context(**given, scheduled_execution_time=at))
        assert isinstance(result, list)
        return result


@pytest.mark.parametrize("automation", [reconcile, nightly])
def test_a_run_that_reads_for_money_is_tagged_with_what_is_known_of_its_price(
    home: Home, automation: dg.SensorDefinition | dg.ScheduleDefinition
) -> None:
    (request,) = requests(home, automation)
    assert request.tags[PRICE] == f"{len(SYNOPSIS)}.0000"
    assert request.tags[UNPRICED] == "1"  # the title's timed text is not made yet


def test_a_measurement_of_canaries_is_tagged_with_its_price_twice_that_where_it_makes_the_reference(home: Home) -> None:
    paper = next(suite.id for suite in read_state(home).suites if suite.alias == "paper")
    table = home.blobs.keep_bytes(to_bytes(Canary(text, Modality.TEXT, text) for text in TEXTS))
    home.declare("canaries", paper, asdict(CanarySet(suite=paper, tables=(table,))))
    (request,) = requests(home, daily_canaries)
    once = sum(map(len, TEXTS))
    assert request.tags[PRICE] == f"{2 * once}.0000"

    step = desired(read_state(home, ())).canaries[paper]
    made = Manifest(
        key=step.key, ingredients=step.ingredients, inputs=step.inputs, facts={}, seconds=1, provenance={}, made_at=0.0
    )
    home.commit(made, pa.table({"vector": [1.0]}))
    (request,) = requests(home, daily_canaries)
    assert request.tags[PRICE] == f"{once}.0000"


@pytest.mark.parametrize("wrong", [RemoteError("m", found="f", expected="e", next_step="n"), FileNotFoundError("gone")])
def test_a_price_that_cannot_be_said_holds_up_no_run(wrong: Exception) -> None:
    def priced() -> list[Price]:
        raise wrong

    assert price_tags(priced, 3) == {UNPRICED: "3"}


def test_what_costs_nothing_is_not_tagged() -> None:
    free = price("text_embeddings", "s", n_steps=2, known=[0, 0], usual=[], usd_per_million=1.0, counted="bytes")
    assert price_tags(list, 2) == price_tags(lambda: [free], 2) == {}
