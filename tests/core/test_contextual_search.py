"""A shot that comes back in a cut of its film is found by its contextual embedding.

Made-up films of 135 shots in scenes (neighbours correlate by a half) with four short clips beside them, in the
embedded suite's widths. A cut is a dozen of the film's shots, out of order, with noise. Two cuts: `re-encoded` has the
film's own modalities at a cosine of 0.9; `re-scored` has video at 0.8, another sound track and texts of its own, as a
trailer has. Print the table that docs/adr/0005 shows:

    python tests/core/test_contextual_search.py
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mediafm_core.contextual.embedding import embed_title
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.corpus import InMemory
from mediafm_core.pretraining.presets import preset_config
from mediafm_core.pretraining.trainer import train
from mediafm_core.sequence.titles import TitleArrays

DIMS = (1280, 384, 384)
SHARED = (0.5, 2.0, 0.3)  # how much all shots of a modality have in common; pooled speech vectors have most
Blocks = list[NDArray[np.float64]]


class World(NamedTuple):
    """A corpus with the film first, and a cut of the film."""

    corpus: list[TitleArrays]
    cut: NDArray[np.float32]
    sources: NDArray[np.int64]  # which of the film's shots each of the cut's shots is


def unit(x: NDArray[np.floating]) -> NDArray[np.floating]:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)


def fuse(blocks: Blocks) -> NDArray[np.float32]:
    return unit(np.concatenate(blocks, axis=1)).astype(np.float32)


def made_up(rng: np.random.Generator, n_shots: int, text_share: float, shared: Sequence[NDArray[np.float64]]) -> Blocks:
    scene = np.arange(n_shots) // 6
    blocks = []
    for dims, common in zip(DIMS, shared, strict=True):
        own = unit(rng.normal(size=(n_shots, dims)))
        blocks.append(unit(unit(unit(rng.normal(size=(scene[-1] + 1, dims)))[scene] + own) + common))
    blocks[2] = blocks[2] * (rng.random(n_shots) < text_share)[:, None]
    return blocks


def noisy(rng: np.random.Generator, x: NDArray[np.float64], cosine: float) -> NDArray[np.float64]:
    is_there = np.linalg.norm(x, axis=1, keepdims=True) > 0
    noise = rng.normal(size=x.shape)
    noise = unit(noise - (noise * x).sum(1, keepdims=True) * x)
    return (cosine * x + np.sqrt(1 - cosine**2) * noise) * is_there


def world(seed: int, re_scored: bool) -> World:
    rng = np.random.default_rng(seed)
    shared = [k * unit(rng.normal(size=d)) for d, k in zip(DIMS, SHARED, strict=True)]
    film = made_up(rng, 135, 0.05, shared)
    titles = [film, *(made_up(rng, n, 0.3, shared) for n in (1, 5, 12, 20))]
    corpus = [
        TitleArrays(f"t{i}", fuse(b), unit(rng.normal(size=384)).astype(np.float32)) for i, b in enumerate(titles)
    ]
    sources = rng.permutation(135)[:12]
    cut = [noisy(rng, block[sources], 0.8 if re_scored else 0.9) for block in film]
    if re_scored:
        cut[1:] = made_up(rng, 12, 0.5, shared)[1:]
    return World(corpus, fuse(cut), sources)


def first_found(found: NDArray[np.floating], shots: NDArray[np.floating], sources: NDArray[np.int64]) -> float:
    return float((np.argmax(unit(found) @ unit(shots).T, axis=1) == sources).mean())


def search(made: World, config: PretrainingConfig, seed: int) -> dict[str, float]:
    """Shares of the cut's shots whose first neighbour in the whole corpus is their source."""
    encoder = train(InMemory(made.corpus), config, seed=seed).encoder
    titles = [embed_title(encoder, t.fused, t.metadata) for t in made.corpus]
    cut = embed_title(encoder, made.cut, None)
    shots, film_mean = np.concatenate([t.shots for t in titles]), titles[0].shots.mean(axis=0)
    means = unit(np.stack([t.shots.mean(axis=0) - shots.mean(axis=0) for t in titles]))
    return {
        "fused": first_found(made.cut, np.concatenate([t.fused for t in made.corpus]), made.sources),
        "contextual": first_found(cut.shots, shots, made.sources),
        "minus film's mean": first_found(cut.shots - film_mean, shots - film_mean, made.sources),
        "film first by [CLS]": float(np.argmax(unit(np.stack([t.title for t in titles])) @ unit(cut.title)) == 0),
        "film first by mean shot": float(np.argmax(means @ (cut.shots.mean(axis=0) - shots.mean(axis=0))) == 0),
    }


def demo_config(**objective: float) -> PretrainingConfig:
    made = PretrainingConfig.from_json(preset_config("demo", modality_dims=DIMS, metadata_dims=384))
    return replace(made, objective=replace(made.objective, **objective))


@pytest.mark.slow
@pytest.mark.parametrize("re_scored", [False, True])
def test_nine_in_ten_shots_of_a_cut_find_their_source_first(re_scored: bool) -> None:
    torch.set_num_threads(1)
    assert search(world(7, re_scored), demo_config(), seed=7)["contextual"] >= 0.9


def main() -> None:
    torch.set_num_threads(1)
    plain = {"visible_share": 0.0, "visible_weight": 0.0}
    rows = {"plain MSM": plain, "visible 0.2": {"visible_share": 0.2}, "visible 1.0": {"visible_share": 1.0}}
    for re_scored in (False, True):
        for name, objective in rows.items():
            found = [search(world(seed, re_scored), demo_config(**objective), seed) for seed in range(3)]
            means = {column: round(float(np.mean([f[column] for f in found])), 2) for column in found[0]}
            print("re-scored" if re_scored else "re-encoded", name, means, flush=True)


if __name__ == "__main__":
    main()
