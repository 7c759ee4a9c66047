"""Pretrained models that are downloaded ahead, from a hub's repository at one revision; afterwards nothing is fetched.

A repository that has no safetensors is taken by its torch checkpoint, if that is pinned by its sha256: it is opened
with `weights_only=True` after the hash was checked, and only the converted copy is kept.
"""

import json
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from mediafm_core.errors import WeightsError
from mediafm_core.weights.folders import CONFIG, INDEX, PREPROCESSING, SOURCE, TOKENIZER, WEIGHTS
from mediafm_core.weights.installed import found_sha256
from mediafm_core.weights.locked import check_locked, lock, lock_of
from mediafm_core.weights.manifest import PinnedFile

_PICKLE = "pytorch_model.bin"
_READ, _SAFE = (CONFIG, PREPROCESSING, TOKENIZER), ("*.safetensors", INDEX)
_REVISION = re.compile(r"[0-9a-f]{40}")
_CHECKPOINT = "checkpoint_sha256"
"""In `SOURCE`: of the checkpoint that was converted."""

NO_LICENCE = "not stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A model in a repository, at one revision."""

    name: str
    modality: str
    repository: str
    revision: str  # a commit; a branch or tag moves, so it is refused
    licence: str = NO_LICENCE
    files: tuple[PinnedFile, ...] = ()  # empty where only the revision is pinned
    hashes: tuple[PinnedFile, ...] = ()  # given by a person where there are no pins; other files are taken as they come

    def __post_init__(self) -> None:
        if not _REVISION.fullmatch(self.revision):
            raise WeightsError(
                f"model {self.repository!r}",
                found=f"revision {self.revision!r}",
                expected="a commit, 40 hex digits",
                next_step="Write REPOSITORY@COMMIT: a branch moves, and with it what its files are.",
            )

    @property
    def known(self) -> tuple[PinnedFile, ...]:
        """The files whose hashes are known before they arrive."""
        return (*self.files, *self.hashes)

    @property
    def wanted(self) -> tuple[str, ...]:
        """Patterns of the files' names that are downloaded; of a checkpoint only where its hash is known."""
        names = tuple(file.path for file in self.known)
        if self.files:
            return names
        return tuple(dict.fromkeys([*_READ, *(() if _PICKLE in names else _SAFE), *names]))

    def folder(self, cache: Path) -> Path:
        """Where its files are kept once they are fetched."""
        return cache / "hub" / f"{self.repository.replace('/', '--')}-{self.revision[:12]}"


Download = Callable[[HubModel, tuple[str, ...], Path], None]
"""Puts a model's files of these names (patterns of names) into a folder."""


@cache
def hub_models() -> Mapping[str, HubModel]:
    """The models that this version pins, by name."""
    text = files("mediafm_core.weights").joinpath("hub.toml").read_text(encoding="utf-8")
    return {
        name: HubModel(**{**record, "name": name, "files": tuple(PinnedFile(**file) for file in record["files"])})
        for name, record in tomllib.loads(text).items()
    }


def download(model: HubModel, names: tuple[str, ...], folder: Path, *, endpoint: str | None = None) -> None:
    """Download files of a repository with huggingface_hub, each whole or not at all.

    Args:
        model: which repository, and which revision.
        names: patterns of the files' names.
        folder: where to.
        endpoint: the hub's address; by default that of huggingface_hub.

    Raises:
        WeightsError: the hub cannot be reached, or has no such repository, revision or files.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        snapshot_download(
            model.repository,
            revision=model.revision,
            local_dir=folder,
            allow_patterns=list(names),
            endpoint=endpoint,
        )
    except (HFValidationError, OSError) as wrong:
        raise _not_fetched(model, f"{type(wrong).__name__}: {wrong}".splitlines()[0]) from wrong


def fetch(model: HubModel, cache: Path, *, get: Download = download) -> Path:
    """The folder of a model, downloaded and checked if it is not there yet.

    Args:
        model: what to fetch.
        cache: the folder of all weights.
        get: what downloads.

    Raises:
        WeightsError: it cannot be downloaded, or a file's bytes are not the pinned ones, or not those that arrived
            when it was fetched first.
    """
    folder, stamps = model.folder(cache), cache / "verified"
    if folder.exists():
        check_known(model, folder, stamps)
        check_locked(folder, folder, stamps)
        if not lock_of(folder).is_file():  # fetched by a version that kept none
            lock(folder, folder, stamps)
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as temporary:
        arriving = Path(temporary) / "model"
        get(model, model.wanted, arriving)
        check_known(model, arriving, Path(temporary))
        _check_weights(model, arriving)
        _convert(arriving)
        shutil.rmtree(arriving / ".cache", ignore_errors=True)
        told = {"repository": model.repository, "revision": model.revision, "licence": model.licence}
        if checkpoint := dict(model.known).get(_PICKLE):
            told[_CHECKPOINT] = checkpoint
        if not model.files:  # pinned ones are what the pins say; a checkpoint among them is converted anew
            check_locked(folder, arriving, Path(temporary))
        lock(folder, arriving, Path(temporary))
        (arriving / SOURCE).write_text(json.dumps(told, indent=1), encoding="utf-8")
        arriving.rename(folder)
    return folder


def check_known(model: HubModel, folder: Path, stamps: Path) -> None:
    """Hold the files of a folder to the hashes that are known of the model.

    Raises:
        WeightsError: one is not there, or has other bytes.
    """
    for file in model.known:
        found = _converted(model, folder) if file.path == _PICKLE else None
        found = found or _sha256_of(folder / file.path, stamps)
        if found != file.sha256:
            raise WeightsError(
                f"file {file.path!r} of {model.repository} at {model.revision[:12]}",
                found=f"sha256 {found}",
                expected=file.sha256,
                next_step=f"Delete {folder} if it is there, and fetch again; the hub may serve other bytes.",
            )


def _converted(model: HubModel, folder: Path) -> str | None:
    """The sha256 that a checkpoint had which was converted and is gone; None where there was none.

    Versions that kept none fetched pinned ones alone, by the pin.
    """
    if not (folder / SOURCE).is_file():
        return None
    told = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
    return told.get(_CHECKPOINT) or dict(model.files).get(_PICKLE)


def _sha256_of(path: Path, stamps: Path) -> str:
    return found_sha256(path, stamps) if path.is_file() else "no such file"


def _check_weights(model: HubModel, folder: Path) -> None:
    """Refuse what came without weights that can be read."""
    if not (any(folder.glob("*.safetensors")) or (folder / _PICKLE).is_file()):
        raise WeightsError(
            f"model {model.repository} at {model.revision[:12]}",
            found="no safetensors",
            expected=f"weights: safetensors, or {_PICKLE} with its sha256",
            next_step=f"A checkpoint is opened only if its hash is known: --sha256 {_PICKLE}=HEX.",
        )


def _convert(folder: Path) -> None:
    """Turn a checked checkpoint into safetensors, where none came with it; the pickle is not kept."""
    if not (folder / _PICKLE).is_file():
        return
    if any(folder.glob("*.safetensors")):
        (folder / _PICKLE).unlink()
        return
    import torch
    from safetensors.torch import save_file

    state = torch.load(folder / _PICKLE, weights_only=True, map_location="cpu")
    save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, folder / WEIGHTS, {"format": "pt"})
    (folder / _PICKLE).unlink()


def _not_fetched(model: HubModel, found: str) -> WeightsError:
    return WeightsError(
        f"model {model.repository} at {model.revision[:12]}",
        found=found,
        expected="its files, from the hub",
        next_step="Check the network and the name; or copy the files from elsewhere and add the suite by its folders.",
    )
