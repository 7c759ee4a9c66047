"""What an encoder is made of, as one checked value that turns into JSON and back. Free of torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self

from mediafm_core import paper
from mediafm_core.errors import DimensionError


class Positions(StrEnum):
    """How an encoder knows where in its title a shot stands."""

    LEARNED = "learned"  # the post's: one learned vector for each place in the window
    ROTARY = (
        "rotary"  # ours: attention turns with the distance of two shots, and a shot knows its fraction of the title
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The sizes of an encoder.

    Raises:
        DimensionError: a size that no encoder can have.
    """

    video_dims: int  # widths of the fused embedding's three blocks, in this order
    audio_dims: int
    text_dims: int
    metadata_dims: int  # width of the title's metadata embedding, which becomes [GLOBAL]
    hidden: int = 768  # width of a contextual embedding
    layers: int = 12
    heads: int = 12  # hidden / heads is the width of one attention head; even, because rotary positions turn pairs
    mlp_ratio: int = 4  # the feed-forward's inner width over `hidden`
    dropout: float = 0.1  # on what each block adds; attention itself is never dropped
    positions: Positions = Positions.ROTARY
    window: int = paper.MAX_SHOTS  # shots read at once; longer titles are read by overlapping windows

    def __post_init__(self) -> None:
        sizes = {f.name: getattr(self, f.name) for f in fields(self) if f.type is int}
        for name, size in sizes.items():
            _require(isinstance(size, int) and size >= 1, name, size, "a whole number of at least 1")
        _require(self.hidden % (2 * self.heads) == 0, "hidden", self.hidden, f"a multiple of 2 x {self.heads} heads")
        _require(0.0 <= self.dropout < 1.0, "dropout", self.dropout, "a share in [0, 1)")
        _require(self.positions in tuple(Positions), "positions", self.positions, f"one of {', '.join(Positions)}")

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

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, all fields spelled out."""
        return {**asdict(self), "positions": str(self.positions)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            DimensionError: a field is unknown or missing, or has a value that no encoder can have.
        """
        known = {f.name for f in fields(cls)}
        _require(set(record) == known, "fields", sorted(record), f"exactly {sorted(known)}")
        _require(record["positions"] in tuple(Positions), "positions", record["positions"], "learned or rotary")
        return cls(**{**record, "positions": Positions(record["positions"])})


def tiny(modality_dims: tuple[int, int, int], metadata_dims: int) -> ModelConfig:
    """About 4 million parameters: trained in CPU minutes."""
    video, audio, text = modality_dims
    return ModelConfig(
        video_dims=video,
        audio_dims=audio,
        text_dims=text,
        metadata_dims=metadata_dims,
        hidden=256,
        layers=4,
        heads=4,
        dropout=0.0,
    )


def base(
    modality_dims: tuple[int, int, int], metadata_dims: int, positions: Positions = Positions.ROTARY
) -> ModelConfig:
    """The size of BERT-base, which the post names as its kin without giving sizes."""
    video, audio, text = modality_dims
    return ModelConfig(
        video_dims=video, audio_dims=audio, text_dims=text, metadata_dims=metadata_dims, positions=positions
    )


def _require(holds: bool, name: str, found: object, expected: str) -> None:
    if not holds:
        raise DimensionError(
            f"model configuration, {name}", found=repr(found), expected=expected, next_step="Correct the configuration."
        )
