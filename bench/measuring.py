"""Clocks, and two ways of doing a thing measured in the same minute.

CPU seconds are the measure where the work is computation: they hardly move when something else runs on the machine.
Wall seconds are, where a person waits or a disk is written.
"""

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import NamedTuple

from bench.harness import Figure

Clock = Callable[[], float]
"""Seconds since some moment."""

wall_s: Clock = time.perf_counter
"""Seconds as they pass."""

cpu_s: Clock = time.process_time
"""CPU seconds of this process, all its threads."""


def children_cpu_s() -> float:
    """CPU seconds of the child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def all_cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return cpu_s() + children_cpu_s()


class Pair(NamedTuple):
    """Ours and a peer's seconds, round by round."""

    ours_s: list[float]
    peer_s: list[float]

    @property
    def ratio(self) -> float:
        """The median over the rounds of ours / peer's."""
        return statistics.median(self._ratios)

    @property
    def _ratios(self) -> list[float]:
        return [ours / peer for ours, peer in zip(self.ours_s, self.peer_s, strict=True)]

    def as_figure(self, ours: str, peer: str) -> Figure:
        """The ratio, with both medians and the spread in the note."""
        times = f"{ours} {shown_s(self.ours_s)}, {peer} {shown_s(self.peer_s)}"
        spread = f"ratios {min(self._ratios):.2f} to {max(self._ratios):.2f} in {len(self.ours_s)} rounds"
        return Figure(self.ratio, f"{times}; {spread}")


def interleaved(
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    rounds: int,
    clock: Clock = wall_s,
    warm_up: bool = True,
    prepare: Callable[[], object] = lambda: None,
) -> Pair:
    """Run both in turn, A B A B, so that a machine that slows down slows both.

    Args:
        ours: one way of doing it.
        peer: another one.
        rounds: how often each is measured.
        clock: what is counted.
        warm_up: whether each runs once before, unmeasured.
        prepare: called before each measured run, unmeasured.
    """
    times_s = in_turn({"ours": ours, "peer": peer}, rounds=rounds, clock=clock, warm_up=warm_up, prepare=prepare)
    return Pair(times_s["ours"], times_s["peer"])


def in_turn(
    works: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    clock: Clock = wall_s,
    warm_up: bool = True,
    prepare: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """What each of several works takes in each round, by name; the arguments are those of `interleaved`."""
    if warm_up:
        for work in works.values():
            work()
    times_s: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            prepare()
            times_s[name].append(seconds(work, clock))
    return times_s


def seconds(work: Callable[[], object], clock: Clock = wall_s) -> float:
    """What one run of `work` takes."""
    began_s = clock()
    work()
    return clock() - began_s


def repeated(work: Callable[[], object], *, rounds: int, clock: Clock = wall_s, warm_up: bool = True) -> list[float]:
    """What each of some runs takes; one before them is not counted."""
    if warm_up:
        work()
    return [seconds(work, clock) for _ in range(rounds)]


def shown_s(times_s: list[float]) -> str:
    """A median of seconds for people."""
    median_s = statistics.median(times_s)
    return f"{median_s:.2f} s" if median_s >= 1 else f"{1000 * median_s:.3g} ms"


def n_processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Torch on this many threads, then on as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="mediafm-bench-")  # removed when the process ends


_FOLDERS = count()


def fresh_folder() -> Path:
    """A new empty folder that goes when the process ends."""
    folder = Path(_scratch().name) / f"{next(_FOLDERS):03d}"
    folder.mkdir()
    return folder
