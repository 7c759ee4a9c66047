"""The encoders of the measurement of quality: trained once, kept as files, read in several ways.

Shape letters: S shots, D width of a contextual embedding.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch

from bench.measuring import cpu_s
from bench.quality_titles import Catalogue
from mediafm_core.contextual.embedding import Contextual, embed_title
from mediafm_core.identity import fingerprint
from mediafm_core.model.checkpoint import load, save
from mediafm_core.model.config import ModelConfig, Reading
from mediafm_core.model.encoder import MediaFM
from mediafm_core.narrative.world import World
from mediafm_core.pretraining.baselines.compare import compare
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.corpus import AT_HAND_BYTES, InMemory, Reader, centring_of, divide
from mediafm_core.pretraining.presets import preset_config
from mediafm_core.pretraining.trainer import train
from mediafm_core.probes.features import Origin, TitleShots
from mediafm_core.sequence.titles import TitleArrays

UNTRAINED = "untrained"
"""In a preset's place: the preset `mediafm` with fresh weights and the corpus's means."""


class Setting(NamedTuple):
    """What an encoder is made from, beside its titles and its seed."""

    preset: str
    changes: Sequence[str]  # of its configuration, e.g. trainer.steps=200

    def config(self, world: World) -> PretrainingConfig:
        """For the widths of this world."""
        c = world.config
        dims = (c.video_dims, c.audio_dims, c.text_dims)
        preset = "mediafm" if self.preset == UNTRAINED else self.preset
        return PretrainingConfig.from_json(
            preset_config(preset, modality_dims=dims, metadata_dims=c.text_dims, changes=self.changes)
        )


class Encoder(NamedTuple):
    """An encoder, and what it took."""

    model: MediaFM
    facts: dict[str, Any]  # of its training; none of an untrained one


def encoder_of(catalogue: Catalogue, setting: Setting, seed: int, folder: Path) -> Encoder:
    """An encoder from its file, or trained, judged beside the baselines of its own task, and kept there.

    Args:
        catalogue: whose first side it learns.
        setting: what it is.
        seed: of its training.
        folder: holds one file for each; its name says all that the weights depend on.
    """
    config = setting.config(catalogue.world)
    made_from = {
        "world": catalogue.world.config.fingerprint,
        "titles": [catalogue.n_learnt, catalogue.lengths],
        "config": replace(config, trainer=replace(config.trainer, gru_steps=0)).to_json(),
        "seed": seed,
        "preset": setting.preset,
    }
    path = folder / f"{setting.preset}-{fingerprint('encoder of the measurement of quality', made_from)[:24]}.mediafm"
    if not path.exists():
        made = _fresh(catalogue, config, seed) if setting.preset == UNTRAINED else _trained(catalogue, config, seed)
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(save(made.model, {**made_from, "facts": made.facts}))
        unfinished.replace(path)
    found = load(path.read_bytes())
    return Encoder(found.encoder, found.manifest["facts"])


def _trained(catalogue: Catalogue, config: PretrainingConfig, seed: int) -> Encoder:
    corpus, began_s = _corpus(catalogue), cpu_s()
    trained = train(corpus, config, seed=seed, report=_tell)
    took_s = cpu_s() - began_s
    split = divide(len(corpus), config.trainer.held_out_share, torch.Generator().manual_seed(seed))
    compared = compare(trained.encoder, Reader(corpus, config.model, AT_HAND_BYTES), split, config, seed)
    facts = {
        "cpu_s": round(took_s),
        "kept_step": trained.kept_step,
        "msm": {row.name: round(row.loss, 4) for row in compared.rows},
        "learnt": str(compared.verdict.learnt),
    }
    return Encoder(trained.encoder, facts)


def _fresh(catalogue: Catalogue, config: PretrainingConfig, seed: int) -> Encoder:
    model = MediaFM.new(config.model, torch.Generator().manual_seed(seed))
    means = centring_of(_corpus(catalogue), range(catalogue.n_learnt), config.model)
    model.centring.mean.copy_(torch.from_numpy(means))
    return Encoder(model.eval(), {})


def _corpus(catalogue: Catalogue) -> InMemory:
    return InMemory([made.arrays for made in catalogue.learnt])


def _tell(progress: Any) -> None:
    if progress.step % 100 == 0:
        sys.stderr.write(f"  step {progress.step}/{progress.steps}, MSM {progress.msm:.3f}\n")


ReadTitle = Callable[[MediaFM, TitleArrays], Contextual]


def _as_configured(encoder: MediaFM, title: TitleArrays) -> Contextual:
    return embed_title(encoder, title.fused, title.metadata, title=title.title)


def _first_window(encoder: MediaFM, title: TitleArrays) -> Contextual:
    """The title cut short; of the shots after the first window nothing is known, so they get zeros."""
    n_read = encoder.config.window
    read = embed_title(encoder, title.fused[:n_read], title.metadata, title=title.title)
    shots = np.zeros((len(title.fused), read.shots.shape[1]), np.float32)
    shots[:n_read] = read.shots
    return Contextual(shots, read.title)


def _sampled(encoder: MediaFM, title: TitleArrays) -> Contextual:
    """As many shots as a window holds, evenly spread; each other shot is taken for the nearest of them."""
    n_shots, n_read = len(title.fused), encoder.config.window
    if n_shots <= n_read:
        return _as_configured(encoder, title)
    picked = np.linspace(0, n_shots - 1, n_read).round().astype(int)
    read = embed_title(encoder, title.fused[picked], title.metadata, title=title.title)
    nearest = np.abs(np.arange(n_shots)[:, None] - picked).argmin(axis=1)
    return Contextual(read.shots[nearest], read.title)


def _whole(config: ModelConfig) -> ModelConfig:
    return replace(config, reading=Reading.WHOLE)


def _end_to_end(config: ModelConfig) -> ModelConfig:
    return replace(config, stride_share=1.0)


READINGS: Mapping[str, tuple[Callable[[ModelConfig], ModelConfig], ReadTitle]] = MappingProxyType(
    {
        "windows": (lambda config: config, _as_configured),  # overlapping, as presets have it
        "windows end to end": (_end_to_end, _as_configured),
        "whole": (_whole, _as_configured),
        "the first window": (lambda config: config, _first_window),
        "a window of shots evenly picked": (lambda config: config, _sampled),
    }
)
"""How a title longer than a window is read. The last two are no options of an encoder: they show what they cost."""


def read_by(catalogue: Catalogue, encoder: MediaFM, name: str, reading: str) -> dict[str, TitleShots]:
    """The labelled titles as an encoder has them.

    Args:
        catalogue: whose titles.
        encoder: any.
        name: of the rows that come of it.
        reading: among `READINGS`.
    """
    changed, read = READINGS[reading]
    reader = MediaFM(changed(encoder.config))
    reader.load_state_dict(encoder.state_dict())
    origin, shots = Origin(name, catalogue.world.suite.id), dict[str, TitleShots]()
    for made in catalogue.judged:
        embedded = read(reader.eval(), made.arrays)
        shots[made.given.id] = made.shots(embedded.shots, origin, embedded.title)
    return shots
