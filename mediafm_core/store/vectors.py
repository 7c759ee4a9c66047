"""Vectors beside the times of their shots: fp16 in a FixedSizeBinary column, which reads at the speed of the disk."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from mediafm_core.errors import DimensionError
from mediafm_core.identity import Span

VECTOR = "vector"


def span_columns(spans: Sequence[Span]) -> dict[str, pa.Array]:
    """The columns `start_s` and `end_s`, float64, seconds."""
    return {
        "start_s": pa.array([span.start_s for span in spans], pa.float64()),
        "end_s": pa.array([span.end_s for span in spans], pa.float64()),
    }


def spans_of(table: pa.Table) -> list[Span]:
    """The spans of a table with the columns `start_s` and `end_s`."""
    starts, ends = table["start_s"].to_pylist(), table["end_s"].to_pylist()
    return [Span(start, end) for start, end in zip(starts, ends, strict=True)]


def vector_column(vectors: np.ndarray) -> pa.Array:
    """(n, D) floats as n fixed-size binaries of D fp16 numbers.

    Raises:
        DimensionError: the array has another rank or no width, or holds NaN or infinity (also: a value beyond fp16's
            65,504).
    """
    with np.errstate(over="ignore"):  # it becomes infinity, which is refused below
        half = np.ascontiguousarray(vectors, dtype=np.float16)
    if half.ndim != 2 or half.shape[1] == 0 or not np.isfinite(half).all():
        raise DimensionError(
            f"vectors of shape {vectors.shape}",
            found="a wrong rank, no width, NaN, infinity or a value beyond fp16",
            expected="(n, D) finite floats below 65,504, D > 0",
            next_step="Look at the encoder that made them.",
        )
    width = half.shape[1] * half.itemsize
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(half), [None, pa.py_buffer(half.tobytes())])


def vector_table(spans: Sequence[Span], vectors: np.ndarray, **more: pa.Array) -> pa.Table:
    """A table of one vector per shot: `start_s`, `end_s`, `vector`, and any further columns.

    Raises:
        DimensionError: there are not as many vectors as spans.
    """
    if len(spans) != len(vectors):
        raise DimensionError(
            "vector table",
            found=f"{len(vectors)} vectors for {len(spans)} shots",
            expected="one vector per shot",
            next_step="The encoder dropped or added rows; look at it.",
        )
    return pa.table({**span_columns(spans), VECTOR: vector_column(vectors), **more})


def vectors_of(table: pa.Table, column: str = VECTOR) -> np.ndarray:
    """(n, D) float32 out of an fp16 column."""
    chunk = table[column].combine_chunks()
    chunk = chunk.chunk(0) if isinstance(chunk, pa.ChunkedArray) else chunk
    dims = chunk.type.byte_width // 2
    flat = np.frombuffer(chunk.buffers()[1], dtype=np.float16, count=len(chunk) * dims, offset=chunk.offset * dims * 2)
    return flat.reshape(len(chunk), dims).astype(np.float32)


def with_metadata(table: pa.Table, entries: Mapping[str, bytes]) -> pa.Table:
    """The same table with further entries in its schema's metadata."""
    return table.replace_schema_metadata(
        {**(table.schema.metadata or {}), **{k.encode(): v for k, v in entries.items()}}
    )
