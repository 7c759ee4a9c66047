"""The commands of labels, releases and narrative titles: what they take, what they refuse, what a program reads."""

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mediafm_assets.cli import main
from mediafm_assets.cli.app import app
from mediafm_assets.cli.running import initialise
from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.identity import fingerprint
from mediafm_core.planning.desired import desired
from mediafm_core.probes.heads import Probe
from mediafm_core.probes.labels import OutOfFold
from mediafm_core.probes.tasks import TASKS
from mediafm_core.snapshots import open_snapshot
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.manifest import Manifest
from mediafm_core.store.pointer import POINTER
from tests.commands import exits_with, refused, stated, told
from tests.e2e.scenario import planned_now
from tests.narrative_homes import write_titles

FIRST = "narrative-w5-000001"
FEATURES = {"contextual", "fused"}


# labels


def test_labels_from_a_file_make_their_head_stale_and_no_other(live_home, tmp_path):
    file = tmp_path / "tones.csv"
    rows = [f"narrative-w5-{i:06d},0,20,{'sad; odd' if i % 2 else ''}" for i in range(1, 13)]
    file.write_text("\n".join(["title,start_s,end_s,labels", *rows]))
    assert "labels of 12 titles" in told(live_home, "labels", "set", "tone", file)
    stale = {pair for pair in planned_now(live_home) if pair[0] in ("labels", "probe_heads")}
    assert stale == {("labels", "tone"), ("probe_heads", "v1|tone")}


BAD_ROWS = {
    "a title that there is not": ("misspelt,0,20,sad", "a title that is not in the catalogue"),
    "a span reversed": (f"{FIRST},20,10,sad", "reversed"),
    "a time in words": (f"{FIRST},soon,20,sad", "no number"),
    "a clip beyond its title": (f"{FIRST},0,99999,sad", "ends after its title"),
    "an empty name": (f"{FIRST},0,20,sad;;odd", "an empty name"),
    "a clip twice": (f"{FIRST},0,10,odd", "more than once"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_named_by_number_and_nothing_is_taken(live_home, tmp_path, case):
    row, found = BAD_ROWS[case]
    file = tmp_path / "tones.csv"
    file.write_text("\n".join(["title,start_s,end_s,labels", f"{FIRST},0,10,sad", row, f"{FIRST},20,30,"]))
    before = stated(live_home)
    message = refused(live_home, "labels", "set", "tone", file)
    assert "row " in message
    assert f"2 (title '{row.split(',')[0]}')" in message
    assert found in message
    assert stated(live_home) == before
    assert planned_now(live_home) == frozenset()


@pytest.mark.parametrize(
    ("task", "content", "found"),
    [
        ("tone", "title,start_s,end_s\nx,0,1", "columns missing: labels"),
        ("popularity", "title,start_s,end_s,labels\nx,0,1,sad", "columns missing: rank"),
        ("tone", "", "cannot be read"),
        ("mood", "title,start_s,end_s,labels\nx,0,1,sad", "no such task"),
    ],
)
def test_a_bad_file_or_task_is_said_and_nothing_is_taken(live_home, tmp_path, task, content, found):
    file = tmp_path / "labels.csv"
    file.write_text(content)
    before = stated(live_home)
    assert found in refused(live_home, "labels", "set", task, file)
    assert stated(live_home) == before


def test_refreezing_what_was_delivered_changes_nothing_until_a_title_came_and_its_shots_are_known(live_home, tmp_path):
    before = stated(live_home)
    assert "tone: labels of 12 titles" in told(live_home, "labels", "refreeze")
    assert stated(live_home) == before
    told(live_home, "ingest", *write_titles(tmp_path / "more", 1, seed=99))
    assert "tone: labels of 12 titles" in told(live_home, "labels", "refreeze")
    assert {pair for pair in planned_now(live_home) if pair[0] in ("labels", "probe_heads")} == set()
    told(live_home, "apply")
    assert "tone: labels of 13 titles" in told(live_home, "labels", "refreeze")
    stale = {pair for pair in planned_now(live_home) if pair[0] == "probe_heads"}
    assert stale == {("probe_heads", f"v1|{task}") for task in TASKS}


# releases


def test_status_says_which_release_is_live(live_home):
    found = json.loads(told(live_home, "release", "status", "--json"))
    assert found["releases"] == [{"release": "v1-r1", "encoder": "v1", "against": None, "live": True}]
    assert found["candidates"] == [{"encoder": "v1", "standing": "live", "missing": {}, "reason": ""}]
    assert (found["live"], found["hidden_titles"], found["floors"]) == ("v1-r1", 0, {})
    assert "v1-r1" in told(live_home, "release", "status")


def test_promoting_what_is_live_says_so_and_changes_nothing(live_home):
    before = stated(live_home)
    assert "live: v1-r1" in told(live_home, "release", "promote", "v1")
    assert stated(live_home) == before


def test_an_incomplete_candidate_is_refused_and_nothing_changes(live_home):
    (first, *_) = desired(read_state(live_home)).encoders["v1"].predictions
    live_home.ledger.forget([first.key])
    before = stated(live_home)
    message = exits_with(live_home, 4, "release", "promote", "v1")
    assert "missing: 1 of 12 predictions" in message
    assert stated(live_home) == before


def let_live_be_perfect(home: Home, task: str) -> None:
    """Let the live release have a head for a task whose held-out scores are the labels themselves."""
    release = read_state(home).release
    assert release is not None
    key = ArtifactKey("probe_heads", f"v1|{task}", release.heads[task])
    head, (labels, _) = Probe.from_bytes(home.read(key))
    perfect = Probe(head, OutOfFold(labels, labels.targets.astype(np.float32)))
    other = key._replace(fingerprint=fingerprint("a perfect head", {}))
    home.commit(Manifest(key=other, ingredients={}, inputs={}), perfect.to_bytes())
    heads = {**release.heads, task: other.fingerprint}
    home.declare("production", "encoder", {"name": "v1", "release": {**asdict(release), "heads": heads}})


def test_a_refused_promotion_names_the_task_with_its_figures_and_changes_nothing(live_home):
    let_live_be_perfect(live_home, "tone")
    told(live_home, "apply")
    before = stated(live_home)
    message = exits_with(live_home, 3, "release", "promote", "v1")
    assert message.startswith("GateError: ")
    assert re.search(r"task tone blocks: worse than production .* -0\.\d+, 95 % between -0\.\d+ and -0\.\d+", message)
    assert not any(f"task {task} blocks" in message for task in TASKS if task != "tone")
    assert "production stays as it is" in message
    assert stated(live_home) == before


def test_an_unknown_candidate_is_refused(live_home):
    before = stated(live_home)
    assert "encoder 'v9'" in refused(live_home, "release", "promote", "v9")
    assert stated(live_home) == before


def test_there_is_no_way_back_from_the_first_release(live_home):
    before = stated(live_home)
    assert "no release that was live before" in refused(live_home, "release", "rollback")
    assert stated(live_home) == before


def test_rollback_shows_the_release_before(live_home):
    first = (live_home.root / POINTER).read_bytes()
    release = read_state(live_home).release
    assert release is not None
    again = {"name": "v1-r2", "encoder": "v1", "heads": dict(release.heads), "fingerprint": "0" * 64}
    live_home.declare("production", "encoder", {"name": "v1", "release": again})
    told(live_home, "apply")
    assert open_snapshot(str(live_home.root)).release == "v1-r2"
    assert "live: v1-r1" in told(live_home, "release", "rollback")
    assert (live_home.root / POINTER).read_bytes() == first


# the report


def test_a_program_reads_the_report_in_these_columns_and_in_this_order(live_home):
    report = json.loads(told(live_home, "encoder", "report", "v1", "--json"))
    assert report["training"]["learnt"] == "not judged"
    rows = report["tasks"]
    assert all(list(row) == ["task", "features", "metric", "value", "low", "high", "dims"] for row in rows)
    assert {row["task"] for row in rows} == set(TASKS)
    features = [{row["features"] for row in rows if row["task"] == task} for task in TASKS]
    assert all(found == features[0] for found in features)
    assert features[0] >= FEATURES
    assert len(rows) == len(TASKS) * len(features[0])
    assert all(row["low"] <= row["value"] <= row["high"] and row["dims"] > 0 for row in rows)


def test_an_encoder_without_a_report_says_what_to_do(live_home):
    steps = desired(read_state(live_home)).encoders["v1"]
    assert steps.report is not None
    live_home.ledger.forget([steps.report.key])
    assert "next  mediafm apply" in told(live_home, "encoder", "report", "v1")
    assert json.loads(told(live_home, "encoder", "report", "v1", "--json"))["tasks"] is None


# narrative titles


def test_narrative_titles_are_written_and_taken_in(tmp_path):
    home = initialise(tmp_path / "home")
    out = tmp_path / "deliveries"
    result = CliRunner().invoke(
        app, ["narrative", "generate", "--titles", "2", "--seed", "4", "--world", "1", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert "2 synthetic titles" in result.output
    assert sorted(path.name for path in out.iterdir()) == ["narrative-w1-000004", "narrative-w1-000005"]
    told(home, "ingest", out)
    assert set(read_state(home).titles) == {"narrative-w1-000004", "narrative-w1-000005"}
    assert [suite.alias for suite in read_state(home).suites if suite.is_delivered] == ["narrative-w1"]
    table = pq.read_table(out / "narrative-w1-000004" / "labels.parquet")
    assert set(table["task"].unique().to_pylist()) == set(TASKS)


def test_narrative_titles_are_never_written_over(tmp_path, monkeypatch):
    arguments = ["narrative", "generate", "--titles", "1", "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    monkeypatch.setattr(sys, "argv", ["mediafm", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert "narrative-w0-000000" in str(exit_.value.code)


@pytest.mark.parametrize(("lengths", "low", "high"), [("short", 40, 160), ("movienet", 161, 4043)])
def test_narrative_titles_are_as_long_as_asked(tmp_path, lengths, low, high):
    arguments = ["narrative", "generate", "--titles", "1", "--lengths", lengths, "--out", str(tmp_path)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    (shots,) = tmp_path.glob("*/shots.parquet")
    assert low <= pq.read_metadata(shots).num_rows <= high


def written(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_the_same_seeds_write_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        arguments = ["narrative", "generate", "--titles", "1", "--seed", "3", "--out", str(tmp_path / name)]
        assert CliRunner().invoke(app, arguments).exit_code == 0
    assert written(tmp_path / "first") == written(tmp_path / "second")
