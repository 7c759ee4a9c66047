"""To materialise the asset `release` is to ask the gate; an encoder goes live only where the run says so."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mediafm_assets.definitions import defs
from mediafm_assets.partitions import sync
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from tests.candidates import Candidates, released_home
from tests.catalogue import LONG, ONE_SHOT, SILENT, V2
from tests.homes import resources

ASSETS = [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)]


@pytest.fixture
def home(tmp_path: Path):
    """A home where v1 is live and v2 is ready."""
    home = released_home(tmp_path / "home", (SILENT, ONE_SHOT, LONG))
    home.declare("encoder", "v2", asdict(V2))
    Candidates().run(home)
    yield home
    home.ledger.close()


def materialise(home: Home, encoder: str, config: dict[str, Any]) -> bool:
    with dg.DagsterInstance.ephemeral() as instance:
        sync(instance, home)
        result = dg.materialize(
            ASSETS,
            selection=["release"],
            partition_key=encoder,
            run_config=config,
            instance=instance,
            resources=resources(home),
            raise_on_error=False,
        )
    return result.success


def test_a_backfill_of_releases_judges_every_encoder_and_promotes_none(home: Home) -> None:
    for encoder in ("v1", "v2"):
        assert materialise(home, encoder, {})
    release = read_state(home).release
    assert release is not None
    assert release.name == "v1-r1"
    assert home.ledger.latest("release", "v2") is not None


def test_a_run_that_says_so_promotes_what_was_judged_before(home: Home) -> None:
    assert materialise(home, "v2", {})
    assert materialise(home, "v2", {"ops": {"release": {"config": {"promote": True}}}})
    release = read_state(home).release
    assert release is not None
    assert release.name == "v2-r1"
