"""A catalogue of thousands, from deliveries to a promoted encoder: `python -m bench.scale --titles 1000 10000`.

Synthetic titles of small widths, of which the first 500 have labels. Each phase is the command that a person would
type, in a process of its own, and a row of a file: what it took, and how often it told Dagster of an artifact. With
`--table` it prints what the file holds.
"""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from mediafm_core.narrative.config import Lengths, WorldConfig
from mediafm_core.narrative.delivery import generate
from mediafm_core.narrative.world import World

RESULTS = Path(__file__).with_name("scale.jsonl")

_LENGTHS = Lengths(low=30, high=60)
_N_LABELLED = 500
_ENCODER = "v1"
_COMMAND = "from mediafm_assets.cli import main; main()"
_PHASES: Mapping[str, tuple[str, ...]] = {
    "init": ("init",),
    "ingest": ("ingest", "{deliveries}"),
    "to fused": ("apply",),
    "train": ("encoder", "train", _ENCODER, "--preset", "demo"),
    "contextual, heads, predictions": ("apply",),
    "promote": ("release", "promote", _ENCODER),
    "plan of nothing": ("plan", "--json"),
    "status": ("status", "--json"),
    "one title more": ("ingest", "{newcomer}"),
    "its chain": ("apply",),
}


class Took(NamedTuple):
    """What one command took."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def run(command: Sequence[str], log: Path) -> Took:
    """Run a command and wait for it.

    Raises:
        RuntimeError: it failed; its output stands in the log.
    """
    began_s = time.perf_counter()
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}: see {log}")
    return Took(time.perf_counter() - began_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def deliveries(out: Path, n_titles: int) -> tuple[Path, Path]:
    """Two folders of deliveries: so many titles, and one more."""
    world = World.of(WorldConfig(seed=0, video_dims=24, audio_dims=12, text_dims=16))
    for name, first, n in (("deliveries", 0, n_titles), ("newcomer", n_titles, 1)):
        (out / name).mkdir(parents=True)
        for number, folder in enumerate(generate(out / name, n_titles=n, seed=first, world=world, lengths=_LENGTHS)):
            if first + number >= _N_LABELLED:
                (folder / "labels.parquet").unlink()
    return out / "deliveries", out / "newcomer"


def measure(n_titles: int, scratch: Path) -> list[dict[str, Any]]:
    """The rows of one size."""
    folder, rows = scratch / str(n_titles), []
    shutil.rmtree(folder, ignore_errors=True)
    whole, newcomer = deliveries(folder, n_titles)
    home = folder / "home"
    for phase, words in _PHASES.items():
        before = _n_events(home)
        arguments = [word.format(deliveries=whole, newcomer=newcomer) for word in words]
        took = run([sys.executable, "-c", _COMMAND, *arguments, "--home", str(home)], folder / "log")
        rows.append({"titles": n_titles, "phase": phase, "events": _n_events(home) - before, **took._asdict()})
        sys.stderr.write(f"{n_titles} titles, {phase}: {took.wall_s:.1f} s, {took.peak_mib:.0f} MiB\n")
    return rows


def _n_events(home: Path) -> int:
    """How many materialisations Dagster has been told of."""
    found = sorted((home / "dagster").glob("**/index.db"))
    if not found:
        return 0
    with sqlite3.connect(f"file:{found[0]}?mode=ro", uri=True) as index:
        asked = "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
        return int(index.execute(asked).fetchone()[0])


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown, and how each phase grows from one size to the next."""
    sizes = sorted({row["titles"] for row in rows})
    by = {(row["titles"], row["phase"]): row for row in rows}
    head = ["phase", *(f"{size:,} titles" for size in sizes), *(f"{b:,} / {a:,}" for a, b in pairwise(sizes))]
    lines = [head, ["---"] * len(head)]
    for phase in dict.fromkeys(row["phase"] for row in rows):
        cells = [_shown(by[size, phase]) for size in sizes]
        growth = [f"{by[b, phase]['cpu_s'] / by[a, phase]['cpu_s']:.1f}" for a, b in pairwise(sizes)]
        lines.append([phase, *cells, *growth])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(row: Mapping[str, Any]) -> str:
    return f"{row['wall_s']:.1f} s, CPU {row['cpu_s']:.1f} s, {row['peak_mib']:,.0f} MiB, {row['events']:,} events"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the sizes asked for, or print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--titles", type=int, nargs="+", default=[1000, 10_000], help="sizes of the catalogue")
    parser.add_argument("--scratch", type=Path, default=Path("scale"), help="where the homes are made, and stay")
    parser.add_argument("--table", action="store_true", help="print what the file holds and measure nothing")
    asked = parser.parse_args(arguments)
    if not asked.table:
        for n_titles in asked.titles:
            rows = measure(n_titles, asked.scratch)
            with RESULTS.open("a") as out:
                out.write("".join(json.dumps(row) + "\n" for row in rows))
    print(table([json.loads(line) for line in RESULTS.read_text().splitlines()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
