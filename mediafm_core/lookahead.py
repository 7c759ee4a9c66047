"""What later work needs, made ready beside the work that runs: one thing at a time, in a thread."""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

_log = logging.getLogger(__name__)


class Coming(NamedTuple):
    """Work that is to come, and what may be made ready for it."""

    place: int
    """In the order of all work."""
    subject: str
    """What is made ready serves all work about it."""
    is_wanted: Callable[[], object]
    """True where it still has to be done; asked just before; in the caller's thread."""
    prepare: Callable[[str], object]
    """Given the subject of the work that runs. What comes of the work is the same without it, failures too."""


class Lookahead:
    """Makes ready what the next other subject needs while work on one subject runs.

    Args:
        coming: in the order of all work; read as far as it is needed.
    """

    def __init__(self, coming: Iterator[Coming]) -> None:
        self._coming = coming
        self._subject, self._thread = "", threading.Thread()

    def begin(self, place: int, subject: str) -> None:
        """Work on a subject begins: wait for what was made ready for it, then make ready the next."""
        if self._subject == subject:
            self.wait()
        elif self._subject:
            return  # what was made ready has not had its turn yet
        other = (each for each in self._coming if each.place > place and each.subject != subject)
        following = next((each for each in other if each.is_wanted()), None)
        self._subject = following.subject if following else ""
        if following:
            self._thread = threading.Thread(target=_try, args=(following, subject), name="lookahead", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until nothing is being made ready."""
        if self._thread.ident is not None:
            self._thread.join()


def _try(coming: Coming, running: str) -> None:
    try:
        coming.prepare(running)
    except Exception as error:  # noqa: BLE001 whatever it is, the work itself meets it and tells
        _log.debug("nothing was made ready for %s: %s", coming.subject, error)
