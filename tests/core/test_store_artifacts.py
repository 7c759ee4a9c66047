"""An artifact carries its own description, is what was committed or an error, and its vectors survive the way."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mediafm_core.catalogue.kinds import KINDS, ArtifactKey
from mediafm_core.errors import ArtifactError, DimensionError
from mediafm_core.identity import Span, fingerprint, title_id_from_name
from mediafm_core.store.home import Home, artifact_path
from mediafm_core.store.manifest import Manifest, Payload, read_document, read_manifest, serialise
from mediafm_core.store.vectors import span_columns, spans_of, vector_column, vector_table, vectors_of, with_metadata
from tests.fakes import safetensors

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

PAYLOADS: dict[str, Payload] = {
    "shots": pa.table(span_columns([Span(0, 1), Span(1, 2.5)])),
    "mediafm_encoder": safetensors(),
    "deliveries": {"title": {"name": "Amélie"}, "list": [1, None, 0.5]},
}


def manifest(kind: str, partition: str = "x", **facts: object) -> Manifest:
    made_from = {"code": 1, "media": "é"}
    upstream = ArtifactKey("timed_text", "x", fingerprint("timed_text", {}))
    return Manifest(
        key=ArtifactKey(kind, partition, fingerprint(kind, made_from)),
        ingredients=made_from,
        inputs={"text": upstream},
        facts=facts,
        seconds=0.25,
        provenance={"numpy": "2"},
        made_at=1.5,
    )


@pytest.fixture
def home(tmp_path: Path):
    home = Home.create(tmp_path / "home")
    yield home
    home.ledger.close()


# Vectors

FLOATS = npst.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 7)),
    elements=st.floats(-65504, 65504, width=32, allow_nan=False),
)


@quick
@given(FLOATS)
def test_vectors_come_back_rounded_to_fp16_and_nothing_else(vectors: np.ndarray) -> None:
    table = pa.table({"vector": vector_column(vectors)})
    assert np.array_equal(vectors_of(table), vectors.astype(np.float16).astype(np.float32))
    assert vectors_of(table).dtype == np.float32


@quick
@given(FLOATS, st.data())
def test_a_slice_of_a_table_reads_its_own_rows(vectors: np.ndarray, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(vectors) - 1))
    length = data.draw(st.integers(1, len(vectors) - start))
    table = pa.table({"vector": vector_column(vectors)})
    assert np.array_equal(vectors_of(table.slice(start, length)), vectors_of(table)[start : start + length])
    parts = pa.concat_tables([table.slice(start), table.slice(0, start)])
    assert np.array_equal(vectors_of(parts), np.roll(vectors_of(table), -start, axis=0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 70_000.0, 65_520.0])
def test_a_value_that_fp16_cannot_hold_is_refused(value: float) -> None:
    with pytest.raises(DimensionError, match=r"\(1, 2\)"):
        vector_column(np.array([[0.0, value]], np.float32))


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3), (2, 0)])
def test_vectors_of_another_rank_or_without_width_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DimensionError):
        vector_column(np.zeros(shape, np.float32))


def test_no_vectors_are_a_table_without_rows() -> None:
    table = vector_table([], np.zeros((0, 3), np.float32))
    assert vectors_of(table).shape == (0, 3)


def test_each_vector_belongs_to_one_shot() -> None:
    shots = [Span(0, 1.1), Span(1.1, 2)]
    table = vector_table(shots, np.eye(2, dtype=np.float32))
    assert spans_of(table) == shots
    with pytest.raises(DimensionError, match="1 vectors for 2 shots"):
        vector_table(shots, np.eye(1, dtype=np.float32))


def test_metadata_is_added_to_what_is_there() -> None:
    table = with_metadata(with_metadata(pa.table({"a": [1]}), {"x": b"1"}), {"y": b"2"})
    assert table.schema.metadata == {b"x": b"1", b"y": b"2"}


# Manifests


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_manifest_reads_back_from_the_bytes_of_each_format(kind: str) -> None:
    written = manifest(kind, n_shots=2)
    data = serialise(PAYLOADS[kind], written)
    assert read_manifest(f"a{KINDS[kind].suffix}", data) == written
    assert Manifest.from_json(written.to_json()) == written


def test_a_payload_is_not_changed_by_its_manifest() -> None:
    from safetensors.numpy import load

    written = {kind: serialise(payload, manifest(kind)) for kind, payload in PAYLOADS.items()}
    assert pq.read_table(BytesIO(written["shots"])).equals(PAYLOADS["shots"])
    assert read_document(written["deliveries"]) == PAYLOADS["deliveries"]
    assert load(written["mediafm_encoder"])["w"].tolist() == [1.0]


def test_the_same_payload_gives_the_same_bytes() -> None:
    for kind, payload in PAYLOADS.items():
        assert serialise(payload, manifest(kind)) == serialise(payload, manifest(kind))


@pytest.mark.parametrize("kind", PAYLOADS)
@quick
@given(data=st.data())
def test_a_cut_artifact_is_an_error_and_never_another_manifest(kind: str, data: st.DataObject) -> None:
    whole = serialise(PAYLOADS[kind], manifest(kind))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(ArtifactError, match="a readable manifest"):
        read_manifest(f"a{KINDS[kind].suffix}", cut)


@pytest.mark.parametrize("suffix", [".parquet", ".safetensors", ".json"])
@quick
@given(
    noise=st.binary(max_size=64)
    | st.sampled_from([b"[]", b"{}", b'{"mediafm.artifact": []}', b"\x02" + b"\0" * 7 + b"[]"])
)
def test_bytes_that_are_no_artifact_are_an_error(suffix: str, noise: bytes) -> None:
    with pytest.raises(ArtifactError):
        read_manifest(f"a{suffix}", noise)


def test_a_manifest_whose_inputs_are_no_table_is_an_error() -> None:
    data = serialise({}, manifest("deliveries")).replace(b'"inputs":{', b'"inputs":[],"x":{')
    with pytest.raises(ArtifactError):
        read_manifest("a.json", data)


# Artifacts of a home


def test_a_committed_artifact_is_read_as_it_was_made(home: Home) -> None:
    for kind, payload in PAYLOADS.items():
        row = home.commit(manifest(kind), payload)
        assert home.read(row.key) == serialise(payload, manifest(kind))
        assert home.ledger.artifact(row.key) == row


def test_the_first_commit_of_a_fingerprint_wins(home: Home) -> None:
    first = home.commit(manifest("deliveries"), {"who": "first"})
    second = home.commit(manifest("deliveries"), {"who": "second"})
    assert second == first
    assert read_document(home.read(first.key)) == {"who": "first"}


def test_of_many_that_commit_one_fingerprint_one_wins_and_all_agree(home: Home) -> None:
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda i: home.commit(manifest("deliveries"), {"who": i}), range(16)))
    assert set(map(str, rows)) == {str(rows[0])}
    assert len(home.ledger.artifacts()) == 1
    assert read_document(home.read(rows[0].key))["who"] in range(16)


def test_an_object_whose_writer_died_before_the_row_is_committed_by_the_next(home: Home) -> None:
    left = serialise({"who": "killed"}, manifest("deliveries"))
    home.objects.create(artifact_path(manifest("deliveries").key), left)
    row = home.commit(manifest("deliveries"), {"who": "next"})
    assert home.read(row.key) == left


@quick
@given(data=st.data())
def test_a_changed_byte_is_noticed(home: Home, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(PAYLOADS)))
    row = home.commit(manifest(kind), PAYLOADS[kind])
    whole = bytearray(serialise(PAYLOADS[kind], manifest(kind)))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    home.objects.swap(row.path, bytes(whole))
    with pytest.raises(ArtifactError, match=row.path):
        home.read(row.key)
    home.objects.swap(row.path, serialise(PAYLOADS[kind], manifest(kind)))


def test_what_is_not_committed_or_gone_is_named(home: Home) -> None:
    with pytest.raises(ArtifactError, match="deliveries of 'x'"):
        home.read(manifest("deliveries").key)
    row = home.commit(manifest("deliveries"), {})
    home.objects.delete(row.path)
    with pytest.raises(ArtifactError, match=row.path):
        home.read(row.key)


@quick
@given(st.text(st.one_of(st.characters(codec=None), st.sampled_from("./\\|*"))))
def test_no_title_s_name_puts_an_artifact_outside_its_kind_s_folder(name: str) -> None:
    key = ArtifactKey("shots", title_id_from_name(name), fingerprint("shots", {}))
    folders = artifact_path(key).split("/")
    assert folders[:2] == ["artifacts", "shots"]
    assert len(folders) == 4
    assert ".." not in folders
