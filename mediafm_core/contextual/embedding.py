"""Embedding in context: what each shot is, read within the whole of its title.

Stored is the last hidden state alone; the prediction of a shot is a linear map of it and would add nothing.

Shape letters: S shots, F fused, M metadata, H hidden.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mediafm_core.errors import DimensionError
from mediafm_core.model.encoder import Encoded, MediaFM
from mediafm_core.sequence.batches import Piece, collate, piece
from mediafm_core.sequence.titles import TitleArrays, as_tensors
from mediafm_core.sequence.windows import stitch, windows


class Contextual(NamedTuple):
    """A title in context. Vectors are not scaled; compare them by cosine, and only with the same encoder's."""

    shots: NDArray[np.float32]  # (S, H)
    title: NDArray[np.float32]  # (H,), the windows' [CLS] weighted by shots


def embed_title(
    encoder: MediaFM,
    fused: NDArray[np.float32],
    metadata: NDArray[np.float32] | None,
    *,
    title: str = "unnamed",
    windows_at_once: int = 4,
) -> Contextual:
    """Embed one title of any length.

    Args:
        encoder: on the CPU; its mode is left as it was.
        fused: (S, F) float32 fused embeddings, one row for each shot; an absent modality is an all-zero block.
        metadata: (M,) float32 embedding of synopsis and tags; None where there is none.
        title: its id, for messages.
        windows_at_once: how many windows of a long title one forward pass takes; changes memory, not the result.

    Raises:
        DimensionError: an array does not fit the encoder, is empty, or holds a value that is not finite.
    """
    tensors = as_tensors(TitleArrays(title, fused, metadata), encoder.config.fused_dims, encoder.config.metadata_dims)
    spans = windows(len(tensors.fused), encoder.config.window, encoder.config.stride)
    pieces = [piece(tensors.fused, tensors.metadata, span) for span in spans]
    with _reading(encoder):
        read = [_read(encoder, pieces[i : i + windows_at_once]) for i in range(0, len(pieces), windows_at_once)]
    shots = [row.numpy() for encoded in read for row in encoded.shots]
    cls = [row.numpy() for encoded in read for row in encoded.cls]
    return _finite(title, Contextual(*stitch(spans, shots, cls)))


@contextmanager
def _reading(encoder: MediaFM) -> Iterator[None]:
    """Without gradients and without dropout."""
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        encoder.train(was_training)


def _read(encoder: MediaFM, pieces: list[Piece]) -> Encoded:
    return encoder.encode(*collate(pieces))


def _finite(title: str, contextual: Contextual) -> Contextual:
    if not all(np.isfinite(part).all() for part in contextual):
        raise DimensionError(
            f"title {title!r}, contextual embeddings",
            found="values that are not finite",
            expected="finite values",
            next_step="The encoder's weights are broken: load it again, or make it again from its corpus.",
        )
    return contextual
