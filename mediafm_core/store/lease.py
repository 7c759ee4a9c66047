"""One worker at a time for one artifact, among all processes of a machine: who comes second waits, then finds it."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import local
from typing import IO

_held = local()


@contextmanager
def lease(folder: Path, name: str, on_wait: Callable[[], None], says: str = "") -> Iterator[None]:
    """Hold a name alone; the system lets go of it when the process dies, however it dies.

    Args:
        folder: where the locks lie; made where it is missing.
        name: safe as a file's name. Held by this very thread already, it is simply kept.
        on_wait: called where somebody else holds it, before waiting.
        says: what `abandoned` tells of it, should the process die.
    """
    mine: set[Path] = _held.__dict__.setdefault("paths", set())
    path = folder / name
    if path in mine:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(path, on_wait) as lock:
        lock.truncate(0)
        lock.write(says.encode())
        lock.flush()
        mine.add(path)
        try:
            yield
        finally:
            mine.remove(path)
            path.unlink(missing_ok=True)  # while it is locked: who waits for it sees that the name has gone


def abandoned(folder: Path) -> list[str]:
    """What the leases say whose holders died, each told once."""
    return [said for path in sorted(folder.glob("*")) if (said := _left(path))]


def _left(path: Path) -> str:
    with suppress(FileNotFoundError, BlockingIOError), path.open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_there(path, lock):
            path.unlink()
            return lock.read().decode()
    return ""


def _locked(path: Path, on_wait: Callable[[], None]) -> IO[bytes]:
    while True:
        lock = path.open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_there(path, lock):
            return lock
        lock.close()


def _is_there(path: Path, lock: IO[bytes]) -> bool:
    """Whether the locked file still has its name: its last holder took that away."""
    try:
        return os.path.samestat(path.stat(), os.fstat(lock.fileno()))
    except FileNotFoundError:
        return False
