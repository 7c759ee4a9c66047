"""What is said: all-MiniLM-L6-v2, one unit vector for the text of a shot.

Reimers and Gurevych, Sentence-BERT, arXiv 1908.10084; Wang et al., MiniLM, arXiv 2002.10957.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mediafm_core import weights
from mediafm_core.catalogue.suite import Instrument, Modality, UnimodalSpec
from mediafm_core.encoders.batches import PORTION_BYTES, Room, encoded, states_bytes
from mediafm_core.encoders.engine import PRECISION, compile_network
from mediafm_core.encoders.minilm_graph import sentence_graph

NAME = "all-minilm-l6-v2"
DIMS = 384
MAX_TOKENS = 256  # as its makers read it; what a text holds beyond (some 190 words) is not read
_WIDE = 4 * DIMS  # between two layers
_NEIGHBOURS = 32  # texts in one call: more would differ in length, and padding costs more than they bring


def spec() -> UnimodalSpec:
    """What this encoder is."""
    settings = {
        "input": "uncased WordPiece",
        "max_tokens": MAX_TOKENS,
        "pooling": "mean over tokens, unit length",
        "precision": PRECISION,
    }
    instrument = Instrument(name=NAME, weights_sha256=weights.sha256(NAME), settings=settings)
    return UnimodalSpec(modality=Modality.TEXT, dims=DIMS, instrument=instrument)


class MiniLML6:
    """Text to the mean of its tokens' states, scaled to unit length.

    Args:
        n_threads: threads of the network.
        portion_bytes: what it may hold at once for the texts that it reads together; moves results by less than 1e-6.

    Raises:
        WeightsError: the weights are missing or not the pinned ones.
    """

    def __init__(self, *, n_threads: int = 1, portion_bytes: int = PORTION_BYTES) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        folder = weights.folder(NAME)
        self.spec, self._portion_bytes = spec(), portion_bytes
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._network = compile_network(sentence_graph(load_file(folder / "model.safetensors")), n_threads=n_threads)

    def encode(self, shots: Sequence[str]) -> npt.NDArray[np.float32]:
        """Encode each shot's text.

        Args:
            shots: a text each; one that is empty or only white space gets zeros.

        Returns:
            (n_shots, 384) float32, rows of unit length or zero.
        """
        tokens = [self._tokenizer.encode(text).ids if text.strip() else [] for text in shots]
        spoken = sorted((row for row, ids in enumerate(tokens) if ids), key=lambda row: len(tokens[row]))
        vectors = np.zeros((len(shots), DIMS), np.float32)
        # neighbours are of like length, so that little is padded
        room: Room[int] = Room(
            size=lambda row: _text_bytes(tokens[row]), n_bytes=self._portion_bytes, at_most=_NEIGHBOURS
        )
        for rows, states in encoded(spoken, lambda rows: self._network(*_padded([tokens[row] for row in rows])), room):
            vectors[rows] = states
        return vectors


def _text_bytes(tokens: list[int]) -> int:
    return states_bytes(len(tokens), hidden=DIMS, wide=_WIDE)


def _padded(tokens: list[list[int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Token ids and mask, both (N, T), of texts that differ in length; padding is id 0."""
    ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
    mask = np.zeros(ids.shape, np.float32)
    for row, text in enumerate(tokens):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return ids, mask
