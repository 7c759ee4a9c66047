"""The commands and pictures of an ablation, on a report written by hand: what a person and a program read of it."""

import base64
import json
import re

import dagster as dg
import pytest
from typer.testing import CliRunner

from mediafm_assets.cli.app import app
from mediafm_assets.previews import preview
from mediafm_core.errors import PlanError
from mediafm_core.planning.desired import desired
from mediafm_core.probes.ablation.asking import ask_ablation
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.manifest import Manifest
from mediafm_core.workbench import Outcome, Status

AS_THE_POST = "contextual, metadata as in the post"
ROW = {"metric": "AP", "dims": 8, "ahead_low": -0.1, "ahead_high": 0.1}
ROWS = (("untrained encoder", "untrained", 0.7), ("contextual", "the encoder", 0.5), ("fused", "no encoder", 0.4))
CONTRAST = {"says": "retrieval: contextual - fused", "value": 0.1, "low": 0.05, "high": 0.2, "verdict": "holds"}


def row(task: str, features: str, source: str, value: float) -> dict[str, object]:
    figures = {"value": value, "low": value - 0.1, "high": value + 0.1, "ahead": 0.5 - value}
    return {"task": task, "features": features, "source": source, **ROW, **figures}


@pytest.fixture
def home(live_home: Home) -> Home:
    """The live home with an ablation of `v1`, as if it had been made."""
    ask_ablation(live_home, "v1")
    step = desired(read_state(live_home)).ablations["v1"]
    task = {"metric": "AP", "n_clips": 20, "n_titles": 12, "n_labels": 1, "labels": "0" * 64}
    document = {
        "encoder": "v1",
        "suite": read_state(live_home).encoders[0].suite,
        "tasks": {"retrieval": task, "tone": task},
        "rows": [row(task, *each) for task in ("retrieval", "tone") for each in ROWS],
        "findings": [
            {"claim": "Context helps.", "rule": "most", "verdict": "holds", "contrasts": [CONTRAST]},
            {"claim": "Nothing was there.", "rule": "all", "verdict": "undecided", "contrasts": []},
        ],
        "left_out": {"clip-b32": ["tone"]},
        "absent": {AS_THE_POST: "an API reads the texts"},
    }
    manifest = Manifest(
        key=step.key,
        ingredients=step.ingredients,
        inputs=step.inputs,
        facts={"n_rows": 6},
        seconds=1.0,
        provenance={},
        made_at=0.0,
    )
    live_home.commit(manifest, document)
    return live_home


def told(home: Home, *arguments: str) -> str:
    """What a command that succeeds writes."""
    result = CliRunner().invoke(app, [*arguments, "--home", str(home.root)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_rows_that_only_the_ablation_has_follow_the_reports_own_task_by_task(home: Home) -> None:
    plain = json.loads(told(home, "encoder", "report", "v1", "--json"))
    new = [r for r in plain["tasks"] if r["features"] == "untrained encoder"]
    assert [r["task"] for r in new] == ["retrieval", "tone"]
    assert all(set(r) == {"task", "features", "metric", "value", "low", "high", "dims"} for r in plain["tasks"])
    pairs = [(r["task"], r["features"]) for r in plain["tasks"]]
    assert len(pairs) == len(set(pairs))
    tasks = [task for task, _ in pairs]
    assert tasks == sorted(tasks, key=tasks.index)
    assert [f["verdict"] for f in plain["findings"]] == ["holds", "undecided"]
    assert plain["absent"] == {AS_THE_POST: "an API reads the texts", "clip-b32": "lacks clips of tone"}


def test_a_person_reads_the_findings_with_their_verdicts(home: Home) -> None:
    said = told(home, "encoder", "report", "v1")
    assert "Context helps." in said
    assert "undecided" in said
    assert f"no row '{AS_THE_POST}': an API reads the texts" in said


def test_without_an_ablation_there_are_no_findings_and_no_page(live_home: Home) -> None:
    assert json.loads(told(live_home, "encoder", "report", "v1", "--json"))["findings"] is None
    assert json.loads(told(live_home, "encoder", "report", "v1", "--json"))["absent"] == {}
    with pytest.raises(PlanError, match="mediafm encoder ablate v1"):
        told(live_home, "encoder", "report", "v1", "--page")


def test_the_page_says_what_is_synthetic_what_is_left_out_and_which_row_is_the_encoders(home: Home) -> None:
    told(home, "encoder", "report", "v1", "--page")
    page = (home.root / "reports" / "encoders" / "v1.html").read_text()
    assert "Synthetic titles." in page
    assert "no row on tone" in page
    assert f"No row <i>{AS_THE_POST}</i>: an API reads the texts." in page
    assert re.findall(r'<tr class="own-row"><th scope="row">(\w+)', page) == ["contextual", "contextual"]
    assert page.count("<svg role=") == 2
    assert "place 2." in page
    assert "✓ holds" in page
    assert "<script" not in page


def test_what_was_made_is_kept_when_it_is_asked_for_again_and_can_be_asked_for_no_longer(home: Home) -> None:
    assert "kept" in told(home, "encoder", "ablate", "v1")
    assert "asked for no longer" in told(home, "encoder", "ablate", "v1", "--stop")
    assert read_state(home).ablations == {}
    assert "nobody asked for it" in told(home, "encoder", "ablate", "v1", "--stop")


def test_the_assets_page_shows_each_tasks_rows_as_a_table_and_drawn(home: Home) -> None:
    key = desired(read_state(home)).ablations["v1"].key
    shown = preview(home, Outcome(key, Status.MADE))
    assert set(shown) == {"rows that are not there", "retrieval", "retrieval drawn", "tone", "tone drawn"}
    assert "an API reads the texts" in str(shown["rows that are not there"])
    table = shown["tone"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["features"] for record in table.records] == [name for name, *_ in ROWS]
    drawn = re.search(r"base64,([^)]+)", str(shown["tone drawn"].value))
    assert drawn
    svg = base64.b64decode(drawn.group(1)).decode()
    assert svg.startswith("<svg ")
    assert "var(--" not in svg
