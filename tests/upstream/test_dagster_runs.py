"""What we lean on in Dagster's runs, resources and sensors, and what is not documented of it."""

import threading
from contextvars import ContextVar

import dagster as dg
import pytest

KEYS = dg.DynamicPartitionsDefinition(name="keys")
WHO: ContextVar[str] = ContextVar("who", default="nobody")


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("keys", ["a", "b", "c"])
        yield made


def job_of(body, **resource_defs):
    """A job of one op."""
    op = dg.op(name="one", required_resource_keys=set(resource_defs))(body)

    @dg.job(resource_defs=resource_defs)
    def job() -> None:
        op()

    return job


def test_an_op_of_a_job_can_materialise_keys_of_several_assets(instance):
    def body(context: dg.OpExecutionContext) -> None:
        for asset, key in (("x", "a"), ("x", "c"), ("y", "v1|b"), ("z", None)):
            context.log_event(dg.AssetMaterialization(asset, partition=key))

    job_of(body).execute_in_process(instance=instance)
    assert instance.get_materialized_partitions(dg.AssetKey("x")) == {"a", "c"}
    assert instance.get_materialized_partitions(dg.AssetKey("y")) == {"v1|b"}
    assert instance.get_latest_materialization_event(dg.AssetKey("z")) is not None


def test_an_event_is_not_checked_against_the_keys_that_there_are(instance):
    job_of(lambda context: context.log_event(dg.AssetMaterialization("x", partition="nope"))).execute_in_process(
        instance=instance
    )
    assert instance.get_materialized_partitions(dg.AssetKey("x")) == {"nope"}


def test_a_failed_op_keeps_the_events_that_it_logged_before(instance):
    def body(context: dg.OpExecutionContext) -> None:
        context.log_event(dg.AssetMaterialization("x", partition="a"))
        raise dg.Failure("b was not done")

    assert not job_of(body).execute_in_process(instance=instance, raise_on_error=False).success
    assert instance.get_materialized_partitions(dg.AssetKey("x")) == {"a"}


def test_an_in_process_run_stays_in_the_calling_thread_and_its_context(instance):
    seen = []

    def body(context: dg.OpExecutionContext) -> None:
        seen.append((threading.get_ident(), WHO.get()))

    token = WHO.set("caller")
    try:
        job_of(body).execute_in_process(instance=instance)
    finally:
        WHO.reset(token)
    assert seen == [(threading.get_ident(), "caller")]


def test_a_resource_is_made_anew_of_its_fields(instance):
    class Named(dg.ConfigurableResource):
        name: str

    given, seen = Named(name="n"), []
    job_of(lambda context: seen.append(context.resources.named), named=given).execute_in_process(instance=instance)
    assert seen[0] is not given
    assert seen[0].name == "n"


def test_a_failure_carries_its_words_to_the_step_event_and_another_exception_does_not(instance):
    def event_data(error: Exception):
        def body(context: dg.OpExecutionContext) -> None:
            raise error

        result = job_of(body).execute_in_process(instance=instance, raise_on_error=False)
        (event,) = [e for e in result.all_events if e.is_step_failure]
        return event.step_failure_data

    assert event_data(dg.Failure("in our words")).user_failure_data.description == "in our words"
    other = event_data(OSError("disk full"))
    assert other.user_failure_data is None
    assert "disk full" in other.error_display_string


def test_runs_are_counted_by_status_job_and_tag(instance):
    job = job_of(lambda context: None)
    job.execute_in_process(instance=instance, tags={"t": "1"})
    assert instance.get_runs_count(dg.RunsFilter(tags={"t": "1"})) == 1
    assert instance.get_runs_count(dg.RunsFilter(job_name="job", statuses=[dg.DagsterRunStatus.STARTED])) == 0
    assert instance.get_runs_count(dg.RunsFilter(job_name="job", statuses=[dg.DagsterRunStatus.SUCCESS])) == 1
