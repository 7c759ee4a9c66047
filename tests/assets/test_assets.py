"""Asset bodies: one partition, a range, nothing to do, and some that fail."""

import dagster as dg
import pytest

from mediafm_assets.definitions import defs
from mediafm_assets.partitions import sync
from mediafm_assets.resources import REPORTER
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import Status
from tests import homes
from tests.e2e.scenario import Recorder, failure_of
from tests.homes import deliver, resources

ASSETS = {asset.key.path[-1]: asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)}


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def recorder():
    made = Recorder()
    token = REPORTER.set(made)
    yield made
    REPORTER.reset(token)


def make(home: Home, instance: dg.DagsterInstance, asset: str, *keys: str) -> dg.ExecuteInProcessResult:
    """Materialise an asset: without partitions, of one key, or of the range between two."""
    sync(instance, home)
    tags = {}
    if len(keys) == 2:
        tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[1]}
    return dg.materialize(
        list(ASSETS.values()),
        selection=[ASSETS[asset]],
        partition_key=keys[0] if len(keys) == 1 else None,
        tags=tags,
        instance=instance,
        resources=resources(home),
        raise_on_error=False,
    )


def shown(instance: dg.DagsterInstance, asset: str) -> set[str]:
    return set(map(str, instance.get_materialized_partitions(dg.AssetKey(asset))))


def suite_of(home: Home) -> str:
    return read_state(home).suites[0].id


def test_one_partition_that_exists_costs_no_compute_and_says_so(home, instance, recorder):
    result = make(home, instance, "shots", "alpha")
    assert result.success
    assert recorder.having(Status.KEPT) == {("shots", "alpha")}
    assert recorder.having(Status.MADE) == frozenset()
    (event,) = result.asset_materializations_for_node("shots")
    assert event.metadata["outcome"].value == "kept"
    row = home.ledger.latest("shots", "alpha")
    assert row is not None
    assert event.metadata["n_shots"].value == row.manifest.facts["n_shots"]
    assert event.metadata["fingerprint"].value == row.key.fingerprint


def test_a_range_over_what_exists_is_green_shows_every_key_and_computes_nothing(home, instance, recorder):
    before = home.ledger.committed_in_order()
    suite = suite_of(home)
    assert make(home, instance, "fused_embeddings", f"{suite}|alpha", f"{suite}|beta").success
    assert shown(instance, "fused_embeddings") == {f"{suite}|alpha", f"{suite}|beta"}
    assert recorder.having(Status.MADE) == frozenset()
    assert home.ledger.committed_in_order() == before


def test_a_missing_partition_is_made(home, instance, tmp_path):
    homes.ingest(home, deliver(tmp_path, "gamma"))
    assert make(home, instance, "deliveries", "gamma").success
    assert home.ledger.latest("deliveries", "gamma") is not None


def test_a_failing_title_of_a_range_leaves_the_others_done_and_is_named(home, instance, tmp_path, recorder):
    homes.ingest(home, deliver(tmp_path, "gamma"))  # its shots do not exist, so its thumbnails must wait
    result = make(home, instance, "thumbnails", "alpha", "gamma")
    assert not result.success
    assert shown(instance, "thumbnails") == {"alpha", "beta"}
    assert "thumbnails of gamma: waits for its shots" in failure_of(result)
    assert "alpha" not in failure_of(result)


def test_a_range_in_which_all_fail_shows_nothing(empty_home, instance, tmp_path):
    homes.ingest(empty_home, deliver(tmp_path, "gamma"), deliver(tmp_path, "delta"))
    assert not make(empty_home, instance, "thumbnails", "gamma", "delta").success
    assert shown(instance, "thumbnails") == set()


def test_what_has_no_partitions_is_made_of_all(home, instance, recorder):
    assert make(home, instance, "snapshot").success
    assert recorder.having(Status.KEPT) == {("snapshot", "")}


def test_a_snapshot_of_nothing_is_a_failure(empty_home, instance):
    result = make(empty_home, instance, "snapshot")
    assert not result.success
    assert "Nothing to publish" in failure_of(result)


def test_a_key_that_nobody_asks_for_fails_without_a_retry(home, instance):
    instance.add_dynamic_partitions("titles", ["stranger"])
    result = dg.materialize(
        [ASSETS["deliveries"]],
        partition_key="stranger",
        instance=instance,
        resources=resources(home),
        raise_on_error=False,
    )
    assert not result.success
    assert "'stranger' of deliveries" in failure_of(result)


def test_the_graphs_own_chain_makes_a_new_title_stage_by_stage(home, instance, tmp_path):
    homes.ingest(home, deliver(tmp_path, "gamma", caption="Here I am."))
    suite = suite_of(home)
    for asset in ("deliveries", "shots", "thumbnails", "timed_text"):
        assert make(home, instance, asset, "gamma").success
    for asset in ("video_embeddings", "audio_embeddings", "text_embeddings", "metadata_embedding", "fused_embeddings"):
        assert make(home, instance, asset, f"{suite}|gamma").success
    assert make(home, instance, "contextual_embeddings", "v1|gamma").success
    assert make(home, instance, "snapshot").success


def test_a_runs_lock_is_held_while_it_works_and_gone_after(home, instance):
    (resource,) = resources(home).values()
    with resource.held("some-run"):
        assert resource.abandoned() == []
        assert list((home.root / "work" / "runs").iterdir())
    assert make(home, instance, "shots", "alpha").success
    assert list((home.root / "work" / "runs").iterdir()) == []
