"""A delivery is taken whole or refused whole: what is wrong is named, and the catalogue stays as it was."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from mediafm_core.catalogue.title import Metadata, Part, Title
from mediafm_core.errors import CaptionError, DeliveryError, MediaError, MetadataError, TitleIdError
from mediafm_core.ingest import taking
from mediafm_core.ingest.listing import COMPLETE, deliveries_in, list_delivery
from mediafm_core.ingest.taking import arrivals, examine, take, take_or_refuse
from mediafm_core.planning.plan import plan
from mediafm_core.release.withdrawing import withdraw
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from tests.fakes import make_home
from tests.ledgers import dump


class Film(Protocol):
    """What `conftest.film` gives."""

    path: Path


VTT = "WEBVTT\n\n00:00.500 --> 00:01.000\nHello.\n"
SRT = "1\n00:00:00,500 --> 00:00:01,000\nHello.\n"
TITLE = {"name": "A Film", "synopsis": "Tiles change.", "tags": ["calm"], "year": 1976}


@pytest.fixture
def home(tmp_path: Path):
    home = make_home(tmp_path / "home", [])
    yield home
    home.ledger.close()


@pytest.fixture
def folder(tmp_path: Path, film: Film) -> Path:
    """A whole delivery, not in the landing folder."""
    return delivery(tmp_path / "a-film", film)


def delivery(folder: Path, film: Film) -> Path:
    folder.mkdir(parents=True)
    os.link(film.path, folder / "media.mp4")
    (folder / "captions.en.vtt").write_text(VTT)
    (folder / "title.json").write_text(json.dumps(TITLE))
    return folder


def take_in(home: Home, path: Path, **options: str) -> bool:
    return take(home, examine(path, **options))


def titles(home: Home) -> dict[str, Title]:
    return dict(read_state(home).titles)


def untouched(home: Home) -> bool:
    """Whether nothing was taken."""
    return not titles(home) and not list(home.blobs.folder.rglob("*")) and home.ledger.declared("landed") == {}


def overwrite(path: Path, content: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(content)


# What is taken


def test_a_folder_becomes_a_title_with_its_parts(home: Home, folder: Path, film: Film) -> None:
    assert take_in(home, folder)
    (title,) = titles(home).values()
    assert (title.id, title.delivered_as) == ("a-film", "a-film")
    assert title.metadata == Metadata(name="A Film", synopsis="Tiles change.", tags=("calm",), year=1976)
    assert [(f.part, f.name) for f in title.files] == [
        (Part.CAPTIONS, "captions.en.vtt"),
        (Part.MEDIA, "media.mp4"),
        (Part.METADATA, "title.json"),
    ]
    (media,) = title.part_files(Part.MEDIA)
    assert home.blobs.path(media.sha256).read_bytes() == film.path.read_bytes()
    assert media.n_bytes == film.path.stat().st_size


def test_examining_changes_nothing(home: Home, folder: Path) -> None:
    before = sorted(home.root.rglob("*"))
    examine(folder)
    assert sorted(home.root.rglob("*")) == before


def test_what_was_taken_stays_when_the_delivery_is_gone(home: Home, folder: Path) -> None:
    import shutil

    take_in(home, folder)
    shutil.rmtree(folder)
    for file in titles(home)["a-film"].files:
        assert home.blobs.path(file.sha256).stat().st_size == file.n_bytes
    assert arrivals(home) == ((), ())


def test_a_bare_media_file_brings_its_sidecars(home: Home, tmp_path: Path, film: Film) -> None:
    for name in ("Film.mp4", "Film.2.mp4"):
        os.link(film.path, tmp_path / name)
    for name in ("Film.en.SRT", "Film.srt", "Film.2.srt"):
        (tmp_path / name).write_text(SRT)
    (tmp_path / "Film.json").write_text(json.dumps(TITLE))
    for name in ("Film.info.json", "Film.jpg", "Filmed.srt"):
        (tmp_path / name).write_text("not ours")
    listing = list_delivery(tmp_path / "Film.mp4")
    assert {path.name for _, path in listing.files} == {"Film.mp4", "Film.en.SRT", "Film.srt", "Film.json"}
    assert set(listing.ignored) == {"Film.info.json", "Film.jpg"}
    assert take_in(home, tmp_path / "Film.mp4")
    (title,) = titles(home).values()
    assert title.id.startswith("film-")
    assert len(title.part_files(Part.CAPTIONS)) == 2


def test_two_media_files_of_one_name_are_refused(home: Home, tmp_path: Path, film: Film) -> None:
    for name in ("film.mp4", "film.mkv"):
        os.link(film.path, tmp_path / name)
    with pytest.raises(DeliveryError, match="2 files of its media"):
        take_in(home, tmp_path / "film.mp4")


def test_files_that_are_no_part_are_told(folder: Path) -> None:
    for name in ("poster.jpg", "Media.txt", "captions.doc", ".hidden"):
        (folder / name).write_text("x")
    (folder / COMPLETE).touch()
    assert list_delivery(folder).ignored == ("Media.txt", "captions.doc", "poster.jpg")


def test_without_a_title_json_a_title_is_called_as_it_was_delivered(home: Home, folder: Path) -> None:
    (folder / "title.json").unlink()
    take_in(home, folder)
    assert titles(home)["a-film"].metadata == Metadata(name="a-film")


def test_an_id_can_be_chosen(home: Home, folder: Path) -> None:
    take_in(home, folder, title="chosen")
    assert titles(home)["chosen"].delivered_as == "a-film"
    with pytest.raises(TitleIdError, match="Not One"):
        examine(folder, title="Not One")


@pytest.mark.parametrize("name", ["Amélie [1] *?", "..hidden", "a|b,c", "007", "-x", "😀", os.fsdecode(b"caf\xe9")])
def test_a_name_that_is_no_id_is_kept_beside_one(home: Home, tmp_path: Path, film: Film, name: str) -> None:
    take_in(home, delivery(tmp_path / name, film))
    (tmp_path / name / "title.json").unlink()
    take_in(home, tmp_path / name)
    ((title, record),) = titles(home).items()
    assert len(title) <= 64
    assert record.delivered_as in (name, "caf\\xe9")
    assert record.metadata.name == record.delivered_as
    assert plan(read_state(home)).steps  # it can be hashed, and written


# The same again


def test_the_same_content_again_changes_nothing(home: Home, folder: Path) -> None:
    assert take_in(home, folder)
    before = dump(home.ledger)
    assert not take_in(home, folder)
    for file in folder.iterdir():
        os.utime(file, (0, 0))
    assert not take_in(home, folder)
    assert dump(home.ledger)["declarations"][: len(before["declarations"])] == before["declarations"]


def test_a_changed_delivery_is_a_re_delivery(home: Home, folder: Path) -> None:
    take_in(home, folder)
    overwrite(folder / "captions.en.vtt", VTT.replace("Hello", "Goodbye"))
    assert take_in(home, folder)
    (title,) = titles(home).values()
    (captions,) = title.part_files(Part.CAPTIONS)
    assert "Goodbye" in home.blobs.path(captions.sha256).read_text()


def test_a_file_that_changed_since_it_was_examined_is_noticed(home: Home, folder: Path) -> None:
    examined = examine(folder)
    overwrite(folder / "captions.en.vtt", VTT.replace("Hello", "Jello"))
    with pytest.raises(DeliveryError, match=r"captions\.en\.vtt.*changed"):
        take(home, examined)
    assert titles(home) == {}


# What is refused


def _no_media(folder: Path) -> None:
    (folder / "media.mp4").unlink()


def _two_media(folder: Path) -> None:
    os.link(folder / "media.mp4", folder / "media.mkv")


def _a_link(folder: Path) -> None:
    target = folder / "media.mp4"
    target.rename(folder.parent / "elsewhere.mp4")
    target.symlink_to(folder.parent / "elsewhere.mp4")


def _a_link_to_nothing(folder: Path) -> None:
    (folder / "captions.de.vtt").symlink_to("/nowhere")


def _a_folder(folder: Path) -> None:
    (folder / "captions.de.vtt").mkdir()


def _a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "captions.de.vtt")


def _noise(folder: Path) -> None:
    overwrite(folder / "media.mp4", "this is no film " * 100)


def _cut_media(folder: Path) -> None:
    data = (folder / "media.mp4").read_bytes()
    (folder / "media.mp4").unlink()
    (folder / "media.mp4").write_bytes(data[:40])


def _captions_of_noise(folder: Path) -> None:
    (folder / "captions.en.vtt").write_bytes(b"\x00\xff\xfe" * 50)


def _bad_times(folder: Path) -> None:
    overwrite(folder / "captions.en.vtt", "WEBVTT\n\nsoon --> later\nHello.\n")


def _title(content: str):
    def spoil(folder: Path) -> None:
        overwrite(folder / "title.json", content)

    return spoil


REFUSED = {
    "no media": (_no_media, DeliveryError, "a-film.*no media"),
    "two media": (_two_media, DeliveryError, "a-film.*2 files of its media"),
    "a link": (_a_link, DeliveryError, r"media\.mp4.*link"),
    "a link to nothing": (_a_link_to_nothing, DeliveryError, r"captions\.de\.vtt.*link"),
    "a folder in a file's place": (_a_folder, DeliveryError, r"captions\.de\.vtt"),
    "a pipe in a file's place": (_a_pipe, DeliveryError, r"captions\.de\.vtt"),
    "noise": (_noise, MediaError, r"media\.mp4"),
    "cut media": (_cut_media, MediaError, r"media\.mp4"),
    "captions of noise": (_captions_of_noise, CaptionError, r"captions\.en\.vtt"),
    "bad times": (_bad_times, CaptionError, "soon --> later"),
    "no JSON": (_title("{name: x}"), MetadataError, r"title\.json.*no JSON"),
    "nested JSON": (_title("[" * 100_000), MetadataError, r"title\.json"),
    "a list": (_title("[]"), MetadataError, "no name"),
    "no name": (_title('{"synopsis": "x"}'), MetadataError, "no name"),
    "a blank name": (_title('{"name": " "}'), MetadataError, "no name"),
    "an unknown field": (_title('{"name": "x", "sinopsis": "y"}'), MetadataError, "'sinopsis'"),
    "a year in words": (_title('{"name": "x", "year": "1976"}'), MetadataError, "year of type str"),
    "a year that is true": (_title('{"name": "x", "year": true}'), MetadataError, "year of type bool"),
    "a tag that is a number": (_title('{"name": "x", "tags": [1]}'), MetadataError, "an entry of tags"),
    "a cast that is a string": (_title('{"name": "x", "cast": "Ada"}'), MetadataError, "cast of type str"),
    "a blank person": (_title('{"name": "x", "cast": [" "]}'), MetadataError, "cast ' '"),
    "too many people": (_title(json.dumps({"name": "x", "cast": ["a"] * 501})), MetadataError, "501 entries of cast"),
    "a genre without a name": (_title('{"name": "x", "genres": ["drama//x"]}'), MetadataError, "genres 'drama//x'"),
    "a genre too deep": (_title(json.dumps({"name": "x", "genres": ["/".join("abcdefghi")]})), MetadataError, "genres"),
    "a long review": (_title(json.dumps({"name": "x", "reviews": ["r" * 20_001]})), MetadataError, "reviews 'rrr"),
    "a season below 0": (_title('{"name": "x", "series": "y", "season": -1}'), MetadataError, "season '-1'"),
    "an episode in words": (_title('{"name": "x", "series": "y", "episode": "1"}'), MetadataError, "episode of type"),
    "an episode of nothing": (_title('{"name": "x", "episode": 1}'), MetadataError, "without series"),
    "a blank series": (_title('{"name": "x", "series": ""}'), MetadataError, "series ''"),
    "a name of half a character": (_title('{"name": "\\ud800"}'), MetadataError, r"title\.json"),
    "a tag of half a character": (_title('{"name": "x", "tags": ["\\udfff"]}'), MetadataError, r"title\.json"),
    "a huge title.json": (_title(json.dumps({"name": "x" * 2**20})), MetadataError, "bytes"),
}


def test_what_a_title_says_beyond_the_post_is_kept_as_it_was_delivered(home: Home, folder: Path) -> None:
    more = {"series": "Tiles", "season": 1, "episode": 2, "cast": ["Ada"], "reviews": ["Good."]}
    overwrite(folder / "title.json", json.dumps({**TITLE, **more, "genres": ["drama/courtroom"]}))
    take_in(home, folder)
    kept = titles(home)["a-film"].metadata
    assert (kept.series, kept.season, kept.episode) == ("Tiles", 1, 2)
    assert (kept.genres, kept.cast, kept.reviews) == (("drama/courtroom",), ("Ada",), ("Good.",))


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_whole_and_named(home: Home, folder: Path, case: str) -> None:
    spoil, error, message = REFUSED[case]
    spoil(folder)
    with pytest.raises(error, match=message):
        take_in(home, folder)
    assert untouched(home)


def test_a_refused_re_delivery_leaves_the_title_as_it_was(home: Home, folder: Path) -> None:
    take_in(home, folder)
    before = titles(home)
    _noise(folder)
    with pytest.raises(MediaError):
        take_in(home, folder)
    assert titles(home) == before


def test_a_file_that_vanishes_meanwhile_is_a_refusal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Path) -> str:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(taking, "file_sha256", gone)
    with pytest.raises(DeliveryError, match=r"a-film.*No such file"):
        examine(folder)


@pytest.mark.parametrize("name", ["none", "notes.txt"])
def test_what_is_no_delivery_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DeliveryError, match=name):
        list_delivery(tmp_path / name)


# The landing folder


def test_a_delivery_is_complete_with_its_mark(home: Home, film: Film) -> None:
    landed = delivery(home.landing / "a-film", film)
    assert [a.delivered_as for a in arrivals(home).arriving] == ["a-film"]
    assert arrivals(home).complete == ()
    (landed / COMPLETE).touch()
    assert [a.delivered_as for a in arrivals(home).complete] == ["a-film"]
    assert arrivals(home).arriving == ()


def test_a_delivery_is_complete_when_nothing_was_written_for_a_while(
    home: Home, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed = delivery(home.landing / "a-film", film)
    now = time.time()
    monkeypatch.setattr(taking.time, "time", lambda: now + taking.SETTLE_S - 5)
    assert arrivals(home).complete == ()
    monkeypatch.setattr(taking.time, "time", lambda: now + taking.SETTLE_S + 5)
    assert [a.path for a in arrivals(home).complete] == [landed]


def test_an_old_file_that_was_just_copied_is_not_complete(home: Home, film: Film) -> None:
    landed = delivery(home.landing / "a-film", film)
    for file in landed.iterdir():
        os.utime(file, (0, 0))  # as `cp -p` leaves it
    assert arrivals(home).complete == ()


def test_what_was_taken_or_refused_is_not_looked_at_again(home: Home, film: Film) -> None:
    for name in ("good", "bad"):
        (delivery(home.landing / name, film) / COMPLETE).touch()
    _noise(home.landing / "bad")
    for listing in arrivals(home).complete:
        take_or_refuse(home, listing)
    assert arrivals(home) == ((), ())
    assert set(titles(home)) == {"good"}
    (rejection,) = home.ledger.rejections()
    assert rejection.delivered_as == "bad"
    assert "media.mp4" in rejection.message


def test_a_refusal_is_returned_and_a_mended_delivery_is_tried_again(home: Home, film: Film) -> None:
    landed = delivery(home.landing / "a-film", film)
    (landed / COMPLETE).touch()
    overwrite(landed / "title.json", "{")
    assert isinstance(take_or_refuse(home, arrivals(home).complete[0]), MetadataError)
    overwrite(landed / "title.json", json.dumps(TITLE))
    taken = take_or_refuse(home, arrivals(home).complete[0])
    assert not isinstance(taken, DeliveryError)
    assert taken.title.id == "a-film"


def test_going_back_to_an_earlier_content_is_a_re_delivery(home: Home, film: Film) -> None:
    landed = delivery(home.landing / "a-film", film)
    (landed / COMPLETE).touch()
    take_or_refuse(home, arrivals(home).complete[0])
    (landed / "title.json").rename(home.root / "kept.json")  # its times stay
    overwrite(landed / "title.json", json.dumps({"name": "Another"}))
    take_or_refuse(home, arrivals(home).complete[0])
    assert titles(home)["a-film"].metadata.name == "Another"
    (home.root / "kept.json").rename(landed / "title.json")
    take_or_refuse(home, arrivals(home).complete[0])
    assert titles(home)["a-film"].metadata.name == "A Film"
    assert arrivals(home) == ((), ())


def test_what_is_taken_from_elsewhere_is_not_undone_by_what_lies_in_the_landing(
    home: Home, film: Film, folder: Path
) -> None:
    landed = delivery(home.landing / "a-film", film)
    (landed / COMPLETE).touch()
    take_or_refuse(home, arrivals(home).complete[0])
    overwrite(folder / "title.json", json.dumps({"name": "By hand"}))
    take_in(home, folder)
    assert arrivals(home) == ((), ())
    assert titles(home)["a-film"].metadata.name == "By hand"


def test_a_delivery_that_vanishes_is_nothing(home: Home, film: Film) -> None:
    import shutil

    landed = delivery(home.landing / "a-film", film)
    (landed / COMPLETE).touch()
    take_or_refuse(home, arrivals(home).complete[0])
    shutil.rmtree(landed)
    assert arrivals(home) == ((), ())
    assert set(titles(home)) == {"a-film"}


def test_hidden_things_and_links_in_the_landing_are_no_deliveries(home: Home, film: Film) -> None:
    for name in (".rsync-partial", "_quarantine"):
        delivery(home.landing / name, film)
    (home.landing / "link").symlink_to(home.landing / "_quarantine")
    (home.landing / "notes.txt").write_text("x")
    assert arrivals(home) == ((), ())


def test_a_stray_media_file_hides_no_other_delivery(home: Home, film: Film) -> None:
    os.link(film.path, home.landing / "media.mp4")
    delivery(home.landing / "a-film", film)
    assert {a.path.name for a in arrivals(home).arriving} == {"media.mp4", "a-film"}


def test_a_pipe_is_refused_by_itself_until_it_is_something_else(
    home: Home, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    (delivery(home.landing / "good", film) / COMPLETE).touch()
    os.mkfifo(home.landing / "pipe.mp4")
    assert {a.path.name for a in arrivals(home).arriving} == {"pipe.mp4"}
    refuse_in_time(home, monkeypatch)
    assert set(titles(home)) == {"good"}
    assert [r.delivered_as for r in home.ledger.rejections()] == ["pipe"]
    assert arrivals(home) == ((), ())
    (home.landing / "pipe.mp4").unlink()
    os.link(film.path, home.landing / "pipe.mp4")
    refuse_in_time(home, monkeypatch)
    assert set(titles(home)) == {"good", "pipe"}


def refuse_in_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take or refuse all that lies in the landing folder, as if it had lain there for a while."""
    with monkeypatch.context() as later:
        now = time.time()
        later.setattr(taking.time, "time", lambda: now + taking.SETTLE_S + 5)
        found = arrivals(home)
    assert found.arriving == ()
    for listing in found.complete:
        take_or_refuse(home, listing)


def test_a_folder_that_may_not_be_read_is_refused_by_itself_until_it_may(
    home: Home, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("good", "locked"):
        (delivery(home.landing / name, film) / COMPLETE).touch()
    with monkeypatch.context() as locked:
        forbid(locked, home.landing / "locked")
        refuse_in_time(home, monkeypatch)
        (rejection,) = home.ledger.rejections()
        assert rejection.delivered_as == "locked"
        assert "Permission denied" in rejection.message
        assert arrivals(home) == ((), ())
        (home.landing / "locked").chmod(0o700)  # not yet enough, and still another state
        assert [a.path.name for a in arrivals(home).arriving] == ["locked"]
    refuse_in_time(home, monkeypatch)
    assert set(titles(home)) == {"good", "locked"}


def forbid(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let nobody list a folder; its rights alone would not keep out root."""
    listing_of = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return listing_of(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)


def test_a_file_that_may_not_be_read_is_another_one_once_it_may(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = list_delivery(folder).signature
    with monkeypatch.context() as locked:
        locked.setattr(os, "access", lambda path, mode: path != folder / "media.mp4")
        assert list_delivery(folder).signature != now
    assert list_delivery(folder).signature == now


@pytest.mark.parametrize("name", ["gone", "gone.mp4"])
def test_what_vanishes_while_the_landing_is_looked_through_is_nothing(
    home: Home, film: Film, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (delivery(home.landing / "good", film) / COMPLETE).touch()
    named = taking.deliveries_below
    monkeypatch.setattr(taking, "deliveries_below", lambda landing: [*named(landing), landing / name])
    assert [a.path.name for a in arrivals(home).complete] == ["good"]


def test_a_delivery_that_vanishes_while_it_is_taken_is_not_remembered_as_refused(home: Home, film: Film) -> None:
    landed = delivery(home.landing / "a-film", film)
    (landed / COMPLETE).touch()
    (listing,) = arrivals(home).complete
    examined = examine(landed)
    landed.rename(home.root / "away")
    assert isinstance(take_or_refuse(home, listing), DeliveryError)
    with pytest.raises(DeliveryError, match="No such file"):
        take(home, examined)
    assert home.ledger.rejections() == []
    (home.root / "away").rename(landed)
    assert not isinstance(take_or_refuse(home, listing), DeliveryError)


def test_a_folder_of_deliveries_is_each_of_them(tmp_path: Path, film: Film) -> None:
    many = tmp_path / "many"
    for name in ("b", "a"):
        delivery(many / name, film)
    os.link(film.path, many / "c.mp4")
    (many / "c.srt").write_text(SRT)
    assert list(deliveries_in(many)) == [many / "a", many / "b", many / "c.mp4"]
    assert list(deliveries_in(many / "a")) == [many / "a"]
    assert list(deliveries_in(many / "c.mp4")) == [many / "c.mp4"]


def test_a_signature_knows_every_change_of_a_file(home: Home, folder: Path) -> None:
    seen = {list_delivery(folder).signature}
    overwrite(folder / "captions.en.vtt", VTT + "\n")
    seen.add(list_delivery(folder).signature)
    os.utime(folder / "media.mp4", (1, 1))
    seen.add(list_delivery(folder).signature)
    (folder / "captions.en.vtt").rename(folder / "captions.de.vtt")
    seen.add(list_delivery(folder).signature)
    assert len(seen) == 4
    (folder / COMPLETE).touch()
    assert list_delivery(folder).signature in seen


def test_a_withdrawn_title_is_refused_until_somebody_takes_it_again(home: Home, folder: Path) -> None:
    take_in(home, folder)
    withdraw(home, "a-film", why="licence ended")
    assert titles(home) == {}
    with pytest.raises(DeliveryError, match=r"withdrawn on .*: licence ended[^$]*--reinstate"):
        take_in(home, folder)
    landed = home.landing / "a-film"
    folder.rename(landed)
    (landed / COMPLETE).touch()
    (listing,) = arrivals(home).complete
    assert isinstance(take_or_refuse(home, listing), DeliveryError)
    assert titles(home) == {}
    assert take(home, examine(landed), reinstate=True)
    assert set(titles(home)) == {"a-film"}
    assert not take_in(home, landed)
