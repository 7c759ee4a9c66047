"""The benchmarks' harness: what a row says follows from its benchmark and its value; the table selects row by row."""

import json
import shlex
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.harness import Benchmark, Direction, Figure, run, select
from bench.measuring import interleaved
from bench.table import BENCHMARKS
from mediafm_core.errors import IdentityError

FAST = "start_core_heavy"


def benchmark(name: str = "fake", *, value: float = 1.0, goal: float = 1.0, direction: str = "at most") -> Benchmark:
    """A benchmark that measures nothing."""
    return Benchmark(
        name=name,
        what="a fake",
        unit="s",
        goal=goal,
        direction=Direction(direction),
        measure=lambda: Figure(value, "made up"),
    )


def only_row(of: Benchmark):
    (row,) = run([of])
    return row


@pytest.mark.parametrize(
    ("direction", "value", "holds"),
    [
        ("at most", 0.9, True),
        ("at most", 1.0, True),
        ("at most", 1.1, False),
        ("at least", 0.9, False),
        ("at least", 1.0, True),
        ("at least", 1.1, True),
        ("at most", float("nan"), False),
        ("at least", float("nan"), False),
    ],
)
def test_a_goal_holds_on_its_own_side_and_at_its_edge(direction: str, value: float, holds: bool) -> None:
    assert only_row(benchmark(direction=direction, value=value)).holds is holds


def test_holds_is_decided_on_the_value_that_is_shown() -> None:
    row = only_row(benchmark(value=1.00001))
    assert (row.value, row.holds) == (1.0, True)


def test_rows_come_in_order_and_a_failure_ends_the_run() -> None:
    def fail() -> Figure:
        raise ZeroDivisionError

    broken = Benchmark(name="b", what="", unit="s", goal=1, direction=Direction.AT_MOST, measure=fail)
    rows = run([benchmark("a"), broken, benchmark("c")])
    assert next(rows).name == "a"
    with pytest.raises(ZeroDivisionError):
        next(rows)


def test_names_in_the_table_are_unique() -> None:
    names = [each.name for each in BENCHMARKS]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("each", BENCHMARKS, ids=lambda each: each.name)
def test_each_command_selects_its_row_and_no_other(each: Benchmark) -> None:
    python, flag, package, *patterns = shlex.split(each.command)
    assert (python, flag, package) == ("python", "-m", "bench")
    assert select(BENCHMARKS, patterns) == [each]


def test_no_pattern_selects_all_and_a_pattern_keeps_the_tables_order() -> None:
    table = [benchmark(name) for name in ("a_1", "b_1", "a_2")]
    assert select(table, []) == table
    assert [each.name for each in select(table, ["a_2", "a_*"])] == ["a_1", "a_2"]


def test_a_name_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(IdentityError, match="no such benchmark"):
        select([benchmark("a")], ["a", "b"])
    with pytest.raises(SystemExit) as stop:
        main(["no_such_benchmark"])
    assert stop.value.code == 2


@pytest.mark.parametrize("name", ["", "a b", "a*", "a/b", "[a]"])
def test_a_name_that_is_no_plain_word_is_refused(name: str) -> None:
    with pytest.raises(IdentityError):
        benchmark(name)


def test_peers_run_in_turn_and_the_ratio_is_the_median_of_the_rounds() -> None:
    ran: list[str] = []
    at_s = iter([0, 2, 2, 3, 10, 13, 13, 14, 20, 120, 120, 121])  # ours 2, 3 and 100 s; the peer always 1 s
    pair = interleaved(lambda: ran.append("A"), lambda: ran.append("B"), rounds=3, clock=lambda: next(at_s))
    assert "".join(ran) == "AB" + "ABABAB"
    assert (pair.ours_s, pair.peer_s, pair.ratio) == ([2, 3, 100], [1, 1, 1], 3)


def test_the_list_measures_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", FAST]) == 0
    assert FAST in capsys.readouterr().out


def test_a_run_writes_its_rows_and_the_machines_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.json"
    assert main([FAST, "--json", "--out", str(out)]) == 0
    results = json.loads(out.read_text())
    assert results == json.loads(capsys.readouterr().out)
    assert list(tmp_path.iterdir()) == [out]
    (row,) = results["rows"]
    assert {"name", "value", "goal", "holds", "unit", "command"} <= row.keys()
    assert (row["name"], row["value"], row["holds"]) == (FAST, 0.0, True)
    assert row["command"] == f"python -m bench {FAST}"
    assert {"utc", "commit", "python", "cpu_model", "cpu_count", "load", "libraries"} <= results["machine"].keys()


def test_a_part_of_a_run_does_not_take_the_place_of_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "results.json"
    whole.write_text("the whole")
    monkeypatch.setattr("bench.__main__.RESULTS", whole)
    assert main([FAST]) == 0
    assert whole.read_text() == "the whole"


def test_heavy_modules_are_counted_and_named() -> None:
    from bench.startup import heavy_modules

    assert heavy_modules("import sys; sys.modules['torch'] = sys") == Figure(1, "torch")
