"""What one decode of a title leaves on local disk, for everything that looks at or listens to the title.

A working set is a cache: it can be thrown away and made again from the media. Its folder holds

- `frames.npy` uint8 (N, 27, 48, 3): every frame as RGB, small, for the shot detector;
- `frame_times.npy` float64 (N,): when each is shown, in seconds from the title's first frame;
- `stills.npy` uint8 (M, h, w, 3): four frames per second, upright, the short side 224 pixels;
- `still_times.npy` float64 (M,): likewise;
- `audio.npy` int16 (n,): 16 kHz mono, sample 0 at the first frame; it may end before the title does, and is empty where
  there is no sound;
- `info.json`: what the file declared, what was decoded of it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import MediaError
from mediafm_core.identity import Span
from mediafm_core.media.declared import MediaInfo

DETECTOR_SIZE = (48, 27)
"""(width, height) in pixels of the frames that the shot detector reads."""
STILL_SHORT_SIDE = 224
"""Pixels."""
STILLS_PER_S = 4
"""Fewer where the title has fewer frames per second."""
SAMPLE_RATE_HZ = 16_000
"""Of the sound."""

_INFO = "info.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingSet:
    """One decoded title. The arrays are mapped from disk: reading a slice reads that slice."""

    folder: Path
    info: MediaInfo
    duration_s: float  # decoded: from the start of the first frame to the end of the last
    n_faults: int  # frames and packets that did not decode, or decoded with damage
    frames: NDArray[np.uint8]  # (N, 27, 48, 3) RGB
    frame_times: NDArray[np.float64]  # (N,) strictly rising from 0
    stills: NDArray[np.uint8]  # (M, h, w, 3) RGB
    still_times: NDArray[np.float64]  # (M,) a subset of frame_times, from 0
    audio: NDArray[np.int16]  # (n,)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Map a working set.

        Raises:
            MediaError: a file of it is missing, cut short or not of this layout.
        """
        try:
            record = json.loads((folder / _INFO).read_text(encoding="utf-8"))
            names = ("frames", "frame_times", "stills", "still_times", "audio")
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
            return cls(folder=folder, **{**record, "info": MediaInfo(**record["info"])}, **arrays)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise MediaError(
                f"working set {str(folder)!r}",
                found=f"it cannot be read ({error})",
                expected=f"{_INFO} and five .npy files that one decode wrote",
                next_step="Delete the folder and decode the title again.",
            ) from error


def write_info(folder: Path, *, info: MediaInfo, duration_s: float, n_faults: int) -> None:
    """Write what `WorkingSet.open` reads beside the arrays."""
    record = {"info": asdict(info), "duration_s": duration_s, "n_faults": n_faults}
    (folder / _INFO).write_text(json.dumps(record, indent=1), encoding="utf-8")


def stills_of(working_set: WorkingSet, span: Span, at_most: int = 8) -> NDArray[np.uint8]:
    """Stills that are evenly spaced in a span.

    Args:
        working_set: the title's.
        span: the stretch to look at.
        at_most: how many to return; all are returned where the span has fewer.

    Returns:
        (k, h, w, 3) uint8 RGB in the order of showing, 1 <= k <= at_most. Where no still falls into the span (it is
        shorter than a quarter of a second), the one nearest to its middle.
    """
    first, end = np.searchsorted(working_set.still_times, [span.start_s, span.end_s])
    n_within = int(end - first)
    if n_within == 0:
        nearest = int(np.abs(working_set.still_times - span.middle_s).argmin())
        return np.array(working_set.stills[nearest : nearest + 1])
    n_chosen = min(n_within, at_most)
    chosen = first + ((np.arange(n_chosen) + 0.5) * n_within / n_chosen).astype(int)
    return np.array(working_set.stills[chosen])


def audio_of(working_set: WorkingSet, span: Span) -> NDArray[np.int16]:
    """The sound of a span: (n,) int16, 16 kHz mono; shorter than the span, or empty, where the sound ends before."""
    start, end = (round(at_s * SAMPLE_RATE_HZ) for at_s in (span.start_s, span.end_s))
    return np.array(working_set.audio[start:end])
