"""Reading: clips in context, what is similar, and errors that say what to do."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mediafm_core as mediafm
from mediafm_core.consumption.catalogue import Catalogue, Shots, open_catalogue
from mediafm_core.consumption.similarity import similar_shots, similar_titles
from mediafm_core.errors import EncoderMismatchError, HomeError, MediaFMError, SnapshotError, SpanError
from mediafm_core.identity import Span
from tests.catalogue import LONG, N_SHOTS_ELSE, NO_ID, SHOT_S, TITLES
from tests.fakes import HIDDEN, apply, make_home

OTHERS = [title.id for title in TITLES if title is not LONG]
END_S = N_SHOTS_ELSE * SHOT_S


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("readers") / "a home"
    home = make_home(root)
    apply(home)
    home.ledger.close()
    return root


@pytest.fixture(scope="module")
def catalogue(root: Path) -> Catalogue:
    return open_catalogue(str(root))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """By the book, in float64."""
    lengths = np.linalg.norm(a.astype(np.float64)) * np.linalg.norm(b.astype(np.float64))
    return float(np.dot(a.astype(np.float64), b.astype(np.float64)) / max(lengths, 1e-12))


# Opening


def test_a_path_and_a_file_url_open_the_same(root: Path, catalogue: Catalogue) -> None:
    by_url = mediafm.open(root.as_uri())
    assert by_url.titles() == catalogue.titles()
    assert np.array_equal(by_url.shots("silent").vectors, catalogue.shots("silent").vectors)


def test_a_reader_makes_no_folder_and_no_file(root: Path, tmp_path: Path) -> None:
    with pytest.raises(HomeError):
        mediafm.open(str(tmp_path / "none"))
    with pytest.raises(HomeError):
        mediafm.open((tmp_path / "none").as_uri())
    assert list(tmp_path.iterdir()) == []
    before = sorted(root.rglob("*"))
    mediafm.open(str(root)).shots("silent")
    assert sorted(root.rglob("*")) == before


def test_a_copy_needs_no_ledger(root: Path, tmp_path: Path, catalogue: Catalogue) -> None:
    shutil.copytree(root / "artifacts", tmp_path / "artifacts")
    shutil.copy(root / "production.json", tmp_path)
    assert open_catalogue(str(tmp_path)).titles() == catalogue.titles()


def test_a_reader_needs_nothing_heavy() -> None:
    import subprocess
    import sys

    heavy = "{'torch', 'transformers', 'openvino', 'ctranslate2', 'sklearn', 'matplotlib'}"
    program = f"import mediafm_core as m, sys; m.open; m.similar_shots; print({heavy} & sys.modules.keys() or 'none')"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert ran.stdout.strip() == "none"


def test_the_face_of_the_package_is_whole() -> None:
    assert all(getattr(mediafm, name) for name in mediafm.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        mediafm.nonsense  # noqa: B018


# Titles


def test_every_title_is_there_by_id(catalogue: Catalogue) -> None:
    assert [entry.title for entry in catalogue.titles()] == sorted(title.id for title in TITLES)
    for title in TITLES:
        entry = catalogue.title(title.id)
        assert (entry.name, entry.synopsis) == (title.metadata.name, title.metadata.synopsis)
        assert entry.tags == ()
        assert entry in catalogue.titles()
    assert catalogue.title("long").n_shots == 513
    assert catalogue.encoder == "v1"


@pytest.mark.parametrize("name", ["nobody", "", "SILENT", "*", NO_ID.delivered_as])
def test_a_title_that_is_not_there_is_named(catalogue: Catalogue, name: str) -> None:
    for read in (catalogue.title, catalogue.shots, catalogue.fused, lambda n: catalogue.clip(n, 0, 1)):
        with pytest.raises(SnapshotError, match="no such title"):
            read(name)


def test_title_vectors_stand_in_the_order_of_their_ids(catalogue: Catalogue) -> None:
    ids, vectors = catalogue.title_vectors()
    assert ids == [entry.title for entry in catalogue.titles()]
    assert vectors.shape == (len(TITLES), HIDDEN)


# Clips


def test_the_shots_of_a_title_are_whole_and_in_order(catalogue: Catalogue) -> None:
    shots = catalogue.shots("silent")
    assert shots.spans == tuple(Span(i * SHOT_S, (i + 1) * SHOT_S) for i in range(N_SHOTS_ELSE))
    assert shots.texts == ("", "line 1", "", "line 3")
    assert shots.vectors.shape == (N_SHOTS_ELSE, HIDDEN)
    assert catalogue.fused("silent").shape == (N_SHOTS_ELSE, HIDDEN)


@settings(max_examples=60, deadline=None)
@given(clip=st.tuples(st.floats(0, END_S), st.floats(0, END_S)).filter(lambda clip: clip[0] < clip[1]))
def test_a_clip_is_every_shot_that_it_overlaps_with_its_own_vector(
    catalogue: Catalogue, clip: tuple[float, float]
) -> None:
    start_s, end_s = clip
    whole = catalogue.shots("silent")
    overlapping = [i for i, span in enumerate(whole.spans) if span.start_s < end_s and start_s < span.end_s]
    found = catalogue.clip("silent", start_s, end_s)
    assert found.spans == tuple(whole.spans[i] for i in overlapping)
    assert found.texts == tuple(whole.texts[i] for i in overlapping)
    assert np.array_equal(found.vectors, whole.vectors[overlapping])
    assert overlapping


def test_a_clip_that_ends_on_a_cut_leaves_the_next_shot_out(catalogue: Catalogue) -> None:
    assert catalogue.clip("silent", 0.0, SHOT_S).spans == (Span(0.0, SHOT_S),)
    assert catalogue.clip("silent", SHOT_S, END_S).spans[0] == Span(SHOT_S, 2 * SHOT_S)


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [(0, END_S + 0.1), (END_S, END_S + 1), (-1, 1), (2, 1), (1, 1), (0, float("inf")), (float("nan"), 1)],
)
def test_a_clip_outside_its_title_is_refused(catalogue: Catalogue, start_s: float, end_s: float) -> None:
    with pytest.raises(SpanError):
        catalogue.clip("silent", start_s, end_s)


# Similarity


def test_similar_shots_are_those_of_a_search_through_all(catalogue: Catalogue) -> None:
    query = catalogue.clip("long", 0, 7 * SHOT_S)
    found = similar_shots(catalogue, query, within=OTHERS, most=3)
    everything = [
        (cosine(query.vectors[i], shots.vectors[j]), i, shots, j)
        for i in range(len(query.spans))
        for shots in map(catalogue.shots, OTHERS)
        for j in range(len(shots.spans))
    ]
    assert len(found) == len(query.spans)
    for i, hits in enumerate(found):
        best = sorted((c for c, of, _, _ in everything if of == i), reverse=True)[:3]
        assert [hit.cosine for hit in hits] == pytest.approx(best, abs=1e-6)
        for hit in hits:
            shots = catalogue.shots(hit.title)
            j = shots.spans.index(hit.span)
            assert hit.text == shots.texts[j]
            assert hit.cosine == pytest.approx(cosine(query.vectors[i], shots.vectors[j]), abs=1e-6)


def test_similar_titles_are_those_of_a_search_through_all(catalogue: Catalogue) -> None:
    query = catalogue.shots("silent")
    expected = {}
    for other in (title.id for title in TITLES if title.id != "silent"):
        vectors = catalogue.shots(other).vectors
        expected[other] = np.mean([max(cosine(v, w) for w in vectors) for v in query.vectors])
    found = similar_titles(catalogue, "silent", most=len(TITLES))
    assert [hit.title for hit in found] == sorted(expected, key=expected.__getitem__, reverse=True)
    assert [hit.similarity for hit in found] == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-6)
    assert [hit.title for hit in similar_titles(catalogue, "silent", most=2)] == [hit.title for hit in found[:2]]


def test_a_shot_is_most_similar_to_itself(catalogue: Catalogue) -> None:
    query = catalogue.shots("silent")
    for i, (hit,) in enumerate(similar_shots(catalogue, query, within=["silent"], most=1)):
        assert hit.cosine == pytest.approx(1.0, abs=1e-6)
        assert cosine(query.vectors[query.spans.index(hit.span)], query.vectors[i]) == pytest.approx(1.0, abs=1e-6)


def test_a_vector_of_zeros_is_similar_to_nothing(catalogue: Catalogue) -> None:
    query = catalogue.shots("one-shot")._replace(vectors=np.zeros((1, HIDDEN), np.float32))
    ((hit,),) = similar_shots(catalogue, query, within=["silent"], most=1)
    assert hit.cosine == 0.0


@pytest.mark.parametrize("within", [["silent"], []])
def test_vectors_of_another_encoder_are_refused(catalogue: Catalogue, within: list[str]) -> None:
    query: Shots = catalogue.shots("silent")._replace(encoder="v2")
    with pytest.raises(EncoderMismatchError, match="'v2'"):
        similar_shots(catalogue, query, within=within)


def test_every_error_of_reading_is_one_of_ours() -> None:
    assert issubclass(SnapshotError, MediaFMError)
    assert issubclass(SpanError, MediaFMError)
