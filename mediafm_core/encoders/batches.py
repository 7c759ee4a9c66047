"""Which pieces of a shot are encoded, and in what portions."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


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
