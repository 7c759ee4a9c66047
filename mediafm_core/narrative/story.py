"""A story: the truth about one title, from which its embeddings and its labels are made.

Shape letters: S shots, C scenes, G genres, L latents.
"""

from typing import NamedTuple

import numpy as np

from mediafm_core.narrative.arcs import arcs
from mediafm_core.narrative.config import GENRES
from mediafm_core.narrative.latents import ACTION, DIALOGUE, PASSAGE, Floats, Ints, width
from mediafm_core.narrative.scenes import Stage, play, tension_of

_N_GENRES_OF_A_TITLE = (0.40, 0.42, 0.18)  # shares of titles with one, two, three genres
_LEAD = 40  # shots that are told before and after those that are kept
_FRAME_S = 1 / 24
_SHORTEST_S = 12 * _FRAME_S
_MEDIAN_S = {DIALOGUE: 3.6, ACTION: 2.6, PASSAGE: 4.4}


class Genres(NamedTuple):
    """What genres do to titles, the same throughout a world."""

    share: Floats
    """(G,) how often a genre is drawn."""
    style: Floats
    """(G, style) the look and sound of a genre."""
    mood: Floats
    """(G, mood) the moods that a genre is inclined to."""

    @classmethod
    def of(cls, rng: np.random.Generator) -> "Genres":
        """Draw them."""
        n = len(GENRES)
        style, mood = rng.normal(size=(n, width("style"))), rng.normal(size=(n, width("mood")))
        return cls(rng.dirichlet(np.full(n, 12.0)), style * 1.3, mood * 0.7)


class Story(NamedTuple):
    """The truth about one title."""

    genres: Ints
    """The title's genres, as indices into GENRES, the strongest first."""
    mix: Floats
    """(G,) their shares; they sum to 1."""
    latents: Floats
    """(S, L) what each shot is about."""
    kinds: Ints
    """(S,) DIALOGUE, ACTION or PASSAGE."""
    scenes: Ints
    """(S,) number of the scene that each shot belongs to, from 0."""
    ends_s: Floats
    """(S,) where each shot ends, seconds; each starts where the one before ends, the first at 0."""

    @property
    def starts_s(self) -> Floats:
        """(S,) where each shot starts, seconds."""
        return np.concatenate([[0.0], self.ends_s[:-1]])


def tell(rng: np.random.Generator, genres: Genres, n_shots: int) -> Story:
    """Draw a story of `n_shots` shots.

    It is cut out of a longer one: a title whose first shot opened a scene and whose last one closed one would tell
    its positions.
    """
    chosen, mix = _mix(rng, genres)
    n_strands = 2 + int(rng.integers(3))
    stage = Stage.of(rng, n_shots, n_strands, style=mix @ genres.style, mood=mix @ genres.mood)
    around = np.arange(-_LEAD, n_shots + _LEAD) % n_shots  # arcs lie on a circle
    scenes = play(rng, stage, arcs(rng, n_strands, n_shots)[:, around])
    kept = slice(_LEAD, _LEAD + n_shots)
    latents, kinds, numbers = scenes.latents(rng, stage)[kept], scenes.shot_kinds[kept], scenes.shot_scenes[kept]
    return Story(chosen, mix, latents, kinds, numbers - numbers[0], _ends_s(rng, kinds, tension_of(latents)))


def _mix(rng: np.random.Generator, genres: Genres) -> tuple[Ints, Floats]:
    n = 1 + int(rng.choice(3, p=_N_GENRES_OF_A_TITLE))
    chosen = rng.choice(len(GENRES), n, replace=False, p=genres.share)
    parts = -np.sort(-rng.dirichlet(np.full(n, 5.0)))
    mix = np.zeros(len(GENRES))
    mix[chosen] = parts
    return chosen, mix


def _ends_s(rng: np.random.Generator, kinds: Ints, tension: Floats) -> Floats:
    medians = np.array([_MEDIAN_S[kind] for kind in sorted(_MEDIAN_S)])[kinds]
    tempo = np.exp(rng.normal(0, 0.2) - 0.25 * tension + rng.normal(0, 0.5, len(kinds)))
    frames = np.round(np.maximum(medians * tempo, _SHORTEST_S) / _FRAME_S)
    return np.cumsum(frames) * _FRAME_S
