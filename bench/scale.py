"""A catalogue of thousands, from deliveries to a promoted encoder: `python -m bench.scale --titles 1000 10000`.

Synthetic titles of small widths, of which the first 500 have labels. Each phase is the command that a person would
type, in a process of its own, and a row of a file: what it took, and how often it told Dagster of an artifact. With
`--table` it prints what the file holds. Given again, it goes on after the last row of the file.
"""

import argparse
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from mediafm_core.narrative.config import Lengths, WorldConfig
from mediafm_core.narrative.delivery import generate
from mediafm_core.narrative.world import World

RESULTS = Path(__file__).with_name("scale.jsonl")

_LENGTHS = Lengths(low=30, high=60)
_N_LABELLED = 500
_COMMAND = "from mediafm_assets.cli import main; main()"
_PHASES: Mapping[str, tuple[str, ...]] = {
    "init": ("init",),
    "ingest": ("ingest", "{deliveries}"),
    "to fused": ("apply",),
    "train": ("encoder", "train", "v1", "--preset", "demo"),
    "contextual, heads, predictions": ("apply",),
    "promote": ("release", "promote", "v1"),
    "plan of nothing": ("plan", "--json"),
    "status": ("status", "--json"),
    "one title more": ("ingest", "{newcomer}"),
    "its chain": ("apply",),
    "first tick of reconcile": (),
    "next tick": (),
    "train a second": ("encoder", "train", "v2", "--preset", "demo", "--seed", "1"),
    "all of the second": ("apply",),
    "promote the second": ("release", "promote", "v2"),
    "roll back": ("release", "rollback"),
    "roll forward, until readers have it": (),
    "withdraw a title": ("withdraw", "narrative-w0-000000"),
}
"""The words of the command; none for what is measured within a process, without the time to start it: `_WITHIN`."""


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


def deliveries(out: Path, n_titles: int) -> None:
    """Two folders of deliveries: so many titles, and one more."""
    world = World.of(WorldConfig(seed=0, video_dims=24, audio_dims=12, text_dims=16))
    for name, first, n in (("deliveries", 0, n_titles), ("newcomer", n_titles, 1)):
        (out / name).mkdir(parents=True)
        for number, folder in enumerate(generate(out / name, n_titles=n, seed=first, world=world, lengths=_LENGTHS)):
            if first + number >= _N_LABELLED:
                (folder / "labels.parquet").unlink()


def measure(n_titles: int, scratch: Path) -> None:
    """Write the rows of one size, going on after the last one that the file has."""
    folder, known = scratch / str(n_titles), {row["phase"] for row in read_rows() if row["titles"] == n_titles}
    if not known:
        shutil.rmtree(folder, ignore_errors=True)
        deliveries(folder, n_titles)
    home, named = folder / "home", {"deliveries": folder / "deliveries", "newcomer": folder / "newcomer"}
    for phase, words in _PHASES.items():
        if phase not in known:
            before = _n_events(home)
            took = _command(home, [word.format(**named) for word in words]) if words else _within(home, phase)
            row = {"titles": n_titles, "phase": phase, "events": _n_events(home) - before, **took._asdict()}
            with RESULTS.open("a") as out:
                out.write(json.dumps(row) + "\n")
            sys.stderr.write(f"{n_titles} titles, {phase}: {took.wall_s:.1f} s, {took.peak_mib:.0f} MiB\n")


def _command(home: Path, words: Sequence[str]) -> Took:
    return run([sys.executable, "-c", _COMMAND, *words, "--home", str(home)], home.parent / "log")


def _within(home: Path, phase: str) -> Took:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_WITHIN[phase], home).result()


def _first_tick(home: Path) -> Took:
    return _ticks(home)[0]


def _next_tick(home: Path) -> Took:
    return _ticks(home)[1]


def _ticks(home: Path) -> list[Took]:
    """Evaluate the sensor `reconcile` twice, as the daemon does."""
    import dagster as dg

    from mediafm_assets.cli.running import dagster_instance
    from mediafm_assets.resources import HomeResource
    from mediafm_assets.sensors import reconcile
    from mediafm_core.store.home import Home

    took, cursor = [], None
    with dagster_instance(Home.open(home)) as instance:
        for _ in range(2):
            given = {"home": HomeResource(root=str(home))}
            context = dg.build_sensor_context(instance=instance, resources=given, cursor=cursor)
            took.append(_timed(partial(reconcile, context)))
            cursor = context.cursor
    return took


def _roll_forward(home: Path) -> Took:
    """From the call until the pointer is swapped."""
    from mediafm_core.release.rollback import roll_back
    from mediafm_core.store.home import Home

    return _timed(partial(roll_back, Home.open(home)))


def _timed(work: Callable[[], object]) -> Took:
    began_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Took(time.perf_counter() - began_s, time.process_time() - cpu_s, peak_mib)


_WITHIN: Mapping[str, Callable[[Path], Took]] = {
    "first tick of reconcile": _first_tick,
    "next tick": _next_tick,
    "roll forward, until readers have it": _roll_forward,
}


def _n_events(home: Path) -> int:
    """How many materialisations Dagster has been told of."""
    found = sorted((home / "dagster").glob("**/index.db"))
    if not found:
        return 0
    with sqlite3.connect(f"file:{found[0]}?mode=ro", uri=True) as index:
        asked = "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
        return int(index.execute(asked).fetchone()[0])


def read_rows() -> list[dict[str, Any]]:
    """What the file holds."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown, and how each phase grows from one size to the next."""
    sizes = sorted({row["titles"] for row in rows})
    by = {(row["titles"], row["phase"]): row for row in rows}
    head = ["phase", *(f"{size:,} titles" for size in sizes), *(f"{b:,} / {a:,}" for a, b in pairwise(sizes))]
    lines = [head, ["---"] * len(head)]
    for phase in dict.fromkeys(row["phase"] for row in rows):
        cells = [_shown(by.get((size, phase))) for size in sizes]
        pairs = [(by.get((a, phase)), by.get((b, phase))) for a, b in pairwise(sizes)]
        growth = [f"{b['cpu_s'] / a['cpu_s']:.1f}" if a and b else "" for a, b in pairs]
        lines.append([phase, *cells, *growth])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    wall_s, cpu_s = (f"{row[of]:.1f}" if row[of] >= 1 else f"{row[of]:.3f}" for of in ("wall_s", "cpu_s"))
    return f"{wall_s} s, CPU {cpu_s} s, {row['peak_mib']:,.0f} MiB, {row['events']:,} events"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the sizes asked for, or print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--titles", type=int, nargs="+", default=[1000, 10_000], help="sizes of the catalogue")
    parser.add_argument("--scratch", type=Path, default=Path("scale"), help="where the homes are made, and stay")
    parser.add_argument("--table", action="store_true", help="print what the file holds and measure nothing")
    asked = parser.parse_args(arguments)
    if not asked.table:
        for n_titles in asked.titles:
            measure(n_titles, asked.scratch)
    print(table(read_rows()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
