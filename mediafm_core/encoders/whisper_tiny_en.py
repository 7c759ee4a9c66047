"""What is heard: the encoder of Whisper tiny.en, averaged over a shot's time.

Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, arXiv 2212.04356.

Whisper adds a position to each frame of its 30 s window, and its output keeps it: the same sound at two places of the
window looks like two sounds. So each shot is encoded alone and unpadded, from position 0. Speech is what it was trained
on; music and noise are told apart less well. The vectors are anisotropic (any two are close by raw cosine): centring by
a catalogue's mean happens later, in the MediaFM encoder, with statistics that are frozen there.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
import numpy.typing as npt

from mediafm_core import weights
from mediafm_core.catalogue.suite import Instrument, Modality, UnimodalSpec
from mediafm_core.encoders.protocol import Samples, as_float

NAME = "whisper-tiny-en"
DIMS = 384
SAMPLE_RATE_HZ = 16_000
MAX_CHUNK_S = 30.0  # Whisper's window: it has no positions beyond
MIN_SHOT_S = 0.1  # less holds no sound to speak of, and counts as silence of the track: no audio


def spec() -> UnimodalSpec:
    """What this encoder is."""
    settings = {
        "input": "mono 16 kHz, each shot alone, unpadded, in equal chunks",
        "max_chunk_s": MAX_CHUNK_S,
        "min_shot_s": MIN_SHOT_S,
        "pooling": "mean over frames",
        "precision": "int8",
    }
    instrument = Instrument(name=NAME, weights_sha256=weights.sha256(NAME), settings=settings)
    return UnimodalSpec(modality=Modality.AUDIO, dims=DIMS, instrument=instrument)


class WhisperTinyEn:
    """Sound to the mean of Whisper's encoder states.

    Args:
        n_threads: threads of the network.

    Raises:
        WeightsError: the weights are missing or not the pinned ones.
    """

    def __init__(self, *, n_threads: int = 1) -> None:
        import ctranslate2
        from faster_whisper.feature_extractor import FeatureExtractor

        folder = str(weights.folder(NAME))
        self.spec = spec()
        self._model = ctranslate2.models.Whisper(folder, device="cpu", compute_type="int8", intra_threads=n_threads)
        self._log_mel = FeatureExtractor()

    def encode(self, shots: Sequence[Samples]) -> npt.NDArray[np.float32]:
        """Encode each shot's sound.

        Args:
            shots: (n,) int16 or float at 16 kHz each. A shot with less than 0.1 s of samples gets zeros; digital
                silence is a sound and gets a vector.

        Returns:
            (n_shots, 384) float32, rows not of unit length.

        Raises:
            DimensionError: a shot's samples have another shape or dtype, or are not finite.
        """
        vectors = np.zeros((len(shots), DIMS), np.float32)
        for row, samples in enumerate(shots):
            sound = as_float(samples, row)
            if len(sound) >= MIN_SHOT_S * SAMPLE_RATE_HZ:
                vectors[row] = self._shot(sound)
        return vectors

    def _shot(self, sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        n_chunks = ceil(len(sound) / (MAX_CHUNK_S * SAMPLE_RATE_HZ))
        frames = np.concatenate([self._frames(chunk) for chunk in np.array_split(sound, n_chunks)])  # (frames, 384)
        return frames.mean(axis=0, dtype=np.float64)

    def _frames(self, chunk: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n,) samples to (n / 320, 384) states, one for 20 ms."""
        import ctranslate2

        log_mel = np.ascontiguousarray(self._log_mel(chunk, padding=0)[None], np.float32)  # (1, 80, n / 160)
        states = self._model.encode(ctranslate2.StorageView.from_array(log_mel), to_cpu=True)
        return np.array(states)[0]
