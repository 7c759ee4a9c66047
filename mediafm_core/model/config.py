"""What an encoder is made of, as one checked value that turns into JSON and back. Free of torch."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from mediafm_core import paper
from mediafm_core.errors import DimensionError
from mediafm_core.model.records import from_record, to_record


class Positions(StrEnum):
    """How an encoder knows where in its title a shot stands."""

    LEARNED = "learned"  # the post's: one learned vector for each place in the window
    ROTARY = (
        "rotary"  # ours: attention turns with the distance of two shots, and a shot knows its fraction of the title
    )


class Missing(StrEnum):
    """What stands for a modality that a shot does not have."""

    ZERO = "zero"  # the post's footnote: nothing
    LEARNED = "learned"  # ours: one learned vector for each modality


class Reading(StrEnum):
    """How a title longer than the window is read."""

    WINDOWS = "windows"  # by overlapping windows, stitched
    WHOLE = "whole"  # in one pass; rotary positions only


class Precision(StrEnum):
    """Of the numbers in a pass through the encoder; its weights are always kept in float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Readout(StrEnum):
    """What is stored of a shot."""

    HIDDEN = "hidden"  # the last hidden state
    PROJECTED = "projected"  # the post's: the prediction of the shot, as wide as the fused embedding


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """What an encoder is made of, and how it is read.

    Raises:
        DimensionError: a size that no encoder can have.
    """

    video_dims: int  # widths of the fused embedding's three blocks, in this order
    audio_dims: int
    text_dims: int
    metadata_dims: int  # width of the title's metadata embedding, which becomes [GLOBAL]
    hidden: int = 768  # width of a token inside the encoder
    layers: int = 12
    heads: int = 12  # hidden / heads is the width of one attention head; even, because rotary positions turn pairs
    mlp_ratio: int = 4  # the feed-forward's inner width over `hidden`
    dropout: float = 0.1  # on what each block adds; attention itself is never dropped
    positions: Positions = Positions.ROTARY
    window: int = paper.MAX_SHOTS  # shots read at once in training, and by Reading.WINDOWS
    stride_share: float = 0.75  # of a window: at most so far from one window's start to the next
    reading: Reading = Reading.WINDOWS
    readout: Readout = Readout.HIDDEN
    precision: Precision = Precision.FLOAT32  # in which titles are read; training has its own
    missing: Missing = Missing.ZERO
    stem: tuple[int, ...] = ()  # each shot also takes in the means of so many shots before and after it, and of all

    def __post_init__(self) -> None:
        sizes = {f.name: getattr(self, f.name) for f in fields(self) if f.type is int}
        for name, size in sizes.items():
            _require(isinstance(size, int) and size >= 1, name, size, "a whole number of at least 1")
        _require(self.hidden % (2 * self.heads) == 0, "hidden", self.hidden, f"a multiple of 2 x {self.heads} heads")
        _require(0.0 <= self.dropout < 1.0, "dropout", self.dropout, "a share in [0, 1)")
        _require(0.0 < self.stride_share <= 1.0, "stride_share", self.stride_share, "a share in (0, 1]")
        _require(all(k >= 1 for k in self.stem), "stem", self.stem, "numbers of shots, each at least 1")
        can_be_whole = self.reading is not Reading.WHOLE or self.positions is Positions.ROTARY
        _require(can_be_whole, "reading", self.reading, "windows, where positions are learned")

    @property
    def modality_dims(self) -> tuple[int, int, int]:
        """Widths of the video, audio and text blocks, in the order in which they are concatenated."""
        return self.video_dims, self.audio_dims, self.text_dims

    @property
    def fused_dims(self) -> int:
        """Width of the fused embedding."""
        return sum(self.modality_dims)

    @property
    def head_dims(self) -> int:
        """Width of one attention head."""
        return self.hidden // self.heads

    @property
    def stride(self) -> int:
        """At most so many shots from one window's start to the next."""
        return max(1, int(self.window * self.stride_share))

    @property
    def dims(self) -> int:
        """Width of a contextual embedding."""
        return self.fused_dims if self.readout is Readout.PROJECTED else self.hidden

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, all fields spelled out."""
        return to_record(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote, in this version or an earlier one.

        Raises:
            DimensionError: a field is unknown or missing, or has a value that no encoder can have.
        """
        return from_record(cls, record, _require)


_SIZES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "tiny": {"hidden": 256, "layers": 4, "heads": 4, "dropout": 0.0},
        "base": {"hidden": 768, "layers": 12, "heads": 12},
        "large": {"hidden": 1024, "layers": 24, "heads": 16},
    }
)

SIZES = tuple(_SIZES)
"""tiny: about 4.5 million parameters, trained in CPU minutes. base: that of BERT-base, which the post names as its kin
without giving sizes. large: that of BERT-large."""


def sized(size: str, modality_dims: tuple[int, int, int], metadata_dims: int, **options: Any) -> ModelConfig:
    """The configuration of an encoder of one of `SIZES`.

    Args:
        size: its name.
        modality_dims: widths of the video, audio and text blocks.
        metadata_dims: width of the metadata embedding.
        options: further fields of `ModelConfig`.

    Raises:
        DimensionError: there is no such size, or the options cannot be.
    """
    _require(size in _SIZES, "size", size, f"one of {', '.join(SIZES)}")
    video, audio, text = modality_dims
    widths = {"video_dims": video, "audio_dims": audio, "text_dims": text, "metadata_dims": metadata_dims}
    return ModelConfig(**widths, **{**_SIZES[size], **options})


def _require(holds: bool, name: str, found: object, expected: str) -> None:
    if not holds:
        raise DimensionError(
            f"model configuration, {name}",
            found=repr(found),
            expected=expected,
            next_step="Give it another value, as by `--set model.window=256` of `mediafm encoder train`.",
        )
