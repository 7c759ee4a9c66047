"""The command: what a program reads, what a person is told, and with which exit code."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mediafm_assets.cli import encoder_commands, main
from mediafm_assets.cli.app import app
from mediafm_assets.cli.running import dagster_instance
from mediafm_core.consumption.catalogue import open_catalogue
from mediafm_core.errors import MediaFMError, PlanError
from mediafm_core.model.config import SIZES
from mediafm_core.pretraining import presets
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import Ledger
from tests import homes
from tests.e2e.scenario import planned_now
from tests.homes import deliver
from tests.ledgers import dump

Mediafm = Callable[..., Any]


@pytest.fixture
def mediafm(home: Home) -> Mediafm:
    """Run the command on a home of one's own; what it raises as a typed error is raised."""

    def run(*arguments: object):
        result = CliRunner().invoke(app, [*map(str, arguments), "--home", str(home.root)])
        if isinstance(result.exception, MediaFMError):
            raise result.exception
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def exits(monkeypatch, *arguments: object) -> object:
    """What the whole command exits with: a number, or a message that goes to standard error with exit code 1."""
    monkeypatch.setattr(sys, "argv", ["mediafm", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        main()
    return exit_.value.code


# Making a home, and which home


def test_init_makes_a_home_and_may_be_repeated(tmp_path):
    for _ in range(2):
        assert CliRunner().invoke(app, ["init", "--home", str(tmp_path / "new")]).exit_code == 0
    home = Home.open(tmp_path / "new")
    assert home.landing.is_dir()
    assert [suite.alias for suite in read_state(home).suites] == ["embedded"]
    assert (home.root / "dagster" / "dagster.yaml").is_file()


def asked_about(monkeypatch, folder: Path, *arguments: str) -> str:
    """The home that `status` looks for, by the error that there is none."""
    monkeypatch.chdir(folder)
    return str(exits(monkeypatch, "status", *arguments))


def test_the_option_names_the_home_before_the_environment_and_that_before_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDIAFM_HOME", str(tmp_path / "by-environment"))
    assert str(tmp_path / "by-option") in asked_about(monkeypatch, tmp_path, "--home", str(tmp_path / "by-option"))
    assert str(tmp_path / "by-environment") in asked_about(monkeypatch, tmp_path)
    monkeypatch.delenv("MEDIAFM_HOME")
    assert str(tmp_path / ".mediafm") in asked_about(monkeypatch, tmp_path)


# Failures


def test_a_failure_is_one_message_on_standard_error_and_exit_code_1(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "from mediafm_assets.cli import main; main()", "status"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "MEDIAFM_HOME"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("HomeError: home ")
    assert "mediafm init" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("shots",), ("clip", "alpha", "one", "two"), ("plan", "--nonsense"), ("encoder", "train")],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(monkeypatch, capsys, arguments):
    assert exits(monkeypatch, *arguments) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("shots", "nobody"),
        ("clip", "alpha", "2", "1"),
        ("clip", "alpha", "0", "9999"),
        ("similar", "alpha", "--at", "9999"),
        ("report", "nobody"),
        ("encoder", "train", "v1"),
        ("encoder", "train", "v2", "--set", "trainer.stpes=2"),
        ("encoder", "train", "No Name"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_said_in_one_line_with_the_next_step(monkeypatch, home, arguments):
    message = exits(monkeypatch, *arguments, "--home", home.root)
    assert isinstance(message, str)
    assert message.partition(":")[0].endswith("Error")
    assert "\n" not in message
    assert "expected" in message


def test_a_run_that_breaks_off_is_a_typed_error_and_no_success(mediafm, home, tmp_path, monkeypatch):
    """The disk is full when the second artifact is to be committed, and when that is to be recorded."""
    homes.ingest(home, deliver(tmp_path, "gamma"))
    commit, n_commits = Home.commit, []

    def commit_until_the_disk_is_full(self, manifest, payload):
        n_commits.append(manifest)
        if len(n_commits) > 1:
            raise OSError(28, "No space left on device")
        return commit(self, manifest, payload)

    def disk_is_full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Home, "commit", commit_until_the_disk_is_full)
    monkeypatch.setattr(Ledger, "fail", disk_is_full)
    with pytest.raises(MediaFMError, match="No space left on device"):
        mediafm("apply")


def test_an_interrupted_run_says_so_and_the_same_command_goes_on(mediafm, home, tmp_path, monkeypatch):
    homes.ingest(home, deliver(tmp_path, "gamma"))
    commit = Home.commit

    def commit_and_be_told_to_end(self, manifest, payload):
        committed = commit(self, manifest, payload)
        signal.raise_signal(signal.SIGTERM)
        return committed

    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # were it not taken care of, this test and no other fails
    try:
        monkeypatch.setattr(Home, "commit", commit_and_be_told_to_end)
        with pytest.raises(MediaFMError, match=r": interrupted; .* kept, .* the same command goes on"):
            mediafm("apply")
    finally:
        signal.signal(signal.SIGTERM, handler)
    monkeypatch.undo()
    n_left = len(json.loads(mediafm("plan", "--json").stdout)["steps"])
    assert n_left > 0
    mediafm("apply")
    assert json.loads(mediafm("plan", "--json").stdout)["steps"] == []


# Deliveries


def test_ingest_takes_a_delivery_and_a_bare_file(mediafm, home, tmp_path):
    result = mediafm("ingest", deliver(tmp_path, "gamma") / "media.mp4", "--title", "delta")
    assert result.exit_code == 0
    assert "taken    delta" in result.stdout
    assert mediafm("ingest", tmp_path / "gamma").exit_code == 0
    assert {"gamma", "delta"} <= set(read_state(home).titles)


def test_ingest_of_the_same_again_is_known(mediafm, tmp_path):
    deliver(tmp_path, "gamma")
    mediafm("ingest", tmp_path / "gamma")
    assert "known    gamma" in mediafm("ingest", tmp_path / "gamma").stdout


def test_ingest_refuses_what_is_wrong_and_takes_the_rest(mediafm, home, tmp_path):
    deliver(tmp_path / "all", "gamma")
    broken = deliver(tmp_path / "all", "broken")
    (broken / "media.mp4").write_bytes(b"no film")
    result = mediafm("ingest", tmp_path / "all")
    assert result.exit_code == 1
    assert result.stderr.startswith("refused  MediaError: ")
    assert set(read_state(home).titles) == {"alpha", "beta", "gamma"}


def test_ingest_of_something_broken_leaves_the_catalogue_as_it_was(mediafm, home, tmp_path):
    before = dump(home.ledger)
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    assert mediafm("ingest", tmp_path / "broken.mp4").exit_code == 1
    assert mediafm("ingest", tmp_path / "nothing-here").exit_code == 1
    assert dump(home.ledger) == before


def test_a_title_option_needs_one_delivery_and_an_id(mediafm, tmp_path):
    deliver(tmp_path / "all", "gamma")
    deliver(tmp_path / "all", "delta")
    with pytest.raises(MediaFMError, match="2 deliveries"):
        mediafm("ingest", tmp_path / "all", "--title", "one")
    assert "TitleIdError" in mediafm("ingest", tmp_path / "all" / "gamma", "--title", "No Id").stderr


# Plan, apply, status


def test_a_plan_is_a_list_of_asset_partition_and_reason(mediafm, home, tmp_path):
    assert json.loads(mediafm("plan", "--json").stdout)["steps"] == []
    homes.ingest(home, deliver(tmp_path, "gamma"))
    found = json.loads(mediafm("plan", "--json").stdout)
    steps, cost = found["steps"], found["cost"]
    assert {(step["asset"], step["partition"]) for step in steps} == planned_now(home)
    assert all(set(step) == {"asset", "partition", "reason"} for step in steps)
    assert all(step["reason"] for step in steps)
    assert sum(row["steps"] for row in cost["assets"]) == len(steps)
    assert cost["unknown"] == []  # such steps were made before
    assert cost["seconds"] == pytest.approx(sum(row["seconds"] for row in cost["assets"]))


def test_a_plan_shows_what_lies_complete_in_the_landing_folder_and_takes_nothing(mediafm, home):
    (deliver(home.landing, "gamma") / "_COMPLETE").touch()
    before = dump(home.ledger)
    steps = json.loads(mediafm("plan", "--json").stdout)["steps"]
    assert ("shots", "gamma") in {(step["asset"], step["partition"]) for step in steps}
    assert dump(home.ledger) == before


def test_a_plan_says_what_would_be_refused_and_still_plans_the_rest(mediafm, home):
    for name in ("gamma", "broken"):
        (deliver(home.landing, name) / "_COMPLETE").touch()
    (home.landing / "broken" / "media.mp4").write_bytes(b"no film")
    result = mediafm("plan", "--json")
    assert {step["partition"] for step in json.loads(result.stdout)["steps"]} >= {"gamma"}
    assert result.stderr.startswith("would be refused  MediaError: ")
    assert result.exit_code == 0


def test_why_explains_one_step_and_refuses_what_is_not_there(mediafm, home):
    (found,) = json.loads(mediafm("plan", "--why", "shots", "alpha", "--json").stdout)
    assert found["standing"] == "there"
    assert {row["verdict"] for row in found["ingredients"]} == {"same"}
    row = home.ledger.latest("shots", "alpha")
    assert row is not None
    assert found["fingerprint"] == row.key.fingerprint
    assert "there since" in mediafm("plan", "--why", "shots", "alpha").stdout
    assert "snapshot: there since" in mediafm("plan", "--why", "snapshot", "").stdout
    with pytest.raises(PlanError, match="no title 'nobody'"):
        mediafm("plan", "--why", "shots", "nobody")


def test_one_title_is_planned_and_applied_alone(mediafm, home, tmp_path):
    homes.ingest(home, deliver(tmp_path, "gamma"), deliver(tmp_path, "delta"))
    steps = json.loads(mediafm("plan", "--title", "gamma", "--json").stdout)["steps"]
    assert {step["partition"].split("|")[-1] for step in steps} == {"gamma"}
    assert "0 not." in mediafm("apply", "--title", "gamma").stdout
    assert json.loads(mediafm("plan", "--title", "gamma", "--json").stdout)["steps"] == []
    assert {row["title"] for row in json.loads(mediafm("titles", "--json").stdout) if row["title"]} >= {"gamma"}
    assert home.ledger.latest("shots", "delta") is None
    with pytest.raises(PlanError, match="no title 'nobody'"):
        mediafm("apply", "--title", "nobody")


def test_apply_takes_what_has_landed_makes_what_is_missing_and_then_has_nothing_to_do(mediafm, home):
    (deliver(home.landing, "gamma", caption="Here I am.") / "_COMPLETE").touch()
    result = mediafm("apply")
    assert result.exit_code == 0, result.output
    assert "0 not." in result.stdout
    assert "gamma" in [entry.title for entry in open_catalogue(str(home.root)).titles()]
    again = mediafm("apply")
    assert again.stdout == "Nothing was missing.\n"
    assert again.exit_code == 0


def test_apply_with_a_refused_delivery_says_so_and_exits_with_1(mediafm, home):
    (deliver(home.landing, "broken") / "_COMPLETE").touch()
    (home.landing / "broken" / "media.mp4").write_bytes(b"no film")
    result = mediafm("apply")
    assert result.exit_code == 1
    assert result.stderr.startswith("refused  MediaError: ")
    assert [r["delivery"] for r in json.loads(mediafm("status", "--json").stdout)["refused"]] == ["broken"]


def test_status_says_what_there_is(mediafm, home):
    found = json.loads(mediafm("status", "--json").stdout)
    assert found["titles"] == 2
    assert found["encoders"] == ["v1"]
    assert found["production"] == "v1"
    assert found["missing"] == found["blocked"] == 0
    assert found["failures"] == found["refused"] == found["arriving"] == []
    assert "v1" in mediafm("status").stdout


# Reading


def test_a_withdrawn_title_is_gone_for_readers_and_from_disk_and_may_come_back(mediafm, home, tmp_path):
    mediafm("report", "beta")
    told = mediafm("withdraw", "beta", "--why", "licence ended").output
    assert "withdrawn  beta" in told
    assert "trained with it  v1" in told
    assert [entry.title for entry in open_catalogue(str(home.root)).titles()] == ["alpha"]
    files = [path.relative_to(home.root) for path in home.root.rglob("*") if path.is_file()]
    assert not [f for f in files if "beta" in str(f) and f.parts[0] not in ("dagster", "delivered")]
    with dagster_instance(home) as instance:
        assert list(instance.get_dynamic_partitions("titles")) == ["alpha"]
    assert json.loads(mediafm("status", "--json").output)["withdrawn"] == ["beta"]
    refused = mediafm("ingest", deliver(tmp_path, "beta"))
    assert refused.exit_code == 1
    assert "beta" in mediafm("ingest", tmp_path / "beta", "--reinstate").output
    mediafm("apply")
    assert [entry.title for entry in open_catalogue(str(home.root)).titles()] == ["alpha", "beta"]


def test_titles_are_listed_with_their_counts(mediafm, home):
    rows = json.loads(mediafm("titles", "--json").stdout)
    assert [row["title"] for row in rows] == ["alpha", "beta"]
    assert all(row["readable"] for row in rows)
    assert rows[0]["seconds"] == pytest.approx(3.0, abs=0.1)
    assert "alpha" in mediafm("titles").stdout


def test_shots_are_listed_with_what_is_said(mediafm):
    rows = json.loads(mediafm("shots", "alpha", "--json").stdout)
    assert rows[0]["start_s"] == 0.0
    assert "Hello there." in " ".join(row["text"] for row in rows)
    assert "Hello there." in mediafm("shots", "alpha").stdout


def test_a_clip_is_written_as_numbers_or_as_a_table(mediafm, home, tmp_path):
    wanted = open_catalogue(str(home.root)).clip("alpha", 0.5, 2.5)
    assert mediafm("clip", "alpha", 0.5, 2.5, "--out", tmp_path / "clip.npy").exit_code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "clip.npy"), wanted.vectors)
    assert mediafm("clip", "alpha", 0.5, 2.5, "--out", tmp_path / "clip.parquet").exit_code == 0
    assert pq.read_table(tmp_path / "clip.parquet").num_rows == len(wanted.spans)
    assert mediafm("clip", "alpha", 0.5, 2.5, "--out", tmp_path / "clip.txt").exit_code == 2
    assert not (tmp_path / "clip.txt").exists()


def test_similar_titles_and_shots_are_other_ones(mediafm):
    assert [row["title"] for row in json.loads(mediafm("similar", "alpha", "--json").stdout)] == ["beta"]
    shots = json.loads(mediafm("similar", "alpha", "--at", 0.5, "--json").stdout)
    assert {row["title"] for row in shots} == {"beta"}
    assert all(-1.0 <= row["cosine"] <= 1.0 for row in shots)


def test_encoders_are_listed(mediafm):
    (row,) = json.loads(mediafm("encoder", "list", "--json").stdout)
    assert row["encoder"] == "v1"
    assert row["titles"] == 2
    assert row["embedded"] == "2/2"
    assert row["production"] is True
    assert row["learnt"] == "not judged"
    assert (row["preset"], row["size"], row["seed"]) == ("own", "tiny", 0)


def test_presets_and_sizes_are_those_that_the_help_shows():
    assert get_args(encoder_commands.Preset) == tuple(presets.PRESETS)
    assert get_args(encoder_commands.Size) == SIZES


@pytest.mark.parametrize("wrong", [("--preset", "huge"), ("--size", "huge"), ("--seed", "-1")])
def test_a_training_that_cannot_be_is_refused_before_anything_is_declared(mediafm, home, wrong):
    assert mediafm("encoder", "train", "v9", *wrong).exit_code == 2
    with pytest.raises(MediaFMError, match="no field 'stpes' of the trainer"):
        mediafm("encoder", "train", "v9", "--set", "trainer.stpes=2")
    assert "v9" not in home.ledger.declared("encoder")


def test_an_encoder_s_training_is_reported_where_there_are_no_tasks(mediafm):
    report = json.loads(mediafm("encoder", "report", "v1", "--json").stdout)
    assert report["tasks"] == []
    assert (report["training"]["preset"], report["training"]["seed"]) == ("own", 0)
    assert "trainer.steps=" in " ".join(report["training"]["changes"])
    assert report["training"]["why"].startswith("no title was held out of training: ")
    assert "learnt: not judged" in mediafm("encoder", "report", "v1").stdout
    with pytest.raises(MediaFMError, match="no such encoder"):
        mediafm("encoder", "report", "v9")


def test_a_report_is_a_page(mediafm, home, tmp_path):
    assert mediafm("report", "alpha").exit_code == 0
    assert "A fox." in (home.root / "reports" / "alpha.html").read_text()
    mediafm("report", "alpha", "--out", tmp_path / "deep" / "page.html")
    assert (tmp_path / "deep" / "page.html").is_file()


def test_an_encoder_is_trained_and_then_embeds_the_catalogue(mediafm, home, monkeypatch):
    """With the smallest preset, cut to two steps."""
    from mediafm_core.pretraining import presets

    config = presets.preset_config

    def short(name: str, **widths: Any) -> dict[str, Any]:
        found = config(name, **widths)
        return {**found, "trainer": {**found["trainer"], "steps": 2, "warm_up_steps": 1}}

    monkeypatch.setattr("mediafm_core.pretraining.declaring.preset_config", short)
    assert mediafm("encoder", "train", "v2", "--preset", "demo").exit_code == 0
    assert planned_now(home) == {("contextual_embeddings", "v2|alpha"), ("contextual_embeddings", "v2|beta")}
    assert mediafm("apply").exit_code == 0
    rows = {row["encoder"]: row for row in json.loads(mediafm("encoder", "list", "--json").stdout)}
    assert rows["v2"]["embedded"] == "2/2"
    assert rows["v2"]["production"] is False
