"""Labels: what people said of a title's clips, for the five tasks.

Shape letters: n clips.
"""

from typing import Final, NamedTuple

import numpy as np

from mediafm_core.narrative import judges
from mediafm_core.narrative.clips import Clips, Surroundings
from mediafm_core.narrative.config import GENRES, WorldConfig
from mediafm_core.narrative.judges import Judges, stacked
from mediafm_core.narrative.latents import Floats
from mediafm_core.narrative.story import Story

N_CLIPS: Final = 24
"""Clips a title that ad relevancy, popularity, tone and genre are about."""

POSITIVE: Final = "positive"
"""The one label of retrieval: the clip is worth showing."""

_POSITIVES = (6, 10)  # clips worth showing a title, from, to
_NEGATIVES_EACH = 3
_NOISE_OF_TASTE = 2.0  # popularity and clip-worthiness are noisier than labels by this factor
_NOISE_OF_CROWDS = 2.0


class TaskLabels(NamedTuple):
    """The labels of one task for the clips of one title."""

    task: str
    clips: Clips
    labels: list[list[str]]
    """n lists; an empty one is a clip to which no label applies."""
    rank: Floats | None
    """(n,) popularity within the title from 0, the least popular, to 1, evenly spaced; None for other tasks."""


def ad_names(config: WorldConfig) -> list[str]:
    """Names of the ad labels; they mean nothing outside of their world."""
    return [f"ad-{number:02d}" for number in range(config.n_ad_labels)]


def tone_names(config: WorldConfig) -> list[str]:
    """Names of the tones; they mean nothing outside of their world."""
    return [f"tone-{number:03d}" for number in range(config.n_tones)]


def judge_title(rng: np.random.Generator, story: Story, bench: Judges, config: WorldConfig) -> tuple[TaskLabels, ...]:
    """All that people said of a title: one `TaskLabels` for each of the five tasks."""
    clips = Clips.draw(rng, len(story.latents), N_CLIPS)
    around, noise = Surroundings.of(story, clips), config.judgement_noise
    ad = bench.ad.noisy(rng, stacked(judges.ad_features(around)), noise) > bench.ad.thresholds
    tone = bench.tone.noisy(rng, stacked(judges.tone_features(around)), noise) > bench.tone.thresholds
    genre = [[GENRES[genre] for genre in story.genres]] * len(clips.first)
    return (
        TaskLabels("ad_relevancy", clips, _named(ad, ad_names(config)), None),
        _popularity(rng, clips, around, bench, config),
        TaskLabels("tone", clips, _named(tone, tone_names(config)), None),
        TaskLabels("genre", clips, genre, None),
        _retrieval(rng, story, bench, config),
    )


def _popularity(
    rng: np.random.Generator, clips: Clips, around: Surroundings, bench: Judges, config: WorldConfig
) -> TaskLabels:
    features, noise = stacked(judges.popularity_features(around)), _NOISE_OF_CROWDS * config.judgement_noise
    scores = bench.popularity.noisy(rng, features, noise)[:, 0]
    rank = np.argsort(np.argsort(scores)) / max(len(scores) - 1, 1)
    return TaskLabels("popularity", clips, [[] for _ in scores], rank)


def _retrieval(rng: np.random.Generator, story: Story, bench: Judges, config: WorldConfig) -> TaskLabels:
    """The best quarter of a pool of its own: 6 to 10 clips at 1:3, fewer where the title has too few shots."""
    n_wanted = int(rng.integers(_POSITIVES[0], _POSITIVES[1] + 1))
    n_positives = min(n_wanted, (len(story.latents) - 1) // (1 + _NEGATIVES_EACH))
    clips = Clips.draw(rng, len(story.latents), n_positives * (1 + _NEGATIVES_EACH))
    features = stacked(judges.retrieval_features(Surroundings.of(story, clips)))
    scores = bench.retrieval.noisy(rng, features, _NOISE_OF_TASTE * config.judgement_noise)[:, 0]
    positive = np.argsort(np.argsort(-scores)) < n_positives
    return TaskLabels("retrieval", clips, _named(positive[:, None], [POSITIVE]), None)


def _named(flags: np.ndarray, names: list[str]) -> list[list[str]]:
    """Names of the labels that are set, row by row, from (n, K) bool."""
    return [[names[column] for column in np.flatnonzero(row)] for row in flags]
