"""The measurement of quality: sides are disjoint, rows are made once, the table says what the rows say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench import quality_findings
from bench.quality import BASELINES, CONTROL, READERS, RESULTS, main
from bench.quality_encoders import READINGS, Setting, encoder_of, read_by
from bench.quality_goals import goals
from bench.quality_plot import draw, identity
from bench.quality_table import table
from bench.quality_titles import Catalogue
from mediafm_core.model.encoder import MediaFM
from mediafm_core.probes.ablation.findings import JUDGED, Contrast, Finding, Rule, Verdict
from mediafm_core.probes.ablation.variants import families
from mediafm_core.probes.metrics import Interval
from mediafm_core.probes.tasks import TASKS

ROOT = Path(__file__).parents[1]
LONG = RESULTS.with_name("quality_long.jsonl")


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _row(**changes: Any) -> dict[str, Any]:
    row = {"world": 1, "lengths": "short", "seed": 0, "features": "mediafm", "task": "tone", "value": 0.5}
    return {**row, "difference": [0.1, 0.0, 0.2], **changes}


def test_a_title_is_learnt_from_or_fitted_on_or_scored() -> None:
    catalogue = Catalogue(3, 2, 2, 3)
    sides = [{made.given.id for made in side} for side in (catalogue.learnt, catalogue.fitted, catalogue.scored)]
    assert [len(side) for side in sides] == [2, 2, 3]
    assert len(set.union(*sides)) == 7
    for fitted, scored in catalogue.labels.values():
        assert set(fitted.titles) == sides[1]
        assert set(scored.titles) == sides[2]


def test_fused_embeddings_are_read_in_every_way_that_an_encoder_s_are() -> None:
    assert set(READERS) < set(BASELINES)
    assert CONTROL not in BASELINES


def test_bars_are_printed_without_training_or_keeping_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.quality.encoder_of", None)
    asked = ["--world", "3", "--titles", "1000", "12", "8", "--out", str(tmp_path / "rows.jsonl")]
    main([*asked, "--baselines", "position", "clip", "clip + title vector"])
    _, _, position, *bars, best = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert position[0] == "| fused: position"
    assert best[0] == "| best of 2 baselines, by the score itself"
    assert [float(x.strip(" |")) for x in best[1:]] == [
        max(float(x.strip(" |")) for x in column) for column in zip(*(bar[1:] for bar in bars), strict=True)
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_rows_are_made_once_and_carry_their_difference_from_the_best_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.jsonl"
    asked = ["--world", "3", "--seed", "0", "--preset", "untrained", "--titles", "3", "12", "8"]
    asked += ["--out", str(out), "--encoders", str(tmp_path)]
    main(asked)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    mine = [row for row in rows if row["features"] == "untrained"]
    assert {row["task"] for row in mine} == set(TASKS)
    for row in mine:
        best = max(r["value"] for r in rows if r["seed"] is None and r["task"] == row["task"])
        assert row["difference"][0] == pytest.approx(row["value"] - best, abs=2e-4)
    main(asked)
    assert len(out.read_text().splitlines()) == len(rows)
    main(["--table", "--out", str(out)])
    assert capsys.readouterr().out.strip() == table(rows)


def test_the_table_gives_the_mean_over_seeds_and_half_their_spread() -> None:
    rows = [
        _row(seed=seed, features="a", task=task, value=value) for task in TASKS for seed, value in ((0, 0.5), (1, 0.7))
    ]
    assert "| a | 0.600 ± 0.100 |" in table(rows)
    assert "| a | 1 | +0.100 [+0.000, +0.200] |" in table(rows)


def test_the_picture_shows_each_difference_once(tmp_path: Path) -> None:
    rows = [
        _row(world=world, seed=seed, features="a", task=task) for task in TASKS for world in (1, 2) for seed in (0, 1)
    ]
    draw(rows, tmp_path / "rows.svg")
    drawn = (tmp_path / "rows.svg").read_text()
    assert drawn.count("<use ") >= len(rows)


def test_goals_are_held_by_what_the_rows_say_and_by_nothing_else() -> None:
    def rows(gap: float, low: float) -> list[dict[str, Any]]:
        mine = [_row(task=task, seed=seed, difference=[gap, low, 1.0]) for task in TASKS for seed in (0, 1)]
        return mine + [_row(features="paper", task=task, value=0.4, difference=[-0.1, -0.2, 0.0]) for task in TASKS]

    def held(of: list[dict[str, Any]]) -> list[bool]:
        return [goal.held for goal in goals(of, "mediafm", ("paper", "untrained"))]

    assert held(rows(0.1, 0.05)) == [True, True, True, True]
    assert held(rows(0.1, -0.05)) == [True, False, True, True]
    assert held(rows(-0.005, -0.05)) == [False, False, True, True]
    assert held(rows(-0.02, -0.05)) == [False, False, False, True]
    unlike = rows(0.1, 0.05)
    for row in unlike:
        row["difference"] = [0.1 if row["seed"] else 0.01, 0.005, 1.0]  # a range that is more than half of the mean
    assert held(unlike) == [True, False, True, True]
    better = [row | {"value": 0.6} if row["features"] == "paper" and row["task"] == "tone" else row for row in unlike]
    assert held(better)[-1] is False


def test_an_encoder_is_trained_once_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = Catalogue(3, 8, 1, 1)
    setting = Setting("mediafm", ["trainer.steps=1", "trainer.gru_steps=1", "trainer.shots_per_step=64"])
    made = encoder_of(catalogue, setting, 0, tmp_path)
    assert set(made.facts["msm"]) >= {"encoder", "GRU"}
    monkeypatch.setattr("bench.quality_encoders.train", None)
    again = encoder_of(catalogue, setting, 0, tmp_path)
    assert again.facts == made.facts
    assert all((again.model.state_dict()[name] == part).all() for name, part in made.model.state_dict().items())
    with pytest.raises(TypeError):  # another seed is another encoder, which would have to be trained
        encoder_of(catalogue, setting, 1, tmp_path)


def test_readings_differ_where_a_title_is_longer_than_the_window(tmp_path: Path) -> None:
    catalogue = Catalogue(3, 2, 1, 1)
    encoder = encoder_of(catalogue, Setting("untrained", ["model.window=32"]), 0, tmp_path).model
    made = catalogue.judged[0]
    read = {name: read_by(catalogue, encoder, "a", name)[made.given.id].vectors for name in READINGS}
    assert len({part.tobytes() for part in read.values()}) == len(READINGS)
    assert all(len(part) == made.given.n_shots for part in read.values())
    assert np.array_equal(read["the first window"][32:], np.zeros_like(read["windows"][32:]))
    picked = np.linspace(0, made.given.n_shots - 1, 32).round().astype(int)
    assert len(np.unique(read["a window of shots evenly picked"], axis=0)) == len(picked)


@pytest.mark.parametrize("path", [RESULTS, LONG])
def test_the_page_on_quality_holds_the_table_of_the_rows_that_were_measured(path: Path) -> None:
    assert table(_read(path)) in (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")


def test_the_picture_on_the_page_is_drawn_from_these_rows(tmp_path: Path) -> None:
    assert identity(_read(RESULTS)) in (ROOT / "docs" / "images" / "quality.svg").read_text(encoding="utf-8")
    draw([_row(task=task) for task in TASKS], tmp_path / "other.svg")
    assert identity(_read(RESULTS)) not in (tmp_path / "other.svg").read_text(encoding="utf-8")


def test_findings_are_judged_on_the_titles_that_are_scored_by_the_rows_that_they_need() -> None:
    catalogue = Catalogue(3, 2, 1, 2)
    material = quality_findings._material(catalogue)
    assert set(material.titles) == {made.given.id for made in catalogue.scored}
    encoder = MediaFM.new(Setting("mediafm", []).config(catalogue.world).model, torch.Generator().manual_seed(0))
    kept = quality_findings._only(families(material, encoder, "a"), JUDGED)
    assert {variant.name for family in kept for variant in family.variants} == JUDGED


def test_findings_are_printed_with_their_contrasts() -> None:
    contrast = Contrast("a - b", Interval(0.1, 0.05, 0.2), Verdict.HOLDS)
    lines = quality_findings.table(7, [Finding("It helps.", Rule.ALL, Verdict.HOLDS, (contrast,))]).splitlines()
    assert lines[0] == "| world 7 | verdict | value |"
    assert lines[2:] == ["| **It helps.** | **holds** |  |", "| a - b | holds | +0.100 [+0.050, +0.200] |"]
