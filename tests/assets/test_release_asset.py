"""To materialise the asset `release` is to measure canaries and judge; what is live changes where the run says so."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from mediafm_assets import carrying
from mediafm_assets.definitions import defs
from mediafm_assets.partitions import sync
from mediafm_core.catalogue.suite import Modality
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from tests.canary_homes import RealHeads, Watched, go_live
from tests.catalogue import LONG, ONE_SHOT, SILENT, V2, labels
from tests.fakes import make_home
from tests.homes import resources

ASSETS = [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)]

TITLES = (SILENT, ONE_SHOT, LONG)


@pytest.fixture
def home(tmp_path: Path):
    """A home where v1 is live and v2 is ready, with heads that score what the canaries give."""
    home = make_home(tmp_path / "home", TITLES, production=None)
    home.declare("labels", "tone", asdict(labels("tone", *TITLES)))
    go_live(home, "v1")
    home.declare("encoder", "v2", asdict(V2))
    RealHeads().run(home)
    yield home
    home.ledger.close()


@pytest.fixture(autouse=True)
def watched(home: Home, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """The home's suite, whose encoders are fakes; it is watched by few inputs."""
    found = Watched(home)
    found.declare()
    monkeypatch.setattr(carrying, "STAGES", {**carrying.STAGES, "canaries": found.stage})
    return found


PROMOTING = {"ops": {"release": {"config": {"promote": True}}}}


def materialise(home: Home, encoder: str, config: dict[str, Any]) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        sync(instance, home)
        return dg.materialize(
            ASSETS,
            selection=["release"],
            partition_key=encoder,
            run_config=config,
            instance=instance,
            resources=resources(home),
            raise_on_error=False,
        )


def test_a_backfill_of_releases_judges_every_encoder_and_promotes_none(home: Home) -> None:
    for encoder in ("v1", "v2"):
        assert materialise(home, encoder, {}).success
    release = read_state(home).release
    assert release is not None
    assert release.name == "v1-r1"
    assert home.ledger.latest("release", "v2") is not None


def test_a_run_that_says_so_promotes_what_was_judged_before(home: Home) -> None:
    assert materialise(home, "v2", {}).success
    assert materialise(home, "v2", PROMOTING).success
    release = read_state(home).release
    assert release is not None
    assert release.name == "v2-r1"


def test_a_promotion_in_the_ui_measures_the_canaries_first_and_shows_it(home: Home, watched: Watched) -> None:
    result = materialise(home, "v2", PROMOTING)
    assert result.success
    assert [each.verdict for each in watched.history] == ["steady"]
    events = [(event.asset_key, event.partition) for event in result.get_asset_materialization_events()]
    assert events == [(dg.AssetKey("canaries"), watched.suite.id), (dg.AssetKey("release"), "v2")]


def test_a_promotion_in_the_ui_is_refused_where_the_canaries_move_in_it(home: Home, watched: Watched) -> None:
    watched.run()
    watched.disturbed = {Modality.TEXT: lambda vectors: np.roll(vectors, 1, axis=1)}
    result = materialise(home, "v2", PROMOTING)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "text embeddings moved" in str(failed.step_failure_data)
    assert (release := read_state(home).release) is not None
    assert release.name == "v1-r1"
