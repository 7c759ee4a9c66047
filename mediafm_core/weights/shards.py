"""Tensors of a model that lies in one file or in several: which file holds each, and reading those of one part."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from mediafm_core.errors import WeightsError

if TYPE_CHECKING:
    import torch

_AGAIN = "The folder was put together wrongly, or copied in part: save the model again, or fetch it again."


def placed(path: Path, names: Iterable[str], index: Mapping[str, str] | None = None) -> dict[str, str]:
    """The file of each tensor, as the files' own headers say; no tensor is read.

    Args:
        path: the model's folder.
        names: of its files.
        index: the file of each tensor as the model's index says, where it has one.

    Raises:
        WeightsError: a file is no safetensors; a name stands in two files; the index names a tensor that is not where
            it says.
    """
    found: dict[str, str] = {}
    for name in names:
        for tensor in _tensors_in(path / name):
            if tensor in found:
                raise _wrong(path, f"tensor {tensor!r} in {found[tensor]} and in {name}", "each tensor once")
            found[tensor] = name
    for tensor, name in (index or {}).items():
        if found.get(tensor) != name:
            raise _wrong(path, f"no tensor {tensor!r} in {name}", "each tensor where the index says")
    return found


def read_part(path: Path, files: Mapping[str, str], part: str = "") -> "dict[str, torch.Tensor]":
    """The tensors of one part of a model, or all; of other parts no byte is read.

    Args:
        path: the model's folder.
        files: the file of each tensor.
        part: what their names begin with, before a dot, e.g. `thinker`; it is taken off.

    Returns:
        Tensors on the CPU, in the files' dtypes and shapes.
    """
    before = f"{part}." if part else ""
    read = {}
    for name in sorted(set(files.values())):
        wanted = [tensor for tensor, file in files.items() if file == name and tensor.startswith(before)]
        if wanted:
            with safe_open(path / name, framework="pt") as stream:
                read |= {tensor.removeprefix(before): stream.get_tensor(tensor) for tensor in wanted}
    return read


def shape_of(path: Path, files: Mapping[str, str], tensor: str) -> tuple[int, ...] | None:
    """A tensor's shape, from its file's header; None where there is none of that name."""
    if tensor not in files:
        return None
    with safe_open(path / files[tensor], framework="np") as stream:
        return tuple(stream.get_slice(tensor).get_shape())


def _tensors_in(path: Path) -> list[str]:
    try:
        with safe_open(path, framework="np") as stream:
            return list(stream.keys())
    except SafetensorError as wrong:
        raise _wrong(path.parent, f"{path.name} that cannot be read ({wrong})", "tensors as safetensors") from wrong


def _wrong(path: Path, found: str, expected: str) -> WeightsError:
    return WeightsError(f"model folder {str(path)!r}", found=found, expected=expected, next_step=_AGAIN)
