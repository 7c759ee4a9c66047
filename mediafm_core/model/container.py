"""Tensors and a JSON manifest in one run of bytes: safetensors, with the manifest in its header. Never a pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from mediafm_core.errors import ArtifactError
from mediafm_core.identity import canonical_json

_KEY = "mediafm"  # one entry alone, so that the same content gives the same bytes
_N_LENGTH_BYTES = 8  # the header's length, little-endian, stands first


class Contents(NamedTuple):
    """What a container holds."""

    tensors: dict[str, Tensor]
    manifest: dict[str, Any]


def pack(tensors: Mapping[str, Tensor], manifest: Mapping[str, Any]) -> bytes:
    """The same content gives the same bytes, wherever it is. The manifest's values are JSON; NaN is a ValueError."""
    return save({k: t.detach().cpu().contiguous() for k, t in tensors.items()}, {_KEY: canonical_json(manifest)})


def unpack(data: bytes, what: str, format_version: int) -> Contents:
    """Read what `pack` wrote.

    Args:
        data: the container.
        what: what it should be, for the message.
        format_version: the manifest's `format` must be this.

    Raises:
        ArtifactError: it is damaged, is not ours, or has another format version.
    """
    try:
        tensors = load(data)
        header = json.loads(data[_N_LENGTH_BYTES : _N_LENGTH_BYTES + int.from_bytes(data[:_N_LENGTH_BYTES], "little")])
        manifest = json.loads(header["__metadata__"][_KEY])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(what, len(data), error) from error
    _require_format(manifest, what, format_version)
    return Contents(tensors, manifest)


def manifest_at(path: Path, what: str, format_version: int) -> dict[str, Any]:
    """Read the manifest of a file that `pack` made, and none of its tensors.

    Args:
        path: the file, which exists.
        what: as in `unpack`.
        format_version: as in `unpack`.

    Raises:
        ArtifactError: as in `unpack`, but that tensors are whole is not looked at.
    """
    try:
        with safe_open(path, framework="pt") as file:
            manifest = json.loads((file.metadata() or {})[_KEY])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(what, path.stat().st_size, error) from error
    _require_format(manifest, what, format_version)
    return manifest


def _unreadable(what: str, n_bytes: int, error: Exception) -> ArtifactError:
    return ArtifactError(
        what,
        found=f"{n_bytes} bytes that cannot be read ({error})",
        expected="a safetensors file of ours",
        next_step="Make it again from its inputs.",
    )


def _require_format(manifest: Any, what: str, format_version: int) -> None:
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != format_version:
        raise ArtifactError(
            what,
            found=f"format {found!r}",
            expected=f"format {format_version}",
            next_step="Read it with the version of MediaFM that wrote it, or make it again.",
        )
