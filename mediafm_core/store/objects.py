"""Whole objects at a URL: a local folder or a bucket.

An object is created once and never changed, except the one that `swap` replaces. On a local disk a write is a
temporary file, fsync, then a link or a rename; in a bucket it is one conditional PUT. A kill leaves at most a temporary
file, which `sweep` removes.
"""

import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import AlreadyExistsError, NotFoundError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from mediafm_core.errors import ArtifactError, HomeError

_TEMPORARY = ".partial-"


def local_folder(url: str) -> Path | None:
    """The folder that a `file:` URL or a plain path names; None for any other scheme."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path)).absolute()
    return Path(url).absolute() if len(parts.scheme) <= 1 else None


class Objects:
    """The objects below one URL, by their path relative to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.folder = local_folder(url)
        self._store: ObjectStore = self._connect()

    @classmethod
    def existing(cls, url: str) -> Self:
        """The objects at a URL that must be there already: a reader makes no folder.

        Raises:
            HomeError: the URL is a local folder that does not exist.
        """
        folder = local_folder(url)
        if folder is not None and not folder.is_dir():
            raise HomeError(
                f"home {url!r}",
                found="no such folder",
                expected="a home or a copy of one",
                next_step="Check the path, or make a home with `mediafm init`.",
            )
        return cls(url)

    def _connect(self) -> ObjectStore:
        if self.folder is not None:
            return LocalStore(self.folder, mkdir=True)
        return MemoryStore() if self.url.startswith("memory:") else from_url(self.url)

    def create(self, path: str, data: bytes) -> bool:
        """Write a new object whole, or return False and leave the one that is there."""
        _check(path)
        if self.folder is not None:
            return _create_file(self.folder / path, data)
        try:
            obstore.put(self._store, path, data, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def swap(self, path: str, data: bytes) -> None:
        """Replace an object in one step: a reader sees the old bytes or the new ones."""
        _check(path)
        if self.folder is not None:
            replace_file(self.folder / path, data)
        else:
            obstore.put(self._store, path, data)

    def read(self, path: str) -> bytes:
        """All bytes of an object.

        Raises:
            ArtifactError: there is none.
        """
        _check(path)
        try:
            return bytes(obstore.get(self._store, path).bytes())
        except (NotFoundError, FileNotFoundError) as missing:
            raise ArtifactError(
                f"object {path!r} in {self.url}",
                found="nothing",
                expected="the object that was committed under this name",
                next_step="Run `mediafm rebuild`, then `mediafm apply`: what is missing is made again.",
            ) from missing

    def exists(self, path: str) -> bool:
        """Whether the object is there."""
        _check(path)
        try:
            obstore.head(self._store, path)
        except (NotFoundError, FileNotFoundError):
            return False
        return True

    def delete(self, path: str) -> None:
        """Remove an object; nothing happens where there is none."""
        _check(path)
        try:
            obstore.delete(self._store, path)
        except (NotFoundError, FileNotFoundError):
            return

    def paths(self, prefix: str) -> Iterator[str]:
        """The paths of all whole objects below a prefix, sorted."""
        yield from sorted(self.sizes(prefix))

    def sizes(self, prefix: str) -> dict[str, int]:
        """The bytes of each whole object below a prefix, which ends where a part of a path does, by path."""
        found = [(meta["path"], meta["size"]) for batch in obstore.list(self._store, prefix) for meta in batch]
        return {path: n_bytes for path, n_bytes in found if _TEMPORARY not in path}

    def sweep(self, *folders: str, older_than_s: float = 3600.0) -> int:
        """Remove what interrupted writes left behind; returns how many files that were.

        Args:
            folders: where to look, beside the place itself; by default everywhere below it.
            older_than_s: what was written to since is left alone.
        """
        if self.folder is None:
            return 0  # a bucket never shows half a PUT
        limit = time.time() - older_than_s
        here = self.folder.glob(f"{_TEMPORARY}*") if folders else iter(())
        below = (path for name in folders or (".",) for path in (self.folder / name).rglob(f"{_TEMPORARY}*"))
        leftovers = [path for path in (*here, *below) if _is_older(path, limit)]
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
        return len(leftovers)


def _is_older(path: Path, limit: float) -> bool:
    """Whether this is a file that was last written before `limit`; one that is gone meanwhile is none."""
    try:
        return path.is_file() and path.stat().st_mtime < limit
    except FileNotFoundError:
        return False


def _check(path: str) -> None:
    """Refuse a path that could lead out of the home, whoever wrote it.

    Raises:
        ArtifactError: a part of it is empty, `.` or `..`.
    """
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise ArtifactError(
            f"object {path!r}",
            found="a path that is absolute or leaves its folder",
            expected="names joined by '/'",
            next_step="Whatever names this object was not written by MediaFM: do not trust it.",
        )


def temporary_beside(target: Path) -> Path:
    """A fresh temporary name in the folder of `target`, which is made; `sweep` knows such names."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"


def write_temporary(target: Path, data: bytes) -> Path:
    """Bytes in a fresh temporary file beside `target`, durable."""
    temporary = temporary_beside(target)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)  # or a disk that is full stays full of it
        raise
    return temporary


def replace_file(target: Path, data: bytes) -> None:
    """Bytes in place of what a file holds, if there is one, in one step, durable."""
    move_file(write_temporary(target, data), target)


def move_file(source: Path, target: Path) -> None:
    """Give a file another name on the same disk, in place of what has it, in one step, durable."""
    source.replace(target)
    _sync_folder(target.parent)


def _create_file(target: Path, data: bytes) -> bool:
    if target.exists():
        return False
    temporary = write_temporary(target, data)
    try:
        return link_new(temporary, target)
    finally:
        temporary.unlink()


def link_new(temporary: Path, target: Path) -> bool:
    """Give a finished temporary file its name, unless the name is taken; the folder is made durable."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    _sync_folder(target.parent)
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
