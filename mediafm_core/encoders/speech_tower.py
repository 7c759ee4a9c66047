"""What is heard: wav2vec 2.0, HuBERT or WavLM, averaged over a shot's time.

Baevski et al., wav2vec 2.0, arXiv 2006.11477; Hsu et al., HuBERT, arXiv 2106.07447; Chen et al., WavLM,
arXiv 2110.13900. The post hears with wav2vec 2.0.

Each shot is heard alone and unpadded: the first convolution normalises over all that it is given, and attention reaches
over all of it, so more of the title, or silence after the shot, would change the vector. A shot of more than 15 s is
cut into equal chunks, about as long as the longest that the networks were trained on. They are counted from the shot's
own start, so where a title's file begins changes nothing.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from mediafm_core.catalogue.suite import Modality, UnimodalSpec
from mediafm_core.encoders.protocol import Samples, as_float
from mediafm_core.encoders.towers import another_model, computing, instrument_of, read_tower
from mediafm_core.weights.folders import ModelFolder

NAME = "speech-tower"
SAMPLE_RATE_HZ = 16_000
MAX_CHUNK_S = 15.0
MIN_SHOT_S = 0.1  # less holds no sound to speak of, and counts as no audio
_NETWORKS = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}
_LEAST_VARIANCE = 1e-7  # as transformers' Wav2Vec2FeatureExtractor has it


def spec(folder: ModelFolder) -> UnimodalSpec:
    """What the tower in a folder is.

    Raises:
        WeightsError: the folder holds another model, or one of another sampling rate.
    """
    rate = folder.preprocessing.get("sampling_rate", SAMPLE_RATE_HZ)
    if folder.model_type not in _NETWORKS or rate != SAMPLE_RATE_HZ:
        raise another_model(
            folder,
            f"a {folder.model_type} at {rate} Hz",
            expected=f"one of {', '.join(_NETWORKS)}, at {SAMPLE_RATE_HZ} Hz",
            next_step="Choose another model.",
        )
    choices = {
        "input": "mono 16 kHz, each shot alone, unpadded, in equal chunks",
        "normalised": _is_normalised(folder),
        "max_chunk_s": MAX_CHUNK_S,
        "min_shot_s": MIN_SHOT_S,
        "pooling": "mean over frames of the last layer",
    }
    return UnimodalSpec(
        modality=Modality.AUDIO, dims=int(folder.config["hidden_size"]), instrument=instrument_of(folder, NAME, choices)
    )


def _is_normalised(folder: ModelFolder) -> bool:
    return bool(folder.preprocessing.get("do_normalize", True))


class SpeechTower:
    """Sound to the mean of the network's states.

    Args:
        spec: as `spec` makes it.
        folder: where the weights are.
        n_threads: threads of the network.

    Raises:
        WeightsError: the folder does not hold what the spec names.
    """

    def __init__(self, spec: UnimodalSpec, folder: ModelFolder, *, n_threads: int = 1) -> None:
        import transformers

        self.spec, self._n_threads = spec, n_threads
        kind = _NETWORKS[folder.model_type]
        config = getattr(transformers, f"{kind}Config")(**folder.config)
        self._tower: Any = read_tower(getattr(transformers, f"{kind}Model"), folder, config, spec.instrument)

    def encode(self, shots: Sequence[Samples]) -> npt.NDArray[np.float32]:
        """Encode each shot's sound.

        Args:
            shots: (n,) int16 or float at 16 kHz each. A shot with less than 0.1 s of samples gets zeros; digital
                silence is a sound and gets a vector.

        Returns:
            (n_shots, dims) float32, rows not of unit length.

        Raises:
            DimensionError: a shot's samples have another shape or dtype, or are not finite.
        """
        vectors = np.zeros((len(shots), self.spec.dims), np.float32)
        for row, samples in enumerate(shots):
            sound = as_float(samples, row)
            if len(sound) >= MIN_SHOT_S * SAMPLE_RATE_HZ:
                vectors[row] = self._shot(sound)
        return vectors

    def _shot(self, sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        if self.spec.instrument.settings["normalised"]:
            sound = ((sound - sound.mean()) / np.sqrt(sound.var() + _LEAST_VARIANCE)).astype(np.float32)
        n_chunks = ceil(len(sound) / (MAX_CHUNK_S * SAMPLE_RATE_HZ))
        frames = np.concatenate([self._frames(chunk) for chunk in np.array_split(sound, n_chunks)])  # (frames, dims)
        return frames.mean(axis=0, dtype=np.float64)

    def _frames(self, chunk: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n,) samples to (about n / 320, dims) states, one for 20 ms."""
        import torch

        with computing(self._n_threads):
            return self._tower(torch.from_numpy(chunk)[None]).last_hidden_state[0].numpy()
