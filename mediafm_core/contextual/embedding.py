"""Embedding in context: what each shot is, read within the whole of its title.

The encoder's configuration says how a title is read (by windows or whole, in which precision) and what is kept of it.

Shape letters: S shots, F fused, M metadata, H hidden, D = `ModelConfig.dims`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mediafm_core.contextual.precision import in_precision
from mediafm_core.errors import DimensionError
from mediafm_core.model.config import ModelConfig, Reading
from mediafm_core.model.encoder import Encoded, MediaFM
from mediafm_core.sequence.batches import Piece, piece
from mediafm_core.sequence.titles import TitleArrays, as_tensors
from mediafm_core.sequence.windows import Window, stitch, windows


class Contextual(NamedTuple):
    """A title in context. Vectors are not scaled; compare them by cosine, and only with the same encoder's."""

    shots: NDArray[np.float32]  # (S, D)
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
        encoder: on any device; its mode and its weights are left as they were.
        fused: (S, F) float32 fused embeddings, one row for each shot; an absent modality is an all-zero block.
        metadata: (M,) float32 embedding of synopsis and tags; None where there is none.
        title: its id, for messages.
        windows_at_once: how many windows of a long title one forward pass takes; changes memory, not the result.

    Raises:
        DimensionError: an array does not fit the encoder, is empty, or holds a value that is not finite.
    """
    config = encoder.config
    tensors = as_tensors(TitleArrays(title, fused, metadata), config.fused_dims, config.metadata_dims)
    spans = spans_read(config, len(tensors.fused))
    pieces = [piece(tensors.fused, tensors.metadata, span) for span in spans]
    with _reading(in_precision(encoder)) as reader:
        read = [_read(reader, pieces[i : i + windows_at_once]) for i in range(0, len(pieces), windows_at_once)]
    shots = [row.float().cpu().numpy() for encoded in read for row in encoded.shots]
    cls = [row.float().cpu().numpy() for encoded in read for row in encoded.cls]
    return _finite(title, Contextual(*stitch(spans, shots, cls)))


def spans_read(config: ModelConfig, n_shots: int) -> list[Window]:
    """The runs of a title's shots that are each read at once."""
    if config.reading is Reading.WHOLE:
        return [Window(0, n_shots)]
    return windows(n_shots, config.window, config.stride)


@contextmanager
def _reading(encoder: MediaFM) -> Iterator[MediaFM]:
    """Without gradients and without dropout."""
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.inference_mode():
            yield encoder
    finally:
        encoder.train(was_training)


def _read(encoder: MediaFM, pieces: list[Piece]) -> Encoded:
    """Windows of one title: all are equally long, so there is no padding to be told apart."""
    fused, metadata, fraction = (torch.stack(parts).to(encoder.device) for parts in zip(*pieces, strict=True))
    return encoder.read(fused, None, fraction, metadata)


def _finite(title: str, contextual: Contextual) -> Contextual:
    if not all(np.isfinite(part).all() for part in contextual):
        raise DimensionError(
            f"title {title!r}, contextual embeddings",
            found="values that are not finite",
            expected="finite values",
            next_step="The encoder's weights are broken: load it again, or make it again from its corpus.",
        )
    return contextual
