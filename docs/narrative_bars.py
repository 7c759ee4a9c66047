"""What linear probes reach on a narrative world without any learned encoder: `python docs/narrative_bars.py`.

Ridge probes; the regularisation is chosen by five folds of titles inside the training titles, by the task's own metric.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.stats import kendalltau
from sklearn.metrics import average_precision_score

from mediafm_core.catalogue.suite import Modality
from mediafm_core.fusion import fuse, presence
from mediafm_core.narrative.clips import Clips, Surroundings
from mediafm_core.narrative.config import GENRES, WorldConfig
from mediafm_core.narrative.labels import POSITIVE, ad_names, tone_names
from mediafm_core.narrative.latents import Running
from mediafm_core.narrative.titles import NarrativeTitle, title
from mediafm_core.narrative.world import World

TASKS = ("ad_relevancy", "popularity", "tone", "genre", "retrieval")
ALPHAS = 10.0 ** np.arange(0, 6)
N_FOLDS = 5


class Sample(NamedTuple):
    """One task's clips of one title."""

    reads: dict[str, np.ndarray]
    """By name, (n, D)."""
    targets: np.ndarray
    """(n, K)."""


def fused(given: NarrativeTitle, world: World, modalities: tuple[Modality, ...]) -> np.ndarray:
    """(S, D) as the catalogue would fuse it, with nothing but the given modalities."""
    if len(modalities) < len(Modality):
        return np.concatenate([given.vectors[m] for m in modalities], axis=1)
    blocks = {m.value: given.vectors[m].astype(np.float32) for m in Modality}
    has_audio, has_text = presence(blocks["audio"]), presence(blocks["text"])
    return fuse(**blocks, suite=world.suite, has_audio=has_audio, has_text=has_text)


def reads(given: NarrativeTitle, world: World, clips: Clips) -> dict[str, np.ndarray]:
    """All features of one title's clips."""
    first, last = clips
    shots = fused(given, world, tuple(Modality))
    running = Running.of(shots.astype(float))
    clip, within = running.mean(first, last), running.mean(first - 12, last + 12)
    before, after = running.mean(first - 12, first), running.mean(last, last + 12)
    whole = np.broadcast_to(shots.mean(axis=0), clip.shape)
    alone = {f"{m} only": Running.of(fused(given, world, (m,))).mean(first, last) for m in Modality}
    around = Surroundings.of(given.story, clips)
    metadata = np.broadcast_to(given.metadata_vector, (len(first), len(given.metadata_vector)))
    return {
        "position only": positions((first + last) / 2 / given.n_shots),
        "metadata only": metadata,
        **alone,
        "fused": clip,
        "fused + mean within 12": np.hstack([clip, within]),
        "fused + 12 before + 12 after": np.hstack([clip, before, after]),
        "fused + title mean": np.hstack([clip, whole]),
        "true latents of the clip": around.now,
        "true latents in context": around.everything,
    }


def positions(fraction: np.ndarray) -> np.ndarray:
    """(n, 11) the fraction of the title, and waves over it."""
    waves = 2 * np.pi * fraction[:, None] * np.arange(0.5, 3, 0.5)
    return np.hstack([fraction[:, None], np.sin(waves), np.cos(waves)])


def targets(given: NarrativeTitle, index: int, names: list[str]) -> np.ndarray:
    """(n, K) of the title's task number `index`."""
    said = given.labels[index]
    if said.rank is not None:
        return (said.rank - 0.5)[:, None]
    return np.array([[name in labels for name in names] for labels in said.labels], float)


def tau(guess: np.ndarray, rank: np.ndarray) -> float:
    """Kendall's tau-b; 0 for a constant guess, which ranks nothing."""
    return 0.0 if np.ptp(guess) == 0 else float(kendalltau(guess, rank)[0])  # type: ignore[arg-type]


def score(task: str, guesses: list[np.ndarray], truth: list[np.ndarray]) -> float:
    """The task's metric over titles."""
    if task == "popularity":
        return float(np.mean([tau(g[:, 0], t[:, 0]) for g, t in zip(guesses, truth, strict=True)]))
    guess, true = np.concatenate(guesses), np.concatenate(truth)
    average = "micro" if task == "tone" else "macro"
    seen = true.any(axis=0)
    return float(average_precision_score(true[:, seen], guess[:, seen], average=average))


def ridge(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray, float], np.ndarray]:
    """A closed-form ridge on standardised features, for any regularisation."""
    centre, spread, level = x.mean(axis=0), x.std(axis=0) + 1e-9, y.mean(axis=0)
    scaled = (x - centre) / spread
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    known = vectors.T @ (scaled.T @ (y - level))

    def guess(rows: np.ndarray, alpha: float) -> np.ndarray:
        weights = vectors @ (known / (np.maximum(values, 0) + alpha)[:, None])
        return (rows - centre) / spread @ weights + level

    return guess


def folds(n_titles: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Titles to fit on, titles to choose by."""
    number = np.arange(n_titles) % N_FOLDS
    for fold in range(N_FOLDS):
        yield np.flatnonzero(number != fold), np.flatnonzero(number == fold)


def probe(task: str, read: str, train: list[Sample], test: list[Sample]) -> float:
    """Fit on the training titles, score the others."""
    xs, ys = [s.reads[read] for s in train], [s.targets for s in train]
    gained = np.zeros(len(ALPHAS))
    for fit, choose in folds(len(train)):
        guess = ridge(np.concatenate([xs[i] for i in fit]), np.concatenate([ys[i] for i in fit]))
        for column, alpha in enumerate(ALPHAS):
            gained[column] += score(task, [guess(xs[i], alpha) for i in choose], [ys[i] for i in choose])
    guess, alpha = ridge(np.concatenate(xs), np.concatenate(ys)), ALPHAS[np.argmax(gained)]
    return score(task, [guess(s.reads[read], alpha) for s in test], [s.targets for s in test])


def samples(world: World, seeds: range, n_shots: int | None) -> dict[str, list[Sample]]:
    """By task, one sample per title."""
    config = world.config
    names = {"ad_relevancy": ad_names(config), "tone": tone_names(config), "genre": list(GENRES)}
    found: dict[str, list[Sample]] = {task: [] for task in TASKS}
    for seed in seeds:
        given = title(world, seed, n_shots)
        shared = reads(given, world, given.labels[0].clips)
        for index, said in enumerate(given.labels):
            seen = shared if said.clips is given.labels[0].clips else reads(given, world, said.clips)
            found[said.task].append(Sample(seen, targets(given, index, names.get(said.task, [POSITIVE]))))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", type=int, default=0)
    parser.add_argument("--train", type=int, default=120, help="titles to fit on")
    parser.add_argument("--test", type=int, default=60, help="titles to score")
    parser.add_argument("--shots", type=int, default=None, help="shots of each title; drawn from 40 to 160 if absent")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", message="No positive class found")
    world = World.of(WorldConfig(seed=given.world))
    train = samples(world, range(given.train), given.shots)
    test = samples(world, range(given.train, given.train + given.test), given.shots)
    out = sys.stdout
    out.write(f"| features | {' | '.join(TASKS)} |\n|---|{'---|' * len(TASKS)}\n")
    for read in train["tone"][0].reads:
        cells = [f"{probe(task, read, train[task], test[task]):.3f}" for task in TASKS]
        out.write(f"| {read} | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
