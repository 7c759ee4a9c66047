"""What the shots of a title offer to an encoder, and how many threads it may take."""

import os
from collections.abc import Callable, Sequence
from typing import Any, overload

from mediafm_core.identity import Span


class Offered(Sequence[Any]):
    """What the shots of a title offer, each read from disk when its turn comes; tells how far it has come."""

    def __init__(self, spans: Sequence[Span], read: Callable[[Span], Any], report: Callable[[float], None]) -> None:
        self._spans, self._read, self._report = spans, read, report

    def __len__(self) -> int:
        return len(self._spans)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Offered(self._spans[index], self._read, self._report)
        self._report(index / len(self._spans))
        return self._read(self._spans[index])


def n_threads() -> int:
    """Threads for one encoder: the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
