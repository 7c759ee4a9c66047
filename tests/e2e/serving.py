"""`mediafm dev` as a process beside the test."""

import re
import socket
import subprocess
import time
from collections.abc import Callable

import dagster as dg


def wait_until(holds: Callable[[], bool], what: str, process: subprocess.Popen[bytes], *, at_most_s: float) -> None:
    """Poll until something holds, while the process lives."""
    deadline = time.monotonic() + at_most_s
    while not holds():
        assert process.poll() is None, f"`mediafm dev` ended with {process.returncode} while waiting: {what}"
        assert time.monotonic() < deadline, f"not within {at_most_s:.0f} s: {what}"
        time.sleep(0.5)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def process_of(instance: dg.DagsterInstance, run_id: str) -> int:
    """The process id of a run that is under way."""
    said = [re.search(r"Started process for run \(pid: (\d+)\)", log.message) for log in instance.all_logs(run_id)]
    return next(int(found[1]) for found in said if found)
