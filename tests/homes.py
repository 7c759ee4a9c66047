"""Homes that tests start from, and the tiny deliveries in them."""

import io
import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import dagster as dg
from rich.console import Console

from mediafm_assets.cli.running import carry_out_plan, initialise
from mediafm_assets.resources import HomeResource
from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.ingest.taking import examine, take
from mediafm_core.pretraining.declaring import declare_encoder
from mediafm_core.stock import explained_plan, read_state
from mediafm_core.store.home import Home
from tests.media_files import clicks, write_film

QUIET = Console(file=io.StringIO())


def deliver(
    folder: Path, name: str, *, scenes: tuple[int, ...] = (25, 25), synopsis: str = "", caption: str = ""
) -> Path:
    """Write a delivery: a film of a few still scenes with a click a second; its title.json and captions if given."""
    delivery = folder / name
    delivery.mkdir(parents=True)
    write_film(delivery / "media.mp4", scenes, sound=clicks(sum(scenes) / 25))
    if synopsis:
        describe(delivery, synopsis)
    if caption:
        subtitle(delivery, caption)
    return delivery


def describe(delivery: Path, synopsis: str, **more: object) -> None:
    """Write a delivery's title.json, with more fields if given."""
    record = {"name": delivery.name.title(), "synopsis": synopsis, "tags": ["test"], **more}
    (delivery / "title.json").write_text(json.dumps(record))


def subtitle(delivery: Path, caption: str) -> None:
    """Write captions with one cue."""
    (delivery / "captions.en.vtt").write_text(f"WEBVTT\n\n00:00.200 --> 00:00.900\n{caption}\n")


def ingest(home: Home, *paths: Path) -> None:
    """Take deliveries."""
    for path in paths:
        take(home, examine(path))


def declare_small_encoder(home: Home, name: str, *, steps: int = 2) -> EncoderSpec:
    """Declare an encoder that is trained for a moment only."""
    spec = declare_encoder(home, name, preset="demo", seed=0)
    trainer = {**spec.config["trainer"], "steps": steps, "warm_up_steps": 1}
    small = replace(spec, config={**spec.config, "trainer": trainer})
    home.declare("encoder", name, asdict(small))
    return small


def apply(home: Home) -> None:
    """Make everything that is missing."""
    carry_out_plan(home, explained_plan(home, read_state(home)), QUIET)


def build_finished_home(root: Path) -> Path:
    """Run the real chain once: `alpha` with captions and a synopsis, `beta` with neither, then the encoder `v1`."""
    home = initialise(root)
    alpha = deliver(root / "delivered", "alpha", scenes=(25, 30, 20), synopsis="A fox.", caption="Hello there.")
    ingest(home, alpha, deliver(root / "delivered", "beta"))
    apply(home)
    declare_small_encoder(home, "v1")
    apply(home)
    home.ledger.close()
    return root


def resources(home: Home) -> dict[str, HomeResource]:
    """What assets, jobs and sensors are given, for this home."""
    return {"home": HomeResource(root=str(home.root))}


def materialised(instance: dg.DagsterInstance, kinds: Iterable[str]) -> frozenset[tuple[str, str]]:
    """The (asset, partition) pairs that Dagster shows as materialised; '' is the partition of what has none."""
    found: set[tuple[str, str]] = set()
    for kind in kinds:
        keys = instance.get_materialized_partitions(dg.AssetKey(kind))
        found |= {(kind, str(key)) for key in keys}
        if not keys and instance.get_latest_materialization_event(dg.AssetKey(kind)):
            found.add((kind, ""))
    return frozenset(found)
