"""Find a pinned model's files where pip put them, and check their bytes before anything reads them.

A package is found by the import system's search alone: none of its code runs.
"""

import hashlib
import importlib.util
from pathlib import Path

from mediafm_core.errors import WeightsError
from mediafm_core.weights.manifest import INSTALL, PinnedFile, PinnedModel


def model_folder(model: PinnedModel) -> Path:
    """The folder of `model` inside its installed package.

    Raises:
        WeightsError: the package is not installed.
    """
    spec = importlib.util.find_spec(model.module)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(model, f"no package {model.package!r} in this environment")
    return Path(spec.submodule_search_locations[0]) / model.root


def verified_bytes(model: PinnedModel, file: PinnedFile) -> bytes:
    """The bytes of one file, which are what was hashed: the file is read once.

    Raises:
        WeightsError: the file is missing, or its bytes are not the pinned ones.
    """
    path = model_folder(model) / file.path
    if not path.is_file():
        raise _missing(model, f"no file {path}")
    data = path.read_bytes()
    _check(model, path, hashlib.sha256(data).hexdigest(), file.sha256)
    return data


def verified_folder(model: PinnedModel, stamps: Path) -> Path:
    """The folder of `model`, every pinned file in it checked.

    A file leaves a stamp with its hash, named by its path, size and times; while the stamp fits, it is not hashed
    again. Hashing guards against a wrong or damaged package, not against somebody who can write into the user's cache.

    Args:
        model: what to look for.
        stamps: the folder of the stamps; made if need be.

    Raises:
        WeightsError: the package or a file is missing, or a file's bytes are not the pinned ones.
    """
    folder = model_folder(model)
    for file in model.files:
        _verify(model, folder / file.path, file.sha256, stamps)
    return folder


def found_sha256(path: Path, stamps: Path) -> str:
    """The sha256 of a file: from its stamp while its path, size and times are those that it was hashed at.

    Args:
        path: the file.
        stamps: the folder of the stamps; made if need be.

    Raises:
        OSError: it cannot be read.
    """
    stat = path.stat()
    seen_as = f"{path.absolute()}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ctime_ns}"
    stamp = stamps / hashlib.sha256(seen_as.encode()).hexdigest()
    if stamp.exists() and (told := stamp.read_text()):
        return told
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    stamps.mkdir(parents=True, exist_ok=True)
    stamp.write_text(found)
    return found


def _verify(model: PinnedModel, path: Path, sha256: str, stamps: Path) -> None:
    if not path.is_file():
        raise _missing(model, f"no file {path}")
    _check(model, path, found_sha256(path, stamps), sha256)


def _check(model: PinnedModel, path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise WeightsError(
            f"weights {model.name!r}, file {path}",
            found=f"sha256 {found}",
            expected=f"{expected}, of {model.package} {model.version}",
            next_step=f"Install the pinned package again: {INSTALL} --force-reinstall",
        )


def _missing(model: PinnedModel, found: str) -> WeightsError:
    return WeightsError(
        f"weights {model.name!r}",
        found=found,
        expected=f"{model.package} {model.version}",
        next_step=f"Install the pretrained weights: {INSTALL}",
    )
