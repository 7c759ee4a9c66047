"""One small picture per shot."""

import io

import numpy as np
from numpy.typing import NDArray

from mediafm_core.identity import Span
from mediafm_core.media.working_set import WorkingSet, stills_of

WIDTH = 160
"""Pixels."""
_QUALITY = 80


def thumbnails(working_set: WorkingSet, spans: list[Span]) -> list[bytes]:
    """A JPEG of each span, 160 pixels wide, of the still nearest to its middle.

    It shows a frame of the span itself, unless the span holds no still (it is shorter than a quarter of a second):
    then it is the nearest there is.
    """
    return [_jpeg(stills_of(working_set, span, at_most=1)[0]) for span in spans]


def _jpeg(still: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    height, width = still.shape[:2]
    small = Image.fromarray(still).resize((WIDTH, max(1, round(height * WIDTH / width))), Image.Resampling.BOX)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
