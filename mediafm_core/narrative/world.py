"""A world: what all of its titles have in common, drawn once from the world's seed."""

from dataclasses import dataclass
from typing import Self

from mediafm_core.catalogue.suite import Instrument, Modality, Suite, UnimodalSpec
from mediafm_core.narrative.config import WorldConfig
from mediafm_core.narrative.judges import Judges
from mediafm_core.narrative.senses import Sense
from mediafm_core.narrative.story import Genres
from mediafm_core.narrative.streams import Stream, stream


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Genres, senses and judges. Make one with `World.of`; it holds no title."""

    config: WorldConfig
    genres: Genres
    senses: dict[Modality, Sense]
    judges: Judges

    @classmethod
    def of(cls, config: WorldConfig) -> Self:
        """Draw the world of a configuration: always the same one."""
        genres = Genres.of(stream(config.seed, Stream.GENRES))
        senses = {m: Sense.of(stream(config.seed, Stream.SENSES, i), m, config) for i, m in enumerate(Modality)}
        return cls(config=config, genres=genres, senses=senses, judges=Judges.of(config, genres))

    @property
    def suite(self) -> Suite:
        """The suite that a delivery's embeddings belong to. Two worlds are two suites."""
        video, audio, text = (_spec(self, modality) for modality in (Modality.VIDEO, Modality.AUDIO, Modality.TEXT))
        return Suite(alias=f"narrative-w{self.config.seed}", video=video, audio=audio, text=text)


def _spec(world: World, modality: Modality) -> UnimodalSpec:
    instrument = Instrument(name=f"narrative-{modality.value}", weights_sha256=world.config.fingerprint)
    return UnimodalSpec(modality=modality, dims=len(world.senses[modality].common), instrument=instrument)
