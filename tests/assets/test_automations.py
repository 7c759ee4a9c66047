"""Each automation is on or off by one file of the home; a parked step is a failing check without anybody asking."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from mediafm_assets.asking import asked
from mediafm_assets.automations import AUTOMATIONS, FILE, OFF_AT_FIRST, why_off, write_automations
from mediafm_assets.checks import parked_evaluation
from mediafm_assets.definitions import defs
from mediafm_assets.jobs import trained_name
from mediafm_assets.schedules import daily_canaries, nightly, weekly_training
from mediafm_assets.sensors import new_encoders, new_titles, reconcile
from mediafm_core.errors import HomeError, MediaError
from mediafm_core.pretraining.declaring import fused_now
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from tests import catalogue
from tests.candidates import Candidates
from tests.catalogue import LONG, ONE_SHOT, SILENT, TASKS, V2
from tests.fakes import deliver, make_home, pairs, planned
from tests.homes import resources

SCHEDULES = {"nightly": nightly, "daily_canaries": daily_canaries, "weekly_training": weekly_training}
TITLES = (SILENT, ONE_SHOT, LONG)
BROKEN = MediaError("media 'a'", found="noise", expected="film", next_step="Deliver again.")


@pytest.fixture
def home(tmp_path: Path):
    """A home with labels in which nothing was made."""
    home = make_home(tmp_path / "home", TITLES, production=None)
    for task in TASKS:
        home.declare("labels", task, asdict(catalogue.labels(task, *TITLES)))
    yield home
    home.ledger.close()


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def tick(home: Home, instance: dg.DagsterInstance, name: str, cursor: str | None = None) -> tuple[object, str | None]:
    """What an automation asks for or says, and what it remembers."""
    if name in SCHEDULES:
        with dg.instance_for_test() as kept:  # a schedule takes no instance that lives in memory
            at = dg.build_schedule_context(kept, resources=resources(home), scheduled_execution_time=datetime.now(UTC))
            return _said(SCHEDULES[name](at)), None
    sensor = {"new_titles": new_titles, "new_encoders": new_encoders, "reconcile": reconcile}[name]
    context = dg.build_sensor_context(instance=instance, resources=resources(home), cursor=cursor)
    return _said(sensor(context)), context.cursor


def _said(result: object) -> object:
    if isinstance(result, dg.SkipReason):
        return result.skip_message
    if isinstance(result, list):
        return result
    if isinstance(result, dg.SensorResult):
        (result, *_trainings) = result.run_requests or []
    assert isinstance(result, dg.RunRequest)
    if "train" in result.run_config["ops"]:
        return trained_name(result.run_config)
    return [tuple(pair) for pair in result.run_config["ops"]["carry_out_steps"]["config"]["steps"]]


def test_every_sensor_and_schedule_has_its_switch() -> None:
    named = {each.name for each in (*(defs.sensors or ()), *(defs.schedules or ()))}
    assert named == set(AUTOMATIONS)


def test_a_home_without_the_file_and_a_fresh_file_leave_all_on_but_what_takes_hours(tmp_path: Path) -> None:
    for _ in range(2):
        assert {name for name in AUTOMATIONS if why_off(tmp_path, name)} == OFF_AT_FIRST == {"weekly_training"}
        write_automations(tmp_path)


def test_what_somebody_set_stays(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("nightly = false")
    write_automations(tmp_path)
    assert why_off(tmp_path, "nightly")


@pytest.mark.parametrize("text", ["nighly = false", "nightly = 0", "nightly = ", "\ufeff["])
def test_a_file_that_says_something_else_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(HomeError, match=FILE):
        why_off(tmp_path, "nightly")


@pytest.mark.parametrize("name", AUTOMATIONS)
def test_an_automation_that_is_off_does_nothing_and_says_why(home: Home, instance, name: str) -> None:
    (home.root / FILE).write_text(f"{name} = false")
    assert f"It is off: {FILE}" in str(tick(home, instance, name)[0])
    (home.root / FILE).write_text(f"{name} = true")
    assert "It is off" not in str(tick(home, instance, name)[0])


def test_the_night_s_work_is_runs_of_a_bounded_size_in_the_plan_s_order(home: Home, instance, monkeypatch) -> None:
    monkeypatch.setattr("mediafm_assets.schedules.MAX_STEPS_PER_RUN", 4)
    runs, _ = tick(home, instance, "nightly")
    assert isinstance(runs, list)
    assert len({run.run_key for run in runs}) == len(runs) > 1
    portions = [run.run_config["ops"]["carry_out_steps"]["config"]["steps"] for run in runs]
    assert {len(steps) for steps in portions[:-1]} == {4}
    beside_trainings = pairs(asked(read_state(home)).steps)
    assert [tuple(pair) for steps in portions for pair in steps] == beside_trainings
    assert {kind for kind, _ in pairs(planned(home).steps)} > {kind for kind, _ in beside_trainings}
    Candidates().run(home)
    assert tick(home, instance, "nightly")[0] == "Nothing is missing."


def test_a_week_s_training_is_asked_for_where_there_is_something_new_to_learn_from(home: Home, instance) -> None:
    (home.root / FILE).write_text("weekly_training = true")
    said = "nothing to learn from"
    assert said in str(tick(home, instance, "weekly_training")[0])  # nothing is fused yet
    Candidates().run(home)
    assert said not in str(tick(home, instance, "weekly_training")[0])  # v1 was declared over no title that is fused
    home.declare("encoder", "v2", asdict(replace(V2, corpus=fused_now(read_state(home), catalogue.SUITE))))
    assert said in str(tick(home, instance, "weekly_training")[0])
    deliver(home, catalogue.with_captions(LONG, "other words"))
    Candidates().run(home)
    asked_for, _ = tick(home, instance, "weekly_training")
    assert str(asked_for).startswith("weekly-20")


def test_an_encoder_that_has_finished_its_training_is_brought_up_to_the_catalogue(home: Home, instance) -> None:
    assert "No encoder has finished" in str(tick(home, instance, "new_encoders")[0])
    home.declare("encoder", "v2", asdict(V2))
    Candidates().run(home, ("pretraining_corpus", "v2"), ("mediafm_encoder", "v2"))
    steps, cursor = tick(home, instance, "new_encoders")
    assert isinstance(steps, list)
    assert {kind for kind, _ in steps} == {
        "labels", "contextual_embeddings", "probe_heads", "predictions", "probe_report",
    }  # fmt: skip
    assert {partition.split("|")[0] for kind, partition in steps if kind != "labels"} == {"v2"}
    assert cursor is None
    Candidates().run(home)
    said, cursor = tick(home, instance, "new_encoders")
    assert said == "Every trained encoder has what it needs."
    assert "No encoder has finished" in str(tick(home, instance, "new_encoders", cursor)[0])


def test_a_parked_step_fails_the_check_and_names_itself(home: Home) -> None:
    assert parked_evaluation(home).passed
    Candidates(failing={("shots", "long"): BROKEN}).run(home, ("deliveries", "long"), ("shots", "long"))
    found = parked_evaluation(home)
    assert not found.passed
    assert "shots of long" in str(found.metadata["faults"])
    deliver(home, catalogue.with_media(LONG, "whole"))  # what failed of an earlier delivery needs nobody
    assert parked_evaluation(home).passed
