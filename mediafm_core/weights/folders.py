"""Pretrained models as folders in the format of transformers: what is in one, and whether it still is that.

Only `config.json`, `preprocessor_config.json`, safetensors and what an encoder asks for besides, such as a tokenizer's
file, are ever read. A folder that brings code of its own, or weights as a pickle alone, is refused.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mediafm_core.errors import WeightsError
from mediafm_core.identity import canonical_json
from mediafm_core.weights.installed import found_sha256
from mediafm_core.weights.manifest import PinnedFile
from mediafm_core.weights.shards import placed, read_part, shape_of

if TYPE_CHECKING:
    import torch

CONFIG = "config.json"
PREPROCESSING = "preprocessor_config.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
SOURCE = "source.json"
"""Written beside fetched files: where they come from. It is told, and is no part of what the model is."""

INDEX = f"{WEIGHTS}.index.json"
"""Says which file holds which tensor, where there are several."""


class ModelFolder(NamedTuple):
    """A pretrained model on disk."""

    path: Path
    files: tuple[PinnedFile, ...]
    """Those that are read, by name."""
    config: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    source: Mapping[str, str]
    """Repository, revision and licence, as far as known."""
    tensors: Mapping[str, str]
    """The file of each tensor."""

    @property
    def sha256(self) -> str:
        """The identity of the model: a hash over its files' names and hashes, wherever they lie."""
        return hashlib.sha256(canonical_json(sorted(self.files)).encode()).hexdigest()

    @property
    def model_type(self) -> str:
        """The architecture, as transformers names it."""
        return str(self.config.get("model_type", "unknown"))

    def state(self, part: str = "") -> "dict[str, torch.Tensor]":
        """The tensors whose names begin with `part` and a dot, without these; or all. Only `files` are read."""
        return read_part(self.path, self.tensors, part)

    def shape(self, tensor: str) -> tuple[int, ...] | None:
        """A tensor's shape; None where there is none of that name."""
        return shape_of(self.path, self.tensors, tensor)


def read_folder(path: Path, stamps: Path, also: tuple[str, ...] = ()) -> ModelFolder:
    """Look at a folder, and hash each file that will be read.

    Args:
        path: the folder.
        stamps: the folder of the stamps of files that were hashed before; made if need be.
        also: names of further files that will be read, such as a tokenizer's.

    Raises:
        WeightsError: it is no folder of a model, lacks safetensors, or brings code; or a tensor is missing or double.
    """
    config, preprocessing = _json(path / CONFIG), _json(path / PREPROCESSING)
    if "auto_map" in config:
        raise _refused(path, "a model that brings code of its own", "an architecture of transformers")
    index = _index(path)
    shards = sorted(set(index.values())) if index else [WEIGHTS]
    names: list[str] = sorted([CONFIG, PREPROCESSING, *also, *shards, *([INDEX] if index else [])])
    if absent := [name for name in also if not (path / name).is_file()]:
        raise _refused(path, f"no {absent[0]}", f"{', '.join(also)} beside the weights")
    files = tuple(PinnedFile(name, found_sha256(path / name, stamps)) for name in names)
    source = _json(path / SOURCE) if (path / SOURCE).is_file() else {}
    return ModelFolder(path, files, config, preprocessing, source, placed(path, shards, index))


def check_folder(folder: ModelFolder, sha256: str, name: str) -> None:
    """Check that a folder holds the model that a suite was made with.

    Raises:
        WeightsError: it does not.
    """
    if folder.sha256 != sha256:
        raise WeightsError(
            f"weights of {name!r} in {folder.path}",
            found=f"files with sha256 {folder.sha256}",
            expected=sha256,
            next_step="Put the files back as they were, or add what is there as a new suite: `mediafm suites add`.",
        )


def _index(path: Path) -> dict[str, str] | None:
    """The file of each tensor, where the weights lie in several; None where they lie in one."""
    if not (path / INDEX).is_file():
        if (path / WEIGHTS).is_file():
            return None
        held = "weights as a pickle alone" if any(path.glob("*.bin")) else f"no {WEIGHTS}"
        raise _refused(path, held, f"{WEIGHTS}, or shards with {INDEX}")
    if (path / WEIGHTS).is_file():
        raise _refused(path, f"{WEIGHTS} and {INDEX}", "one of them: they may be different weights")
    said = _json(path / INDEX).get("weight_map")
    if not isinstance(said, dict) or not said:
        raise _refused(path, f"{INDEX} without a weight_map", "the file of each tensor")
    index = {tensor: str(name) for tensor, name in said.items()}
    for name in sorted(set(index.values())):
        if Path(name).name != name or not name.endswith(".safetensors") or not (path / name).is_file():
            raise _refused(path, f"an index that names {name!r}", "shards beside it, as safetensors")
    return index


def _json(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except (OSError, ValueError) as wrong:
        raise _refused(path.parent, f"{path.name} that cannot be read ({wrong})", "a JSON object") from wrong
    if not isinstance(record, dict):
        raise _refused(path.parent, f"{path.name} that is no object", "a JSON object")
    return record


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object none of whose names stands twice; JSON's reader would keep the last."""
    names = Counter(name for name, _ in pairs)
    if double := [name for name, n in names.items() if n > 1]:
        raise ValueError(f"{double[0]!r} stands in it twice")
    return dict(pairs)


def _refused(path: Path, found: str, expected: str) -> WeightsError:
    return WeightsError(
        f"model folder {str(path)!r}",
        found=found,
        expected=expected,
        next_step="Save the model with transformers' `save_pretrained`, or fetch one with `mediafm suites fetch`.",
    )
