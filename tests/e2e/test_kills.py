"""Killed in the middle of a backfill, whatever was killed: what is planned is done once, and nothing hangs.

The home is one that `mediafm dev` runs on, with its daemon, code server, webserver and the worker of a run.
"""

import os
import re
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from mediafm_assets.cli.running import dagster_instance, initialise
from mediafm_assets.sensors import UNDER_WAY
from mediafm_core.catalogue.kinds import KINDS, ArtifactKey
from mediafm_core.identity import Fingerprint
from mediafm_core.store.home import Home
from tests import homes
from tests.e2e.scenario import Pairs, planned_now
from tests.e2e.serving import free_port, wait_until
from tests.homes import materialised
from tests.narrative_homes import write_titles

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

N_TITLES = 48  # of four steps each: a run of some 15 seconds, and the kill falls into its first half
N_BEFORE = 24

# how the command lines of what `dagster dev` starts differ
PARTS = {
    "daemon": "dagster._daemon",
    "code server": " api grpc",
    "webserver": "dagster_webserver",
}


class Process:
    """A process below `mediafm dev`."""

    def __init__(self, pid: int, parent: int, command: str) -> None:
        self.pid, self.parent, self.command = pid, parent, command


def processes() -> Iterator[Process]:
    """Every process of this machine."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield Process(int(folder.name), parent, command)


def below(root: int) -> list[Process]:
    """What a process has started, and what that has started."""
    found, family = [], {root}
    every = sorted(processes(), key=lambda process: process.pid)
    while new := [process for process in every if process.parent in family and process.pid not in family]:
        found += new
        family |= {process.pid for process in new}
    return found


def parts(root: int) -> dict[str, list[int]]:
    """The process ids of the parts of `dagster dev`."""
    family = below(root)
    return {name: [p.pid for p in family if mark in p.command] for name, mark in PARTS.items()}


def worker(home: Home) -> int:
    """The process id of the run that is under way."""
    with dagster_instance(home) as instance:
        (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        said = [
            re.search(r"Started process for run \(pid: (\d+)\)", log.message) for log in instance.all_logs(run.run_id)
        ]
        return next(int(found[1]) for found in said if found)


@contextmanager
def served(home: Home, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`mediafm dev` on a home; ended as Ctrl-C in a terminal ends it, or killed with all that it started."""
    command = [sys.executable, "-c", "from mediafm_assets.cli import main; main()", "dev", "--port", str(free_port())]
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603
            [*command, "--home", str(home.root)], stdout=out, stderr=out, env=dict(os.environ), start_new_session=True
        )
        try:
            yield process
        finally:
            family = [process.pid, *(child.pid for child in below(process.pid))]
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
            for pid in family:
                end(pid)


def end(pid: int) -> None:
    """Kill a process that we started, if it still lives."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home in which some dozens of titles are declared, and nothing is made."""
    home = initialise(tmp_path / "home")
    homes.ingest(home, *write_titles(tmp_path / "delivered", N_TITLES))
    return home


def committed(home: Home) -> dict[str, str]:
    """The digest of each committed object, by its path."""
    return {row.path: row.digest for row in home.ledger.artifacts()}


def told(home: Home) -> dict[ArtifactKey, Counter[str]]:
    """What Dagster was told of each artifact: how often it was made, and how often it was there already."""
    found: dict[ArtifactKey, Counter[str]] = defaultdict(Counter)
    with dagster_instance(home) as instance:
        for kind in KINDS:
            for record in instance.fetch_materializations(dg.AssetKey(kind), limit=1000).records:
                event = record.asset_materialization
                assert event is not None
                fingerprint, outcome = (str(event.metadata[name].value) for name in ("fingerprint", "outcome"))
                found[ArtifactKey(kind, event.partition or "", Fingerprint(fingerprint))][outcome] += 1
    return found


def check_each_was_made_once(home: Home, planned: Pairs) -> None:
    """One artifact for each step, and one event for each artifact: that it was made.

    A run that died between a commit and its event told nothing: then a later one tells that the artifact is there. That
    may be so of one artifact, for one run was killed, and it makes one at a time.
    """
    made = [row.key for row in home.ledger.artifacts()]
    assert sorted(key[:2] for key in made) == sorted(planned)
    events = told(home)
    assert events.keys() == set(made)
    again = {key: counts for key, counts in events.items() if counts.total() != 1}
    assert not again, f"told of more than once: {again}"
    kept = [key for key, counts in events.items() if counts["kept"]]
    assert len(kept) <= 1, f"nobody told that these were made: {kept}"


def is_over(home: Home, planned: Pairs) -> bool:
    """Whether all is made and shown, and no run is under way."""
    with dagster_instance(home) as instance:
        under_way = instance.get_runs_count(dg.RunsFilter(statuses=list(UNDER_WAY)))
        return not under_way and not planned_now(home) and materialised(instance, KINDS) == planned


def chosen(home: Home, root: int, victim: str) -> list[int]:
    found = {**parts(root), "worker": [worker(home)]}
    assert all(found.values()), found
    return [pid for pids in found.values() for pid in pids] if victim == "all" else found[victim]


@pytest.mark.parametrize("victim", ["daemon", "code server", "webserver", "worker", "all"])
def test_after_a_kill_each_step_is_done_once_and_no_run_hangs(home, tmp_path, victim):
    planned, log = planned_now(home), tmp_path / "dev.log"
    with served(home, log) as process:
        wait_until(lambda: len(committed(home)) >= N_BEFORE, "a run is on its way", process, at_most_s=180)
        for pid in chosen(home, process.pid, victim):
            end(pid)
        before = committed(home)
        assert planned_now(home), "the kill came too late"
        if victim == "worker":  # nobody needs to do anything
            wait_until(lambda: is_over(home, planned), "the rest is made", process, at_most_s=240)
    if victim != "worker":
        with served(home, log) as process:
            wait_until(lambda: is_over(home, planned), "the rest is made", process, at_most_s=240)
    after = committed(home)
    check_each_was_made_once(home, planned)
    assert before.items() <= after.items()
    assert set(home.objects.paths("artifacts")) == after.keys()
    assert not home.ledger.failures()
