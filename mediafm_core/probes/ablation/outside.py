"""Vectors of clips that models outside of this project made: taken from a file, checked, frozen by their content."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mediafm_core.errors import DeliveryError
from mediafm_core.identity import name_id
from mediafm_core.probes.labels import LabelSet
from mediafm_core.probes.reading import read_labels
from mediafm_core.probes.tasks import task_named
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.vectors import vectors_of

_COLUMNS = ("title", "start_s", "end_s", "vector")
_N_ROWS_SHOWN = 5

ClipKey = tuple[str, int, int]
"""Title, start and end in milliseconds: so much do times agree."""


class OutsideTable(NamedTuple):
    """What was taken."""

    name: str
    table: str  # sha256 of the table that the home keeps
    n_clips: int
    dims: int
    covered: Mapping[str, tuple[int, int]]  # by task: labelled clips with a vector, and all of them


def declare_outside(home: Home, name: str, path: Path) -> OutsideTable:
    """Take a file as what a model says of clips: a row in every ablation that is asked for from now on.

    It makes a row for each task whose labelled clips it has all.

    Args:
        home: the home.
        name: of the model.
        path: Parquet with the columns title, start_s, end_s (seconds) and vector: lists of finite floats of one length,
            or fp16 numbers as FixedSizeBinary. A clip without a vector is left out of the file.

    Raises:
        IdentityError: the name cannot be one.
        DeliveryError: the file cannot be read, a row breaks a rule, or no task has all of its clips in it.
    """
    name_id(name, "outside model")
    labels = _labelled(home)
    frame, vectors = _read(path)
    keys = clip_keys(*(frame[column].to_list() for column in ("title", "start_s", "end_s")))
    known = {key for each in labels for key in keys_of(each)}
    _refuse(path, [i for i, key in enumerate(keys) if key not in known], "a span that is no labelled clip's", _CLIP)
    _refuse(path, _again(keys), "a clip that stands in an earlier row", "one row for each clip")
    covered = {each.task.name: (len(set(keys_of(each)) & set(keys)), len(each)) for each in labels}
    if not any(n == n_all for n, n_all in covered.values()):
        said = ", ".join(f"{n} of {n_all} of {task}" for task, (n, n_all) in covered.items())
        raise _refused(path, f"no task with all of its labelled clips ({said or 'no labels'})", "at least one")
    table = home.blobs.keep_bytes(_bytes(frame, vectors))
    home.declare("outside", name, {"name": name, "table": table, "n_clips": len(keys), "dims": vectors.shape[1]})
    return OutsideTable(name, table, len(keys), vectors.shape[1], covered)


def keys_of(labels: LabelSet) -> list[ClipKey]:
    """The clips of a label set, in its order."""
    return clip_keys([labels.titles[i] for i in labels.of], labels.start_s, labels.end_s)


def clip_keys(titles: Iterable[str], start_s: Iterable[float], end_s: Iterable[float]) -> list[ClipKey]:
    """What clips are matched by."""
    return [(t, round(a * 1000), round(b * 1000)) for t, a, b in zip(titles, start_s, end_s, strict=True)]


_CLIP = "title, start_s and end_s as in the labels, to the millisecond"


def _labelled(home: Home) -> list[LabelSet]:
    frozen = read_state(home).labels
    return [read_labels(home.blobs.path(frozen[task].table), task_named(task)) for task in sorted(frozen)]


def _read(path: Path) -> tuple[pl.DataFrame, NDArray[np.float32]]:
    """The clips in the order of the file, and (n, R) vectors."""
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as wrong:
        raise _refused(path, f"a file that cannot be read ({wrong})".replace("\n", " "), "Parquet") from wrong
    if sorted(table.column_names) != sorted(_COLUMNS) or not table.num_rows:
        raise _refused(
            path, f"{table.num_rows} rows, columns {', '.join(table.column_names)}", f"rows of {', '.join(_COLUMNS)}"
        )
    _refuse(path, _with_nulls(table), "a cell that is empty", "all four in every row")
    try:
        clips = pl.DataFrame(table.select(_COLUMNS[:3]))
        frame = clips.cast({"title": pl.String(), "start_s": pl.Float64(), "end_s": pl.Float64()})
    except pl.exceptions.PolarsError as wrong:
        raise _refused(
            path, f"columns of types {table.schema.types[:3]}", "text, and two columns of seconds"
        ) from wrong
    times = frame.select("start_s", "end_s").to_numpy()
    _refuse(path, np.flatnonzero(~np.isfinite(times).all(axis=1)), "a time that is no number", "seconds")
    return frame, _vectors(path, table)


def _with_nulls(table: pa.Table) -> NDArray[np.intp]:
    empty = [column.is_null(nan_is_null=False).to_numpy(zero_copy_only=False) for column in table.columns]
    return np.flatnonzero(np.any(empty, axis=0))


def _vectors(path: Path, table: pa.Table) -> NDArray[np.float32]:
    column = table["vector"].combine_chunks()
    kind = column.type
    if pa.types.is_fixed_size_binary(kind) and kind.byte_width and kind.byte_width % 2 == 0:
        vectors = vectors_of(table)
    elif _is_list(kind) and pa.types.is_floating(kind.value_type):
        vectors = _from_lists(path, column)
    else:
        raise _refused(path, f"column vector of type {kind}", "lists of floats, or fp16 numbers as FixedSizeBinary")
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    _refuse(path, broken, "NaN, infinity or an empty number in a vector", "finite numbers")
    return vectors


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _from_lists(path: Path, column: pa.ChunkedArray | pa.Array) -> NDArray[np.float32]:
    rows = [np.array(row, np.float32) for row in column.to_pylist()]  # an empty number becomes NaN
    widths = np.array([len(row) for row in rows])
    usual = int(np.bincount(widths).argmax())
    expected = f"vectors of one width, {usual} in most rows" if usual else "vectors of at least one number"
    _refuse(path, np.flatnonzero((widths != usual) | (widths == 0)), "a vector of another width", expected)
    return np.stack(rows)


def _again(keys: list[ClipKey]) -> list[int]:
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    return [i for i, key in enumerate(keys) if first[key] != i]


def _bytes(frame: pl.DataFrame, vectors: NDArray[np.float32]) -> bytes:
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    sink = BytesIO()
    pq.write_table(frame.to_arrow().append_column("vector", column), sink, compression="zstd")
    return sink.getvalue()


def _refuse(path: Path, rows: Iterable[int], found: str, expected: str) -> None:
    """Refuse the file where there are such rows, given from 0 and named from 1."""
    numbers = [str(row + 1) for row in rows]
    if numbers:
        shown, n_more = ", ".join(numbers[:_N_ROWS_SHOWN]), len(numbers) - _N_ROWS_SHOWN
        raise _refused(path, found, expected, f", row {shown}" + (f" and {n_more} more" if n_more > 0 else ""))


def _refused(path: Path, found: str, expected: str, where: str = "") -> DeliveryError:
    said = "Mend the file and give it again; nothing was taken."
    return DeliveryError(f"clip vectors {path.name!r}{where}", found=found, expected=expected, next_step=said)
