"""`mediafm dev`, as a person runs it: what is dropped into the landing folder becomes readable by itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import dagster as dg
import pytest

import mediafm_core as mediafm
from mediafm_assets.cli.running import dagster_instance
from mediafm_core.store.home import Home
from tests.e2e.scenario import chain, planned_now
from tests.e2e.serving import free_port, process_of, wait_until
from tests.homes import declare_small_encoder, deliver, materialised

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

UNFINISHED = [
    status for status in dg.DagsterRunStatus if status.name not in ("SUCCESS", "FAILURE", "CANCELED", "MANAGED")
]


def answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "dev.log"


@pytest.fixture
def dev(home: Home, log: Path):
    """`mediafm dev` on a home, and its port; ended as Ctrl-C in a terminal ends it."""
    port = free_port()
    command = [sys.executable, "-c", "from mediafm_assets.cli import main; main()", "dev", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603
            [*command, "--home", str(home.root)], stdout=out, stderr=out, env=dict(os.environ), start_new_session=True
        )
        try:
            yield process, port
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(60)


def readable(home: Home) -> list[str]:
    return [entry.title for entry in mediafm.open(str(home.root)).titles()]


def test_what_is_dropped_into_the_landing_folder_becomes_readable(home, tmp_path, dev, log):
    process, port = dev
    wait_until(lambda: answers(port), "the page answers", process, at_most_s=120)
    arriving = deliver(home.landing, ".arriving", caption="Here I am.")
    (arriving / "_COMPLETE").touch()
    arriving.rename(home.landing / "gamma")
    wait_until(lambda: "gamma" in readable(home), "the title is readable", process, at_most_s=180)
    with dagster_instance(home) as instance:
        wait_until(lambda: not instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)), "runs end", process, at_most_s=60)
        assert chain(home, "gamma") <= materialised(instance, {kind for kind, _ in chain(home, "gamma")})
        assert planned_now(home) == frozenset()
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
        assert [run.status for run in instance.get_runs()].count(dg.DagsterRunStatus.SUCCESS) >= 1
        assert not instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    assert "`backfill_policy`" not in log.read_text()  # a warning for each asset would hide what matters


def test_a_title_becomes_readable_while_an_encoder_trains(home, tmp_path, dev):
    process, port = dev
    wait_until(lambda: answers(port), "the page answers", process, at_most_s=120)
    declare_small_encoder(home, "v2", steps=200_000)  # `reconcile` has it trained, for hours
    with dagster_instance(home) as instance:
        training = dg.RunsFilter(job_name="train_encoder", statuses=[dg.DagsterRunStatus.STARTED])
        wait_until(lambda: instance.get_runs(training), "it trains", process, at_most_s=120)
        (run,) = instance.get_runs(training)
        try:
            deliver(home.landing, "gamma", caption="Here I am.")
            (home.landing / "gamma" / "_COMPLETE").touch()
            wait_until(lambda: "gamma" in readable(home), "the title is readable", process, at_most_s=240)
            assert [found.run_id for found in instance.get_runs(training)] == [run.run_id]
        finally:
            os.kill(process_of(instance, run.run_id), signal.SIGKILL)
