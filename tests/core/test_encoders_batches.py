"""Portions that memory does not hold are halved, lose nothing and keep their order; other failures stay failures."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.catalogue.suite import Modality
from mediafm_core.encoders.batches import encoded, in_batches
from mediafm_core.encoders.conformance import sample_shots
from mediafm_core.encoders.efficientnet_lite0 import EfficientNetLite0

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


@given(n_items=st.integers(0, 70), n=st.integers(1, 20), holds=st.integers(1, 20))
def test_every_item_goes_through_once_and_in_order_however_little_memory_holds(
    n_items: int, n: int, holds: int
) -> None:
    network = Small(holds)
    made = list(encoded(range(n_items), n, network))
    assert [item for portion in made for item in portion.items] == list(range(n_items))
    assert [result for portion in made for result in portion.result] == [10 * i for i in range(n_items)]
    assert sum(size > holds for size in network.asked) <= 5  # it learns: log2(20) halvings, not one in each portion


@pytest.mark.parametrize("error", ERRORS.values(), ids=list(ERRORS))
def test_each_way_to_say_that_memory_ran_out_is_understood(error: Callable[[], Exception]) -> None:
    made = list(encoded(range(40), 16, Small(5, error)))
    assert [len(portion.items) for portion in made] == [4] * 10


def test_an_item_that_is_too_large_by_itself_fails() -> None:
    with pytest.raises(MemoryError):
        list(encoded(range(4), 16, Small(0)))


def test_another_failure_is_not_tried_again() -> None:
    network = Small(0, lambda: RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes"):
        list(encoded(range(4), 16, network))
    assert network.asked == [4]


def test_while_memory_lasts_portions_are_those_of_in_batches_and_are_read_as_they_are_needed() -> None:
    taken = []
    items = (taken.append(i) or i for i in range(40))
    first = next(encoded(items, 16, Small(16)))
    assert (first.items, len(taken)) == (list(range(16)), 16)
    assert [p.items for p in encoded(range(40), 16, Small(16))] == list(in_batches(range(40), 16))


def test_an_encoder_goes_on_with_halves_and_gives_the_same_vectors() -> None:
    encoder, shots = EfficientNetLite0(), sample_shots(Modality.VIDEO)
    expected, network, failures = encoder.encode(shots), encoder._network, []

    def tight(pixels: np.ndarray) -> np.ndarray:
        if len(pixels) > 3:
            failures.append(len(pixels))
            raise MemoryError
        return network(pixels)

    encoder._network = tight
    np.testing.assert_allclose(encoder.encode(shots), expected, atol=1e-6)
    assert failures
