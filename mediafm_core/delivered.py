"""What was made elsewhere and is delivered with a title: shot lists and embeddings, checked before anything reads them.

Shape letters: S shots, Dv, Da, Dt the widths of video, audio and text.
"""

import base64
import binascii
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.catalogue.suite import DELIVERED, Instrument, Modality, Suite, UnimodalSpec
from mediafm_core.errors import DeliveryError, DimensionError, IdentityError
from mediafm_core.identity import Span
from mediafm_core.store.vectors import spans_of, vectors_of

SUITE_KEY = b"mediafm.suite"
"""Entry of embeddings.parquet: a JSON object with the suite's alias, and name, dims and sha256 of each modality."""

METADATA_KEY = b"mediafm.metadata"
"""Entry of embeddings.parquet: base64 of the title's metadata embedding, little-endian fp16, as wide as the text's."""

LABEL_COLUMNS = pa.schema(
    [
        ("task", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("labels", pa.list_(pa.string())),
        ("rank", pa.float64()),
    ]
)
"""The columns of labels.parquet: one row per task and clip."""

_SLACK_S = 1e-6
NOT_AS_DECLARED = (
    *(KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, binascii.Error),
    *(IdentityError, DimensionError),
)
"""What entries and columns raise that are not what they should be."""

Vectors = npt.NDArray[np.float32]


class Embeddings(NamedTuple):
    """The embeddings of one title, made elsewhere by the suite that they name."""

    suite: Suite
    spans: list[Span]
    vectors: dict[Modality, Vectors]  # (S, Dv), (S, Da), (S, Dt) float32; a row of zeros is an absent modality
    metadata: Vectors  # (Dt,) float32


def read_shot_list(path: Path) -> list[Span]:
    """Read a delivered shot list.

    Raises:
        DeliveryError: it cannot be read, is empty, or does not tile [0, end) in order.
    """
    table = _table(path, ("start_s", "end_s"))
    try:
        spans = spans_of(table)
    except (IdentityError, TypeError) as wrong:
        raise refused(path, f"a shot that is no span ({wrong})", "0 <= start_s < end_s in every row") from wrong
    edge = 0.0
    for row, span in enumerate(spans, start=1):
        if abs(span.start_s - edge) > _SLACK_S:
            raise refused(path, f"row {row} starts at {span.start_s:.6f} s", f"{edge:.6f} s, where the last shot ended")
        edge = span.end_s
    if not spans:
        raise refused(path, "no shot", "at least one")
    return spans


def read_embeddings(path: Path) -> Embeddings:
    """Read delivered embeddings.

    Raises:
        DeliveryError: they cannot be read, or have not the columns, widths and entries that they declare.
    """
    table = _table(path, ("start_s", "end_s", *Modality))
    for modality in Modality:
        _check_vectors(path, table, modality)
    entries = table.schema.metadata or {}
    try:
        suite = suite_of(json.loads(entries[SUITE_KEY]))
        metadata = np.frombuffer(base64.b64decode(entries[METADATA_KEY], validate=True), "<f2").astype(np.float32)
        spans = spans_of(table)
        vectors = {modality: vectors_of(table, modality) for modality in Modality}
    except NOT_AS_DECLARED as wrong:
        expected = "fp16 vectors as FixedSizeBinary, and the entries mediafm.suite and mediafm.metadata"
        raise refused(path, f"{type(wrong).__name__}: {wrong}", expected) from wrong
    return checked(path, Embeddings(suite, spans, vectors, metadata))


def checked(path: Path, found: Embeddings) -> Embeddings:
    """What was read, if its widths are those that its suite declares and its numbers are finite.

    Raises:
        DeliveryError: they are not.
    """
    suite = found.suite
    widths = {**{m.value: array.shape[1] for m, array in found.vectors.items()}, "metadata": len(found.metadata)}
    declared = {**{m.value: suite.spec(m).dims for m in Modality}, "metadata": suite.text.dims}
    if widths != declared:
        raise refused(path, f"widths {widths}", f"those that its suite declares, {declared}")
    if not all(np.isfinite(array).all() for array in (*found.vectors.values(), found.metadata)):
        raise refused(path, "NaN or infinity", "finite numbers")
    return found


def check_delivered(shot_list: list[Span], embeddings: Embeddings, path: Path) -> None:
    """Check that delivered embeddings are about the delivered shots.

    Raises:
        DeliveryError: they are not.
    """
    same = len(shot_list) == len(embeddings.spans) and all(
        abs(a.start_s - b.start_s) <= _SLACK_S and abs(a.end_s - b.end_s) <= _SLACK_S
        for a, b in zip(shot_list, embeddings.spans, strict=True)
    )
    if not same:
        raise refused(path, "other shots than the delivered shot list's", "one row for each of its shots, in its order")


def read_label_table(path: Path) -> pa.Table:
    """Read delivered labels: their columns are checked here, their rows when a label set is frozen from them.

    Raises:
        DeliveryError: they cannot be read, or have other columns.
    """
    table = _table(path, tuple(LABEL_COLUMNS.names))
    try:
        return table.select(LABEL_COLUMNS.names).cast(LABEL_COLUMNS)
    except pa.ArrowException as wrong:
        raise refused(path, f"columns of other types ({wrong})", str(LABEL_COLUMNS)) from wrong


def _check_vectors(path: Path, table: pa.Table, column: str) -> None:
    """Check what reading would pass over: a null becomes a row of zeros, and numbers of any type become halves."""
    kind = table.schema.field(column).type
    if not pa.types.is_fixed_size_binary(kind) or kind.byte_width % 2 or not kind.byte_width:
        raise refused(path, f"column {column} of type {kind}", "fp16 vectors as FixedSizeBinary")
    if not table.num_rows:
        raise refused(path, "no shot", "at least one")
    if table[column].null_count:
        raise refused(path, f"column {column} with {table[column].null_count} nulls", "zeros for what is absent")


def suite_of(record: dict[str, Any]) -> Suite:
    """The suite that a delivery names, by its record.

    Raises:
        KeyError, TypeError, ValueError, IdentityError: the record is not what it should be.
    """
    specs = {
        modality.value: UnimodalSpec(
            modality=modality,
            dims=int(record[modality]["dims"]),
            instrument=Instrument(
                name=str(record[modality]["name"]),
                weights_sha256=str(record[modality]["sha256"]),
                settings={DELIVERED: True},
            ),
        )
        for modality in Modality
    }
    return Suite(alias=str(record["alias"]), **specs)


def _table(path: Path, columns: tuple[str, ...]) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as wrong:
        raise refused(path, f"a file that cannot be read ({wrong})", "Parquet") from wrong
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise refused(path, f"no column {', '.join(missing)}", f"the columns {', '.join(columns)}")
    return table


def refused(path: Path, found: str, expected: str) -> DeliveryError:
    """The refusal of a delivered file."""
    return DeliveryError(f"delivered {path.name!r}", found=found, expected=expected, next_step="See docs/delivery.md.")
