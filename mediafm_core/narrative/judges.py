"""Judges: how the truth around a clip becomes a label.

A judge looks at a few features, weighs them, and says yes above a threshold. Features are standardised, and thresholds
set, on reference stories that are no title of the world, so that each label has the share that it was given.

Shape letters: n clips, F features, K labels.
"""

from typing import NamedTuple

import numpy as np

from mediafm_core.narrative.clips import Clips, Surroundings, group
from mediafm_core.narrative.config import WorldConfig
from mediafm_core.narrative.latents import Floats
from mediafm_core.narrative.story import Genres, tell
from mediafm_core.narrative.streams import Stream, stream

_N_REFERENCE_STORIES = 80
_REFERENCE_SHOTS = 120
_REFERENCE_CLIPS = 30
_AD_SHARES = (0.26, 0.10)  # of clips that carry the commonest and the rarest label, geometric between
_TONE_SHARES = (0.20, 0.015)


class Judge(NamedTuple):
    """One task's judge."""

    centre: Floats
    """(F,) mean of the features over the reference clips."""
    spread: Floats
    """(F,) their standard deviation."""
    weights: Floats
    """(F, K) of standardised features; each score then has a spread near 1."""
    thresholds: Floats
    """(K,) above which a label is given."""

    def scores(self, features: Floats) -> Floats:
        """(n, K) before noise."""
        return (features - self.centre) / self.spread @ self.weights

    def noisy(self, rng: np.random.Generator, features: Floats, noise: float) -> Floats:
        """(n, K) as people would say it."""
        scores = self.scores(features)
        return scores + noise * rng.normal(size=scores.shape)


class Judges(NamedTuple):
    """The judges of a world. Genre has none: it is a title's own."""

    ad: Judge
    tone: Judge
    popularity: Judge
    retrieval: Judge

    @classmethod
    def of(cls, config: WorldConfig, genres: Genres) -> "Judges":
        """Draw weights, then set thresholds on the reference stories."""
        rng = stream(config.seed, Stream.JUDGES)
        around = _reference(config, genres)
        return cls(
            _judge(rng, ad_features(around), _AD_WEIGHTS, _shares(_AD_SHARES, config.n_ad_labels), config),
            _judge(rng, tone_features(around), _TONE_WEIGHTS, _shares(_TONE_SHARES, config.n_tones), config),
            _appetite(popularity_features(around), _POPULARITY_WEIGHTS),
            _appetite(retrieval_features(around), _RETRIEVAL_WEIGHTS),
        )


_AD_WEIGHTS = (0.55, 0.55, 0.9, 0.35)  # mood, topic, shift of mood, relief
_TONE_WEIGHTS = (0.75, 0.55, 0.7, 0.3)  # mood, style, mood x style, tension
_POPULARITY_WEIGHTS = (0.5, 0.7, 0.3)  # tension against the title's, rise, surprise
_RETRIEVAL_WEIGHTS = (0.8, 0.45, 0.4)  # height over the surroundings, height over the title, strength of mood


def ad_features(around: Surroundings) -> list[Floats]:
    """What a clip is about, how the mood shifts across it, and whether tension has just eased."""
    shift = group(around.after, "mood") - group(around.before, "mood")
    relief = group(around.before, "tension") - group(around.after, "tension")
    return [group(around.now, "mood"), group(around.now, "topic"), shift, relief]


def tone_features(around: Surroundings) -> list[Floats]:
    """The scene's mood, coloured by the title's style: the same mood reads otherwise in another style."""
    mood, style = group(around.scene, "mood"), group(around.title, "style")
    product = (mood[:, :, None] * style[:, None, :]).reshape(len(mood), -1)
    return [mood, style, product, group(around.scene, "tension")]


def popularity_features(around: Surroundings) -> list[Floats]:
    """Tension against the title's own, its rise, and how far the mood is from what came before."""
    tension = group(around.now, "tension")
    surprise = np.linalg.norm(group(around.now, "mood") - group(around.before, "mood"), axis=1, keepdims=True)
    return [tension - group(around.title, "tension"), tension - group(around.before, "tension"), surprise]


def retrieval_features(around: Surroundings) -> list[Floats]:
    """Peaks: tension over that of the surroundings and of the title, and strength of mood."""
    tension = group(around.now, "tension")
    strength = np.linalg.norm(group(around.now, "mood") - group(around.title, "mood"), axis=1, keepdims=True)
    return [tension - group(around.wide, "tension"), tension - group(around.title, "tension"), strength]


def stacked(features: list[Floats]) -> Floats:
    """(n, F) of all parts."""
    return np.concatenate(features, axis=1)


def _reference(config: WorldConfig, genres: Genres) -> Surroundings:
    rngs = [stream(config.seed, Stream.REFERENCE, number) for number in range(_N_REFERENCE_STORIES)]
    parts = [
        Surroundings.of(tell(rng, genres, _REFERENCE_SHOTS), Clips.draw(rng, _REFERENCE_SHOTS, _REFERENCE_CLIPS))
        for rng in rngs
    ]
    return Surroundings(*(np.concatenate(rows) for rows in zip(*parts, strict=True)))


def _shares(ends: tuple[float, float], n_labels: int) -> Floats:
    return np.geomspace(*ends, n_labels)


def _judge(
    rng: np.random.Generator, parts: list[Floats], weights: tuple[float, ...], shares: Floats, config: WorldConfig
) -> Judge:
    """Random directions within each part of the features, parts weighed as given."""
    directions = [rng.normal(size=(part.shape[1], len(shares))) for part in parts]
    scaled = [w * d / np.linalg.norm(d, axis=0) for w, d in zip(weights, directions, strict=True)]
    judge = _standardised(stacked(parts), np.concatenate(scaled), np.zeros(len(shares)))
    noisy = judge.noisy(rng, stacked(parts), config.judgement_noise)
    thresholds = [np.quantile(column, 1 - share) for column, share in zip(noisy.T, shares, strict=True)]
    return judge._replace(thresholds=np.array(thresholds))


def _appetite(parts: list[Floats], weights: tuple[float, ...]) -> Judge:
    """A judge who only ranks: one score from one number per part, no threshold."""
    return _standardised(stacked(parts), np.array(weights)[:, None], np.zeros(1))


def _standardised(features: Floats, weights: Floats, thresholds: Floats) -> Judge:
    judge = Judge(features.mean(axis=0), features.std(axis=0), weights, thresholds)
    return judge._replace(weights=weights / judge.scores(features).std(axis=0))
