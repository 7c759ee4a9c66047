"""What we lean on in Dagster's partitions, and what is not documented of it."""

import warnings

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from sqlalchemy.exc import IntegrityError

from mediafm_assets.partitions import (
    encoder_of_encoder_title,
    encoder_titles,
    encoders,
    every_partition,
    same_title,
    suite_titles,
    title_of_suite_title,
    titles,
)
from mediafm_core.catalogue.kinds import join_partition

BATCHES = dg.BackfillPolicy.multi_run(64)
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("titles", ["b", "a", "c"])
        made.add_dynamic_partitions("suites", ["s1", "s2"])
        made.add_dynamic_partitions("encoders", ["v1", "v2"])
        yield made


def upstream_keys(downstream, mapping, upstream, key: str, instance: dg.DagsterInstance) -> set[str]:
    """The upstream keys that the graph names for one downstream key."""
    with partition_loading_context(dynamic_partitions_store=instance):
        result = mapping.get_upstream_mapped_partitions_result_for_partitions(
            downstream.empty_subset().with_partition_keys([key]), downstream, upstream
        )
        assert not result.required_but_nonexistent_subset.get_partition_keys()
        return set(map(str, result.partitions_subset.get_partition_keys()))


def test_the_parts_of_a_key_stand_in_the_alphabetical_order_of_their_dimensions(instance):
    backwards = dg.MultiPartitionsDefinition({"title": titles, "suite": dg.DynamicPartitionsDefinition(name="suites")})
    assert backwards.get_partition_keys(dynamic_partitions_store=instance)[0] == "s1|b"
    assert str(dg.MultiPartitionKey({"title": "b", "suite": "s1"})) == join_partition(title="b", suite="s1")


def test_keys_stand_in_the_order_in_which_they_came(instance):
    instance.add_dynamic_partitions("titles", ["0"])
    assert instance.get_dynamic_partitions("titles") == ["b", "a", "c", "0"]


def test_a_key_that_exists_may_be_added_again_but_none_twice_in_one_call(instance):
    instance.add_dynamic_partitions("titles", ["a", "d"])
    assert instance.get_dynamic_partitions("titles") == ["b", "a", "c", "d"]
    with pytest.raises(IntegrityError):
        instance.add_dynamic_partitions("titles", ["e", "e"])
    assert instance.get_dynamic_partitions("titles") == ["b", "a", "c", "d"]


@pytest.mark.parametrize(
    ("downstream", "mapping", "upstream", "key", "wanted"),
    [
        (suite_titles, title_of_suite_title, titles, "s1|a", {"a"}),
        (encoder_titles, same_title, suite_titles, "v1|a", {"s1|a", "s2|a"}),
        (encoder_titles, encoder_of_encoder_title, encoders, "v2|a", {"v2"}),
        (encoders, every_partition, suite_titles, "v1", {f"{s}|{t}" for s in ("s1", "s2") for t in "abc"}),
    ],
    ids=["title of suite and title", "same title", "encoder of encoder and title", "every partition"],
)
def test_each_mapping_names_the_upstream_keys(instance, downstream, mapping, upstream, key, wanted):
    assert upstream_keys(downstream, mapping, upstream, key, instance) == wanted


def test_an_unpartitioned_asset_can_depend_on_every_partition(instance):
    @dg.asset(partitions_def=encoder_titles)
    def above() -> None: ...

    @dg.asset(deps=[dg.AssetDep(above, partition_mapping=every_partition)])
    def below() -> None: ...

    assert dg.materialize([above, below], selection=[below], instance=instance).success


def seen_in_run(partitions_def: dg.PartitionsDefinition | None, instance: dg.DagsterInstance, **run: object):
    """What a body can see of its partitions: (one key?, a range?, the keys)."""
    seen: list[tuple[bool, bool, list[str]]] = []

    @dg.asset(partitions_def=partitions_def, backfill_policy=BATCHES if partitions_def else None)
    def one(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        some = context.has_partition_key or context.has_partition_key_range
        keys = [str(key) for key in context.partition_keys] if some else []
        seen.append((context.has_partition_key, context.has_partition_key_range, keys))
        return dg.MaterializeResult(metadata={"figure": 1})

    dg.materialize([one], instance=instance, **run)
    return seen, {str(k) for k in instance.get_materialized_partitions(dg.AssetKey("one"))}


def ranged(start: str, end: str) -> dict[str, str]:
    return dict(zip(RANGE, (start, end), strict=True))


def test_a_run_of_one_key_has_that_key(instance):
    seen, shown = seen_in_run(suite_titles, instance, partition_key="s1|a")
    assert seen == [(True, False, ["s1|a"])]
    assert shown == {"s1|a"}


def test_a_range_runs_once_over_all_keys_between_and_one_result_makes_one_event_each(instance):
    seen, shown = seen_in_run(suite_titles, instance, tags=ranged("s1|b", "s1|a"))
    assert seen == [(False, True, ["s1|b", "s1|a"])]
    assert shown == {"s1|b", "s1|a"}


def test_a_run_of_an_asset_without_partitions_has_no_key(instance):
    seen, _ = seen_in_run(None, instance)
    assert seen == [(False, False, [])]


def test_logged_events_and_then_a_failure_leave_exactly_the_finished_keys(instance):
    @dg.asset(partitions_def=titles, backfill_policy=BATCHES)
    def one(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        for key in ("b", "c"):
            context.log_event(dg.AssetMaterialization("one", partition=key))
        raise dg.Failure("a was not done")

    result = dg.materialize([one], instance=instance, tags=ranged("b", "c"), raise_on_error=False)
    assert not result.success
    assert instance.get_materialized_partitions(dg.AssetKey("one")) == {"b", "c"}


def test_the_mappings_between_dimensions_are_beta_and_the_rest_of_what_we_use_is_not():
    with pytest.warns(dg.BetaWarning, match="MultiToSingle"):
        dg.MultiToSingleDimensionPartitionMapping("title")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dg.AllPartitionMapping()
