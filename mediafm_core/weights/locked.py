"""What was fetched stays what it was: the hashes of a folder's files, kept beside it when it first arrived.

A commit says which files a hub should serve, and nobody but the hub says that it did. So the first arrival is what
every later one, and the folder itself, is held to.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from mediafm_core.errors import WeightsError
from mediafm_core.weights.folders import SOURCE
from mediafm_core.weights.installed import found_sha256

_KEPT_APART = ".cache"
"""What a hub's client leaves for itself."""


def lock_of(folder: Path) -> Path:
    """Where the hashes of a folder's files are kept."""
    return folder.with_name(f"{folder.name}.lock.json")


def lock(folder: Path, arrived: Path, stamps: Path) -> None:
    """Keep the hashes of files that arrived and are to lie in `folder`, in place of any that were kept before.

    Args:
        folder: where they will lie.
        arrived: where they lie now.
        stamps: as in `found_sha256`.
    """
    lock_of(folder).write_text(json.dumps(_hashes(arrived, stamps), indent=1, sort_keys=True), encoding="utf-8")


def check_locked(folder: Path, arrived: Path, stamps: Path) -> None:
    """Hold files to those that arrived first; where nothing was kept of these, there is nothing to hold them to.

    Args:
        folder: whose hashes were kept.
        arrived: where the files lie.
        stamps: as in `found_sha256`.

    Raises:
        WeightsError: a file was changed, is missing, or was added.
    """
    kept = lock_of(folder)
    if not kept.is_file():
        return
    was, found = json.loads(kept.read_text(encoding="utf-8")), _hashes(arrived, stamps)
    for name in sorted({*was, *found}):
        if was.get(name) != found.get(name):
            raise WeightsError(
                f"file {name!r} of {folder.name}",
                found=f"sha256 {found[name]}" if name in found else "no such file",
                expected=was.get(name, "no such file, as when it was fetched first"),
                next_step=f"The hub or somebody here changed it. If the first was wrong, delete {folder} and {kept}.",
            )


def _hashes(folder: Path, stamps: Path) -> Mapping[str, str]:
    """By name the sha256 of each file that came with a model."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != SOURCE]
    names = {path.relative_to(folder): path for path in paths}
    return {str(name): found_sha256(path, stamps) for name, path in names.items() if name.parts[0] != _KEPT_APART}
