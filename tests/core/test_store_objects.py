"""Whole objects: created once, replaced in one step, the same in a folder and in memory."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediafm_core.errors import ArtifactError, DeliveryError, HomeError
from mediafm_core.store.blobs import Blobs, file_sha256
from mediafm_core.store.objects import Objects, local_folder

ODD_FOLDER = "ho me #1 %20 é [ab] *"  # each character means something to a URL or a glob

PATHS = st.sampled_from(["a/b", "a/c", "ab", "b/c", "declarations/000000001.json"])
DATA = st.binary(max_size=4)
OPERATIONS = st.lists(
    st.tuples(st.just("create"), PATHS, DATA)
    | st.tuples(st.just("swap"), PATHS, DATA)
    | st.tuples(st.just("delete"), PATHS, st.just(b"")),
    max_size=12,
)


@pytest.fixture(params=["folder", "memory"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    return Objects(str(tmp_path / ODD_FOLDER) if request.param == "folder" else "memory://")


def everything(objects: Objects) -> dict[str, bytes]:
    return {path: objects.read(path) for path in objects.paths("")}


@pytest.mark.parametrize("place", ["folder", "memory"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_objects_behave_like_a_dictionary_whose_keys_are_set_once(
    place: str, operations: list, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("objects")
    objects = Objects(str(folder) if place == "folder" else "memory://")
    model: dict[str, bytes] = {}
    for operation, path, data in operations:
        if operation == "create":
            assert objects.create(path, data) == (path not in model)
            model.setdefault(path, data)
        elif operation == "swap":
            objects.swap(path, data)
            model[path] = data
        else:
            objects.delete(path)
            model.pop(path, None)
        assert objects.exists(path) == (path in model)
    assert everything(objects) == model


def test_paths_are_those_below_the_prefix_sorted(objects: Objects) -> None:
    for path in ("artifacts/b/2", "artifacts/a/1", "artifacts-else/3", "home.json"):
        objects.create(path, b"x")
    assert list(objects.paths("artifacts")) == ["artifacts/a/1", "artifacts/b/2"]


def test_a_missing_object_is_named(objects: Objects) -> None:
    with pytest.raises(ArtifactError, match="artifacts/none"):
        objects.read("artifacts/none")


@pytest.mark.parametrize("path", ["../out", "a/../../out", "/etc/out", "a//b", "", ".", "a/./b"])
def test_no_path_leaves_the_home(objects: Objects, path: str) -> None:
    for act in (objects.read, objects.exists, objects.delete):
        with pytest.raises(ArtifactError, match="leaves"):
            act(path)
    for write in (objects.create, objects.swap):
        with pytest.raises(ArtifactError, match="leaves"):
            write(path, b"x")
    assert everything(objects) == {}


def test_of_many_that_create_one_object_exactly_one_wins_whole(objects: Objects) -> None:
    contents = [bytes([i]) * 10_000 for i in range(16)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda data: objects.create("one", data), contents))
    assert sum(won) == 1
    assert objects.read("one") == contents[won.index(True)]


def test_sweep_removes_old_leftovers_and_nothing_else(tmp_path: Path) -> None:
    objects = Objects(str(tmp_path))
    objects.create("artifacts/a", b"whole")
    old, young = (tmp_path / "artifacts" / f".partial-{age}" for age in ("old", "young"))
    for leftover in (old, young):
        leftover.write_bytes(b"ha")
    os.utime(old, (0, 0))
    assert list(objects.paths("artifacts")) == ["artifacts/a"]
    assert objects.sweep(older_than_s=60) == 1
    assert [p.name for p in sorted((tmp_path / "artifacts").iterdir())] == [young.name, "a"]


def test_a_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    objects = Objects(str(tmp_path))
    for _ in range(2):
        objects.create("a/b", b"x")
        objects.swap("a/c", b"x")
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["b", "c"]


def test_a_reader_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="no such folder"):
        Objects.existing(str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_a_file_url_and_a_path_name_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / ODD_FOLDER
    assert local_folder(folder.as_uri()) == local_folder(str(folder)) == folder
    assert local_folder("s3://bucket/home") is None


# Delivered bytes


def test_delivered_bytes_stay_when_their_source_is_gone(tmp_path: Path) -> None:
    source = tmp_path / "media.mp4"
    source.write_bytes(b"film" * 1000)
    digest, n_seen = file_sha256(source), []
    blobs = Blobs(tmp_path / "blobs")
    kept = blobs.keep(source, digest, on_bytes=n_seen.append)
    source.unlink()
    assert sum(n_seen) == 4000
    assert blobs.path(digest) == kept
    assert file_sha256(kept) == digest
    assert [p.name for p in kept.parent.iterdir()] == [digest]


def test_a_file_that_changed_since_it_was_hashed_is_not_kept(tmp_path: Path) -> None:
    source = tmp_path / "media.mp4"
    source.write_bytes(b"before")
    digest = file_sha256(source)
    source.write_bytes(b"after!")
    blobs = Blobs(tmp_path / "blobs")
    with pytest.raises(DeliveryError, match=r"media\.mp4"):
        blobs.keep(source, digest)
    with pytest.raises(ArtifactError):
        blobs.path(digest)
    assert [p for p in (tmp_path / "blobs").rglob("*") if p.is_file()] == []
