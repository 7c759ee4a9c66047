"""What more titles cost: learning and reading 20, 40 and 80 small titles, and the straight line through it."""

from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.harness import Figure
from bench.measuring import cpu_s, in_turn, torch_threads

if TYPE_CHECKING:
    from mediafm_core.sequence.titles import TitleArrays

_COUNTS = (20, 40, 80)  # of titles; the last is four times the first
_N_SHOTS = 100
_N_PASSES = 2  # over all titles, by training
_SHOTS_PER_STEP = 500
_DIMS = (96, 48, 64)


class Line(NamedTuple):
    """The straight line that is nearest to some points."""

    intercept_s: float
    slope_s: float  # for each title
    r2: float  # the share of the spread that it explains

    @classmethod
    def through(cls, counts: list[int], times_s: list[float]) -> "Line":
        """By least squares."""
        slope, intercept = np.polyfit(counts, times_s, 1)
        left = np.asarray(times_s) - (slope * np.asarray(counts) + intercept)
        return cls(float(intercept), float(slope), float(1 - left.var() / np.var(times_s)))


def learning_growth() -> Figure:
    """CPU seconds of learning from four times as many titles, over four times those of learning from the first."""
    from mediafm_core.pretraining.config import PretrainingConfig
    from mediafm_core.pretraining.corpus import InMemory
    from mediafm_core.pretraining.presets import preset_config
    from mediafm_core.pretraining.trainer import train

    config = PretrainingConfig.from_json(preset_config("mediafm", modality_dims=_DIMS, metadata_dims=_DIMS[2]))
    titles = _titles()

    def learn(n_titles: int) -> None:
        steps = n_titles * _N_SHOTS * _N_PASSES // _SHOTS_PER_STEP
        trainer = replace(config.trainer, steps=steps, shots_per_step=_SHOTS_PER_STEP, held_out_share=0.0)
        train(InMemory(titles[:n_titles]), replace(config, trainer=trainer), seed=0)

    return _growth(learn, f"{_N_PASSES} passes over titles of {_N_SHOTS} shots")


def reading_growth() -> Figure:
    """CPU seconds of embedding four times as many titles, over four times those of embedding the first."""
    import torch

    from mediafm_core.contextual.embedding import embed_title
    from mediafm_core.model.config import sized
    from mediafm_core.model.encoder import MediaFM

    encoder = MediaFM.new(sized("tiny", _DIMS, _DIMS[2]), torch.Generator().manual_seed(0)).eval()
    titles = _titles()

    def read(n_titles: int) -> None:
        for title in titles[:n_titles]:
            embed_title(encoder, title.fused, title.metadata)

    return _growth(read, f"titles of {_N_SHOTS} shots")


def _titles() -> "list[TitleArrays]":
    from bench.titles import noise_title

    return [noise_title(_N_SHOTS, _DIMS, seed) for seed in range(_COUNTS[-1])]


def _growth(work: Callable[[int], None], what: str) -> Figure:
    with torch_threads(1):
        rounds = in_turn({str(n): lambda n=n: work(n) for n in _COUNTS}, rounds=3, clock=cpu_s)
    times_s = [median(rounds[str(n)]) for n in _COUNTS]
    line = Line.through(list(_COUNTS), times_s)
    shown = ", ".join(f"{n}: {took_s:.2f} s" for n, took_s in zip(_COUNTS, times_s, strict=True))
    fit = f"{line.intercept_s:+.3f} s {line.slope_s * 1000:+.1f} ms a title, R^2 {line.r2:.4f}"
    return Figure(times_s[-1] / (4 * times_s[0]), f"{what}; {shown}; {fit}")
