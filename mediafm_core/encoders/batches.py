"""Which pieces of shots are encoded, and in what portions: across shots, as many as memory is sure to hold."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

PORTION_BYTES = 64 << 20
"""Of what goes through a network at once, where nobody says another number. On a CPU more of it brings nothing."""

_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "bad allocation")
"""What torch's and OpenVINO's allocators say on the CPU, where they raise nothing but a RuntimeError."""


def sampled(n_items: int, n_wanted: int) -> list[int]:
    """Which of a row of items are taken: all, or the middles of `n_wanted` equal stretches."""
    if n_items <= n_wanted:
        return list(range(n_items))
    return [(2 * i + 1) * n_items // (2 * n_wanted) for i in range(n_wanted)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room(Generic[Item]):
    """How much goes through a network at once. It moves time and memory; results by rounding alone."""

    size: Callable[[Item], int]
    """Bytes that the network holds at most for an item, above 0. In a portion each counts as its largest, as padded."""
    n_bytes: int = PORTION_BYTES
    """Of a portion; an item that is larger goes by itself."""
    at_most: int | None = None
    """Items of a portion, where memory alone would allow more than is of use."""

    def holds(self, n_items: int, largest: int) -> bool:
        """Whether so many items go together, the largest of which has so many bytes."""
        return n_items == 1 or (n_items * largest <= self.n_bytes and (self.at_most is None or n_items <= self.at_most))


def portions(items: Iterable[Item], room: Room[Item]) -> Iterator[list[Item]]:
    """The items in their order, as many at a time as there is room for; no portion is empty."""
    portion: list[Item] = []
    largest = 0
    for item in items:
        size = room.size(item)
        assert size > 0, "an item takes room"
        if portion and not room.holds(len(portion) + 1, max(largest, size)):
            yield portion
            portion, largest = [], 0
        portion.append(item)
        largest = max(largest, size)
    if portion:
        yield portion


class Encoded(NamedTuple, Generic[Item, Result]):
    """A portion that went through a network."""

    items: list[Item]
    result: Result


def encoded(
    items: Iterable[Item], network: Callable[[list[Item]], Result], room: Room[Item]
) -> Iterator[Encoded[Item, Result]]:
    """What a network makes of items, in order; where memory runs out, in half the room from then on.

    Args:
        items: read as they are needed.
        network: from a portion to its result.
        room: of a portion, at first.

    Raises:
        MemoryError: or what the network raises in its place: a single item is too large.
    """
    for batch in portions(items, room):
        while batch:
            portion = next(portions(batch, room))
            try:
                result = network(portion)
            except (MemoryError, RuntimeError) as error:
                if len(portion) == 1 or not is_out_of_memory(error):
                    raise
                room = replace(room, n_bytes=len(portion) * max(map(room.size, portion)) // 2)
                _log.warning("memory does not hold %d at once: %d MiB from here on", len(portion), room.n_bytes >> 20)
                continue
            yield Encoded(portion, result)
            batch = batch[len(portion) :]


def states_bytes(n_tokens: int, *, hidden: int, wide: int) -> int:
    """What a Transformer of states `hidden` wide, and `wide` between, holds at most for an item of so many tokens.

    All that lives at once, in float32: at most four arrays of the wide layer's width and eight of the states'.
    """
    return 4 * n_tokens * (4 * wide + 8 * hidden)


def is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Whether an error says that memory ran out: Python's, torch's on a card, or that of an allocator on the CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return any(said in str(error).lower() for said in _NO_MEMORY)
