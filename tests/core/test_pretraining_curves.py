"""A training's curve: each step once, whatever was killed in between; the same as TensorBoard's event file."""

from pathlib import Path

import pytest

from mediafm_core.pretraining.curves import Curve, row_of
from mediafm_core.pretraining.event_file import EventFile
from mediafm_core.pretraining.progress import Progress, said
from tests.event_files import scalars
from tests.full_disk import no_file_beyond


def progress(step: int, **given: object) -> Progress:
    told = Progress(
        step=step,
        steps=20,
        msm=1.0 / step,
        parts={"msm": 1.0 / step, "visible": 0.5},
        shots_per_s=1000.0,
        left_s=75.0,
        rates={"muon": 0.01},
        grad_norm=2.0,
        held_out=0.4 if step % 5 == 0 else None,
    )
    return told._replace(**given)


def curve_of(*steps: int) -> Curve:
    curve = Curve()
    for step in steps:
        curve.note(row_of(progress(step)))
    return curve


def steps_of(curve: Curve) -> list[float]:
    return [row["step"] for row in curve.rows()]


def test_a_training_that_goes_on_repeats_no_step() -> None:
    assert steps_of(curve_of(1, 2, 3, 4, 5, 6, 4, 5)) == [1, 2, 3, 4, 5]
    assert steps_of(curve_of(1, 2, 1)) == [1]


def test_a_curve_survives_its_bytes() -> None:
    curve = curve_of(*range(1, 13))
    again = Curve.from_bytes(curve.to_bytes())
    assert again.rows() == curve.rows()
    again.note(row_of(progress(13, parts={"horizon": 0.3})))
    assert "loss/horizon" in again.rows()[-1]
    assert "loss/horizon" not in again.rows()[0]
    assert Curve.from_bytes(Curve().to_bytes()).rows() == []


def test_a_step_has_only_the_figures_that_it_has() -> None:
    rows = curve_of(4, 5).rows()
    assert "loss/held_out" not in rows[0]
    assert rows[1]["loss/held_out"] == 0.4
    assert rows[1]["rate/muon"] == 0.01


def test_a_thinned_curve_covers_all_steps_evenly() -> None:
    thinned = curve_of(*range(1, 21)).thinned(4)
    assert [row["step"] for row in thinned] == [5, 10, 15, 20]
    assert thinned[0]["loss/msm"] == pytest.approx(sum(1 / step for step in range(1, 6)) / 5)
    assert [row["loss/held_out"] for row in thinned] == [0.4] * 4
    assert len(curve_of(1, 2).thinned(4)) == 2
    assert Curve().thinned() == []


def test_a_told_curve_has_six_digits_of_a_figure_and_every_step_and_second() -> None:
    curve = Curve()
    curve.note({"step": 1_234_567.0, "wall_s": 1_795_357_423.4, "loss/msm": 0.123456789})
    assert curve.told() == [{"step": 1_234_567.0, "wall_s": 1_795_357_423.0, "loss/msm": 0.123457}]


def test_the_event_file_is_the_curve(tmp_path: Path) -> None:
    curve = curve_of(1, 2, 3)
    file = EventFile(tmp_path, curve)
    file.add(row_of(progress(4)))
    file.add_level("baseline/nearest", 0.7, curve)
    file.close()
    found = scalars(tmp_path)
    assert [step for step, _ in found["loss/msm"]] == [1, 2, 3, 4]
    assert found["loss/visible"] == [(step, 0.5) for step in range(1, 5)]
    assert found["loss/msm"][3] == (4, 0.25)
    assert found["baseline/nearest"] == [(1, pytest.approx(0.7)), (3, pytest.approx(0.7))]
    assert {"step", "wall_s"}.isdisjoint(found)


def test_an_event_file_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    for kept in (curve_of(1, 2, 3, 4, 5), curve_of(1, 2)):
        file = EventFile(tmp_path, kept)
        file.add(row_of(progress(len(kept) + 1)))
        file.close()
    assert [step for step, _ in scalars(tmp_path)["loss/msm"]] == [1, 2, 3]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.timeout(30)
def test_a_disk_that_is_full_gives_up_the_event_file_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with no_file_beyond(20_000):
        file = EventFile(tmp_path, curve_of(1))
        for step in range(2, 400):
            file.add(row_of(progress(step)))
        file.close()
    assert file.lost == "File too large"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    (tmp_path / "file").touch()
    never = EventFile(tmp_path / "file" / "folder", curve_of(1))
    never.add(row_of(progress(2)))
    never.close()
    assert never.lost


@pytest.mark.parametrize(
    ("left_s", "expected"), [(5.2, "5 s left"), (75.0, "1 min 15 s left"), (3 * 3600 + 125.0, "3 h 2 min left")]
)
def test_a_training_says_where_it_stands(left_s: float, expected: str) -> None:
    assert said(progress(10, left_s=left_s)) == f"step 10/20, loss 0.100, held out 0.400, 1,000 shots/s, {expected}"
