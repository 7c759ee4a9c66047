"""An encoder as bytes: its weights, its frozen corpus means, its configuration, and who it is."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from mediafm_core.errors import ArtifactError, DimensionError
from mediafm_core.model.config import ModelConfig
from mediafm_core.model.container import pack, unpack
from mediafm_core.model.encoder import MediaFM
from mediafm_core.model.positions import rows_as_stored, rows_as_used

FORMAT = 1


class Loaded(NamedTuple):
    """An encoder that was read from bytes."""

    encoder: MediaFM  # in evaluation mode
    manifest: dict[str, Any]  # what the writer said of it (name, suite, seed, ...), as given to `save`


def save(encoder: MediaFM, manifest: Mapping[str, Any]) -> bytes:
    """Write an encoder.

    Args:
        encoder: on any device.
        manifest: JSON values that name it: encoder, suite, seed, corpus. Provenance, not read back into the model.
    """
    said = {"format": FORMAT, "model": encoder.config.to_json(), "manifest": dict(manifest)}
    stored = rows_as_stored(encoder.state_dict(), encoder.config)
    return pack(stored, said)


def load(data: bytes, device: torch.device | None = None) -> Loaded:
    """Read what `save` wrote, without running anything that the bytes say.

    Args:
        data: what it wrote.
        device: where the encoder is to be; by default on the CPU.

    Raises:
        ArtifactError: the bytes are damaged, of another format, or hold other tensors than their configuration asks.
        DimensionError: a tensor has another shape than the configuration says, or the configuration is impossible.
    """
    tensors, said = unpack(data, "encoder checkpoint", FORMAT)
    with torch.device("meta"):
        encoder = MediaFM(ModelConfig.from_json(said["model"]))
    _check(tensors, encoder.state_dict())
    encoder.load_state_dict(rows_as_used(tensors, encoder.config), assign=True)
    return Loaded(encoder.eval().to(device or torch.device("cpu")), said["manifest"])


def _check(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    if set(found) != set(expected):
        raise ArtifactError(
            "encoder checkpoint",
            found=f"tensors that differ in {sorted(set(found) ^ set(expected))}",
            expected=f"the {len(expected)} tensors of its configuration",
            next_step="Make the encoder again from its corpus.",
        )
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape or found[name].dtype != tensor.dtype:
            raise DimensionError(
                f"encoder checkpoint, tensor {name}",
                found=f"{tuple(found[name].shape)} {found[name].dtype}",
                expected=f"{tuple(tensor.shape)} {tensor.dtype}",
                next_step="Make the encoder again from its corpus.",
            )
