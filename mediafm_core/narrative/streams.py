"""Where randomness comes from: a stream of its own for each purpose, so that none moves when another draws more."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What is drawn. The numbers are part of the recipe: never change one, never use one twice."""

    GENRES = 0
    SENSES = 1
    JUDGES = 2
    REFERENCE = 3  # the stories on which judges are calibrated; no title is ever one of them
    LENGTH = 4
    STORY = 5
    EMBEDDINGS = 6
    METADATA = 7
    LABELS = 8
    WORDS = 9


def stream(world_seed: int, what: Stream, number: int = 0) -> np.random.Generator:
    """The generator for one purpose in one world; `number` is the title's seed where the purpose is a title's."""
    return np.random.default_rng(np.random.SeedSequence(entropy=world_seed, spawn_key=(int(what), number)))
