"""The measurement of quality: sides are disjoint, rows are made once, the table says what the rows say."""

import json
from pathlib import Path

import pytest

from bench.quality import BASELINES, CONTROL, READERS, Catalogue, main
from bench.quality_plot import draw
from bench.quality_table import table
from mediafm_core.probes.tasks import TASKS


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
    monkeypatch.setattr("bench.quality.read_by", None)
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
    asked = ["--world", "3", "--seed", "0", "--preset", "untrained", "--titles", "3", "12", "8", "--out", str(out)]
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
        {"world": 1, "seed": seed, "features": "a", "task": task, "value": value, "difference": [0.1, 0.0, 0.2]}
        for task in TASKS
        for seed, value in ((0, 0.5), (1, 0.7))
    ]
    assert "| a | 0.600 ± 0.100 |" in table(rows)
    assert "| a | 1 | +0.100 [+0.000, +0.200] |" in table(rows)


def test_the_picture_shows_each_difference_once(tmp_path: Path) -> None:
    rows = [
        {"world": world, "seed": seed, "features": "a", "task": task, "value": 0.5, "difference": [0.1, 0.0, 0.2]}
        for task in TASKS
        for world in (1, 2)
        for seed in (0, 1)
    ]
    draw(rows, tmp_path / "rows.svg")
    drawn = (tmp_path / "rows.svg").read_text()
    assert drawn.count("<use ") >= len(rows)
