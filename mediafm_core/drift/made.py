"""The canaries that MediaFM makes: synthetic stills, sounds and sentences, drawn once from a seed and then kept.

They are no real media and need not be: an encoder that computes otherwise than before shows it on any input that is
rich enough. What only real media would show, such as a changed decoder, is not what canaries watch.

Shape letters: h, w pixels, n samples.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mediafm_core.catalogue.suite import Modality
from mediafm_core.drift.canaries import Canary
from mediafm_core.media.working_set import SAMPLE_RATE_HZ, STILL_SHORT_SIDE

N_INPUTS: Final = 160
"""Of each modality."""

_SEED = 20260101
_SCALE = 2  # pixels of a still that are drawn as one: a fourth of the time
_HEIGHT, _WIDTH = STILL_SHORT_SIDE // _SCALE, 160
_N_SHAPES = 9
_EVERY_MOVING = 4  # one canary in so many has several stills, so that pooling over stills is watched
_N_MOVING = 3
_LOUD = 20_000.0  # of 32,767

Picture = NDArray[np.uint8]
Wave = NDArray[np.float64]


def made_canaries() -> tuple[Canary, ...]:
    """160 of each modality; the same on every call of one version of numpy on one machine, and kept from then on."""
    random = np.random.default_rng(_SEED)
    stills = [Canary(f"still {i:03}", Modality.VIDEO, _stills(random, i)) for i in range(N_INPUTS)]
    sounds = [Canary(f"sound {i:03}", Modality.AUDIO, _sound(random, i)) for i in range(N_INPUTS)]
    texts = [Canary(f"text {i:03}", Modality.TEXT, _text(random, i)) for i in range(N_INPUTS)]
    return (*stills, *sounds, *texts)


# Stills


def _stills(random: np.random.Generator, index: int) -> Picture:
    """(k, h, w, 3): one scene; where k is more than 1 its shapes move."""
    n_stills = _N_MOVING if index % _EVERY_MOVING == 0 else 1
    ground, colours = random.uniform(0, 255, (2, 3)), random.uniform(0, 255, (_N_SHAPES, 3))
    at, size = random.uniform(0, 1, (_N_SHAPES, 2)), random.uniform(0.03, 0.3, (_N_SHAPES, 2))
    kinds, speed = random.integers(0, len(_SHAPES), _N_SHAPES), random.normal(0, 0.05, (_N_SHAPES, 2))
    y, x = np.mgrid[0:_HEIGHT, 0:_WIDTH] / np.array([_HEIGHT, _WIDTH]).reshape(2, 1, 1)  # (2, h, w)
    scene = []
    for step in range(n_stills):
        picture = ground[0] + (ground[1] - ground[0]) * np.round(24 * y[..., None]) / 24  # (h, w, 3)
        for kind, colour, (cy, cx), half in zip(kinds, colours, at + step * speed, size, strict=True):
            picture[_SHAPES[kind]((y - cy) / half[0], (x - cx) / half[1])] = colour
        scene.append(picture.astype(np.uint8))
    return np.stack(scene).repeat(_SCALE, axis=1).repeat(_SCALE, axis=2)


_SHAPES: Final[tuple[Callable[[Wave, Wave], NDArray[np.bool_]], ...]] = (
    lambda y, x: y**2 + x**2 < 1,  # disc
    lambda y, x: np.maximum(np.abs(y), np.abs(x)) < 1,  # rectangle
    lambda y, x: np.abs(y) + np.abs(x) < 1,  # lozenge
    lambda y, x: np.abs(y**2 + x**2 - 1) < 0.3,  # ring
    lambda y, x: (np.maximum(np.abs(y), np.abs(x)) < 1) & (np.floor(6 * x) % 2 == 0),  # stripes
    lambda y, x: (np.maximum(np.abs(y), np.abs(x)) < 1) & (np.floor(4 * x) % 2 == np.floor(4 * y) % 2),  # a chequer
)


# Sounds


def _sound(random: np.random.Generator, index: int) -> NDArray[np.int16]:
    """(n,): 0.3 to 2.5 s of one kind of sound, at one of several loudnesses."""
    t = np.arange(int(random.uniform(0.3, 2.5) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    wave = _KINDS[index % len(_KINDS)](random, t)
    loudness = random.choice([0.02, 0.2, 1.0])
    return np.round(_LOUD * loudness * wave / max(np.abs(wave).max(), 1e-9)).astype(np.int16)


def _tone(random: np.random.Generator, t: Wave) -> Wave:
    pitches = random.uniform(80, 3000, random.integers(1, 4))
    return np.sin(2 * np.pi * pitches[:, None] * t).sum(axis=0)


def _chirp(random: np.random.Generator, t: Wave) -> Wave:
    low, high = random.uniform(60, 6000, 2)
    return np.sin(2 * np.pi * (low * t + (high - low) * t**2 / (2 * t[-1])))


def _noise(random: np.random.Generator, t: Wave) -> Wave:
    """White noise, smoothed over a random number of samples."""
    width = int(random.integers(1, 40))
    return np.convolve(random.normal(size=len(t)), np.ones(width), mode="same")


def _voice(random: np.random.Generator, t: Wave) -> Wave:
    """Like speech in its envelope: harmonics of a gliding pitch, a few formants, some four syllables a second."""
    pitch = random.uniform(90, 250) * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(0.5, 2) * t))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    formants = random.uniform(300, 3500, 3)
    harmonics = np.arange(1, 13)
    weight = np.exp(-(((harmonics * pitch.mean() - formants[:, None]) / 200) ** 2)).sum(axis=0) + 0.01  # (12,)
    syllables = np.clip(np.sin(2 * np.pi * random.uniform(3, 5) * t + random.uniform(0, 6)), 0, None)
    return (weight[:, None] * np.sin(harmonics[:, None] * phase)).sum(axis=0) * syllables


def _clicks(random: np.random.Generator, t: Wave) -> Wave:
    wave = np.zeros(len(t))
    wave[random.integers(0, len(t), random.integers(2, 12))] = 1.0
    return np.convolve(wave, np.exp(-np.arange(400) / 60), mode="same")


_KINDS: Final = (_voice, _tone, _voice, _chirp, _noise, _clicks)


# Texts

_WHO = ("a fox", "the captain", "my sister", "nobody", "Dr. Okafor", "an old robot", "the choir", "Zoë", "two thieves")
_DOES = ("opens", "forgets", "sells", "paints", "hides", "remembers", "breaks", "sings about", "runs from", "counts")
_WHAT = (
    "the red door",
    "a letter",
    "seven clocks",
    "the harbour",
    "her name",
    "a storm",
    "the map of 1912",
    "his debt",
)
_HOW = ("quietly", "at dawn", "in the rain", "for the last time", "without a word", "by mistake", "again and again")
_SAYS = ("You promised!", "[door slams]", "♪ la la la ♪", "Where were you?", "NO.", "Ça va?", "I… I can't.", "3, 2, 1!")
_EVERY_SAID = N_INPUTS // len(_SAYS)


def _text(random: np.random.Generator, index: int) -> str:
    """One to three sentences; now and then an exclamation alone, or more than MiniLM reads."""
    if index % _EVERY_SAID == 1:
        return _SAYS[index // _EVERY_SAID]
    n_sentences = 60 if index % 80 == 40 else int(random.integers(1, 4))
    return " ".join(_sentence(random) for _ in range(n_sentences))


def _sentence(random: np.random.Generator) -> str:
    who, does, what, how = (str(random.choice(words)) for words in (_WHO, _DOES, _WHAT, _HOW))
    said = f" {random.choice(_SAYS)}" if random.random() < 0.25 else ""
    return f"{who[0].upper()}{who[1:]} {does} {what} {how}.{said}"
