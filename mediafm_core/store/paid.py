"""What was paid for: vectors of models behind an API by what they were asked for, and what each run has spent.

One SQLite file beside the ledger. A request is entered before it is sent, with the most that it may cost, and settled
in the same transaction that keeps its vectors. So whoever is killed pays again for the requests that were under way and
for nothing else, and a request of which nobody knows whether it was charged counts as charged.
"""

import time
from collections.abc import Mapping, Sequence
from math import floor, log10
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import (
    URL,
    CheckConstraint,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as insert_or_keep

from mediafm_core.errors import BudgetError
from mediafm_core.store.database import connect, writing

FILE = "paid.db"
_AT_ONCE = 500  # keys in one query

Vector = npt.NDArray[np.float32]


def dollars(amount: float) -> str:
    """US dollars with four decimals, and with more where these would say less than two digits of it."""
    decimals = 4 if amount == 0 else max(4, 1 - floor(log10(abs(amount))))
    return f"${amount:.{decimals}f}"


_metadata = MetaData()

_vectors = Table(
    "vectors",
    _metadata,
    Column("key", String(64), primary_key=True),  # a hash over the model and what it was asked for
    Column("vector", LargeBinary, nullable=False),  # float32, little-endian
    CheckConstraint("length(key) = 64 and length(vector) > 0"),
)

_requests = Table(
    "requests",
    _metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run", String(64), nullable=False),
    Column("step", String(300), nullable=False),
    Column("sent_at", Float, nullable=False),
    Column("n_vectors", Integer, nullable=False),
    Column("n_tokens", Integer, nullable=False),  # charged; while it is under way the most that it can be
    Column("usd", Float, nullable=False),
    Index("requests_of_a_run", "run"),
)


class Spent(NamedTuple):
    """What a step's requests came to."""

    n_requests: int
    n_tokens: int
    usd: float


def answered(file: Path, keys: Sequence[str]) -> set[str]:
    """Those of the keys that have a vector. No vector is read, and no file is made where nothing was ever paid for."""
    if not file.exists():
        return set()
    engine, found = connect(URL.create("sqlite", database=str(file))), set()
    try:
        with engine.connect() as connection:
            for start in range(0, len(keys), _AT_ONCE):
                query = select(_vectors.c.key).where(_vectors.c.key.in_(keys[start : start + _AT_ONCE]))
                found |= set(connection.execute(query).scalars())
    finally:
        engine.dispose()
    return found


class Purse:
    """Vectors that are known, and money for those that are not: of one run, for one step.

    Args:
        file: the database; made if need be.
        run: whose requests count against the budget.
        step: what the requests are for, to be told apart within the run.
        usd_per_million: price of a million tokens, in US dollars.
        budget_usd: the most that the run may spend; None for no limit.
    """

    def __init__(
        self, file: Path, *, run: str, step: str, usd_per_million: float, budget_usd: float | None = None
    ) -> None:
        self._engine = connect(URL.create("sqlite", database=str(file)))
        self._run, self._step = run, step
        self._usd_per_million, self._budget_usd = usd_per_million, budget_usd
        with writing(self._engine) as connection:
            _metadata.create_all(connection)

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    def known(self, keys: Sequence[str]) -> dict[str, Vector]:
        """The vectors of those keys that have one, (dims,) float32 each."""
        found: dict[str, Vector] = {}
        with self._engine.connect() as connection:
            for start in range(0, len(keys), _AT_ONCE):
                query = select(_vectors).where(_vectors.c.key.in_(keys[start : start + _AT_ONCE]))
                found |= {row.key: np.frombuffer(row.vector, "<f4") for row in connection.execute(query)}
        return found

    def reserve(self, n_tokens: int) -> int:
        """Enter a request that is about to be sent; returns its number.

        Args:
            n_tokens: the most that it can be charged for.

        Raises:
            BudgetError: with it the run could spend more than it may.
        """
        usd = self._usd(n_tokens)
        with writing(self._engine) as connection:
            spent = self._spent_by_run(connection)
            if self._budget_usd is not None and spent + usd > self._budget_usd:
                left = self._budget_usd - spent
                raise BudgetError(
                    f"budget of run {self._run!r}",
                    found=f"{dollars(spent)} spent, {dollars(left)} left, up to {dollars(usd)} for the next",
                    expected=f"at most {dollars(self._budget_usd)} for the run",
                    next_step="What was paid for is kept. Run it again, with a larger budget if this one is too small.",
                )
            values = {"run": self._run, "step": self._step, "sent_at": time.time(), "n_vectors": 0}
            made = connection.execute(insert(_requests).values(**values, n_tokens=n_tokens, usd=usd))
            assert made.inserted_primary_key
            return made.inserted_primary_key[0]

    def give_back(self, request: int) -> None:
        """Strike out a request that was certainly not charged."""
        with writing(self._engine) as connection:
            connection.execute(delete(_requests).where(_requests.c.id == request))

    def settle(self, request: int, n_tokens: int, vectors: Mapping[str, Vector]) -> None:
        """Enter what a request was charged for, and keep what came back; all of it or nothing."""
        rows = [{"key": key, "vector": vector.astype("<f4").tobytes()} for key, vector in vectors.items()]
        charged = {"n_tokens": n_tokens, "usd": self._usd(n_tokens), "n_vectors": len(rows)}
        with writing(self._engine) as connection:
            connection.execute(update(_requests).where(_requests.c.id == request).values(charged))
            if rows:
                connection.execute(insert_or_keep(_vectors).on_conflict_do_nothing(), rows)

    def spent(self) -> Spent:
        """What this step has come to in this run."""
        columns = func.count(), func.sum(_requests.c.n_tokens), func.sum(_requests.c.usd)
        query = select(*columns).where(_requests.c.run == self._run, _requests.c.step == self._step)
        with self._engine.connect() as connection:
            n_requests, n_tokens, usd = connection.execute(query).one()
        return Spent(n_requests, n_tokens or 0, usd or 0.0)

    def _spent_by_run(self, connection: Connection) -> float:
        query = select(func.sum(_requests.c.usd)).where(_requests.c.run == self._run)
        return connection.execute(query).scalar() or 0.0

    def _usd(self, n_tokens: int) -> float:
        return n_tokens * self._usd_per_million / 1e6
