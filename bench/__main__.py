"""`python -m bench [NAME...]`: measure, print a table, write bench/results.json."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.harness import Benchmark, Row, run, select
from bench.machine import load, machine_state
from bench.table import BENCHMARKS
from mediafm_core.errors import IdentityError

RESULTS = Path(__file__).with_name("results.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the exit status is 0 whether or not goals hold, 2 for a wrong name."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        chosen = select(BENCHMARKS, asked.names)
    except IdentityError as error:
        parser.error(str(error))
    if asked.list:
        Console().print(_listed(chosen))
        return 0
    # Whole runs have a place of their own; a part of one must not take the place of the whole.
    out = asked.out or (None if asked.names else RESULTS)
    results = measure(chosen)
    if out:
        write(out, results)
    if asked.json:
        print(json.dumps(results, indent=1))
    else:
        _show(results, out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure what things cost.", epilog="Example: python -m bench 'snapshot_*'"
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="names or patterns; all benchmarks where none is given"
    )
    parser.add_argument("--list", action="store_true", help="show the table of benchmarks and measure nothing")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"write the results here (a whole run: {RESULTS.name})"
    )
    return parser


def measure(chosen: Sequence[Benchmark]) -> dict[str, Any]:
    """The rows of these benchmarks, with the machine's state before and its load after."""
    told = Console(stderr=True)
    before = machine_state()
    rows = [row.to_json() for row in run(chosen, lambda benchmark: told.print(f"… {benchmark.name}", style="dim"))]
    return {"machine": {**before, "load_after": load()}, "rows": rows}


def write(out: Path, results: dict[str, Any]) -> None:
    """Write the results whole: who reads meanwhile sees the old file or the new one."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    temporary.replace(out)


def _listed(chosen: Sequence[Benchmark]) -> Table:
    table = Table("name", "what", "goal")
    for benchmark in chosen:
        table.add_row(benchmark.name, benchmark.what, f"{benchmark.direction} {benchmark.goal:g} {benchmark.unit}")
    return table


def _show(results: dict[str, Any], out: Path | None) -> None:
    console = Console()
    table = Table("name", "value", "goal", "holds", "unit", "note")
    rows = [Row(**record) for record in results["rows"]]
    for row in rows:
        holds = "[green]yes[/]" if row.holds else "[red]no[/]"
        table.add_row(row.name, f"{row.value:g}", f"{row.direction} {row.goal:g}", holds, row.unit, row.note)
    console.print(table)
    console.print(_summary(rows, results["machine"]))
    console.print("A row again: python -m bench NAME." + (f" Written to {out}." if out else ""))


def _summary(rows: Sequence[Row], machine: dict[str, Any]) -> str:
    n_holding, took_s = sum(row.holds for row in rows), sum(row.took_s for row in rows)
    load_before, load_after = machine["load"][0], machine["load_after"][0]
    return (
        f"{n_holding} of {len(rows)} goals hold, in {took_s:.0f} s, "
        f"on {machine['cpu_count']} x {machine['cpu_model']}, load {load_before} before, {load_after} after."
    )


if __name__ == "__main__":
    sys.exit(main())
