"""What the command prints in tables: legible at the width of a terminal, every step by its full name."""

from collections.abc import Iterator

import pytest

from mediafm_assets.cli.context import console, print_table
from mediafm_assets.cli.plan_commands import show_plan
from mediafm_assets.cli.progress import describe
from mediafm_core.catalogue.kinds import KINDS, join_partition
from mediafm_core.planning.plan import Plan
from mediafm_core.stock import explained_plan, read_state
from mediafm_core.store.home import Home
from tests.catalogue import LONG, ONE_SHOT, SILENT, TITLES, UNSORTED
from tests.fakes import make_home


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 80 columns."""
    monkeypatch.setattr(console, "_width", 80)


def printed(columns: tuple[str, ...], *rows: tuple[object, ...]) -> list[str]:
    with console.capture() as capture:
        print_table("a table", columns, rows)
    return capture.get().splitlines()


def in_one_line(text: str, lines: list[str]) -> bool:
    return any(text in line for line in lines)


def test_names_stay_whole_and_the_longest_text_is_folded() -> None:
    row = ("contextual_embeddings", "v1|big-buck-bunny", "title 'big-buck-bunny': captions changed and so on " * 2)
    lines = printed(("asset", "partition", "reason"), row)
    assert in_one_line(row[0], lines)
    assert in_one_line(row[1], lines)
    assert max(map(len, lines)) == 80
    assert sum("captions" in line for line in lines) == 2


def test_what_would_be_broken_into_crumbs_is_a_block_of_lines_for_each_row() -> None:
    columns = tuple(f"column {n}" for n in range(9))
    rows = [tuple(f"value-{n}-of-row-{row}" for n in range(9)) for row in range(2)]
    lines = printed(columns, *rows)
    assert [line for line in lines if "column 0" in line and "value-0-of-row-0" in line]
    assert all(in_one_line(cell, lines) for row in rows for cell in row)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_table_is_wider_than_the_terminal_and_no_text_is_lost(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(console, "_width", width)
    words = [f"word{n}" for n in range(30)]
    lines = printed(("name", "", "text"), ("a-name", None, " ".join(words)), ("another-name", 0.5, "[bold]"))
    assert max(map(len, lines)) <= width
    assert all(in_one_line(word, lines) for word in (*words, "a-name", "another-name", "0.500", "[bold]"))


def test_a_table_without_rows_is_its_head() -> None:
    assert in_one_line("asset", printed(("asset", "partition")))


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_step_in_words_names_all_that_its_partition_names(kind) -> None:
    values = {axis: f"a-{axis}" for axis in kind.axes}
    said = describe(kind.name, join_partition(**values))
    assert said.split()[0] == kind.name
    assert set(values.values()) <= set(said.split())


# A plan


@pytest.fixture
def home(tmp_path) -> Iterator[Home]:
    home = make_home(tmp_path / "home", [SILENT])
    yield home
    home.ledger.close()


def shown(home: Home, *titles) -> list[str]:
    with console.capture() as capture:
        show_plan(home, planned(home, *titles))
    return capture.get().splitlines()


def planned(home: Home, *titles) -> Plan:
    return explained_plan(home, read_state(home).with_titles(*titles))


def test_a_plan_shows_each_step_with_the_partition_that_why_asks_for(home: Home) -> None:
    lines = shown(home)
    for step in planned(home).steps:
        assert any(step.key.kind in line and step.key.partition in line for line in lines), step.key
    assert in_one_line("title 'silent': not yet", lines)


def test_a_large_plan_is_told_by_its_reasons_with_counts(home: Home) -> None:
    lines, found = shown(home, *TITLES), planned(home, *TITLES)
    assert len(found.steps) > 60
    (row,) = [line for line in lines if "fused_embeddings" in line and "title: not yet computed" in line]
    assert str(len(TITLES)) in row
    assert len(lines) < 60


def test_what_was_never_made_costs_an_unknown_time(home: Home) -> None:
    assert "unknown" in next(line for line in shown(home, LONG, ONE_SHOT, UNSORTED) if "together" in line)
