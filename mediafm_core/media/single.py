"""One picture, or one sound, decoded whole. `decode_single_into` runs in the child process (`worker`).

A file's name says which of the two it is; its content is opened by the decoders of that list alone.
"""

from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.error import FFmpegError
from numpy.typing import NDArray

from mediafm_core.errors import MediaError
from mediafm_core.media.limits import Limits
from mediafm_core.media.pictures import still_size
from mediafm_core.media.working_set import SAMPLE_RATE_HZ, STILL_SHORT_SIDE

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
SOUNDS = (".wav", ".flac")
MAX_SOUND_S = 30.0

DECODED = "decoded.npy"
"""The file that the child writes."""

_FORMATS = ("PNG", "JPEG", "WEBP")
_OPTIONS = {"format_whitelist": "wav,flac", "protocol_whitelist": "file"}


def check_is_single(path: Path) -> None:
    """Refuse a file whose name ends otherwise.

    Raises:
        MediaError: it does.
    """
    if path.suffix.lower() not in (*PICTURES, *SOUNDS):
        raise _refused(path, f"a name that ends in {path.suffix!r}")


def decode_single_into(path: Path, folder: Path, limits: Limits) -> None:
    """Decode a picture or a sound into `DECODED` in an existing folder.

    Raises:
        MediaError: it cannot be decoded, or is over a limit.
    """
    is_picture = path.suffix.lower() in PICTURES
    np.save(folder / DECODED, _picture(path, limits) if is_picture else _sound(path))


def _picture(path: Path, limits: Limits) -> NDArray[np.uint8]:
    """(1, h, w, 3)."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height > limits.max_pixels or _aspect(image.size) > limits.max_aspect:
                raise _refused(path, f"{image.width} x {image.height} pixels")
            upright = ImageOps.exif_transpose(image).convert("RGB")
            small = upright.resize(still_size(upright.size, STILL_SHORT_SIDE), Image.Resampling.BICUBIC)
            return np.asarray(small, np.uint8)[None]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what its decoders raise
        raise _refused(path, f"it cannot be decoded ({error})") from error


def _aspect(size: tuple[int, int]) -> float:
    return max(size) / max(1, min(size))


def _sound(path: Path) -> NDArray[np.int16]:
    """(n,) at 16 kHz."""
    resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
    parts: list[NDArray[np.int16]] = []
    try:
        with av.open(str(path.absolute()), options=_OPTIONS, metadata_errors="replace") as container:
            for frame in chain(container.decode(audio=0), [None]):
                parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
                if sum(map(len, parts)) > MAX_SOUND_S * SAMPLE_RATE_HZ:
                    raise _refused(path, f"more than {MAX_SOUND_S:g} s of sound")
    except (FFmpegError, IndexError) as error:  # IndexError: no stream of sound
        raise _refused(path, f"it cannot be decoded ({error})") from error
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def _refused(path: Path, found: str) -> MediaError:
    return MediaError(
        f"file {path.name!r}",
        found=found,
        expected=f"a whole picture ({' '.join(PICTURES)}) or at most {MAX_SOUND_S:g} s of sound ({' '.join(SOUNDS)})",
        next_step="Convert it, shorten it, or leave it out.",
    )
