"""What a unimodal encoder is: arrays in, arrays out. It opens no file but its weights and knows no title."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from mediafm_core.catalogue.suite import UnimodalSpec
from mediafm_core.errors import DimensionError

Stills = npt.NDArray[np.uint8]
"""(k, h, w, 3) RGB pictures of one shot, in order; k may be 0. All stills of a shot have one size."""

Samples = npt.NDArray[np.int16] | npt.NDArray[np.float32]
"""(n,) mono sound of one shot at 16 kHz; int16 at full scale, or float within [-1, 1]; n may be 0."""

Shot = TypeVar("Shot", contravariant=True)


class UnimodalEncoder(Protocol[Shot]):
    """One pretrained model that turns what a shot offers in one modality into a vector.

    `Shot` is `Stills` for video, `Samples` for audio, `str` for text.

    Laws: a shot's vector depends on that shot alone (not on its neighbours in the call); the same input gives the same
    vector; a shot that offers nothing in this modality gets a row of zeros, and no other shot does. So presence can be
    read from the vectors (`fusion.presence`), and a caller that knows it by other means need not say so here.
    """

    @property
    def spec(self) -> UnimodalSpec:
        """The modality, the width, the weights and the settings."""
        ...

    def encode(self, shots: Sequence[Shot]) -> npt.NDArray[np.float32]:
        """Encode shots, each read once and in order, so that a lazy sequence need not hold them all.

        Returns:
            (n_shots, dims) float32, finite. Not centred and, unless the model itself does so, not of unit length.

        Raises:
            DimensionError: a shot's array has not the shape or dtype of its modality.
        """
        ...


class Entry(NamedTuple):
    """A unimodal encoder that can be loaded by its name: what an entry point of `mediafm.encoders` gives."""

    spec: Callable[[], UnimodalSpec]
    """Its record, as this version of its code and weights has it; the instrument bears the entry point's name."""
    load: Callable[..., UnimodalEncoder[Any]]
    """Called with `n_threads`, and with `portion_bytes` where it takes shots in portions."""
    in_portions: bool = False
    """Whether several shots go through its network at once, and so a bound in bytes is to be kept."""
    libraries: tuple[str, ...] = ()
    """Packages that its vectors hang on, as pip names them; their versions are told beside what it makes."""


def check_stills(stills: Stills, row: int, *, min_pixels: int) -> None:
    """Refuse what is not (k, h, w, 3) uint8 with h and w of at least `min_pixels`.

    Raises:
        DimensionError: it is not.
    """
    right = stills.dtype == np.uint8 and stills.ndim == 4 and stills.shape[3] == 3
    if not right or (len(stills) and min(stills.shape[1:3]) < min_pixels):
        raise DimensionError(
            f"stills of shot {row}",
            found=f"{stills.dtype} {stills.shape}",
            expected=f"uint8 (k, h, w, 3) with h and w of at least {min_pixels}",
            next_step=f"Scale each frame so that its short side has {min_pixels} pixels, as RGB.",
        )


def as_float(samples: Samples, row: int) -> npt.NDArray[np.float32]:
    """One shot's sound as float32 in [-1, 1].

    Raises:
        DimensionError: not one dimension of int16 or float, or not finite.
    """
    kind = samples.dtype.kind
    if samples.ndim != 1 or not (samples.dtype == np.int16 or kind == "f"):
        raise DimensionError(
            f"sound of shot {row}",
            found=f"{samples.dtype} {samples.shape}",
            expected="int16 or float (n,)",
            next_step="Mix down to one channel at 16 kHz.",
        )
    if kind == "f" and not np.isfinite(samples).all():
        raise DimensionError(
            f"sound of shot {row}",
            found="NaN or infinity",
            expected="samples in [-1, 1]",
            next_step="The decoder gave broken samples: look at the media.",
        )
    return samples.astype(np.float32) / np.float32(32768) if kind == "i" else samples.astype(np.float32)
