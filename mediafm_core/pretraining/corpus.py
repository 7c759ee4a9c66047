"""The titles that an encoder is trained on: read one at a time, so that memory does not grow with the catalogue.

Shape letters: S shots, F fused.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mediafm_core.errors import DimensionError, TrainingError
from mediafm_core.model.centring import corpus_means
from mediafm_core.model.config import ModelConfig
from mediafm_core.sequence.titles import TitleArrays, TitleTensors, as_tensors

AT_HAND_BYTES = 256 * 2**20  # of the titles read last; 60 titles of 500 shots at a width of 2,048


class Corpus(Protocol):
    """Titles in a fixed order, which is itself part of what the weights depend on."""

    @property
    def described(self) -> Sequence[tuple[str, int]]:
        """Id and number of shots of each title, known without reading any."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> TitleArrays:
        """One title's arrays, the same at every call."""
        ...


class InMemory:
    """A corpus whose arrays are all held: for tests and small corpora."""

    def __init__(self, titles: Sequence[TitleArrays]) -> None:
        self._titles = tuple(titles)
        self.described = [(title.title, len(title.fused)) for title in self._titles]

    def __len__(self) -> int:
        return len(self._titles)

    def read(self, index: int) -> TitleArrays:
        """One title's arrays."""
        return self._titles[index]


class Reader:
    """The titles of a corpus, checked whenever they are read; those read last stay at hand."""

    def __init__(self, corpus: Corpus, model: ModelConfig, at_hand_bytes: int = AT_HAND_BYTES) -> None:
        self._corpus = corpus
        self._model = model
        self._limit = at_hand_bytes
        self._held: OrderedDict[int, TitleTensors] = OrderedDict()  # the one read last stands last
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._corpus)

    def n_shots(self, index: int) -> int:
        """How many shots a title has, without reading it."""
        return self._corpus.described[index][1]

    def read(self, index: int) -> TitleTensors:
        """One title.

        Raises:
            DimensionError: it does not fit the model, or is not what the corpus says of it.
        """
        title = self._held.pop(index, None)
        if title is None:
            title = self._checked(index)
            self._held_bytes += title.fused.nbytes
        self._held[index] = title
        while self._held_bytes > self._limit:
            self._held_bytes -= self._held.popitem(last=False)[1].fused.nbytes
        return title

    def _checked(self, index: int) -> TitleTensors:
        arrays = self._corpus.read(index)
        found, expected = (arrays.title, len(arrays.fused)), tuple(self._corpus.described[index])
        if found != expected:
            raise DimensionError(
                f"title {expected[0]!r} of the pre-training corpus",
                found="title {!r} of {} shots".format(*found),
                expected=f"{expected[1]} shots of this title, as the corpus says",
                next_step="Freeze the corpus again: declare a new encoder.",
            )
        return as_tensors(arrays, self._model.fused_dims, self._model.metadata_dims)


class Split(NamedTuple):
    """Indices of a corpus's titles, ascending; a title never stands on both sides."""

    train: list[int]
    held_out: list[int]


def divide(n_titles: int, share: float, generator: torch.Generator) -> Split:
    """Hold titles out at random.

    Args:
        n_titles: of the corpus.
        share: of the titles that is held out, rounded, at least one; of a single title none. 0 holds none out.
        generator: decides which; it advances by one permutation.

    Raises:
        TrainingError: there is no title.
    """
    if n_titles < 1:
        raise TrainingError(
            "pre-training corpus", found="no title", expected="at least one", next_step="Ingest titles first."
        )
    n_held_out = min(n_titles - 1, max(1, round(share * n_titles))) if share > 0 else 0
    order = torch.randperm(n_titles, generator=generator).tolist()
    return Split(train=sorted(order[n_held_out:]), held_out=sorted(order[:n_held_out]))


def centring_of(corpus: Corpus, indices: Iterable[int], model: ModelConfig) -> NDArray[np.float32]:
    """The means that an encoder is centred by, in one pass over some titles of a corpus.

    Args:
        corpus: where they are read from, one at a time.
        indices: of the titles; for an encoder those that it is trained on.
        model: for the widths.

    Returns:
        (F,) float32, as `corpus_means` says.

    Raises:
        DimensionError: a title does not fit the model.
    """
    reader = Reader(corpus, model, at_hand_bytes=0)
    return corpus_means((reader.read(i).fused.numpy() for i in indices), model.modality_dims)
