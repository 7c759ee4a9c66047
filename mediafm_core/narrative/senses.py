"""Senses: from what a shot is about to what a unimodal encoder would say of it.

A sense is two random layers with tanh, fixed in a world. Each modality perceives some groups of latents better than
others, always blurred by how this one shot expresses them, beside content that is about nothing. All embeddings of a
modality share a common mean, as those of real encoders do.

Shape letters: S shots, L latents, N nuisance, H hidden, D width of the embedding.
"""

from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from mediafm_core.catalogue.suite import Modality
from mediafm_core.narrative.config import WorldConfig
from mediafm_core.narrative.latents import ACTION, DIALOGUE, GROUPS, N_LATENTS, PASSAGE, Floats, Ints, gains
from mediafm_core.narrative.story import Genres, Story

PERCEIVED = MappingProxyType(
    {
        Modality.VIDEO: gains(style=0.7, place=1.0, cast=0.9, topic=0.4, mood=0.45, tension=0.5, kind=0.5),
        Modality.AUDIO: gains(style=0.5, place=0.4, cast=0.4, mood=0.9, tension=1.2, kind=0.6),
        Modality.TEXT: gains(style=0.35, place=0.2, cast=0.6, topic=1.3, mood=0.7, tension=0.4),
    }
)
"""How strongly each modality shows each latent number."""

_N_NUISANCE = 12
_HIDDEN = 160
_BEND = 1.3  # spread in front of a tanh: far enough from 0 to bend
_SPREAD = 0.65  # of what comes out of the second tanh
_ODDS_OF_TEXT = {DIALOGUE: 1.8, ACTION: -0.4, PASSAGE: -1.6}  # log odds before a title's own level


class Sense(NamedTuple):
    """One modality's encoder, as a fixed map."""

    gains: Floats
    """(L,)."""
    inner: Floats
    """(L + N, H)."""
    outer: Floats
    """(H, D)."""
    common: Floats
    """(D,) the mean that all embeddings share."""

    @classmethod
    def of(cls, rng: np.random.Generator, modality: Modality, config: WorldConfig) -> "Sense":
        """Draw one."""
        dims = {"video": config.video_dims, "audio": config.audio_dims, "text": config.text_dims}[modality.value]
        weights = PERCEIVED[modality]
        power = np.sum(weights**2) * (1 + config.expression_noise**2) + _N_NUISANCE * config.nuisance**2
        inner = rng.normal(0, _BEND / np.sqrt(power), (N_LATENTS + _N_NUISANCE, _HIDDEN))
        outer = rng.normal(0, _BEND / np.sqrt(0.5 * _HIDDEN), (_HIDDEN, dims))
        mean = rng.normal(size=dims)
        return cls(weights, inner, outer, mean * config.common * _SPREAD * np.sqrt(dims) / np.linalg.norm(mean))

    def perceive(self, rng: np.random.Generator, latents: Floats, config: WorldConfig) -> Floats:
        """(S, D) embeddings of (S, L) latents."""
        expressed = latents + config.expression_noise * rng.normal(size=latents.shape)
        nuisance = config.nuisance * rng.normal(size=(len(latents), _N_NUISANCE))
        hidden = np.tanh(np.concatenate([expressed * self.gains, nuisance], axis=1) @ self.inner)  # (S, H)
        seen = np.tanh(hidden @ self.outer)  # (S, D)
        return self.common + seen + config.sensor_noise * _SPREAD * rng.normal(size=seen.shape)


def perceive_story(
    rng: np.random.Generator, story: Story, senses: dict[Modality, Sense], config: WorldConfig
) -> dict[Modality, Floats]:
    """(S, D) embeddings of each modality; a shot without sound or without text has a row of zeros there."""
    vectors = {modality: sense.perceive(rng, story.latents, config) for modality, sense in senses.items()}
    n_shots = len(story.latents)
    vectors[Modality.AUDIO][rng.random(n_shots) < config.share_without_audio] = 0
    vectors[Modality.TEXT][~_has_text(rng, story.kinds, config)] = 0
    return vectors


def perceive_metadata(
    rng: np.random.Generator, story: Story, genres: Genres, sense: Sense, config: WorldConfig
) -> Floats:
    """(D of text,) the embedding of synopsis and tags.

    It knows the genres, not how this title treats them; its people and places dimly; and it is written with more care
    than a line of dialogue, so it holds half the noise.
    """
    about = 0.4 * story.latents.mean(axis=0)
    about[GROUPS["style"]] = 0.8 * story.mix @ genres.style
    about[GROUPS["mood"]] = 0.5 * story.mix @ genres.mood
    attentive = replace(config, expression_noise=config.expression_noise / 2, nuisance=config.nuisance / 2)
    return sense.perceive(rng, about[None, :], attentive)[0]


def _has_text(rng: np.random.Generator, kinds: Ints, config: WorldConfig) -> np.ndarray:
    """(S,) bool; dialogue is mostly spoken, passages are mostly not; titles differ in how much is said."""
    odds = np.array([_ODDS_OF_TEXT[kind] for kind in sorted(_ODDS_OF_TEXT)])
    shares = np.bincount(kinds, minlength=len(odds)) / len(kinds)
    wanted = np.clip(1 - config.share_without_text + rng.normal(0, 0.06), 0.02, 0.995)
    level = _level(odds, shares, wanted) if config.share_without_text else np.inf
    return rng.random(len(kinds)) < _sigmoid(odds + level)[kinds]


def _level(odds: Floats, shares: Floats, wanted: float) -> float:
    """What to add to the log odds for the wanted share, by bisection."""
    low, high = -12.0, 12.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if shares @ _sigmoid(odds + middle) < wanted else (low, middle)
    return (low + high) / 2


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))
