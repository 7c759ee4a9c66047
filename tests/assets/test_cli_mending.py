"""The commands for when something has failed, was lost, or is not what it was said to be."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from mediafm_assets.cli.app import app
from mediafm_assets.cli.running import carry_out_pairs, run_job
from mediafm_assets.jobs import refresh, steps_config
from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.errors import DeliveryError, PlanError, StoreError
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from tests import fakes
from tests.catalogue import LONG, SILENT
from tests.full_disk import no_file_beyond
from tests.homes import QUIET, deliver
from tests.ledgers import dump

Run = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path):
    """A home of fakes in which everything is made."""
    made = fakes.make_home(tmp_path / "home", [SILENT, LONG])
    fakes.apply(made)
    yield made
    made.ledger.close()


@pytest.fixture
def mediafm(home: Home) -> Run:
    def run(*arguments: object):
        result = CliRunner().invoke(app, [*map(str, arguments), "--home", str(home.root)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def fail(home: Home, *kinds: str) -> list[ArtifactKey]:
    """Count each kind of `long` as failed for good."""
    keys = [row.key for kind in kinds for row in home.ledger.artifacts(kind) if row.key.partition == "long"]
    for key in keys:
        home.ledger.fail(key, "the disk is full", final=True)
    return keys


def test_retry_unparks_all_that_failed(mediafm: Run, home: Home) -> None:
    keys = fail(home, "shots", "timed_text")
    assert read_state(home).parked == set(keys)
    result = mediafm("retry")
    assert result.exit_code == 0
    assert "forgiven  shots of long" in result.stdout
    assert home.ledger.failures() == {}


def test_retry_of_one_step_leaves_the_others_parked(mediafm: Run, home: Home) -> None:
    _, other = fail(home, "shots", "timed_text")
    assert mediafm("retry", "--asset", "shots", "--partition", "long").exit_code == 0
    assert set(home.ledger.failures()) == {other}


def test_retry_of_a_step_that_did_not_fail_says_so(mediafm: Run, home: Home) -> None:
    fail(home, "shots")
    with pytest.raises(PlanError, match="mediafm status"):
        mediafm("retry", "--asset", "shots", "--partition", "silent")
    assert len(home.ledger.failures()) == 1


def test_retry_where_nothing_failed_is_no_failure(mediafm: Run) -> None:
    result = mediafm("retry")
    assert (result.exit_code, result.stdout) == (0, "No step has failed.\n")


def test_status_names_the_command_that_tries_again(mediafm: Run, home: Home) -> None:
    assert "mediafm retry" not in mediafm("status").stdout
    fail(home, "shots")
    assert "mediafm retry" in mediafm("status").stdout


def test_rebuild_of_a_sound_home_changes_nothing(mediafm: Run, home: Home) -> None:
    before = dump(home.ledger)
    result = mediafm("rebuild")
    assert result.exit_code == 0
    assert result.stdout == f"All {len(before['artifacts'])} artifacts are sound; nothing was changed.\n"
    assert dump(home.ledger) == before


def test_rebuild_names_what_was_lost_and_damaged_and_the_planner_misses_it(mediafm: Run, home: Home) -> None:
    rows = {(row.key.kind, row.key.partition): row for row in home.ledger.artifacts()}
    home.objects.delete(rows["shots", "long"].path)
    home.objects.swap(rows["thumbnails", "silent"].path, b"damaged")
    result = mediafm("rebuild")
    assert f"lost      {rows['shots', 'long'].path}" in result.stdout
    assert f"damaged   {rows['thumbnails', 'silent'].path}" in result.stdout
    assert "1 lost and 1 damaged dropped" in result.stdout
    assert "mediafm apply" in result.stdout
    assert fakes.done(fakes.apply(home)) == {("shots", "long"), ("thumbnails", "silent"), ("snapshot", "")}


def test_rebuild_brings_back_a_lost_ledger(mediafm: Run, home: Home) -> None:
    before = dump(home.ledger)
    home.ledger.close()
    for file in home.root.glob("ledger.db*"):
        file.unlink()
    assert f"{len(before['artifacts'])} adopted" in mediafm("rebuild").stdout
    assert dump(home.ledger) == before


@pytest.mark.parametrize("command", ["init", "apply"])
def test_old_leftovers_are_swept(mediafm: Run, home: Home, command: str) -> None:
    leftover = home.root / "artifacts" / ".partial-1"
    leftover.write_bytes(b"half")
    os.utime(leftover, (0, 0))
    mediafm(command)
    assert not leftover.exists()


def test_a_run_of_a_job_sweeps_old_leftovers(home: Home) -> None:
    leftover = home.root / "artifacts" / ".partial-1"
    leftover.write_bytes(b"half")
    os.utime(leftover, (0, 0))
    run_job(home, refresh, steps_config([]), 0, QUIET)
    assert not leftover.exists()


def test_ingest_of_a_folder_without_deliveries_says_so(mediafm: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DeliveryError, match="no delivery in it"):
        mediafm("ingest", tmp_path / "empty")


def test_a_next_step_is_named_only_where_something_was_taken(mediafm: Run, tmp_path: Path) -> None:
    (deliver(tmp_path / "all", "broken") / "media.mp4").write_bytes(b"no film")
    result = mediafm("ingest", tmp_path / "all")
    assert result.exit_code == 1
    assert "next" not in result.stdout
    deliver(tmp_path / "all", "gamma")
    result = mediafm("ingest", tmp_path / "all")
    assert result.exit_code == 1
    assert "next  mediafm plan" in result.stdout


@pytest.mark.timeout(60)
def test_a_disk_that_takes_nothing_of_dagster_s_is_said_in_our_words(home: Home) -> None:
    with no_file_beyond(1_000), pytest.raises(StoreError, match=r"Dagster's databases in .*Free space"):
        carry_out_pairs(home, [], Console())
