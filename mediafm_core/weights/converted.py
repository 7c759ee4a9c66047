"""Foreign checkpoints, converted once to safetensors.

A checkpoint made by torch.save is a pickle. It is opened in this file alone, after its hash was checked, with
`weights_only=True`, once per machine. What is read from then on is the converted copy, checked against the manifest.
"""

import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mediafm_core.errors import WeightsError
from mediafm_core.weights.installed import verified_bytes
from mediafm_core.weights.manifest import PinnedModel

if TYPE_CHECKING:
    import torch


def tensors(model: PinnedModel, cache: Path) -> "dict[str, torch.Tensor]":
    """The tensors of a model that ships as one torch checkpoint, on the CPU.

    Args:
        model: a model of one file, with `tensors_sha256`.
        cache: where the converted copy lies or is put; a copy that is damaged is made again from the checkpoint.

    Raises:
        WeightsError: the model is not a checkpoint; its package is missing; its bytes are not the pinned ones.
    """
    if not model.tensors_sha256 or len(model.files) != 1:
        raise WeightsError(
            f"weights {model.name!r}",
            found="a folder of files",
            expected="one torch checkpoint",
            next_step="Ask for its folder instead of its tensors.",
        )
    path = cache / f"{model.name}-{model.files[0].sha256[:16]}.safetensors"
    copy = _read_copy(path)
    if copy is not None and digest(copy) == model.tensors_sha256:
        return copy
    state = _read_checkpoint(model)
    _write_copy(state, path)
    return state


def digest(state: "dict[str, torch.Tensor]") -> str:
    """A hash over names, dtypes, shapes and values, whatever file format they came in."""
    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].contiguous()
        total.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()


def _read_copy(path: Path) -> "dict[str, torch.Tensor] | None":
    """The converted copy; None where there is none or where it cannot be parsed, since it can be made again."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    if not path.is_file():
        return None
    try:
        return load(path.read_bytes())
    except SafetensorError:
        return None


def _read_checkpoint(model: PinnedModel) -> "dict[str, torch.Tensor]":
    import torch

    data = verified_bytes(model, model.files[0])
    loaded = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    state = {name: tensor.contiguous() for name, tensor in loaded.items()}
    if digest(state) != model.tensors_sha256:
        raise WeightsError(
            f"weights {model.name!r}",
            found=f"tensors with digest {digest(state)}",
            expected=model.tensors_sha256,
            next_step="The checkpoint is the pinned one, so the manifest or this version of torch is at fault.",
        )
    return state


def _write_copy(state: "dict[str, torch.Tensor]", path: Path) -> None:
    """Write whole or not at all: a temporary file, fsync, replace."""
    from safetensors.torch import save

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, suffix=".tmp", delete=False) as stream:
        temporary = Path(stream.name)
        try:
            stream.write(save(state))
            stream.flush()
            os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
