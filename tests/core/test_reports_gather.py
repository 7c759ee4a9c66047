"""What pages show comes from one snapshot, and from the thumbnails of its very shots."""

import hashlib
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediafm_core.catalogue.declared import CorpusMember, EncoderSpec
from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.errors import SnapshotError
from mediafm_core.identity import Span, fingerprint, title_id
from mediafm_core.reports.gather import TrueShot, encoder_of, new_title_of, title_page_of
from mediafm_core.reports.title_page import MAX_STRIP, title_page
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import ArtifactRow
from mediafm_core.store.manifest import Manifest
from mediafm_core.store.pointer import Pointer, swap_pointer
from mediafm_core.store.vectors import span_columns, vector_column, vector_table

DIMS = 8
DEMO = ArtifactKey("mediafm_encoder", "demo", fingerprint("mediafm_encoder", {}))
JPEG = b"\xff\xd8\xff"


def commit(home: Home, kind: str, partition: str, table: pa.Table, **inputs: ArtifactKey) -> ArtifactRow:
    made_from = {role: key.fingerprint for role, key in inputs.items()}
    content = hashlib.sha256(str(table.to_pydict()).encode()).hexdigest()
    key = ArtifactKey(kind, partition, fingerprint(kind, {**made_from, "content": content}))
    facts = {"sources": "audio_description"}
    return home.commit(Manifest(key=key, ingredients=made_from, inputs=inputs, facts=facts), table)


def spans(n: int) -> list[Span]:
    return [Span(2.0 * i, 2.0 * (i + 1)) for i in range(n)]


def picture(title: str, i: int) -> bytes:
    return JPEG + f"{title} {i}".encode()


def thumbnails(home: Home, title: str, shots: ArtifactRow, n: int) -> None:
    columns = {**span_columns(spans(n)), "picture": pa.array([picture(title, i) for i in range(n)])}
    commit(home, "thumbnails", title, pa.table(columns), shots=shots.key)


def add(home: Home, title: str, vectors: np.ndarray, *, pictured: bool = True) -> dict:
    """Commit what a snapshot's row of a title names, and return the row."""
    n = len(vectors)
    shots = commit(home, "shots", title, pa.table(span_columns(spans(n))))
    if pictured:
        thumbnails(home, title, shots, n)
    texts = pa.array([f"said {i}" if i % 2 else "" for i in range(n)])
    contextual = vector_table(spans(n), vectors)
    rows = {
        "shots": shots,
        "timed_text": commit(home, "timed_text", title, pa.table({**span_columns(spans(n)), "text": texts})),
        "fused": commit(home, "fused_embeddings", f"suite|{title}", vector_table(spans(n), vectors)),
        "contextual": commit(home, "contextual_embeddings", f"demo|{title}", contextual, encoder=DEMO),
    }
    paths = {f"{role}_{what}": getattr(row, what) for role, row in rows.items() for what in ("path", "digest")}
    shown = {"name": title.upper(), "synopsis": "", "tags": ["calm"], "attribution": "us"}
    return {"title": title, **shown, "n_shots": n, "duration_s": 2.0 * n, **paths}


def publish(home: Home, rows: list[dict], *, encoder: str = "demo") -> None:
    title_vectors = vector_column(np.ones((len(rows), DIMS)))
    table = pa.Table.from_pylist(rows).append_column("title_vector", title_vectors)
    sink = BytesIO()
    pq.write_table(table, sink)
    data = sink.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    home.objects.create(f"snapshots/{digest}.parquet", data)
    swap_pointer(home.objects, Pointer(fingerprint("snapshot", {}), f"snapshots/{digest}.parquet", digest, encoder))


@pytest.fixture
def home(tmp_path: Path):
    home = Home.create(tmp_path)
    member = CorpusMember(title=title_id("film"), fused=fingerprint("x", {}), metadata=fingerprint("y", {}))
    spec = EncoderSpec(name="demo", suite="embedded-1234", corpus=(member,), config={}, seed=0)
    home.declare("encoder", "demo", asdict(spec))
    yield home
    home.ledger.close()


FILM = np.eye(DIMS, dtype=np.float32)[:6]  # six shots that have nothing in common
CUT = FILM[[4, 1, 2]]


@pytest.fixture
def catalogue(home: Home) -> Home:
    publish(home, [add(home, "cut", CUT), add(home, "film", FILM), add(home, "other", FILM[:2] - 1, pictured=False)])
    return home


def test_each_shot_stands_beside_its_nearest_shots_of_other_titles(catalogue: Home) -> None:
    page = title_page_of(catalogue, "cut", nearest=2)
    firsts = [shot.nearest[0] for shot in page.strip]
    assert [near.still.span.start_s for near in firsts] == [8.0, 2.0, 4.0]
    assert {near.still.title for near in firsts} == {"film"}
    assert {len(shot.nearest) for shot in page.strip} == {2}
    assert [near.cosine for near in firsts] == pytest.approx([1.0] * 3, abs=1e-3)


def test_each_shot_has_its_own_picture_and_text(catalogue: Home) -> None:
    page = title_page_of(catalogue, "cut")
    assert [shot.still.picture for shot in page.strip] == [picture("cut", i) for i in range(3)]
    assert [shot.nearest[0].still.picture for shot in page.strip] == [picture("film", i) for i in (4, 1, 2)]
    assert [shot.still.text for shot in page.strip] == ["", "said 1", ""]
    assert [shot.number for shot in page.strip] == [1, 2, 3]


def test_the_page_knows_who_made_it_and_what_that_is_worth(catalogue: Home) -> None:
    page = title_page_of(catalogue, "cut")
    assert page.encoder == ("demo", "embedded-1234", "pre-trained on 1 title: mechanics, not quality")
    assert page.text_source == "audio description"
    assert page.nearest_titles[0].title == "film"
    assert encoder_of(catalogue) == (page.encoder, 1)


def test_what_was_gathered_makes_a_page(catalogue: Home) -> None:
    html = title_page(title_page_of(catalogue, "film"))
    assert '<h1 dir="auto">FILM</h1>' in html


def test_a_title_without_thumbnails_has_no_pictures(catalogue: Home) -> None:
    assert {shot.still.picture for shot in title_page_of(catalogue, "other").strip} == {None}


def test_thumbnails_of_other_shots_than_the_snapshots_are_not_shown(home: Home) -> None:
    row = add(home, "film", FILM, pictured=False)
    newer = commit(home, "shots", "film", pa.table(span_columns(spans(12))))  # of newer media, with the same first cuts
    thumbnails(home, "film", newer, 12)
    publish(home, [row])
    assert {shot.still.picture for shot in title_page_of(home, "film").strip} == {None}


def test_a_catalogue_of_one_title_has_no_neighbours(home: Home) -> None:
    publish(home, [add(home, "film", FILM)])
    page = title_page_of(home, "film")
    assert page.nearest_titles == ()
    assert {shot.nearest for shot in page.strip} == {()}
    assert "There is no other title in the catalogue." in title_page(page)


def test_a_long_title_is_searched_for_an_even_sample_of_its_shots(home: Home) -> None:
    long = np.random.default_rng(0).normal(size=(400, DIMS)).astype(np.float32)
    publish(home, [add(home, "film", FILM), add(home, "long", long)])
    page = title_page_of(home, "long")
    assert len(page.strip) == MAX_STRIP
    assert len(page.shots.spans) == 400
    assert all(shot.still.picture == picture("long", shot.number - 1) for shot in page.strip)


def test_an_unknown_title_is_a_typed_error(catalogue: Home) -> None:
    with pytest.raises(SnapshotError, match="no such title"):
        title_page_of(catalogue, "nobody")


def test_an_unknown_encoder_is_a_typed_error(home: Home) -> None:
    publish(home, [add(home, "film", FILM)], encoder="stranger")
    with pytest.raises(SnapshotError, match="stranger"):
        title_page_of(home, "film")


def test_a_new_title_is_judged_by_where_its_shots_truly_come_from(catalogue: Home) -> None:
    truth = [
        TrueShot(Span(0.0, 1.9), (Span(8.0, 9.9),)),
        TrueShot(Span(2.1, 4.0), (Span(10.0, 12.0),)),  # it finds another shot of the film
        TrueShot(Span(4.0, 6.0), ()),
    ]
    new = new_title_of(catalogue, "cut", film="film", truth=truth, goal=2)
    assert [match.found_first for match in new.matches] == [True, False, None]
    assert (new.n_found, new.n_known, new.goal) == (1, 2, 2)
    assert [match.source and match.source.picture for match in new.matches] == [
        picture("film", 4),
        picture("film", 5),
        None,
    ]
    assert {near.still.title for match in new.matches for near in match.nearest} == {"film"}
    assert new.nearest_titles[0].title == "film"
