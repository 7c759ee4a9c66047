"""Scenes: who is where, in which mood, for how many shots.

A semi-Markov process: a scene's strand, kind and mood hang on the scene before it, its length on its kind. Places,
people and topics belong to a strand and come back. In a dialogue two people alternate: shot and reverse shot.
"""

from typing import NamedTuple

import numpy as np

from mediafm_core.narrative.latents import ACTION, DIALOGUE, GROUPS, N_LATENTS, PASSAGE, Floats, Ints, width

_MEAN_SHOTS = {DIALOGUE: 11.0, ACTION: 9.0, PASSAGE: 4.0}
_EVENNESS = 3.0  # shape of the gamma that draws a scene's length
_TURN = 0.8  # probability that the next shot of a dialogue shows the other one
_REST, _SPREAD = 0.75, 0.6  # of an arc's tension, so that the latent number is about standard


class Stage(NamedTuple):
    """What a title's scenes are made of."""

    style: Floats
    """(style,)."""
    mood: Floats
    """(mood,) to which moods return."""
    strain: Floats
    """(mood,) where tension pulls the mood of this title."""
    places: Floats
    """(P, place); strand k plays at the places k, k + n_strands, ..."""
    topics: Floats
    """(P, topic) what is at hand at each place."""
    cast: Floats
    """(A, cast); strand k is played by k, k + n_strands, ..."""

    @classmethod
    def of(cls, rng: np.random.Generator, n_shots: int, n_strands: int, *, style: Floats, mood: Floats) -> "Stage":
        """Draw a title's own part: it differs from others of its genres."""
        n_places, n_cast = n_strands * (2 + min(n_shots // 120, 8)), n_strands * (2 + min(n_shots // 200, 5))
        places = rng.normal(0, 0.5, width("place")) + rng.normal(0, 0.9, (n_places, width("place")))
        return cls(
            style + rng.normal(0, 0.35, width("style")),
            mood + rng.normal(0, 0.35, width("mood")),
            rng.normal(0, 0.4, width("mood")),
            places,
            rng.normal(0, 0.8, (n_places, width("topic"))),
            rng.normal(0, 1.0, (n_cast, width("cast"))),
        )


class Scenes(NamedTuple):
    """The scenes of a title in their order (C of them), and its tension shot by shot."""

    lengths: Ints
    """(C,) in shots."""
    kinds: Ints
    """(C,)."""
    places: Ints
    """(C,) index of the place."""
    pairs: Ints
    """(C, 2) the two whom the scene is about."""
    moods: Floats
    """(C, mood)."""
    tension: Floats
    """(S,) of the strand that is on screen."""

    @property
    def shot_scenes(self) -> Ints:
        """(S,) the scene of each shot."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def shot_kinds(self) -> Ints:
        """(S,) the kind of each shot's scene."""
        return np.repeat(self.kinds, self.lengths)

    def latents(self, rng: np.random.Generator, stage: Stage) -> Floats:
        """(S, L) what each shot is about."""
        scene, n_scenes = self.shot_scenes, len(self.lengths)
        latents = np.zeros((len(scene), N_LATENTS))
        topics = stage.topics[self.places] + rng.normal(0, 0.6, (n_scenes, width("topic")))
        styles = stage.style + rng.normal(0, 0.5, (n_scenes, width("style")))
        latents[:, GROUPS["style"]] = styles[scene]
        latents[:, GROUPS["place"]] = stage.places[self.places][scene]
        latents[:, GROUPS["cast"]] = self._on_screen(rng, stage)
        latents[:, GROUPS["topic"]] = topics[scene]
        latents[:, GROUPS["mood"]] = self.moods[scene] + self._drift(rng)
        latents[:, GROUPS["tension"]] = self._strain(rng)[:, None]
        latents[:, GROUPS["kind"]] = 2.0 * np.eye(width("kind"))[self.shot_kinds] - 2 / 3
        return latents

    def _on_screen(self, rng: np.random.Generator, stage: Stage) -> Floats:
        """(S, cast) alternating in dialogue, either one in action, nobody in a passage."""
        kinds, n_shots = self.shot_kinds, len(self.tension)
        turns = np.cumsum(rng.random(n_shots) < _TURN) % 2
        either = rng.integers(0, 2, n_shots)
        who = self.pairs[self.shot_scenes, np.where(kinds == DIALOGUE, turns, either)]
        return stage.cast[who] * (kinds != PASSAGE)[:, None]

    def _drift(self, rng: np.random.Generator) -> Floats:
        """(S, mood) a scene's mood moves on while it lasts."""
        slopes = rng.normal(0, 0.5, self.moods.shape)
        return slopes[self.shot_scenes] * self._progress()[:, None]

    def _strain(self, rng: np.random.Generator) -> Floats:
        """(S,) the arc, the scene's own share, and a rise within the scene."""
        own, rise = rng.normal(0, 0.5, len(self.lengths)), rng.gamma(2, 0.3, len(self.lengths))
        scene = self.shot_scenes
        return (self.tension - _REST) / _SPREAD + own[scene] + rise[scene] * self._progress()

    def _progress(self) -> Floats:
        """(S,) how far each shot is into its scene, from -0.5 to 0.5."""
        firsts = np.cumsum(self.lengths) - self.lengths
        within = np.arange(len(self.tension)) - firsts[self.shot_scenes]
        return (within + 0.5) / self.lengths[self.shot_scenes] - 0.5


def tension_of(latents: Floats) -> Floats:
    """(S,) the latent tension."""
    return latents[:, GROUPS["tension"]][:, 0]


def play(rng: np.random.Generator, stage: Stage, arcs: Floats) -> Scenes:
    """Draw scenes until the title is full.

    Args:
        rng: the title's story.
        stage: what scenes are made of.
        arcs: (n_strands, S) tension.
    """
    n_strands, n_shots = arcs.shape
    rows, tension = [], np.empty(n_shots)
    strand, mood, at = int(rng.integers(n_strands)), stage.mood + rng.normal(0, 0.8, len(stage.mood)), 0
    while at < n_shots:
        strand = strand if rng.random() < 0.4 else int(rng.integers(n_strands))
        heat = (arcs[strand, at] - _REST) / _SPREAD
        kind = _kind(rng, heat)
        length = min(_length(rng, kind), n_shots - at)
        mood = 0.5 * mood + 0.5 * stage.mood + 0.5 * heat * stage.strain + rng.normal(0, 0.7, len(mood))
        rows.append((length, kind, *_where_and_who(rng, stage, strand, n_strands), mood))
        tension[at : at + length] = arcs[strand, at : at + length]
        at += length
    lengths, kinds, places, pairs, moods = (np.array(column) for column in zip(*rows, strict=True))
    return Scenes(lengths, kinds, places, pairs, moods, tension)


def _kind(rng: np.random.Generator, heat: float) -> int:
    """Tension makes action likelier."""
    action = 0.28 / (1 + np.exp(-1.2 * heat)) * 2
    return int(np.searchsorted(np.cumsum([0.82 - action, action]), rng.random(), side="right"))


def _length(rng: np.random.Generator, kind: int) -> int:
    return 1 + int(rng.gamma(_EVENNESS, _MEAN_SHOTS[kind] / _EVENNESS))


def _where_and_who(rng: np.random.Generator, stage: Stage, strand: int, n_strands: int) -> tuple[int, tuple[int, int]]:
    place = strand + n_strands * int(rng.integers(len(stage.places) // n_strands))
    first, second = rng.permutation(len(stage.cast) // n_strands)[:2]
    return place, (strand + n_strands * int(first), strand + n_strands * int(second))
