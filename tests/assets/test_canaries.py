"""Canaries through the graph and by command: measured, checked, shown; on the real embedded suite, by few inputs."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from mediafm_assets.automations import CANARIES
from mediafm_assets.checks import canaries_evaluation
from mediafm_assets.cli.app import app
from mediafm_assets.cli.running import dagster_instance, initialise, run_job
from mediafm_assets.definitions import defs
from mediafm_assets.jobs import pairs_config, refresh
from mediafm_assets.partitions import sync
from mediafm_assets.schedules import daily_canaries
from mediafm_core.catalogue.declared import CanarySet
from mediafm_core.catalogue.suite import Modality
from mediafm_core.drift import measuring
from mediafm_core.drift.canaries import Canary, to_bytes
from mediafm_core.drift.history import history, record
from mediafm_core.drift.watching import before_promotion
from mediafm_core.encoders.suites import embedded_suite
from mediafm_core.store.home import Home
from tests import catalogue
from tests.homes import QUIET, resources

SUITE = embedded_suite().id
TEXTS = ("A fox opens the door.", "Nobody sings.", "It rains again and again.", "NO.")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose suite is watched by four texts, and was measured once."""
    home = initialise(tmp_path_factory.mktemp("canaries") / "home")
    table = home.blobs.keep_bytes(to_bytes(Canary(text, Modality.TEXT, text) for text in TEXTS))
    home.declare("canaries", SUITE, asdict(CanarySet(suite=SUITE, tables=(table,))))
    assert invoke(home, "run").exit_code == 0
    home.ledger.close()
    return home.root


@pytest.fixture
def home(built: Path, tmp_path: Path) -> Iterator[Home]:
    home = Home.open(shutil.copytree(built, tmp_path / "home"))
    yield home
    home.ledger.close()


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the encoders get texts in other cases, as if their preprocessing had changed."""
    real = measuring.embed

    def changed(suite, canaries, encoder_of, known=None):
        found = real(suite, [c._replace(value=f"{c.value} {c.value}") for c in canaries], encoder_of)
        return {m: e._replace(digests=tuple(c.digest for c in canaries if c.modality is m)) for m, e in found.items()}

    monkeypatch.setattr(measuring, "embed", changed)


def invoke(home: Home, *words: str):
    return CliRunner().invoke(app, ["canaries", *words, "--home", str(home.root)])


def materialise(home: Home) -> dg.ExecuteInProcessResult:
    """What `daily_canaries` submits, carried out."""
    with dagster_instance(home) as instance:
        sync(instance, home)
        job = defs.resolve_job_def("watch_canaries")
        return job.execute_in_process(instance=instance, resources=resources(home), partition_key=SUITE)


def test_a_measurement_in_the_graph_is_shown_and_passes_its_check(home: Home) -> None:
    result = materialise(home)
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("canaries_are_steady", True)
    (event,) = result.asset_materializations_for_node("canaries")
    assert event.metadata["verdict"].value == "steady"
    assert event.metadata["measurements"].value == 2


def test_an_alarm_fails_the_check_with_what_moved_and_what_to_do(home: Home, moved: None) -> None:
    (check,) = materialise(home).get_asset_check_evaluations()
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.ERROR
    faults = check.metadata["faults"]
    assert isinstance(faults, dg.TableMetadataValue)
    (fault,) = [row.data for row in faults.records]
    assert fault["what"] == "text embeddings"
    assert "mediafm canaries accept" in str(fault["advice"])


def test_what_is_watched_and_long_not_measured_is_a_warning_and_no_failure(home: Home) -> None:
    assert canaries_evaluation(home).passed
    (last,) = history(home, SUITE)
    record(home, replace(last, at=last.at - 2 * CANARIES.every_s - 1))
    found = canaries_evaluation(home)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "not measured since" in str(found.metadata["faults"])
    run_job(home, refresh, pairs_config([]), 0, QUIET)  # a run that measures nothing ends with the check
    with dagster_instance(home) as instance:
        check = dg.AssetCheckKey(dg.AssetKey("canaries"), "canaries_are_steady")
        record_of_run = instance.get_latest_asset_check_evaluation_record(check)
    assert record_of_run is not None
    assert record_of_run.event is not None
    assert "WARN" in str(record_of_run.event.dagster_event)
    shown = invoke(home, "status")
    assert shown.exit_code == 0
    assert "overdue: not measured since" in shown.stdout
    assert materialise(home).success
    assert canaries_evaluation(home).passed


def test_the_asset_of_a_suite_without_encoders_says_so(home: Home) -> None:
    with dagster_instance(home) as instance:
        instance.add_dynamic_partitions("suites", ["nobody"])
        job = defs.resolve_job_def("watch_canaries")
        result = job.execute_in_process(
            instance=instance, resources=resources(home), partition_key="nobody", raise_on_error=False
        )
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "no such suite" in str(failed.step_failure_data)


def test_the_schedule_measures_suites_in_use_once_a_day(home: Home) -> None:
    def asked() -> list[dg.RunRequest]:
        with dagster_instance(home) as instance:
            context = dg.build_schedule_context(
                instance=instance, resources=resources(home), scheduled_execution_time=datetime(2026, 1, 2, tzinfo=UTC)
            )
            found = daily_canaries(context)
        assert isinstance(found, list)
        return found

    (request,) = asked()
    assert request.partition_key == SUITE
    assert asked()[0].run_key == request.run_key


def test_a_promotion_begins_with_the_canaries_of_its_suite(home: Home) -> None:
    spec = catalogue.encoder("v1", of=embedded_suite())
    home.declare("encoder", "v1", asdict(spec))
    assert before_promotion(home, "v1") == [("canaries", SUITE)]
    home.declare("encoder", "v2", asdict(catalogue.encoder("v2")))
    assert before_promotion(home, "v2") == []


def test_status_tells_a_program_and_a_person(home: Home) -> None:
    (told,) = json.loads(invoke(home, "status", "--json").stdout)
    assert (told["suite"], told["verdict"], told["measurements"]) == (SUITE, "steady", 1)
    assert told["last"]["movements"]["text"]["largest"] == 0.0
    shown = invoke(home, "status")
    assert shown.exit_code == 0
    assert f"suite {SUITE}: steady" in shown.stdout


def test_what_moved_has_its_own_exit_code_until_it_is_accepted(home: Home, moved: None) -> None:
    ran = invoke(home, "run")
    assert ran.exit_code == 5
    assert "text embeddings moved (" in ran.stdout
    shown = invoke(home, "status")
    assert shown.exit_code == 5
    assert "canaries accept" in shown.stdout
    accepted = invoke(home, "accept", "--why", "texts are said twice now")
    assert accepted.exit_code == 0, accepted.output
    assert invoke(home, "status").exit_code == 0
    (told,) = json.loads(invoke(home, "status", "--json").stdout)
    assert (told["accepted"], told["why"], told["measurements"]) == (1, "texts are said twice now", 3)


def test_inputs_of_ones_own_are_added(home: Home, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("One.\nTwo.\n")
    added = invoke(home, "add", str(tmp_path / "mine.txt"))
    assert added.exit_code == 0, added.output
    assert "2 canaries more" in added.stdout
    assert invoke(home, "run", "--times", "2").exit_code == 0
    assert [each.n["text"] for each in history(home, SUITE)] == [4, 6, 6]


def test_a_home_with_no_single_suite_asks_for_one(home: Home) -> None:
    home.declare("suite", catalogue.SUITE.id, asdict(catalogue.SUITE))
    result = invoke(home, "run")
    assert result.exit_code != 0
    assert "--suite" in str(result.exception)


def test_what_the_environment_chose_for_engines_is_kept_beside_a_measurement(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CT2_FORCE_CPU_ISA", "GENERIC")
    assert invoke(home, "run").exit_code == 0  # texts do not hang on it
    assert history(home, SUITE)[-1].changed == {"engine_settings": ["none", "CT2_FORCE_CPU_ISA=GENERIC"]}
