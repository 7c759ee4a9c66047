"""Which pieces of shots are encoded, and in what portions: across shots, as many as memory is sure to hold."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "bad allocation")
"""What torch's and OpenVINO's allocators say on the CPU, where they raise nothing but a RuntimeError."""


def sampled(n_items: int, n_wanted: int) -> list[int]:
    """Which of a row of items are taken: all, or the middles of `n_wanted` equal stretches."""
    if n_items <= n_wanted:
        return list(range(n_items))
    return [(2 * i + 1) * n_items // (2 * n_wanted) for i in range(n_wanted)]


def in_batches(items: Iterable[Item], n: int) -> Iterator[list[Item]]:
    """The items in their order, `n` at a time; the last portion may be smaller, and none is empty."""
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == n:
            yield batch
            batch = []
    if batch:
        yield batch


class Encoded(NamedTuple, Generic[Item, Result]):
    """A portion that went through a network."""

    items: list[Item]
    result: Result


def encoded(items: Iterable[Item], n: int, network: Callable[[list[Item]], Result]) -> Iterator[Encoded[Item, Result]]:
    """What a network makes of items, `n` at a time and in order; where memory runs out, half as many from then on.

    Args:
        items: read as they are needed.
        n: how many go through at once at first.
        network: from a portion to its result. Portions change results by rounding alone.

    Raises:
        MemoryError: or what the network raises in its place: a single item is too large.
    """
    at_most = n
    for batch in in_batches(items, n):
        while batch:
            portion = batch[:at_most]
            try:
                result = network(portion)
            except (MemoryError, RuntimeError) as error:
                if len(portion) == 1 or not is_out_of_memory(error):
                    raise
                at_most = len(portion) // 2
                _log.warning("memory does not hold %d at once: %d from here on", len(portion), at_most)
                continue
            yield Encoded(portion, result)
            batch = batch[at_most:]


def is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Whether an error says that memory ran out: Python's, torch's on a card, or that of an allocator on the CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return any(said in str(error).lower() for said in _NO_MEMORY)
