"""A corpus is read as it is needed: memory does not grow with it, and a title is checked whenever it is read."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from mediafm_core.errors import DimensionError, TrainingError
from mediafm_core.model.centring import corpus_means
from mediafm_core.pretraining.config import TrainerConfig
from mediafm_core.pretraining.corpus import InMemory, Reader, centring_of, divide
from mediafm_core.pretraining.pieces import draw_pieces, whole_pieces
from mediafm_core.pretraining.trainer import train
from mediafm_core.sequence.titles import TitleArrays
from tests.trainings import DIMS, LENGTHS, config, title, titles

_WIDTH = sum(DIMS)
_SHOTS = 30
_TITLE_BYTES = _SHOTS * _WIDTH * 4


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tiny matrices are slower on many threads."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


class Made:
    """A corpus of any size whose titles exist only while somebody holds them; it notes which were read."""

    def __init__(self, n_titles: int) -> None:
        self.described = [(f"title-{i}", _SHOTS) for i in range(n_titles)]
        self.reads: list[int] = []

    def __len__(self) -> int:
        return len(self.described)

    def read(self, index: int) -> TitleArrays:
        self.reads.append(index)
        return title(index, _SHOTS, np.random.default_rng(index))


# Reading


def test_titles_read_last_stay_at_hand_within_the_limit() -> None:
    corpus = Made(10)
    reader = Reader(corpus, config().model, at_hand_bytes=2 * _TITLE_BYTES)
    for i in (0, 1, 0, 2, 0, 1):  # when 2 comes, 1 was read longest ago
        reader.read(i)
    assert corpus.reads == [0, 1, 2, 1]


def test_a_title_larger_than_the_limit_is_read_and_not_kept() -> None:
    corpus = Made(1)
    reader = Reader(corpus, config().model, at_hand_bytes=_TITLE_BYTES - 1)
    assert len(reader.read(0).fused) == len(reader.read(0).fused) == _SHOTS
    assert corpus.reads == [0, 0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (TitleArrays("odd", np.zeros((3, 17), np.float32), None), "title 'odd', fused embeddings"),
        (TitleArrays("odd", np.full((3, 18), np.nan, np.float32), None), "not finite"),
        (TitleArrays("odd", np.zeros((3, 18), np.float32), np.zeros(4, np.float32)), "metadata embedding"),
    ],
)
def test_a_title_that_does_not_fit_is_named_when_it_is_read(arrays: TitleArrays, message: str) -> None:
    with pytest.raises(DimensionError, match=message):
        train(InMemory([arrays]), config(), seed=1)


def test_a_title_that_is_not_what_the_corpus_says_is_named() -> None:
    corpus = Made(2)
    corpus.described[1] = ("title-1", _SHOTS + 1)
    with pytest.raises(DimensionError, match=r"title 'title-1' of the pre-training corpus.*30 shots.*31 shots"):
        train(corpus, config(), seed=1)


def test_a_corpus_without_titles_is_refused() -> None:
    with pytest.raises(TrainingError, match="no title"):
        train(InMemory([]), config(), seed=1)


# Memory


@pytest.fixture
def _small_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for five titles, so that 50 are many already."""
    monkeypatch.setattr("mediafm_core.pretraining.trainer.AT_HAND_BYTES", 5 * _TITLE_BYTES)


def _peak_bytes(n_titles: int) -> int:
    """Most that numpy and Python held at once in a training that reads every title, held-out ones included."""
    made = config(steps=2, shots_per_step=150, held_out_share=0.3)
    tracemalloc.start()
    train(Made(n_titles), made, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.usefixtures("_small_reader")
def test_memory_does_not_grow_with_the_number_of_titles() -> None:
    _peak_bytes(50)  # what is imported and kept once
    few, many = _peak_bytes(50), _peak_bytes(500)
    assert many - few < 0.25 * 450 * _TITLE_BYTES  # names, lengths and order of the titles; none of their arrays


# Splitting and centring


def test_no_title_stands_on_both_sides_and_none_is_lost() -> None:
    for n in (1, 2, 9, 40):
        split = divide(n, 0.2, torch.Generator().manual_seed(n))
        assert sorted(split.train + split.held_out) == list(range(n))
        assert len(split.held_out) == min(n - 1, max(1, round(0.2 * n)))


def test_centring_is_a_function_of_the_titles_alone() -> None:
    corpus, model = titles(), config().model
    chosen = [0, 2, 4]
    expected = corpus_means((corpus.read(i).fused for i in chosen), DIMS)
    np.testing.assert_array_equal(centring_of(corpus, chosen, model), expected)


# Pieces


def test_every_title_is_drawn_once_before_any_is_drawn_again() -> None:
    corpus = Made(10)
    reader, pending, drawn = Reader(corpus, config().model, at_hand_bytes=0), [], []
    for _ in range(6):  # three titles a step
        trainer = TrainerConfig(shots_per_step=3 * _SHOTS)
        draw_pieces(reader, range(10), pending, 32, trainer, torch.Generator().manual_seed(0))
    drawn = corpus.reads
    assert sorted(drawn[:10]) == list(range(10))


def test_a_part_of_a_title_does_not_keep_the_whole_in_memory() -> None:
    reader = Reader(titles(), config().model)
    pieces = draw_pieces(reader, [4], [], 8, TrainerConfig(shots_per_step=8), torch.Generator().manual_seed(0))
    assert pieces[0].fused.untyped_storage().nbytes() == 8 * _WIDTH * 4


def test_held_out_titles_come_whole_a_few_at_a_time() -> None:
    reader, model = Reader(titles(), config().model), config().model
    lists = list(whole_pieces(reader, range(5), model, at_least_shots=30))
    assert [sum(len(p.fused) for p in pieces) for pieces in lists] == [38, 64]  # 23+1+5+9; 40 by two windows of 32
    assert sum(LENGTHS[:4]) == 38
