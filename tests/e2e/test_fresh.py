"""Eight processes at once on a path where nothing is: the home comes up sound, and each of them does its part."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from mediafm_assets.cli.running import dagster_instance, initialise
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from tests.e2e.scenario import planned_now
from tests.ledgers import dump
from tests.narrative_homes import write_titles

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

N_PROCESSES = 8

# all is imported before any begins, so that they begin together
ONE = """
import sys, time
from pathlib import Path
from mediafm_assets.cli import app, running
from mediafm_assets import jobs
home, go, delivery = sys.argv[1:]
print("ready", flush=True)
while not Path(go).exists():
    time.sleep(0.001)
for command in (["init"], ["ingest", delivery], ["plan"]):
    app.app([*command, "--home", home], standalone_mode=False)
"""


def test_a_home_that_eight_processes_make_at_once_is_sound(tmp_path):
    root, go = tmp_path / "home", tmp_path / "go"
    deliveries = write_titles(tmp_path / "delivered", N_PROCESSES)
    command = [sys.executable, "-W", "ignore", "-c", ONE, str(root), str(go)]
    started = [
        subprocess.Popen(  # noqa: S603
            [*command, str(delivery)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for delivery in deliveries
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    go.touch()
    said = [process.communicate(timeout=200)[0] for process in started]
    assert [process.returncode for process in started] == [0] * N_PROCESSES, said
    check_sound(Home.open(root), deliveries)


def check_sound(home: Home, deliveries: list[Path]) -> None:
    """Every title is there and planned, whatever is begun again is harmless, and Dagster's history can be written."""
    assert set(read_state(home).titles) == {delivery.name for delivery in deliveries}
    assert {partition for kind, partition in planned_now(home) if kind == "deliveries"} == set(read_state(home).titles)
    before = dump(home.ledger)
    assert dump(initialise(home.root).ledger) == before
    assert not home.rebuild_ledger().changed
    with dagster_instance(home) as instance:
        assert set(instance.get_dynamic_partitions("titles")) <= set(read_state(home).titles)
        instance.report_runless_asset_event(dg.AssetMaterialization("snapshot"))
        assert instance.get_latest_materialization_event(dg.AssetKey("snapshot"))
        assert not instance.get_runs()
