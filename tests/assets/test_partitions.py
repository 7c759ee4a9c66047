"""Partition keys mirror the ledger."""

import dagster as dg
import pytest

from mediafm_assets.partitions import sync
from mediafm_core.stock import read_state
from tests import homes
from tests.homes import declare_small_encoder, deliver


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def keys(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    return {name: list(instance.get_dynamic_partitions(name)) for name in ("titles", "suites", "encoders")}


def test_the_keys_are_those_of_the_catalogue(home, instance, tmp_path):
    sync(instance, home)
    assert keys(instance) == {
        "titles": ["alpha", "beta"],
        "suites": [read_state(home).suites[0].id],
        "encoders": ["v1"],
    }
    homes.ingest(home, deliver(tmp_path, "aardvark"))
    declare_small_encoder(home, "v2")
    sync(instance, home)
    assert keys(instance)["titles"] == ["alpha", "beta", "aardvark"]
    assert keys(instance)["encoders"] == ["v1", "v2"]


def test_to_sync_twice_changes_nothing(home, instance):
    sync(instance, home)
    before = keys(instance)
    sync(instance, home)
    assert keys(instance) == before


def test_a_key_that_the_catalogue_does_not_have_is_removed(home, instance):
    instance.add_dynamic_partitions("titles", ["stranger"])
    sync(instance, home)
    assert keys(instance)["titles"] == ["alpha", "beta"]


def test_a_title_that_comes_meanwhile_keeps_its_key(home, instance, tmp_path, monkeypatch):
    """Another process declares a title and adds its key just before the keys are read here."""
    read = instance.get_dynamic_partitions
    delivery = deliver(tmp_path, "gamma")

    def something_happens_and_then_read(name: str):
        if name == "titles":
            homes.ingest(home, delivery)
            instance.add_dynamic_partitions("titles", ["gamma"])
        return read(name)

    monkeypatch.setattr(instance, "get_dynamic_partitions", something_happens_and_then_read)
    sync(instance, home)
    monkeypatch.undo()
    assert "gamma" in keys(instance)["titles"]
