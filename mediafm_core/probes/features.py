"""The vectors of a title's shots, and the vectors of clips that are read from them; both say what made them.

Shape letters: S shots, D width of a shot's vector, n clips, R width of a read.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import DimensionError

Vectors = NDArray[np.float32]
Times = NDArray[np.float64]

FUSED: Final = "fused"
"""In an encoder's place: the vectors are fused ones, which no MediaFM encoder has read."""


class Origin(NamedTuple):
    """What made the vectors. Those of different origins are never compared, nor read by the same head."""

    encoder: str  # or FUSED
    suite: str
    made_by: str = ""  # the encoder's fingerprint; "" of vectors that come from no store

    def agrees(self, other: "Origin") -> bool:
        """Whether both made one kind of vectors: by their names and, where both know it, by the fingerprint."""
        both_known = self.made_by and other.made_by
        return self[:2] == other[:2] and (not both_known or self.made_by == other.made_by)

    def __str__(self) -> str:
        """Its names, and the beginning of the fingerprint."""
        return f"encoder {self.encoder!r} on suite {self.suite!r}{f' ({self.made_by[:12]})' * bool(self.made_by)}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TitleShots:
    """The shots of one title, as an encoder or a fusion gave them."""

    title: str
    origin: Origin
    start_s: Times  # (S,), ascending
    end_s: Times  # (S,), ascending; shots do not overlap
    vectors: Vectors  # (S, D)
    title_vector: Vectors | None = None  # (D,), the encoder's [CLS]; with fused vectors the metadata's embedding

    def __post_init__(self) -> None:
        n_shots = len(self.vectors)
        if self.vectors.ndim != 2 or not n_shots or not len(self.start_s) == len(self.end_s) == n_shots:
            raise DimensionError(
                f"shots of title {self.title!r}",
                found=f"vectors {self.vectors.shape}, {len(self.start_s)} starts, {len(self.end_s)} ends",
                expected="(S, D) vectors with S starts and S ends, S at least 1",
                next_step="Read spans and vectors from one artifact.",
            )


class Features(NamedTuple):
    """One vector per clip, and where it came from."""

    origin: Origin
    read: str
    values: Vectors  # (n, R)

    def rows(self, chosen: NDArray[np.bool_]) -> "Features":
        """Those of the clips where `chosen` (n,) is true."""
        return self._replace(values=self.values[chosen])
