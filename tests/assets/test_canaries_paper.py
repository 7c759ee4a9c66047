"""Canaries of the paper's suite from end to end: towers on disk, a server of embeddings, and a promotion that waits."""

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mediafm_assets.checks import canaries_evaluation
from mediafm_assets.cli.app import app
from mediafm_assets.cli.running import dagster_instance, initialise
from mediafm_assets.definitions import defs
from mediafm_assets.partitions import sync
from mediafm_assets.resources import BUDGET_VARIABLE, KEY_VARIABLE
from mediafm_core.drift import asking, made, measuring
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home, provenance
from tests import catalogue, model_folders
from tests.canary_homes import RealHeads, go_live
from tests.commands import exits_with, told
from tests.embedding_server import Act, EmbeddingServer, serve_embeddings
from tests.fakes import deliver
from tests.homes import resources

N_INPUTS = 24
TITLES = (catalogue.SILENT, catalogue.ONE_SHOT, catalogue.LONG)


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with serve_embeddings() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home where v1 is live on the paper's suite and v2 is ready; only what titles are made of is fake."""
    monkeypatch.setenv(KEY_VARIABLE, "sk-test-0123456789abcdef")
    monkeypatch.setenv(BUDGET_VARIABLE, "1")
    monkeypatch.setattr(made, "N_INPUTS", N_INPUTS)  # for the sake of time
    monkeypatch.setattr(asking, "n_threads", lambda: 1)  # several are slower on towers as small as these
    home = initialise(tmp_path / "home")
    towers = ("--video", model_folders.clip(tmp_path / "clip"), "--audio", model_folders.speech(tmp_path / "speech"))
    api = ("--base-url", server.url, "--dims", 16, "--usd-per-million", 1)
    told(home, "suites", "add", "paper", *towers, *api)
    paper = next(suite for suite in read_state(home).suites if suite.alias == "paper")
    for title in TITLES:
        deliver(home, title)
    home.declare("labels", "tone", asdict(catalogue.labels("tone", *TITLES)))
    home.declare("encoder", "v1", asdict(catalogue.encoder("v1", TITLES, paper)))
    go_live(home, "v1")
    home.declare("encoder", "v2", asdict(catalogue.encoder("v2", TITLES, paper)))
    RealHeads().run(home)
    yield home
    home.ledger.close()


def replaced(answer: dict[str, Any]) -> dict[str, Any]:
    """What another model of the same name and width would answer."""
    for row in answer["data"]:
        vector = np.frombuffer(base64.b64decode(row["embedding"]), "<f4")
        row["embedding"] = base64.b64encode(np.roll(vector, 1).tobytes()).decode()
    return answer


def promoted_in_the_ui(home: Home, encoder: str) -> dg.ExecuteInProcessResult:
    """What becomes of the asset `release` where somebody materialises it with `promote: true`."""
    with dagster_instance(home) as instance:
        sync(instance, home)
        return dg.materialize(
            [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)],
            selection=["release"],
            partition_key=encoder,
            run_config={"ops": {"release": {"config": {"promote": True}}}},
            instance=instance,
            resources=resources(home),
            raise_on_error=False,
        )


def live(home: Home) -> str | None:
    release = read_state(home).release
    return release.name if release else None


def test_a_provider_that_replaces_its_model_is_noticed_by_the_promotion_and_holds_it_up(
    home: Home, server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = next(suite.id for suite in read_state(home).suites if suite.alias == "paper")

    def status(*words: str) -> Result:
        return CliRunner().invoke(app, ["canaries", "status", "--home", str(home.root), *words])

    def measured() -> dict[str, Any]:
        return next(row for row in json.loads(status("--json").stdout) if row["suite"] == suite)

    assert measured()["overdue"] == "never measured"
    for _ in range(2):
        told(home, "canaries", "run", "--suite", suite)
    steady = measured()
    assert (steady["verdict"], steady["measurements"], steady["overdue"]) == ("steady", 2, None)
    assert steady["last"]["n"] == dict.fromkeys(("video", "audio", "text"), N_INPUTS)
    assert steady["last"]["release"] == "v1-r1"
    assert len(server.texts) == 3 * N_INPUTS  # for the reference, and anew for each measurement

    monkeypatch.setattr(measuring, "provenance", lambda *of: {**provenance(*of), "numpy": "9.9"})
    server.acts = [Act(change=replaced)]
    said = exits_with(home, 3, "release", "promote", "v2")
    assert f"canaries of suite {suite}: text embeddings moved (" in said
    assert f"numpy {provenance()['numpy']} became 9.9" in said
    assert live(home) == "v1-r1"
    assert status().exit_code == 5
    assert "changed" in status().stdout
    around = measured()["surroundings"]
    assert around["numpy"] == [provenance()["numpy"], "9.9"]
    assert around["torch"] == [provenance()["torch"]] * 2

    (sees,) = measured()["sees"]
    assert sees in said
    assert sees in str(canaries_evaluation(home).metadata["sees"])

    assert promoted_in_the_ui(home, "v2").success  # the provider has gone back
    assert live(home) == "v2-r1"
    assert (measured()["verdict"], len(server.texts)) == ("steady", 5 * N_INPUTS)
    assert f"canaries are steady; {sees}" in told(home, "release", "promote", "v2")
