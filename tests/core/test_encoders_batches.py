"""Portions that memory does not hold are halved, lose nothing and keep their order; other failures stay failures."""

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.catalogue.suite import Modality
from mediafm_core.encoders import clip_vision
from mediafm_core.encoders.batches import Room, encoded, portions, states_bytes
from mediafm_core.encoders.clip_vision import ClipVision
from mediafm_core.encoders.conformance import sample_shots
from mediafm_core.encoders.efficientnet_lite0 import EfficientNetLite0
from mediafm_core.encoders.minilm_l6 import MiniLML6
from mediafm_core.encoders.suites import load
from mediafm_core.weights.folders import read_folder
from tests import model_folders

ERRORS: dict[str, Callable[[], Exception]] = {
    "Python": MemoryError,
    "a card": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "torch on the CPU": lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
    "OpenVINO": lambda: RuntimeError("Exception from src/inference: std::bad_alloc"),
}


class Small:
    """A network whose memory holds only so many at once."""

    def __init__(self, holds: int, error: Callable[[], Exception] = MemoryError) -> None:
        self.holds, self.error, self.asked = holds, error, []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.asked.append(len(items))
        if len(items) > self.holds:
            raise self.error()
        return [item * 10 for item in items]


def of_one(n: int) -> Room[int]:
    """Room for `n` items that are all alike."""
    return Room(size=lambda _: 1, n_bytes=n)


@given(n_items=st.integers(0, 70), n=st.integers(1, 20), holds=st.integers(1, 20))
def test_every_item_goes_through_once_and_in_order_however_little_memory_holds(
    n_items: int, n: int, holds: int
) -> None:
    network = Small(holds)
    made = list(encoded(range(n_items), network, of_one(n)))
    assert [item for portion in made for item in portion.items] == list(range(n_items))
    assert [result for portion in made for result in portion.result] == [10 * i for i in range(n_items)]
    assert sum(size > holds for size in network.asked) <= 5  # it learns: log2(20) halvings, not one in each portion


@pytest.mark.parametrize("error", ERRORS.values(), ids=list(ERRORS))
def test_each_way_to_say_that_memory_ran_out_is_understood(error: Callable[[], Exception]) -> None:
    made = list(encoded(range(40), Small(5, error), of_one(16)))
    assert [len(portion.items) for portion in made] == [4] * 10


def test_an_item_that_is_too_large_by_itself_fails() -> None:
    with pytest.raises(MemoryError):
        list(encoded(range(4), Small(0), of_one(16)))


def test_another_failure_is_not_tried_again() -> None:
    network = Small(0, lambda: RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes"):
        list(encoded(range(4), network, of_one(16)))
    assert network.asked == [4]


def test_while_memory_lasts_items_are_read_as_they_are_needed() -> None:
    taken = []
    items = (taken.append(i) or i for i in range(40))
    first = next(encoded(items, Small(16), of_one(16)))
    assert first.items == list(range(16))
    assert len(taken) <= 17  # the one that did not fit


@given(
    sizes=st.lists(st.integers(1, 50), max_size=40),
    n_bytes=st.integers(1, 200),
    at_most=st.none() | st.integers(1, 8),
)
def test_a_portion_padded_to_its_largest_keeps_to_its_bytes_and_no_more_would_fit(
    sizes: list[int], n_bytes: int, at_most: int | None
) -> None:
    made = list(portions(sizes, Room(size=lambda size: size, n_bytes=n_bytes, at_most=at_most)))
    assert [size for portion in made for size in portion] == sizes
    assert all(len(portion) == 1 or len(portion) * max(portion) <= n_bytes for portion in made)
    assert at_most is None or all(len(portion) <= at_most for portion in made)
    for portion, after in pairwise(made):
        more = [*portion, after[0]]
        assert len(more) * max(more) > n_bytes or len(portion) == at_most


def test_where_memory_runs_out_half_the_bytes_go_together_whatever_the_items() -> None:
    asked = []

    def network(items: list[int]) -> list[int]:
        asked.append(items)
        if len(items) * max(items) > 30:
            raise MemoryError
        return items

    made = [portion.items for portion in encoded([*[5] * 8, 20, 30], network, Room(size=lambda size: size, n_bytes=60))]
    assert asked[0] == [5] * 8
    assert made == [[5] * 4, [5] * 4, [20], [30]]


@pytest.fixture(scope="module")
def seeing() -> EfficientNetLite0:
    return EfficientNetLite0()


def with_network(encoder: Any, wrap: Callable[..., Any]) -> Any:
    """The same encoder, whose network is called by `wrap`, which takes the network and its inputs."""
    other = copy(encoder)
    other._network = partial(wrap, encoder._network)
    return other


def test_stills_go_together_as_the_bound_allows_and_have_the_same_bits_whatever_goes_with_them(
    seeing: EfficientNetLite0,
) -> None:
    shots, taken = sample_shots(Modality.VIDEO), []
    bounded = with_network(
        load(seeing.spec, portion_bytes=30 << 20),
        lambda network, pixels: taken.append(len(pixels)) or network(pixels),
    )
    assert np.array_equal(bounded.encode(shots), seeing.encode(shots))
    assert taken == [3, 3, 3, 3]


def test_a_tower_s_stills_count_by_its_shape(tmp_path: Path) -> None:
    model_folders.clip(tmp_path / "clip")
    folder = read_folder(tmp_path / "clip", tmp_path / "stamps")
    spec, shots, taken = clip_vision.spec(folder), sample_shots(Modality.VIDEO), []
    whole = ClipVision(spec, folder).encode(shots)
    of_one = states_bytes(4 * 4 + 1, hidden=32, wide=48)  # a token for each patch of 8 pixels, and one for the whole
    bounded = ClipVision(spec, folder, portion_bytes=5 * of_one)
    embedded = bounded._embedded
    bounded._embedded = lambda stills: taken.append(len(stills)) or embedded(stills)
    np.testing.assert_allclose(bounded.encode(shots), whole, atol=1e-6)
    assert taken == [5, 5, 2]


def test_long_texts_go_in_smaller_portions_than_short_ones() -> None:
    taken = []
    reading = with_network(
        MiniLML6(portion_bytes=8 << 20), lambda network, ids, mask: taken.append(ids.shape) or network(ids, mask)
    )
    reading.encode(["It rains, and " * 12] * 9 + ["No!"] * 40)
    short, long = ([n for n, n_tokens in taken if (n_tokens < 10) == is_short] for is_short in (True, False))
    assert short == [32, 8]
    assert long == [4, 4, 1]
    assert all(n * states_bytes(n_tokens, hidden=384, wide=4 * 384) <= 8 << 20 for n, n_tokens in taken)


def test_an_encoder_goes_on_with_halves_and_gives_the_same_vectors(seeing: EfficientNetLite0) -> None:
    shots, failures = sample_shots(Modality.VIDEO), []

    def tight(network: Callable[..., np.ndarray], pixels: np.ndarray) -> np.ndarray:
        if len(pixels) > 3:
            failures.append(len(pixels))
            raise MemoryError
        return network(pixels)

    np.testing.assert_array_equal(with_network(seeing, tight).encode(shots), seeing.encode(shots))
    assert failures
