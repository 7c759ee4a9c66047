"""What an encoder behind an API is given by whoever runs it: a key, and a purse that remembers what was paid for."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]


class Secret:
    """A text that nothing shows: neither `repr`, `str` and formatting, nor a pickle."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one call that needs it."""
        return self._text

    def masked(self, text: str) -> str:
        """Another text without this one in it."""
        return text.replace(self._text, "***") if self._text else text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, _format: str) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


class Payer(NamedTuple):
    """In whose name requests are sent, and what they may cost."""

    run: str
    """Whose requests count against the budget."""
    key: Secret | None = None
    budget_usd: float | None = None
    """The most that the run may spend, in US dollars; None for no limit."""


class Purse(Protocol):
    """Vectors that are known, and money for those that are not. Called from several threads."""

    def known(self, keys: Sequence[str]) -> Mapping[str, Vector]:
        """The vectors of those keys that have one."""
        ...

    def reserve(self, n_tokens: int) -> int:
        """Enter a request that may be charged for so many tokens; returns its number.

        Raises:
            BudgetError: with it the run could spend more than it may.
        """
        ...

    def give_back(self, request: int) -> None:
        """Strike out a request that was certainly not charged."""
        ...

    def settle(self, request: int, n_tokens: int, vectors: Mapping[str, Vector]) -> None:
        """Enter what a request was charged for, and keep what came back; all of it or nothing."""
        ...
