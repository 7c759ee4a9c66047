"""How requests to an API are cut and spaced. None of it changes a vector."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import isfinite
from threading import Lock

from mediafm_core.errors import RemoteError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How requests are cut and spaced, and how long one is waited for."""

    texts_per_request: int = 256  # what a crash pays for again, for each request that is under way
    tokens_per_request: int = 250_000  # OpenAI takes 300,000
    bytes_per_request: int = 1 << 20
    requests_at_once: int = 1
    requests_per_minute: float = 3_000
    tokens_per_minute: float = 1_000_000
    request_s: float = 60.0  # for one answer, whole
    deadline_s: float = 600.0  # for one batch, with all attempts and waits
    attempts: int = 6
    first_wait_s: float = 0.5  # before the second attempt, then twice as long each time, unless the server says

    def __post_init__(self) -> None:
        wrong = [name for name in self.__slots__ if not (isfinite(getattr(self, name)) and getattr(self, name) > 0)]
        if wrong:
            raise RemoteError(
                f"limit {wrong[0]}",
                found=str(getattr(self, wrong[0])),
                expected="a number above 0",
                next_step="Add the suite again with other limits.",
            )


class Pace:
    """Spaces requests so that a minute holds no more than is allowed. Used from several threads.

    Args:
        limits: what is allowed.
        clock: seconds, for turns and deadlines.
        sleep: waits.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limits, self.clock, self.sleep = limits, clock, sleep
        self._lock, self._free_at = Lock(), clock()

    def wait(self, n_tokens: int) -> None:
        """Wait for the turn of a request of at most so many tokens."""
        spacing_s = 60 * max(1 / self.limits.requests_per_minute, n_tokens / self.limits.tokens_per_minute)
        with self._lock:
            now = self.clock()
            turn = max(now, self._free_at)
            self._free_at = turn + spacing_s
        if turn > now:
            self.sleep(turn - now)


@cache
def pace_of(run: str, server: str, limits: Limits) -> Pace:
    """The one pace of all requests of a run to a server, in this process."""
    assert run
    assert server
    return Pace(limits)
