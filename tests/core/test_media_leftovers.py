"""Leftovers of killed work go once they are old; what is in use, and what is not ours, stays."""

import os
import time
from pathlib import Path

import pytest

from mediafm_core.catalogue.title import Part
from mediafm_core.media.leftovers import OLD_S, sweep, sweep_now_and_then
from mediafm_core.store.home import Home
from tests.catalogue import LONG, SILENT, with_media
from tests.fakes import apply, deliver, make_home

LEFTOVERS = (
    "artifacts/shots/long/.partial-1",
    "blobs/ab/.partial-2",
    "declarations/.partial-3",
    "work/.partial-4",
    ".partial-5",
    "work/.0123.xyz/whole/frames.npy",
)


@pytest.fixture
def home(tmp_path: Path):
    made = make_home(tmp_path / "home", [SILENT, LONG])
    yield made
    made.ledger.close()


def age(path: Path, age_s: float) -> None:
    """Let it be last written so long ago."""
    then = time.time() - age_s
    os.utime(path, (then, then))


def put(home: Home, *names: str, age_s: float) -> list[Path]:
    """Write files; they and the folders above them were last written so long ago."""
    paths = [home.root / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    for path in paths:
        for each in (path, *path.parents):
            if home.root in each.parents:
                age(each, age_s)
    return paths


def files(home: Home) -> set[Path]:
    return {path for path in home.root.rglob("*") if path.is_file() and path.name != "swept"}


def test_old_leftovers_go_and_nothing_else(home: Home) -> None:
    apply(home)
    before = files(home)
    put(home, *LEFTOVERS, age_s=2 * OLD_S)
    assert sweep(home) == len(LEFTOVERS)
    assert files(home) == before
    assert not list(home.work.glob(".*"))


def test_young_leftovers_may_be_in_use_and_stay(home: Home) -> None:
    paths = put(home, *LEFTOVERS, age_s=OLD_S / 2)
    assert sweep(home) == 0
    assert all(path.exists() for path in paths)


def test_a_long_decode_goes_on(home: Home) -> None:
    """Its folder is old, the file that it writes is not."""
    (old,) = put(home, "work/.0123.xyz/whole/frames.npy", age_s=2 * OLD_S)
    os.utime(old)
    assert sweep(home) == 0
    assert old.exists()


def test_what_lies_in_the_landing_folder_is_not_ours(home: Home) -> None:
    (path,) = put(home, "landing/film/.partial-upload", age_s=2 * OLD_S)
    sweep(home)
    assert path.exists()


def test_working_sets_of_media_that_no_title_has_go(home: Home) -> None:
    old, new = SILENT, with_media(SILENT, "other pictures")
    shas = [title.part_files(Part.MEDIA)[0].sha256 for title in (old, new, LONG)]
    put(home, *(f"work/{sha}/info.json" for sha in shas), age_s=2 * OLD_S)
    deliver(home, new)
    assert sweep(home) == 1
    assert {path.name for path in home.work.iterdir() if path.is_dir()} == set(shas[1:])


def test_a_home_is_swept_once_an_hour(home: Home) -> None:
    sweep(home)
    put(home, ".partial-5", age_s=2 * OLD_S)
    assert sweep_now_and_then(home) == 0
    age(home.work / "swept", 2 * OLD_S)
    assert sweep_now_and_then(home) == 1


def test_a_home_without_its_working_folder_is_swept(home: Home) -> None:
    home.work.rmdir()
    assert sweep_now_and_then(home) == 0
    assert home.work.is_dir()


def test_leftovers_that_vanish_meanwhile_are_no_fault(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = put(home, ".partial-5", age_s=2 * OLD_S)
    monkeypatch.setattr(Path, "is_file", lambda self: self.unlink(missing_ok=True) or True if self == path else True)
    assert sweep(home) == 0
