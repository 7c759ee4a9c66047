"""What killed work left in a home, and working sets that nothing needs any more."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mediafm_core.catalogue.title import Part, Title
from mediafm_core.store.home import Home

OLD_S = 3600.0
"""What nobody has written to for so long is a leftover: no write and no decode pauses for nearly that long."""

_FOLDERS = ("artifacts", "declarations", "blobs", "work")  # never the landing folder: a delivery is not ours
_LAST_SWEPT = "swept"


def sweep(home: Home, *, older_than_s: float = OLD_S) -> int:
    """Remove temporary files and folders of writes and decodes that were killed, and unneeded working sets.

    Args:
        home: the home to look through.
        older_than_s: what was written to since stays. Working sets go by when they were read last.

    Returns:
        How many files and folders were removed.
    """
    home.work.mkdir(exist_ok=True)  # it may be lost
    (home.work / _LAST_SWEPT).touch()
    limit = time.time() - older_than_s
    stale = [folder for folder in _not_needed(home) if _last_written(folder) < limit]
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)
    return len(stale) + home.objects.sweep(*_FOLDERS, older_than_s=older_than_s)


def sweep_now_and_then(home: Home) -> int:
    """Sweep unless that was done within the hour: looking through a large home takes seconds."""
    with suppress(FileNotFoundError):
        if time.time() - (home.work / _LAST_SWEPT).stat().st_mtime < OLD_S:
            return 0
    return sweep(home)


def _not_needed(home: Home) -> Iterator[Path]:
    """Folders in `work/` in which a decode went on, and working sets of media that no title has now."""
    titles = [Title.from_json(body) for body in home.ledger.declared("title").values()]
    needed = {file.sha256 for title in titles for file in title.part_files(Part.MEDIA)}
    for folder in home.work.iterdir():
        if folder.is_dir() and (folder.name.startswith(".") or (len(folder.name) == 64 and folder.name not in needed)):
            yield folder


def _last_written(folder: Path) -> float:
    """When the folder or anything in it was last written, in seconds since the epoch."""
    last = 0.0
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):  # whoever works there goes on
            last = max(last, path.stat().st_mtime)
    return last
