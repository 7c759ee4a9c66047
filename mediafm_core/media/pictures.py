"""Video frames as small upright RGB pictures.

Each is converted straight to its small size: a detour through full-size RGB costs twice the decoding.
"""

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray


class Shrinker:
    """Turns frames of any size and pixel format into uint8 RGB pictures of one size, upright.

    Args:
        size: (width, height) of the picture as shown.
        rotation: degrees counter-clockwise to turn the stored frame: 0, 90, 180 or 270.
    """

    def __init__(self, size: tuple[int, int], rotation: int) -> None:
        self.size = size
        self._n_quarters = rotation // 90
        self._stored_size = size[::-1] if self._n_quarters % 2 else size
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """One frame as (height, width, 3) uint8."""
        width, height = self._stored_size
        small = self._reformatter.reformat(frame, width=width, height=height, format="rgb24")
        return np.rot90(small.to_ndarray(), self._n_quarters).astype(np.uint8, copy=False)


def still_size(shown_size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """(width, height) with the same aspect and the given short side in pixels."""
    width, height = shown_size
    scale = short_side / min(width, height)
    return max(short_side, round(width * scale)), max(short_side, round(height * scale))
