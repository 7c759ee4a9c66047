"""Small homes with narrative titles and five tasks, for tests: mechanics, not quality."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mediafm_assets.carrying import STAGES
from mediafm_assets.cli.running import initialise
from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.execution import carry_out
from mediafm_core.narrative.config import Lengths, WorldConfig
from mediafm_core.narrative.delivery import generate
from mediafm_core.narrative.world import World
from mediafm_core.pretraining.declaring import declare_encoder
from mediafm_core.probes.declaring import freeze_delivered
from mediafm_core.store.home import Home
from mediafm_core.workbench import LogReporter
from tests import homes

WORLD = WorldConfig(seed=5, video_dims=10, audio_dims=6, text_dims=8, n_tones=4, n_ad_labels=3)
N_TITLES = 12  # the least that ten folds by title are made of, with two to spare
LENGTHS = Lengths(low=40, high=40)


def one_thread() -> None:
    """Let torch work on one thread: what is this small only waits for the others, on a busy machine for seconds."""
    import torch

    torch.set_num_threads(1)


def write_titles(folder: Path, n_titles: int, *, seed: int = 1) -> list[Path]:
    """Write narrative deliveries; a title is named by its seed."""
    return list(generate(folder, n_titles=n_titles, seed=seed, world=World.of(WORLD), lengths=LENGTHS))


def build_ingested_home(root: Path) -> Path:
    """Twelve narrative titles, fused, with their labels frozen; no encoder."""
    home = initialise(root)
    homes.ingest(home, *write_titles(root / "delivered", N_TITLES))
    homes.apply(home)
    freeze_delivered(home)
    home.ledger.close()
    return root


def declare_tiny_encoder(home: Home, name: str, **trainer: Any) -> EncoderSpec:
    """Declare an encoder of one narrow layer, with a quarter of the titles held out; trained in a second."""
    spec = declare_encoder(home, name, preset="demo", seed=0)
    short = {"steps": 6, "shots_per_step": 120, "warm_up_steps": 1, "held_out_share": 0.25, "evaluate_every": 3}
    config = {
        **spec.config,
        "model": {**spec.config["model"], "hidden": 16, "layers": 1, "heads": 2},
        "trainer": {**spec.config["trainer"], **short, **trainer},
    }
    tiny = replace(spec, config=config)
    home.declare("encoder", name, asdict(tiny))
    return tiny


def build_live_home(root: Path) -> Path:
    """The same, with the encoder `v1` live as `v1-r1`."""
    one_thread()
    home = Home.open(build_ingested_home(root))
    homes.declare_small_encoder(home, "v1")
    homes.apply(home)
    carry(home, [("release", "v1"), ("snapshot", "")])
    home.ledger.close()
    return root


def carry(home: Home, wanted: Iterable[tuple[str, str]]) -> None:
    """Carry out these steps without Dagster."""
    failed = [outcome for outcome in carry_out(home, wanted, STAGES, LogReporter()) if outcome.error]
    assert not failed, failed
