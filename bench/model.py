"""How fast an encoder of the size `tiny` learns and reads, at the embedded suite's widths."""

from dataclasses import replace
from statistics import median

import numpy as np

from bench.harness import Figure
from bench.measuring import Clock, repeated, torch_threads

DIMS = (1280, 384, 384)
_N_TITLES, _N_SHOTS = 8, 100  # made-up titles; four fill a step of the preset `demo`
_N_STEPS = 12
_N_READ = 512  # shots of the title that is read: one window


def training(n_threads: int, clock: Clock) -> Figure:
    """Shots in a second of this clock, by the preset `demo` on made-up embeddings."""
    from mediafm_core.pretraining.config import PretrainingConfig
    from mediafm_core.pretraining.corpus import InMemory
    from mediafm_core.pretraining.presets import preset_config
    from mediafm_core.pretraining.trainer import train
    from mediafm_core.sequence.titles import TitleArrays

    config = PretrainingConfig.from_json(preset_config("demo", modality_dims=DIMS, metadata_dims=DIMS[2]))
    config = replace(config, trainer=replace(config.trainer, steps=_N_STEPS))
    titles = [TitleArrays(f"t{i}", _unit(_N_SHOTS, sum(DIMS), i), _unit(1, DIMS[2], i)[0]) for i in range(_N_TITLES)]
    ends_s: list[float] = []
    with torch_threads(n_threads):
        train(InMemory(titles), config, seed=0, report=lambda _: ends_s.append(clock()))
    step_s = median(np.diff(ends_s[1:]).tolist())  # the first steps allocate
    return Figure(config.trainer.shots_per_step / step_s, f"{1000 * step_s:.0f} ms a step of 400 shots")


def reading(n_threads: int, clock: Clock) -> Figure:
    """Shots in a second of this clock, embedded in the context of one title."""
    import torch

    from mediafm_core.contextual.embedding import embed_title
    from mediafm_core.model.config import sized
    from mediafm_core.model.encoder import MediaFM

    encoder = MediaFM.new(sized("tiny", DIMS, DIMS[2]), torch.Generator().manual_seed(0)).eval()
    fused, metadata = _unit(_N_READ, sum(DIMS), 0), _unit(1, DIMS[2], 1)[0]
    with torch_threads(n_threads):
        took_s = median(repeated(lambda: embed_title(encoder, fused, metadata), rounds=7, clock=clock))
    return Figure(_N_READ / took_s, f"{1000 * took_s:.0f} ms for a title of {_N_READ} shots")


def _unit(n: int, dims: int, seed: int) -> np.ndarray:
    """(n, dims) float32 rows of unit length."""
    rows = np.random.default_rng(seed).standard_normal((n, dims)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
