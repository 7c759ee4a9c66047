"""What a joint encoder is: one model that perceives several modalities of a shot in one pass.

It stands in a suite once for each modality that it perceives, by the same instrument, whose setting `joint` names them.
It gives each of them a block of its own, so whatever reads embeddings by modality reads these as any others.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from mediafm_core.catalogue.suite import JOINT, Modality, UnimodalSpec
from mediafm_core.encoders.protocol import Samples, Stills

Vectors = npt.NDArray[np.float32]
NO_STILLS: Stills = np.zeros((0, 224, 224, 3), np.uint8)
NO_SOUND: npt.NDArray[np.int16] = np.zeros(0, np.int16)


class JointShot(NamedTuple):
    """All that a shot offers; what it does not offer is empty."""

    stills: Stills = NO_STILLS
    sound: Samples = NO_SOUND
    text: str = ""


FIELDS: Mapping[Modality, str] = MappingProxyType(
    {Modality.VIDEO: "stills", Modality.AUDIO: "sound", Modality.TEXT: "text"}
)
"""Of a `JointShot`, by what is perceived of it."""


class JointEncoder(Protocol):
    """One pretrained model that turns what a shot offers in several modalities into a vector for each.

    Laws: those of `UnimodalEncoder`, block by block: a modality that a shot does not offer is a block of zeros, and no
    other block is. What a shot offers in one modality may move its blocks of the others.
    """

    @property
    def specs(self) -> Mapping[Modality, UnimodalSpec]:
        """One for each modality, in the order of `Modality`, of one instrument."""
        ...

    def encode_shots(self, shots: Sequence[JointShot]) -> Vectors:
        """Encode shots, each read once and in order: (n_shots, sum of the widths) float32, blocks as in `specs`.

        Raises:
            DimensionError: a shot's array has not the shape or dtype of its modality.
        """
        ...


class JointEntry(NamedTuple):
    """A joint encoder that can be loaded by its name: what an entry point of `mediafm.encoders` gives, too."""

    specs: Callable[[], Mapping[Modality, UnimodalSpec]]
    """Its records, as `JointEncoder.specs`; the instrument bears the entry point's name."""
    load: Callable[..., JointEncoder]
    """Called with `n_threads`."""
    libraries: tuple[str, ...] = ()
    """As in `Entry`."""


def fault_of(specs: Mapping[Modality, UnimodalSpec]) -> str | None:
    """The rule that the records of a joint encoder break, in words; None where they keep all."""
    named = [list(spec.instrument.settings.get(JOINT, ())) for spec in specs.values()]
    rules = {
        "it perceives at least two modalities": len(specs) > 1,
        "its records stand in the order of `Modality`, each under its own": [s.modality for s in specs.values()]
        == [m for m in Modality if m in specs],
        "its records are of one instrument": all(
            s.instrument == t.instrument for s in specs.values() for t in specs.values()
        ),
        f"the setting {JOINT!r} names its modalities": all(names == list(specs) for names in named),
        "each of its widths is above 0": all(spec.dims > 0 for spec in specs.values()),
    }
    return next((rule for rule, holds in rules.items() if not holds), None)


class OneModality:
    """A joint encoder that is offered one modality alone: a unimodal encoder as any other.

    So titles' metadata are read by it, canaries watch it, and `check_encoder` holds it to the laws.

    Args:
        encoder: the joint one.
        modality: one of its.
    """

    def __init__(self, encoder: JointEncoder, modality: Modality) -> None:
        self.spec, self.encoder = encoder.specs[modality], encoder

    def encode(self, shots: Sequence[Any]) -> Vectors:
        """See `UnimodalEncoder`."""
        offered = [JointShot(**{FIELDS[self.spec.modality]: shot}) for shot in shots]
        return blocks(self.encoder.specs, self.encoder.encode_shots(offered))[self.spec.modality]


def blocks(specs: Mapping[Modality, UnimodalSpec], vectors: Vectors) -> dict[Modality, Vectors]:
    """The blocks of (n, sum of the widths) vectors by modality: views, not copies."""
    edges = np.cumsum([spec.dims for spec in specs.values()])[:-1]
    return dict(zip(specs, np.split(vectors, edges, axis=1), strict=True))
