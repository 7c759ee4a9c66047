"""The three unimodal encoders that a catalogue perceives its shots by."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from mediafm_core.errors import EncoderMismatchError
from mediafm_core.identity import canonical_json, name_id

DELIVERED = "delivered"
"""A setting of instruments that ran elsewhere: their vectors come with the deliveries and cannot be made here."""


JOINT = "joint"
"""A setting of instruments that perceive several modalities in one pass over a shot: those modalities' names."""


SERVER = "server"
"""A setting of instruments that somebody else's machine runs, its address: answers differ a little between calls."""


class Modality(StrEnum):
    """What a shot is perceived by."""

    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A pretrained model as it is used: anything here that changes, changes what it produces."""

    name: str  # e.g. efficientnet-lite0
    weights_sha256: str
    settings: Mapping[str, Any] = field(default_factory=dict)  # preprocessing, precision, thresholds: JSON values

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**record)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnimodalSpec:
    """One unimodal encoder of a suite: an instrument, what it perceives, and the width of its vectors."""

    modality: Modality
    dims: int
    instrument: Instrument

    @property
    def is_remote(self) -> bool:
        """Whether it runs on somebody else's machine."""
        return bool(self.instrument.settings.get(SERVER))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(
            modality=Modality(record["modality"]),
            dims=record["dims"],
            instrument=Instrument.from_json(record["instrument"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Three pinned unimodal encoders. Its id is its alias and a hash over the three."""

    alias: str
    video: UnimodalSpec
    audio: UnimodalSpec
    text: UnimodalSpec

    def __post_init__(self) -> None:
        name_id(self.alias, "suite")
        for spec in (self.video, self.audio, self.text):
            together = {Modality(name) for name in spec.instrument.settings.get(JOINT, ())}
            if together and together != set(self.read_with(spec.modality)):
                raise EncoderMismatchError(
                    f"suite {self.alias!r}",
                    found=f"{spec.instrument.name!r} for {', '.join(self.read_with(spec.modality))}",
                    expected=f"it for {', '.join(sorted(together))}, which it perceives together",
                    next_step="Name the same model for each of them.",
                )

    def read_with(self, modality: Modality) -> tuple[Modality, ...]:
        """The modalities that are perceived in one pass with this one, itself among them."""
        own = self.spec(modality).instrument
        if not own.settings.get(JOINT):
            return (modality,)
        return tuple(other for other in Modality if self.spec(other).instrument == own)

    @property
    def id(self) -> str:
        """The suite's name in partition keys, e.g. `embedded-1f0c2a9b`."""
        body = canonical_json([asdict(self.video), asdict(self.audio), asdict(self.text)])
        return f"{self.alias}-{hashlib.sha256(body.encode()).hexdigest()[:8]}"

    @property
    def dims(self) -> int:
        """Width of the fused embedding: the sum of the three."""
        return self.video.dims + self.audio.dims + self.text.dims

    @property
    def is_delivered(self) -> bool:
        """Whether its encoders ran elsewhere, so that only titles which bring its embeddings have them."""
        return any(self.spec(modality).instrument.settings.get(DELIVERED) for modality in Modality)

    def spec(self, modality: Modality) -> UnimodalSpec:
        """The unimodal encoder of one modality."""
        return {Modality.VIDEO: self.video, Modality.AUDIO: self.audio, Modality.TEXT: self.text}[modality]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(
            alias=record["alias"],
            video=UnimodalSpec.from_json(record["video"]),
            audio=UnimodalSpec.from_json(record["audio"]),
            text=UnimodalSpec.from_json(record["text"]),
        )
