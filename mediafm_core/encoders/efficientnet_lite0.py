"""What is seen: EfficientNet-Lite0, trained on ImageNet, averaged over stills of a shot.

Tan and Le, EfficientNet, arXiv 1905.11946; the Lite variant has ReLU6 and no squeeze-and-excitation.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mediafm_core import weights
from mediafm_core.catalogue.suite import Instrument, Modality, UnimodalSpec
from mediafm_core.encoders.batches import PORTION_BYTES, Room, encoded, sampled
from mediafm_core.encoders.efficientnet_graph import PIXELS, features_graph
from mediafm_core.encoders.engine import PRECISION, compile_network
from mediafm_core.encoders.protocol import Stills, check_stills

NAME = "efficientnet-lite0"
DIMS = 1280
STILLS_PER_SHOT = 8  # a shot that brings more is sampled evenly; time grows in proportion
_STILL_BYTES = 10 << 20  # what the network holds at most for a still


def spec() -> UnimodalSpec:
    """What this encoder is."""
    settings = {
        "input": f"rgb {PIXELS}x{PIXELS} centre crop, (x - 127) / 128",
        "stills_per_shot": STILLS_PER_SHOT,
        "pooling": "mean over positions, then over stills",
        "precision": PRECISION,
    }
    instrument = Instrument(name=NAME, weights_sha256=weights.sha256(NAME), settings=settings)
    return UnimodalSpec(modality=Modality.VIDEO, dims=DIMS, instrument=instrument)


class _Crop(NamedTuple):
    """One still on its way into the network."""

    row: int
    """Index of its shot."""
    pixels: Stills
    """(224, 224, 3)."""


class EfficientNetLite0:
    """Stills to the mean of their ImageNet features.

    Args:
        n_threads: threads of the network.
        portion_bytes: what it may hold at once for the stills that it sees together.

    Raises:
        WeightsError: the weights are missing or not the pinned ones.
    """

    def __init__(self, *, n_threads: int = 1, portion_bytes: int = PORTION_BYTES) -> None:
        self.spec = spec()
        self._room: Room[_Crop] = Room(size=lambda _: _STILL_BYTES, n_bytes=portion_bytes)
        arrays = {name: tensor.numpy() for name, tensor in weights.state(NAME).items()}
        self._network = compile_network(features_graph(arrays), n_threads=n_threads)

    def encode(self, shots: Sequence[Stills]) -> npt.NDArray[np.float32]:
        """Encode each shot's stills.

        Args:
            shots: (k, h, w, 3) uint8 RGB each, h and w at least 224; the middle 224 x 224 is seen. A shot without
                stills gets zeros.

        Returns:
            (n_shots, 1280) float32, not negative, rows not of unit length.

        Raises:
            DimensionError: a shot's stills have another shape or dtype.
        """
        sums = np.zeros((len(shots), DIMS), np.float64)
        counts = np.zeros((len(shots), 1), np.int64)
        for crops, features in encoded(_crops(shots), self._features, self._room):
            rows = [crop.row for crop in crops]
            np.add.at(sums, rows, features)
            np.add.at(counts, rows, 1)
        return (sums / np.maximum(counts, 1)).astype(np.float32)

    def _features(self, crops: list[_Crop]) -> npt.NDArray[np.float32]:
        """N crops to (N, 1280)."""
        return self._network(np.stack([crop.pixels for crop in crops]))


def _crops(shots: Sequence[Stills]) -> Iterator[_Crop]:
    for row, stills in enumerate(shots):
        check_stills(stills, row, min_pixels=PIXELS)
        top, left = ((side - PIXELS) // 2 for side in stills.shape[1:3])
        for index in sampled(len(stills), STILLS_PER_SHOT):
            yield _Crop(row, stills[index, top : top + PIXELS, left : left + PIXELS])
