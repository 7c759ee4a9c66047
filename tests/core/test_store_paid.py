"""A purse: vectors are kept with their charge or not at all, and no run spends more than it may."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mediafm_core.errors import BudgetError
from mediafm_core.store.paid import FILE, Purse, answered, dollars

KEYS = [f"{i:064x}" for i in range(1200)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / FILE


@pytest.fixture
def purse(file: Path) -> Iterator[Purse]:
    purse = open_purse(file)
    yield purse
    purse.close()


def open_purse(file: Path, *, run: str = "run", step: str = "step", budget_usd: float | None = None) -> Purse:
    """A purse for which a token costs a dollar."""
    return Purse(file, run=run, step=step, usd_per_million=1e6, budget_usd=budget_usd)


def vector(i: int) -> np.ndarray:
    return np.full(3, i, np.float32)


def test_what_was_kept_comes_back_bit_by_bit_to_whoever_asks(purse: Purse, file: Path) -> None:
    purse.settle(purse.reserve(9), 5, {key: vector(i) for i, key in enumerate(KEYS)})
    other = open_purse(file, run="later")
    found = other.known([*KEYS, "f" * 64])
    assert list(found) == KEYS
    assert all(np.array_equal(found[key], vector(i)) for i, key in enumerate(KEYS))
    assert purse.known([]) == {}
    other.close()


def test_what_was_paid_for_is_told_without_its_vectors_and_makes_no_file(file: Path) -> None:
    assert answered(file, KEYS) == set()
    assert not file.exists()
    purse = open_purse(file)
    purse.settle(purse.reserve(9), 5, {key: vector(i) for i, key in enumerate(KEYS[::2])})
    assert answered(file, KEYS) == set(KEYS[::2])
    purse.close()


def test_the_first_vector_of_a_key_stays(purse: Purse) -> None:
    purse.settle(purse.reserve(1), 1, {KEYS[0]: vector(1)})
    purse.settle(purse.reserve(1), 1, {KEYS[0]: vector(2)})
    np.testing.assert_array_equal(purse.known(KEYS[:1])[KEYS[0]], vector(1))


def test_a_charge_is_what_was_settled_and_until_then_what_was_reserved(purse: Purse) -> None:
    first, second, third = purse.reserve(10), purse.reserve(20), purse.reserve(30)
    purse.settle(first, 4, {})
    purse.give_back(second)
    assert purse.spent() == (2, 34, 34.0)
    purse.settle(third, 30, {})
    assert purse.spent() == (2, 34, 34.0)


def test_a_vector_that_cannot_be_kept_leaves_its_request_as_it_was(purse: Purse) -> None:
    request = purse.reserve(10)
    with pytest.raises(Exception, match="CHECK constraint"):
        purse.settle(request, 4, {KEYS[0]: vector(0), "short": vector(1)})
    assert purse.known(KEYS[:1]) == {}
    assert purse.spent().usd == 10.0


def test_a_run_spends_no_more_than_it_may_over_all_its_steps(file: Path) -> None:
    one, two = (open_purse(file, step=step, budget_usd=10.0) for step in ("text", "metadata"))
    one.settle(one.reserve(6), 6, {})
    with pytest.raises(BudgetError, match=r"\$6\.0000 spent, \$4\.0000 left, up to \$5\.0000"):
        two.reserve(5)
    two.reserve(4)
    assert (one.spent().usd, two.spent().usd) == (6.0, 4.0)
    next_run = open_purse(file, run="next", budget_usd=10.0)
    next_run.reserve(10)
    for purse in (one, two, next_run):
        purse.close()


def test_many_who_reserve_at_once_do_not_exceed_the_budget_together(file: Path) -> None:
    purse = open_purse(file, budget_usd=10.0)

    def attempt(_: int) -> bool:
        try:
            purse.reserve(3)
        except BudgetError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(12))) == 3
    purse.close()


def test_no_text_is_kept(purse: Purse, file: Path) -> None:
    purse.settle(purse.reserve(1), 1, {KEYS[0]: vector(1)})
    with sqlite3.connect(file) as database:
        (columns,) = database.execute("select group_concat(name) from pragma_table_info('vectors')").fetchone()
    assert columns == "key,vector"
    database.close()


@pytest.mark.parametrize(
    ("amount", "said"),
    [(0.0, "$0.0000"), (12.5, "$12.5000"), (0.0031, "$0.0031"), (4.2e-6, "$0.0000042"), (-1e-5, "$-0.000010")],
)
def test_money_is_said_with_two_digits_at_least(amount: float, said: str) -> None:
    assert dollars(amount) == said
