"""A benchmark is a value with a goal; a row is what came of it on this machine, just now."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from mediafm_core.errors import IdentityError


class Direction(StrEnum):
    """On which side of its goal a value is good."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


class Figure(NamedTuple):
    """What a measurement gives."""

    value: float
    note: str = ""  # what stands behind the value: both sides of a ratio, the spread, what was read


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One figure that is worth watching."""

    name: str  # of letters, digits and _; the same for ever, so that runs can be compared
    what: str  # one line for who reads the table
    unit: str
    goal: float  # a bound that was set after measuring, with room for a busy machine
    direction: Direction
    measure: Callable[[], Figure]

    def __post_init__(self) -> None:
        if not self.name.replace("_", "").isalnum():
            raise IdentityError(
                f"benchmark {self.name!r}",
                found="a name that a shell or a filter could take for something else",
                expected="letters, digits and _",
                next_step="Choose another name.",
            )

    def holds(self, value: float) -> bool:
        """Whether a value is on the good side of the goal, or on it; NaN never is."""
        return value <= self.goal if self.direction is Direction.AT_MOST else value >= self.goal

    @property
    def command(self) -> str:
        """What makes this row again, and no other."""
        return f"python -m bench {self.name}"


class Row(NamedTuple):
    """One measured benchmark."""

    name: str
    value: float  # to four digits; what `holds` is decided on
    goal: float
    direction: Direction
    holds: bool
    unit: str
    command: str
    what: str
    note: str
    took_s: float  # preparation included

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self._asdict(), "direction": str(self.direction)}


def select(benchmarks: Sequence[Benchmark], patterns: Sequence[str]) -> list[Benchmark]:
    """The benchmarks that any of the patterns names, in the order of the table; all where there is no pattern.

    Args:
        benchmarks: the table.
        patterns: names, whole, or with `*` and `?` as in a shell.

    Raises:
        IdentityError: a pattern names none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(benchmark.name, pattern) for benchmark in benchmarks):
            raise IdentityError(
                f"benchmark {pattern!r}",
                found="no such benchmark",
                expected="a name of the list, or a pattern such as 'snapshot_*'",
                next_step="Look at `python -m bench --list`.",
            )
    return [b for b in benchmarks if not patterns or any(fnmatchcase(b.name, pattern) for pattern in patterns)]


def run(benchmarks: Iterable[Benchmark], begin: Callable[[Benchmark], None] = lambda _: None) -> Iterator[Row]:
    """Measure one after the other. A benchmark that raises ends the run: a hole would look like a figure.

    Args:
        benchmarks: what to measure.
        begin: told of each before it starts.
    """
    for benchmark in benchmarks:
        begin(benchmark)
        began_s = time.perf_counter()
        figure = benchmark.measure()
        yield row_of(benchmark, figure, time.perf_counter() - began_s)


def row_of(benchmark: Benchmark, figure: Figure, took_s: float) -> Row:
    """The row of a measured benchmark."""
    value = float(f"{figure.value:.4g}")
    return Row(
        name=benchmark.name,
        value=value,
        goal=benchmark.goal,
        direction=benchmark.direction,
        holds=benchmark.holds(value),
        unit=benchmark.unit,
        command=benchmark.command,
        what=benchmark.what,
        note=figure.note,
        took_s=round(took_s, 2),
    )
