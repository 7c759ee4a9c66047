"""Sensors: what has arrived is taken once, what is missing is asked for, and nothing is asked for in vain."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from mediafm_assets.carrying import run_steps
from mediafm_assets.cli.running import dagster_instance
from mediafm_assets.jobs import (
    ingest,
    landing_config,
    landing_names,
    pairs_config,
    refresh,
    steps_config,
    train_encoder,
    trained_name,
    training_config,
)
from mediafm_assets.sensors import MAX_STEPS_PER_RUN, new_titles, reconcile
from mediafm_core.catalogue.kinds import KINDS
from mediafm_core.execution import steps_under_way
from mediafm_core.ingest.listing import COMPLETE
from mediafm_core.ingest.taking import SETTLE_S
from mediafm_core.planning.plan import plan
from mediafm_core.planning.state import State
from mediafm_core.release.history import Actor
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import MAX_ATTEMPTS
from mediafm_core.workbench import Status
from tests import homes
from tests.e2e.scenario import Recorder, execute, planned_now
from tests.fakes import pairs
from tests.homes import deliver, describe, materialised, resources


@pytest.fixture
def instance(home):
    """The home's own instance, which has seen all that was made in it."""
    with dagster_instance(home) as made:
        yield made


def tick(
    sensor: dg.SensorDefinition, home: Home, instance: dg.DagsterInstance, cursors: list[str | None] | None = None
) -> dg.RunRequest | str:
    """Evaluate a sensor once: the run that it asks for, or why it asks for none; `cursors` is what it remembers."""
    kept: list[str | None] = cursors if cursors is not None else [None]
    context = dg.build_sensor_context(instance=instance, resources=resources(home), cursor=kept[-1])
    result = sensor(context)
    kept.append(context.cursor)
    if isinstance(result, dg.SkipReason):
        return result.skip_message or ""
    assert isinstance(result, dg.SensorResult)
    (request,) = result.run_requests or []
    return request


def asked(sensor: dg.SensorDefinition, home: Home, instance: dg.DagsterInstance) -> dg.RunRequest:
    request = tick(sensor, home, instance)
    assert isinstance(request, dg.RunRequest), request
    return request


def submit(
    job: dg.JobDefinition, request: dg.RunRequest, instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> dg.DagsterRun:
    """Put a run into the instance as the daemon would, in a status of our choice, without running it."""
    return instance.create_run_for_job(job, run_config=request.run_config, tags=dict(request.tags), status=status)


def arrive(home: Home, name: str, *, complete: bool = True, broken: bool = False) -> Path:
    delivery = deliver(home.landing, name, caption="Here I am.")
    if broken:
        (delivery / "media.mp4").write_bytes(b"no film")
    if complete:
        (delivery / COMPLETE).touch()
    return delivery


# new_titles


def test_an_empty_landing_folder_asks_for_nothing(home, instance):
    assert "Nothing new" in str(tick(new_titles, home, instance))


def test_a_complete_delivery_is_taken_once(home, instance):
    arrive(home, "gamma")
    request = asked(new_titles, home, instance)
    assert landing_names(request.run_config) == ["gamma"]
    assert execute(ingest, request.run_config, home, instance, Recorder()).success
    assert "gamma" in read_state(home).titles
    assert "Nothing new" in str(tick(new_titles, home, instance))
    assert planned_now(home) == frozenset()


def test_a_delivery_that_still_arrives_is_left_alone(home, instance):
    arrive(home, "gamma", complete=False)
    assert "1 deliveries are still arriving" in str(tick(new_titles, home, instance))


def test_a_delivery_that_has_settled_is_taken_without_a_mark(home, instance, monkeypatch):
    arrive(home, "gamma", complete=False)
    later = time.time() + SETTLE_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert landing_names(asked(new_titles, home, instance).run_config) == ["gamma"]


def test_a_stray_pipe_called_media_is_refused_and_the_delivery_beside_it_is_taken(home, instance, monkeypatch):
    arrive(home, "gamma")
    os.mkfifo(home.landing / "media.mp4")
    with monkeypatch.context() as settled:
        later = time.time() + SETTLE_S + 1
        settled.setattr(time, "time", lambda: later)
        request = asked(new_titles, home, instance)
    assert landing_names(request.run_config) == ["gamma", "media.mp4"]
    assert execute(ingest, request.run_config, home, instance, Recorder()).success
    assert "gamma" in read_state(home).titles
    assert [refused.delivered_as for refused in home.ledger.rejections()] == ["media"]


def test_a_tick_that_is_evaluated_twice_asks_for_the_same_run(home, instance):
    arrive(home, "gamma")
    assert asked(new_titles, home, instance).run_key == asked(new_titles, home, instance).run_key


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_what_a_run_under_way_is_about_to_take_is_not_asked_for_again(home, instance, status):
    arrive(home, "gamma")
    submit(ingest, asked(new_titles, home, instance), instance, status)
    assert isinstance(tick(new_titles, home, instance), str)
    arrive(home, "delta")
    assert landing_names(asked(new_titles, home, instance).run_config) == ["delta"]


def test_a_refused_delivery_is_not_examined_again_until_it_changes(home, instance):
    delivery = arrive(home, "gamma", broken=True)
    execute(ingest, asked(new_titles, home, instance).run_config, home, instance, Recorder())
    assert isinstance(tick(new_titles, home, instance), str)
    (delivery / "media.mp4").write_bytes(b"still no film")
    assert landing_names(asked(new_titles, home, instance).run_config) == ["gamma"]


def test_a_delivery_that_vanishes_again_is_nothing(home, instance):
    shutil.rmtree(arrive(home, "gamma"))
    assert isinstance(tick(new_titles, home, instance), str)
    assert "gamma" not in read_state(home).titles


def test_a_run_that_failed_before_it_took_anything_is_tried_again_a_few_times(home, instance):
    arrive(home, "gamma")
    keys = []
    for _ in range(MAX_ATTEMPTS):
        request = asked(new_titles, home, instance)
        keys.append(request.run_key)
        submit(ingest, request, instance, dg.DagsterRunStatus.FAILURE)
    assert len(set(keys)) == MAX_ATTEMPTS
    assert f"{MAX_ATTEMPTS} runs for just this failed" in str(tick(new_titles, home, instance))
    arrive(home, "delta")
    assert landing_names(asked(new_titles, home, instance).run_config) == ["delta", "gamma"]


# reconcile


def test_nothing_missing_asks_for_nothing(home, instance):
    assert tick(reconcile, home, instance) == "Nothing is missing."


def test_what_is_missing_is_asked_for_just_as_the_planner_says(home, instance, tmp_path):
    homes.ingest(home, deliver(tmp_path, "gamma", caption="Here I am."))
    steps = [list(step.key[:2]) for step in plan(read_state(home)).steps]
    request = asked(reconcile, home, instance)
    assert request.run_config["ops"]["carry_out_steps"]["config"]["steps"] == steps
    assert execute(refresh, request.run_config, home, instance, Recorder()).success
    assert tick(reconcile, home, instance) == "Nothing is missing."


def test_a_tick_of_reconcile_that_is_evaluated_twice_asks_for_the_same_run(home, instance, tmp_path):
    """The daemon died between the tick and the note that it was made: Dagster starts a run for a key once."""
    homes.ingest(home, deliver(tmp_path, "gamma"))
    first, again = asked(reconcile, home, instance), asked(reconcile, home, instance)
    assert (first.run_key, first.run_config) == (again.run_key, again.run_config)
    submit(refresh, first, instance, dg.DagsterRunStatus.NOT_STARTED)
    assert "1 runs are under way" in str(tick(reconcile, home, instance))


def test_deliveries_are_taken_so_many_at_a_time(home, instance, monkeypatch):
    monkeypatch.setattr("mediafm_assets.sensors.MAX_DELIVERIES_PER_RUN", 2)
    for name in ("one", "two", "three"):
        (deliver(home.landing, name) / COMPLETE).touch()
    first = asked(new_titles, home, instance)
    assert len(landing_names(first.run_config)) == 2
    submit(ingest, first, instance, dg.DagsterRunStatus.NOT_STARTED)
    second = asked(new_titles, home, instance)
    assert len(landing_names(second.run_config)) == 1
    assert {*landing_names(first.run_config), *landing_names(second.run_config)} == {"one", "two", "three"}


def test_a_tick_is_bounded(home, instance, tmp_path, monkeypatch):
    assert MAX_STEPS_PER_RUN > 1
    monkeypatch.setattr("mediafm_assets.sensors.MAX_STEPS_PER_RUN", 2)
    homes.ingest(home, deliver(tmp_path, "gamma"))
    assert len(asked(reconcile, home, instance).run_config["ops"]["carry_out_steps"]["config"]["steps"]) == 2


def test_keys_of_the_catalogue_are_there_before_their_run(home, instance, tmp_path):
    homes.ingest(home, deliver(tmp_path, "gamma"))
    asked(reconcile, home, instance)
    assert list(instance.get_dynamic_partitions("titles")) == ["alpha", "beta", "gamma"]


@pytest.mark.parametrize("job", [ingest, refresh], ids=lambda job: job.name)
def test_it_waits_while_a_run_is_under_way(home, instance, tmp_path, job):
    homes.ingest(home, deliver(tmp_path, "gamma"))
    config = {refresh: steps_config(()), ingest: landing_config(["gamma"])}[job]
    submit(job, dg.RunRequest(run_config=config), instance, dg.DagsterRunStatus.STARTED)
    assert "1 runs are under way" in str(tick(reconcile, home, instance))


def test_a_training_holds_up_nothing_but_itself(home, instance, tmp_path):
    homes.declare_small_encoder(home, "v2")
    homes.ingest(home, deliver(tmp_path, "gamma"))
    wanted = {tuple(pair) for pair in pairs(plan(read_state(home)).steps)}
    assert ("mediafm_encoder", "v2") in wanted
    training = dg.RunRequest(run_config=training_config("v2"))
    run = submit(train_encoder, training, instance, dg.DagsterRunStatus.STARTED)
    asked_for = asked(reconcile, home, instance).run_config["ops"]["carry_out_steps"]["config"]["steps"]
    assert {tuple(pair) for pair in asked_for} == {pair for pair in wanted if not pair[1].startswith("v2")}
    instance.report_run_failed(run)


def test_a_training_that_nobody_does_is_a_run_of_its_own(home, instance, tmp_path):
    homes.declare_small_encoder(home, "v2")
    homes.ingest(home, deliver(tmp_path, "gamma"))
    context = dg.build_sensor_context(instance=instance, resources=resources(home))
    result = reconcile(context)
    assert isinstance(result, dg.SensorResult)
    steps, training = result.run_requests or []
    assert (steps.job_name, training.job_name) == ("refresh", "train_encoder")
    assert trained_name(training.run_config) == "v2"
    assert not [kind for kind, key in steps.run_config["ops"]["carry_out_steps"]["config"]["steps"] if key == "v2"]
    recorder = Recorder()
    for job, request in ((refresh, steps), (train_encoder, training)):
        assert execute(job, request.run_config, home, instance, recorder).success
    assert {key for kind, key in recorder.having(Status.MADE) if kind == "mediafm_encoder"} == {"v2"}
    follows = asked(reconcile, home, instance).run_config["ops"]["carry_out_steps"]["config"]["steps"]
    assert {kind for kind, _ in follows} == {"contextual_embeddings"}


def test_a_parked_step_is_not_asked_for_again(home, instance, tmp_path):
    homes.ingest(home, deliver(tmp_path, "gamma"))
    steps = {step.key.kind: step.key for step in plan(read_state(home)).steps}
    for kind in ("deliveries", "shots"):
        for _ in range(MAX_ATTEMPTS):
            home.ledger.fail(steps[kind], "it never works", final=False)
    asked_for = asked(reconcile, home, instance).run_config["ops"]["carry_out_steps"]["config"]["steps"]
    assert [kind for kind, _ in asked_for] == ["metadata_embedding"]  # all else of the title waits for its shots


def test_a_step_that_kills_every_run_is_parked_and_the_others_go_on(home, instance, tmp_path):
    homes.ingest(home, deliver(tmp_path, "gamma"))
    key = next(step.key for step in plan(read_state(home)).steps if step.key.kind == "shots")
    for _ in range(MAX_ATTEMPTS):
        request = asked(reconcile, home, instance)
        assert list(key[:2]) in request.run_config["ops"]["carry_out_steps"]["config"]["steps"]
        left = steps_under_way(home) / key.fingerprint
        left.parent.mkdir(exist_ok=True)
        left.write_text(json.dumps(key))  # as the kernel leaves it when it kills the process
        submit(refresh, request, instance, dg.DagsterRunStatus.FAILURE)
    asked_for = asked(reconcile, home, instance).run_config["ops"]["carry_out_steps"]["config"]["steps"]
    assert [kind for kind, _ in asked_for] == ["deliveries", "metadata_embedding"]
    assert home.ledger.failures()[key].parked


def test_a_training_that_is_cut_off_however_often_is_not_parked(home, instance):
    homes.declare_small_encoder(home, "v2")
    key = next(step.key for step in plan(read_state(home)).steps if step.key.kind == "mediafm_encoder")
    left = steps_under_way(home) / key.fingerprint
    left.parent.mkdir(exist_ok=True)
    for _ in range(MAX_ATTEMPTS):
        left.write_text(json.dumps(key))
        assert asked(reconcile, home, instance).job_name == "train_encoder"
        assert not left.exists()
    assert home.ledger.failures() == {}


def test_a_run_that_keeps_dying_is_not_asked_for_without_end(home, instance, tmp_path):
    homes.ingest(home, deliver(tmp_path, "gamma"))
    for _ in range(MAX_ATTEMPTS):
        submit(refresh, asked(reconcile, home, instance), instance, dg.DagsterRunStatus.FAILURE)
    assert "failed within a day" in str(tick(reconcile, home, instance))


HOLD_AND_DIE = """
import os, sys
from mediafm_assets.resources import HomeResource
with HomeResource(root=sys.argv[1]).held(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), 9)
"""


def test_a_run_whose_process_died_is_ended_and_the_work_goes_on(home, instance, tmp_path):
    homes.ingest(home, deliver(tmp_path, "gamma"))
    run = submit(refresh, asked(reconcile, home, instance), instance, dg.DagsterRunStatus.STARTED)
    command = [sys.executable, "-W", "ignore", "-c", HOLD_AND_DIE, str(home.root), run.run_id]
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert "under way" in str(tick(reconcile, home, instance))  # alive: it is waited for
        process.communicate("")
    assert asked(reconcile, home, instance).run_config == run.run_config
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
def test_a_run_whose_process_died_before_it_held_anything_is_ended_too(home, instance, tmp_path, status):
    homes.ingest(home, deliver(tmp_path, "gamma"))
    run = submit(refresh, asked(reconcile, home, instance), instance, status)
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        instance.report_engine_event("Started process for run", run, EngineEventData.in_process(process.pid))
        assert "under way" in str(tick(reconcile, home, instance))
        process.kill()
    assert asked(reconcile, home, instance).run_config == run.run_config
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE


def test_an_artifact_of_which_dagster_has_not_heard_is_told_of_without_compute(home, instance):
    """The run died between the commit and the event; here nothing of the home was ever told to this instance."""
    with dg.DagsterInstance.ephemeral() as fresh:
        cursors: list[str | None] = [None]
        request = tick(reconcile, home, fresh, cursors)
        assert isinstance(request, dg.RunRequest)
        recorder = Recorder()
        assert execute(refresh, request.run_config, home, fresh, recorder).success
        assert recorder.having(Status.MADE) == frozenset()
        assert tick(reconcile, home, fresh, cursors) == "Nothing is missing."
        partitioned = {kind for kind in KINDS if KINDS[kind].axes}
        assert materialised(fresh, partitioned) == materialised(instance, partitioned)


def test_a_partition_made_anew_whose_run_died_before_the_event_is_told_of_again(home, instance, tmp_path):
    cursors: list[str | None] = [None]
    assert tick(reconcile, home, instance, cursors) == "Nothing is missing."
    delivery = deliver(tmp_path, "beta")
    describe(delivery, "Another story.")
    homes.ingest(home, delivery)
    request = tick(reconcile, home, instance, cursors)
    assert isinstance(request, dg.RunRequest)
    told, *lost = [(kind, key) for kind, key in request.run_config["ops"]["carry_out_steps"]["config"]["steps"]]
    assert execute(refresh, pairs_config([told]), home, instance, Recorder()).success
    nobody = Actor(user="test", through="test", run="none")
    assert all(outcome.status is Status.MADE for outcome in run_steps(resources(home)["home"], lost, nobody))
    submit(refresh, request, instance, dg.DagsterRunStatus.FAILURE)

    again = tick(reconcile, home, instance, cursors)
    assert isinstance(again, dg.RunRequest)
    partitioned = [[kind, key] for kind, key in lost if KINDS[kind].axes]
    assert sorted(again.run_config["ops"]["carry_out_steps"]["config"]["steps"]) == sorted(partitioned)
    recorder = Recorder()
    assert execute(refresh, again.run_config, home, instance, recorder).success
    assert recorder.having(Status.MADE) == frozenset()
    assert tick(reconcile, home, instance, cursors) == "Nothing is missing."


def test_nothing_is_planned_while_the_ledger_says_what_it_said(home, instance, tmp_path, monkeypatch):
    cursors: list[str | None] = [None]
    plans: list[State] = []
    monkeypatch.setattr("mediafm_assets.asking.plan", lambda state: plans.append(state) or plan(state))
    for n_plans in (1, 1):
        assert tick(reconcile, home, instance, cursors) == "Nothing is missing."
        assert len(plans) == n_plans
    homes.ingest(home, deliver(tmp_path, "gamma"))
    assert isinstance(tick(reconcile, home, instance, cursors), dg.RunRequest)
    assert len(plans) == 2
    assert isinstance(tick(reconcile, home, instance, cursors), dg.RunRequest)  # never twice where something is missing
    assert len(plans) == 3


def test_what_dagster_has_heard_of_is_looked_through_at_first_and_after_failures_only(home, instance, monkeypatch):
    cursors: list[str | None] = [None]
    assert tick(reconcile, home, instance, cursors) == "Nothing is missing."
    looks, look = [], instance.get_materialized_partitions
    monkeypatch.setattr(instance, "get_materialized_partitions", lambda key: looks.append(key) or look(key))
    assert tick(reconcile, home, instance, cursors) == "Nothing is missing."
    assert looks == []
    submit(refresh, dg.RunRequest(run_config=steps_config(())), instance, dg.DagsterRunStatus.FAILURE)
    assert tick(reconcile, home, instance, cursors) == "Nothing is missing."
    assert looks
