"""One title of a world, from its seed alone: the same whether it is made first, last, or never with others."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mediafm_core.catalogue.suite import Modality
from mediafm_core.catalogue.title import Metadata
from mediafm_core.errors import DimensionError
from mediafm_core.identity import TitleId, title_id
from mediafm_core.narrative.config import GENRES, N_SEEDS, SHORT, Lengths
from mediafm_core.narrative.labels import TaskLabels, judge_title
from mediafm_core.narrative.latents import Floats
from mediafm_core.narrative.senses import perceive_metadata, perceive_story
from mediafm_core.narrative.story import Story, tell
from mediafm_core.narrative.streams import Stream, stream
from mediafm_core.narrative.world import World

_PLACES = ("harbour", "mountain village", "big city", "desert road", "island", "space station", "old school", "castle")
_PEOPLE = ("two sisters", "a retired detective", "three friends", "a young cook", "a travelling band", "a lost robot")
_STAKES = ("a debt that comes due", "a letter without a sender", "one last journey", "a secret of the family")


@dataclass(frozen=True, slots=True, kw_only=True)
class NarrativeTitle:
    """A synthetic title: its truth, which no delivery holds, and what is delivered of it.

    Shape letters: S shots, D the width of a modality.
    """

    id: TitleId
    metadata: Metadata
    story: Story
    vectors: Mapping[Modality, Floats]  # (S, D) each; a row of zeros where the modality is absent
    metadata_vector: Floats  # (D of text,)
    labels: tuple[TaskLabels, ...]  # one for each task

    @property
    def latents(self) -> Floats:
        """(S, L) what each shot is about: the truth, for tests and ceilings."""
        return self.story.latents

    @property
    def n_shots(self) -> int:
        """How many shots it has."""
        return len(self.story.ends_s)


def title(world: World, seed: int, n_shots: int | None = None) -> NarrativeTitle:
    """Make the title of one seed.

    Args:
        world: whose title it is.
        seed: 0 to 999,999; also the number in the title's id.
        n_shots: how many shots, at least 2; None draws 40 to 160 from the seed.

    Raises:
        DimensionError: the seed or the number of shots is outside of its range.
    """
    n_shots = draw_length(world, seed, SHORT) if n_shots is None else n_shots
    _check(0 <= seed < N_SEEDS and n_shots >= 2, f"seed {seed}, {n_shots} shots")
    config = world.config
    story = tell(stream(config.seed, Stream.STORY, seed), world.genres, n_shots)
    vectors = perceive_story(stream(config.seed, Stream.EMBEDDINGS, seed), story, world.senses, config)
    about = stream(config.seed, Stream.METADATA, seed)
    return NarrativeTitle(
        id=id_of(world, seed),
        metadata=_metadata(world, seed, story),
        story=story,
        vectors=vectors,
        metadata_vector=perceive_metadata(about, story, world.genres, world.senses[Modality.TEXT], config),
        labels=judge_title(stream(config.seed, Stream.LABELS, seed), story, world.judges, config),
    )


def id_of(world: World, seed: int) -> TitleId:
    """The id of a title that need not have been made."""
    return title_id(f"narrative-w{world.config.seed}-{seed:06d}")


def draw_length(world: World, seed: int, lengths: Lengths) -> int:
    """The number of shots that a title has when lengths are spread like this.

    Raises:
        DimensionError: the seed is outside of its range.
    """
    _check(0 <= seed < N_SEEDS, f"seed {seed}")
    rng = stream(world.config.seed, Stream.LENGTH, seed)
    if lengths.spread == 0:
        return int(rng.integers(lengths.low, lengths.high + 1))
    return int(np.clip(round(rng.lognormal(np.log(lengths.median), lengths.spread)), lengths.low, lengths.high))


def _check(holds: bool, found: str) -> None:
    if not holds:
        raise DimensionError(
            "narrative title",
            found=found,
            expected="a seed from 0 to 999,999 and at least 2 shots",
            next_step="Choose other numbers.",
        )


def _metadata(world: World, seed: int, story: Story) -> Metadata:
    """A name, a synopsis and tags; they name the strongest genre alone."""
    rng = stream(world.config.seed, Stream.WORDS, seed)
    people, place, stakes = (str(rng.choice(words)) for words in (_PEOPLE, _PLACES, _STAKES))
    strongest = GENRES[story.genres[0]]
    return Metadata(
        name=f"Synthetic title {seed} of narrative world {world.config.seed}",
        synopsis=f"A synthetic {strongest} story about {people}, {stakes}, and a {place}.",
        tags=("synthetic", strongest),
        source=f"synthetic: narrative world {world.config.seed} ({world.config.fingerprint[:8]}), title seed {seed}",
    )
