"""One title's arrays, checked once at the rim.

Shape letters: S shots, F fused, M metadata.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mediafm_core.errors import DimensionError


class TitleArrays(NamedTuple):
    """What the encoder reads of one title."""

    title: str  # its id: the culprit in a message, nothing else
    fused: NDArray[np.float32]  # (S, F), one row for each shot; an absent modality is an all-zero block
    metadata: NDArray[np.float32] | None  # (M,) embedding of synopsis and tags; None where there is none


class TitleTensors(NamedTuple):
    """The same as checked tensors."""

    fused: Tensor  # (S, F) float32
    metadata: Tensor  # (M,) float32, all zero where the title has none


def as_tensors(arrays: TitleArrays, fused_dims: int, metadata_dims: int) -> TitleTensors:
    """Check one title's arrays and hand them on as tensors, sharing memory where they are writable.

    Raises:
        DimensionError: no shot, another width, another dtype than float32, or a value that is not finite.
    """
    metadata = np.zeros(metadata_dims, np.float32) if arrays.metadata is None else arrays.metadata
    _check(arrays.title, "fused embeddings", arrays.fused, (max(1, len(arrays.fused)), fused_dims))
    _check(arrays.title, "metadata embedding", metadata, (metadata_dims,))
    return TitleTensors(_tensor(arrays.fused), _tensor(metadata))


def _check(title: str, what: str, array: NDArray[np.float32], shape: tuple[int, ...]) -> None:
    is_sound = array.shape == shape and array.dtype == np.float32
    if not is_sound or not np.isfinite(array).all():
        raise DimensionError(
            f"title {title!r}, {what}",
            found=f"{array.shape} {array.dtype}" + (" with values that are not finite" if is_sound else ""),
            expected=f"{shape} float32, all finite",
            next_step="Check which suite made them, and that the title has shots.",
        )


def _tensor(array: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(array if array.flags.writeable else array.copy())
