"""A canary: one input that never changes. Sets of them are kept as Parquet, as the arrays that encoders take.

They are kept decoded, so that another version of a decoder is no drift of an encoder.
"""

import hashlib
from collections.abc import Iterable
from io import BytesIO
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mediafm_core.catalogue.suite import Modality
from mediafm_core.errors import DimensionError

Value = NDArray[np.uint8] | NDArray[np.int16] | str
"""Stills (k, h, w, 3) uint8, sound (n,) int16 at 16 kHz, or a text: what the encoder of the modality takes."""

_SCHEMA: Final = pa.schema(
    [("name", pa.string()), ("modality", pa.string()), ("shape", pa.list_(pa.int64())), ("data", pa.binary())]
)


class Canary(NamedTuple):
    """One fixed input."""

    name: str
    modality: Modality
    value: Value

    @property
    def data(self) -> bytes:
        """The bytes of its value."""
        return self.value.encode() if isinstance(self.value, str) else np.ascontiguousarray(self.value).tobytes()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array; of a text none."""
        return () if isinstance(self.value, str) else self.value.shape

    @property
    def digest(self) -> str:
        """Its content's sha256, whatever it is called."""
        return hashlib.sha256(f"{self.modality} {self.shape} ".encode() + self.data).hexdigest()


def to_bytes(canaries: Iterable[Canary]) -> bytes:
    """A set of canaries as Parquet."""
    rows = [{"name": c.name, "modality": c.modality.value, "shape": list(c.shape), "data": c.data} for c in canaries]
    sink = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), sink, compression="zstd", use_dictionary=False)
    return sink.getvalue()


def from_bytes(data: bytes) -> tuple[Canary, ...]:
    """Read what `to_bytes` wrote.

    Raises:
        DimensionError: a row's bytes do not fill its shape.
    """
    return tuple(_canary(row) for row in pq.read_table(BytesIO(data)).to_pylist())


def _canary(row: dict[str, object]) -> Canary:
    name, modality, shape, data = str(row["name"]), Modality(row["modality"]), row["shape"], row["data"]
    assert isinstance(data, bytes)
    assert isinstance(shape, list)
    if modality is Modality.TEXT:
        return Canary(name, modality, data.decode())
    flat = np.frombuffer(data, np.uint8) if modality is Modality.VIDEO else np.frombuffer(data, np.int16)
    if flat.size != np.prod(shape):
        raise DimensionError(
            f"canary {name!r}",
            found=f"{flat.size} numbers",
            expected=f"shape {tuple(shape)}",
            next_step="Its table was not written by MediaFM.",
        )
    return Canary(name, modality, flat.reshape(shape))


def of_modality(canaries: Iterable[Canary], modality: Modality) -> tuple[Canary, ...]:
    """Those of one modality, each content once, in order."""
    return tuple({c.digest: c for c in canaries if c.modality is modality}.values())
