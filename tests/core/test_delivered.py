"""What was made elsewhere enters as it was written, or is refused with its file, what is wrong, and what is right."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediafm_core.catalogue.suite import Modality
from mediafm_core.delivered import (
    LABEL_COLUMNS,
    METADATA_KEY,
    SUITE_KEY,
    check_delivered,
    read_embeddings,
    read_label_table,
    read_shot_list,
)
from mediafm_core.errors import DeliveryError
from mediafm_core.identity import Span
from mediafm_core.narrative.config import WorldConfig
from mediafm_core.narrative.delivery import write_delivery
from mediafm_core.narrative.titles import title
from mediafm_core.narrative.world import World

WORLD = World.of(WorldConfig(seed=3, video_dims=6, audio_dims=3, text_dims=4, n_tones=5))
GIVEN = title(WORLD, 7, 12)

Change = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrative title of 12 shots, delivered."""
    return write_delivery(WORLD, GIVEN, tmp_path_factory.mktemp("written") / GIVEN.id)


def rewritten(source: Path, folder: Path, change: Change) -> Path:
    """A delivered table after a change, under its own name in another folder."""
    pq.write_table(change(pq.read_table(source)), folder / source.name)
    return folder / source.name


def column(name: str, values: object) -> Change:
    """Replace a column."""
    return lambda table: table.set_column(table.schema.get_field_index(name), name, values)


def entry(key: bytes, value: bytes | None) -> Change:
    """Replace an entry of the schema's metadata, or drop it."""

    def change(table: pa.Table) -> pa.Table:
        entries = {k: v for k, v in table.schema.metadata.items() if k != key}
        return table.replace_schema_metadata(entries if value is None else {**entries, key: value})

    return change


def suite(**modality: object) -> Change:
    """Change what the suite's entry says of video."""

    def change(table: pa.Table) -> pa.Table:
        record: dict[str, Any] = json.loads(table.schema.metadata[SUITE_KEY])
        record["video"] |= modality
        return entry(SUITE_KEY, json.dumps(record).encode())(table)

    return change


def twice(name: str) -> Change:
    """Have a column twice under one name."""
    return lambda table: table.append_column(name, table[name])


# What is right comes back as it was


def test_a_narrative_delivery_comes_back_as_it_was_made(written: Path) -> None:
    shots, found = read_shot_list(written / "shots.parquet"), read_embeddings(written / "embeddings.parquet")
    check_delivered(shots, found, written / "embeddings.parquet")
    assert found.spans == shots
    assert [span.start_s for span in shots] == GIVEN.story.starts_s.tolist()
    for modality in Modality:
        half = GIVEN.vectors[modality].astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(found.vectors[modality], half)
    np.testing.assert_array_equal(found.metadata, GIVEN.metadata_vector.astype(np.float16).astype(np.float32))
    assert (found.suite.alias, found.suite.dims, found.suite.is_delivered) == ("narrative-w3", 13, True)
    assert found.suite.video.instrument.weights_sha256 == WORLD.config.fingerprint


def test_titles_of_one_world_name_one_suite_and_those_of_another_do_not(written: Path, tmp_path: Path) -> None:
    here = read_embeddings(written / "embeddings.parquet").suite
    other = title(WORLD, 8, 5)
    assert read_embeddings(write_delivery(WORLD, other, tmp_path / "same") / "embeddings.parquet").suite.id == here.id
    world = World.of(WorldConfig(seed=4, video_dims=6, audio_dims=3, text_dims=4, n_tones=5))
    elsewhere = write_delivery(world, title(world, 8, 5), tmp_path / "other")
    assert read_embeddings(elsewhere / "embeddings.parquet").suite.id != here.id


def test_labels_come_back_in_their_columns_whatever_their_order(written: Path, tmp_path: Path) -> None:
    table = read_label_table(written / "labels.parquet")
    assert table.schema.equals(LABEL_COLUMNS)
    turned = rewritten(written / "labels.parquet", tmp_path, lambda t: t.select(t.column_names[::-1]))
    assert read_label_table(turned).equals(table)


# Shot lists

SHOT_LISTS: dict[str, tuple[Change, str]] = {
    "no end": (lambda t: t.drop_columns("end_s"), "no column end_s"),
    "none": (lambda t: t.slice(0, 0), "no shot"),
    "a late start": (lambda t: t.slice(1), "row 1 starts at"),
    "a gap": (lambda t: pa.concat_tables([t.slice(0, 3), t.slice(4)]), "row 4 starts at"),
    "an overlap": (lambda t: pa.concat_tables([t.slice(0, 3), t.slice(2)]), "row 4 starts at"),
    "disorder": (lambda t: t.take([0, 2, 1, *range(3, 12)]), "row 2 starts at"),
    "a missing time": (column("end_s", pa.array([None] * 12, pa.float64())), "a shot that is no span"),
    "no number": (column("end_s", pa.array([float("nan")] * 12)), "a shot that is no span"),
    "words": (column("end_s", pa.array(["soon"] * 12)), "a shot that is no span"),
    "a column twice": (twice("start_s"), "Multiple matches"),
}


@pytest.mark.parametrize("case", SHOT_LISTS)
def test_a_wrong_shot_list_is_refused(written: Path, tmp_path: Path, case: str) -> None:
    change, message = SHOT_LISTS[case]
    spoilt = rewritten(written / "shots.parquet", tmp_path, change)
    with pytest.raises(DeliveryError, match=rf"shots\.parquet.*{message}"):
        read_shot_list(spoilt)


def test_times_that_differ_by_rounding_are_taken(written: Path, tmp_path: Path) -> None:
    def round_(table: pa.Table) -> pa.Table:
        ends = table["end_s"].to_numpy() + 5e-7
        return column("end_s", pa.array(ends))(table)

    assert len(read_shot_list(rewritten(written / "shots.parquet", tmp_path, round_))) == 12


# Embeddings

HALF = np.zeros((12, 6), np.float16)
NAN = HALF.copy()
NAN[3, 2] = np.nan


def binaries(half: np.ndarray) -> pa.Array:
    return pa.array([row.tobytes() for row in half], pa.binary(half.shape[1] * 2))


EMBEDDINGS: dict[str, tuple[Change, str]] = {
    "no audio": (lambda t: t.drop_columns("audio"), "no column audio"),
    "no shot": (lambda t: t.slice(0, 0), "no shot"),
    "no suite": (entry(SUITE_KEY, None), "mediafm.suite"),
    "a suite that is no JSON": (entry(SUITE_KEY, b"{"), "JSONDecodeError"),
    "a suite that is a list": (entry(SUITE_KEY, b"[]"), "TypeError"),
    "a suite that is nested": (entry(SUITE_KEY, b"[" * 100_000), "RecursionError"),
    "a suite in no encoding": (entry(SUITE_KEY, b"\xff\xfe\xfa"), "UnicodeDecodeError"),
    "a suite without text": (entry(SUITE_KEY, b'{"alias": "x", "video": {}}'), "KeyError"),
    "a width in words": (suite(dims="six"), "ValueError"),
    "a width without end": (suite(dims=float("inf")), "OverflowError"),
    "a width that is nothing": (suite(dims=None), "TypeError"),
    "another width": (suite(dims=7), "widths .*'video': 6.*'video': 7"),
    "no metadata embedding": (entry(METADATA_KEY, None), "mediafm.metadata"),
    "metadata that is no base64": (entry(METADATA_KEY, b"%%%%"), "Error"),
    "half a number of metadata": (entry(METADATA_KEY, base64.b64encode(bytes(7))), "ValueError"),
    "a short metadata embedding": (entry(METADATA_KEY, base64.b64encode(bytes(6))), "'metadata': 3"),
    "metadata of infinity": (
        entry(METADATA_KEY, base64.b64encode(np.full(4, np.inf, "<f2").tobytes())),
        "NaN or infinity",
    ),
    "a vector of NaN": (column("video", binaries(NAN)), "NaN or infinity"),
    "a missing vector": (column("video", pa.array([None] * 12, pa.binary(12))), "video with 12 nulls"),
    "half a number": (column("video", pa.array([bytes(13)] * 12, pa.binary(13))), "video.*fixed_size_binary"),
    "numbers for vectors": (column("video", pa.array(np.zeros(12))), "video.*double"),
    "bytes of any length": (column("video", pa.array([bytes(12)] * 12)), "video.*binary"),
    "a span reversed": (column("end_s", pa.array(np.zeros(12))), "SpanError"),
    "a column twice": (twice("video"), "Multiple matches"),
}


@pytest.mark.parametrize("case", EMBEDDINGS)
def test_wrong_embeddings_are_refused(written: Path, tmp_path: Path, case: str) -> None:
    change, message = EMBEDDINGS[case]
    spoilt = rewritten(written / "embeddings.parquet", tmp_path, change)
    with pytest.raises(DeliveryError, match=rf"(?s)embeddings\.parquet.*{message}"):
        read_embeddings(spoilt)


@pytest.mark.parametrize(
    "shots",
    [lambda s: s[:-1], lambda s: [], lambda s: [*s[:-1], Span(s[-1].start_s, s[-1].end_s + 0.01)]],
    ids=["one shot fewer", "no shot list", "a later end"],
)
def test_embeddings_of_other_shots_are_refused(written: Path, shots: Callable[[list[Span]], list[Span]]) -> None:
    path = written / "embeddings.parquet"
    with pytest.raises(DeliveryError, match="other shots"):
        check_delivered(shots(read_shot_list(written / "shots.parquet")), read_embeddings(path), path)


# Labels

LABELS: dict[str, tuple[Change, str]] = {
    "no rank": (lambda t: t.drop_columns("rank"), "no column rank"),
    "times in words": (lambda t: column("end_s", pa.array(["soon"] * len(t)))(t), "other types"),
    "one label for a list": (lambda t: column("labels", pa.array(["sad"] * len(t)))(t), "other types"),
    "a column twice": (twice("task"), "Multiple matches"),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_in_other_columns_are_refused(written: Path, tmp_path: Path, case: str) -> None:
    change, message = LABELS[case]
    spoilt = rewritten(written / "labels.parquet", tmp_path, change)
    with pytest.raises(DeliveryError, match=rf"labels\.parquet.*{message}"):
        read_label_table(spoilt)


@pytest.mark.parametrize("read", [read_shot_list, read_embeddings, read_label_table])
@pytest.mark.parametrize("content", [b"", b"PAR1", b"no table at all"])
def test_what_is_no_parquet_is_refused(tmp_path: Path, read: Callable[[Path], object], content: bytes) -> None:
    (tmp_path / "table.parquet").write_bytes(content)
    with pytest.raises(DeliveryError, match="cannot be read"):
        read(tmp_path / "table.parquet")
