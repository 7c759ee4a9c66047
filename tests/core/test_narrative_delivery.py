"""Narrative titles as deliveries: the exact schema, the truth kept back, each whole or not at all."""

import base64
import json
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediafm_core.catalogue.suite import Modality
from mediafm_core.errors import DeliveryError, DimensionError
from mediafm_core.fusion import fuse, presence
from mediafm_core.identity import title_id
from mediafm_core.ingest.metadata import read_metadata
from mediafm_core.narrative import delivery
from mediafm_core.narrative.config import Lengths, WorldConfig
from mediafm_core.narrative.delivery import generate, write_delivery
from mediafm_core.narrative.titles import title
from mediafm_core.narrative.world import World
from mediafm_core.store.vectors import spans_of, vectors_of

WORLD = World.of(WorldConfig(seed=2, video_dims=10, audio_dims=6, text_dims=8, n_tones=5))
FILES = {"shots.parquet", "embeddings.parquet", "labels.parquet", "title.json", "_COMPLETE"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Title 17, delivered."""
    return next(generate(tmp_path_factory.mktemp("out"), n_titles=1, seed=17, world=WORLD))


def test_a_delivery_has_its_five_files_and_no_media(folder) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    assert folder.name == title_id("narrative-w2-000017")


def test_shot_list_and_embeddings_have_the_same_times(folder) -> None:
    shots, embeddings = pq.read_table(folder / "shots.parquet"), pq.read_table(folder / "embeddings.parquet")
    assert shots.schema.names == ["start_s", "end_s"]
    assert set(shots.schema.types) == {pa.float64()}
    assert spans_of(shots) == spans_of(embeddings)


def test_embeddings_are_fp16_columns_with_zero_rows_for_what_is_absent(folder) -> None:
    table, given = pq.read_table(folder / "embeddings.parquet"), title(WORLD, 17)
    assert table.schema.names == ["start_s", "end_s", "video", "audio", "text"]
    assert [table.schema.field(m.value).type for m in Modality] == [pa.binary(20), pa.binary(12), pa.binary(16)]
    for modality in Modality:
        np.testing.assert_array_equal(
            vectors_of(table, modality.value), given.vectors[modality].astype(np.float16).astype(np.float32)
        )
    assert 0 < presence(vectors_of(table, "text")).mean() < 1


def test_the_suite_and_the_metadata_embedding_stand_in_the_schema(folder) -> None:
    entries = pq.read_schema(folder / "embeddings.parquet").metadata
    suite = json.loads(entries[b"mediafm.suite"])
    sha256 = WORLD.config.fingerprint
    assert suite == {
        "alias": "narrative-w2",
        "video": {"name": "narrative-video", "dims": 10, "sha256": sha256},
        "audio": {"name": "narrative-audio", "dims": 6, "sha256": sha256},
        "text": {"name": "narrative-text", "dims": 8, "sha256": sha256},
    }
    vector = np.frombuffer(base64.b64decode(entries[b"mediafm.metadata"]), np.float16)
    np.testing.assert_array_equal(vector, title(WORLD, 17).metadata_vector.astype(np.float16))


def test_labels_stand_one_row_per_task_and_clip(folder) -> None:
    table = pq.read_table(folder / "labels.parquet")
    assert [(f.name, f.type) for f in table.schema] == [
        ("task", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("labels", pa.list_(pa.string())),
        ("rank", pa.float64()),
    ]
    rows, end_s = table.to_pylist(), title(WORLD, 17).story.ends_s[-1]
    assert len({(r["task"], r["start_s"]) for r in rows}) == len(rows)
    for row in rows:
        assert 0 <= row["start_s"] < row["end_s"] <= end_s
        assert row["labels"] is not None
        assert (row["rank"] is not None) == (row["task"] == "popularity")
        assert row["task"] != "retrieval" or row["labels"] in ([], ["positive"])


def test_clips_start_and_end_where_shots_do(folder) -> None:
    shots = spans_of(pq.read_table(folder / "shots.parquet"))
    labels = pq.read_table(folder / "labels.parquet")
    assert set(labels["start_s"].to_pylist()) <= {span.start_s for span in shots}
    assert set(labels["end_s"].to_pylist()) <= {span.end_s for span in shots}


def test_title_json_is_valid_and_says_synthetic(folder) -> None:
    metadata = read_metadata(folder / "title.json")
    assert metadata == title(WORLD, 17).metadata
    assert "synthetic: narrative world 2" in metadata.source
    assert "synthetic" in metadata.described


def test_what_is_delivered_can_be_fused(folder) -> None:
    table = pq.read_table(folder / "embeddings.parquet")
    blocks = {m.value: vectors_of(table, m.value) for m in Modality}
    has_audio, has_text = presence(blocks["audio"]), presence(blocks["text"])
    fused = fuse(**blocks, suite=WORLD.suite, has_audio=has_audio, has_text=has_text)
    np.testing.assert_allclose(np.linalg.norm(fused, axis=1), 1, atol=1e-6)


def test_titles_are_the_same_files_whatever_else_is_made(folder, tmp_path) -> None:
    among = list(generate(tmp_path, n_titles=3, seed=16, world=WORLD))
    assert [path.name[-2:] for path in among] == ["16", "17", "18"]
    for name in FILES:
        assert (among[1] / name).read_bytes() == (folder / name).read_bytes()


def test_longer_titles_come_first_and_the_rest_is_drawn(tmp_path) -> None:
    lengths = Lengths(low=5, high=6)
    made = generate(tmp_path, n_titles=4, seed=0, world=WORLD, lengths=lengths, longer=(50, 40))
    counts = [pq.read_metadata(path / "shots.parquet").num_rows for path in made]
    assert counts[:2] == [50, 40]
    assert set(counts[2:]) <= {5, 6}


def test_a_title_appears_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    def fail(_: object) -> str:
        raise OSError("disk full")

    made = generate(tmp_path, n_titles=2, seed=0, world=WORLD)
    next(made)
    monkeypatch.setattr(delivery, "_title_json", fail)
    with pytest.raises(DeliveryError, match=r"disk full.*from seed 1"):
        next(made)
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["narrative-w2-000000"]
    monkeypatch.undo()
    again = next(generate(tmp_path, n_titles=1, seed=1, world=WORLD))
    assert {path.name for path in again.iterdir()} == FILES
    assert not list(tmp_path.glob(".partial-*"))


def test_nothing_is_overwritten(folder, tmp_path) -> None:
    with pytest.raises(DeliveryError, match="narrative-w2-000017"):
        list(generate(folder.parent, n_titles=1, seed=17, world=WORLD))
    with pytest.raises(DeliveryError, match="free path"):
        write_delivery(WORLD, title(WORLD, 0), folder)


def test_titles_that_are_there_are_told_before_any_is_written(tmp_path) -> None:
    list(generate(tmp_path, n_titles=2, seed=3, world=WORLD))
    with pytest.raises(DeliveryError, match=r"narrative-w2-000003.*: 2 of the 4 titles.*begin with seed 5"):
        list(generate(tmp_path, n_titles=4, seed=2, world=WORLD))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_one_is_a_typed_error(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeliveryError, match="nothing can be written there"):
        list(generate(tmp_path / "file" / "out", n_titles=1, seed=0, world=WORLD))


def test_seeds_and_lengths_out_of_range_are_refused_before_any_title_is_written(tmp_path) -> None:
    for seed, longer, found in ((999_999, (), "seeds 999999 to 1000000"), (-1, (), "-1"), (0, (9, 1), "9, 1")):
        with pytest.raises(DimensionError, match=found):
            list(generate(tmp_path, n_titles=2, seed=seed, world=WORLD, longer=longer))
    assert not list(tmp_path.iterdir())


def test_no_titles_and_lengths_for_nobody_are_refused(tmp_path) -> None:
    for n_titles, longer in ((0, ()), (1, (5, 6))):
        with pytest.raises(DimensionError, match="narrative titles"):
            list(generate(tmp_path, n_titles=n_titles, seed=0, world=WORLD, longer=longer))


def test_titles_are_made_one_at_a_time(tmp_path) -> None:
    list(islice(generate(tmp_path, n_titles=10_000, seed=0, world=WORLD), 2))
    assert len(list(tmp_path.iterdir())) == 2
