"""Labels: every row is checked, every fault names its rows, and the order of rows says nothing."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.errors import DeliveryError, LabelsError
from mediafm_core.probes.folds import INNER, fold_of, splits
from mediafm_core.probes.reading import merge_labels, read_labels
from mediafm_core.probes.tasks import TASKS, task_named

DURATIONS = {"alpha": 100.0, "beta": 50.0}
ROWS = [
    ("beta", 0.0, 10.0, ["wry"]),
    ("alpha", 20.0, 30.0, []),
    ("alpha", 0.0, 10.0, ["tense", "wry"]),
    ("alpha", 5.0, 15.0, ["calm"]),  # overlaps the row before
]


def parquet(path: Path, rows=ROWS, value: str = "labels") -> Path:
    pl.DataFrame(rows, schema=["title", "start_s", "end_s", value], orient="row").write_parquet(path / "l.parquet")
    return path / "l.parquet"


def csv(path: Path, text: str, header: str = "title,start_s,end_s,labels") -> Path:
    (path / "l.csv").write_text(f"{header}\n{text}")
    return path / "l.csv"


def test_a_set_is_ordered_by_title_and_time_and_overlaps_are_allowed(tmp_path: Path) -> None:
    found = read_labels(parquet(tmp_path), TASKS["tone"], DURATIONS)
    assert found.titles == ("alpha", "beta")
    assert found.names == ("calm", "tense", "wry")
    assert found.of.tolist() == [0, 0, 0, 1]
    assert found.start_s.tolist() == [0, 5, 20, 0]
    assert found.targets.astype(int).tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_csv_and_parquet_in_any_order_give_one_set(tmp_path: Path) -> None:
    text = "alpha,5,15,calm\nalpha, 0,10.0,wry; tense\nbeta,0,10,wry\nalpha,20,30,\n"
    tone = TASKS["tone"]
    from_csv = read_labels(csv(tmp_path, text), tone, DURATIONS)
    from_parquet = read_labels(parquet(tmp_path), tone, DURATIONS)
    assert from_csv.digest == from_parquet.digest
    changed = read_labels(parquet(tmp_path, [*ROWS[:3], ("alpha", 5.0, 15.0, ["wry"])]), tone, DURATIONS)
    assert changed.digest != from_parquet.digest


FAULTS = {
    "start equals end": ("alpha", 5.0, 5.0, ["x"], "empty, reversed"),
    "reversed": ("alpha", 9.0, 5.0, ["x"], "empty, reversed"),
    "negative": ("alpha", -1.0, 5.0, ["x"], "empty, reversed"),
    "not a number": ("alpha", float("nan"), 5.0, ["x"], "no number"),
    "no time": ("alpha", None, 5.0, ["x"], "no number"),
    "after the end": ("beta", 45.0, 50.1, ["x"], "ends after its title"),
    "unknown title": ("gamma", 0.0, 5.0, ["x"], "not in the catalogue"),
    "no title": (None, 0.0, 5.0, ["x"], "no title"),
    "no list": ("alpha", 0.0, 5.0, None, "no list"),
    "empty name": ("alpha", 0.0, 5.0, ["x", ""], "empty name"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_row_that_breaks_a_rule_is_named_by_number_and_title(tmp_path: Path, fault: str) -> None:
    *row, message = FAULTS[fault]
    with pytest.raises(LabelsError, match=rf"l\.parquet, row 5 \(title {row[0]!r}\): .*{message}"):
        read_labels(parquet(tmp_path, [*ROWS, tuple(row)]), TASKS["tone"], DURATIONS)


def test_a_span_that_stands_twice_names_both_rows(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match=r"row 1 \(title 'beta'\), 5 \(title 'beta'\): the same span"):
        read_labels(parquet(tmp_path, [*ROWS, ("beta", 0.0, 10.0, ["calm"])]), TASKS["tone"], DURATIONS)


def test_many_broken_rows_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    rows = [("alpha", float(i), float(i), ["x"]) for i in range(14)]
    with pytest.raises(LabelsError, match=r"row 1 .*, 10 \(title 'alpha'\) and 4 more: an empty"):
        read_labels(parquet(tmp_path, rows), TASKS["tone"])


def test_faults_of_several_kinds_are_told_at_once_each_row_under_its_first(tmp_path: Path) -> None:
    faulty = [tuple(FAULTS[name][:-1]) for name in ("unknown title", "reversed", "unknown title", "empty name")]
    with pytest.raises(LabelsError) as told:
        read_labels(parquet(tmp_path, [*ROWS, *faulty, ("gamma", 9.0, 1.0, ["x"])]), TASKS["tone"], DURATIONS)
    assert told.value.culprit == "labels l.parquet"
    assert told.value.found == (
        "row 6 (title 'alpha'), 9 (title 'gamma'): an empty, reversed or negative span; "
        "row 5 (title 'gamma'), 7 (title 'gamma'): a title that is not in the catalogue; "
        "row 8 (title 'alpha'): an empty name among the labels, or no list"
    )


def test_ten_rows_are_shown_of_faults_of_several_kinds(tmp_path: Path) -> None:
    rows = [("alpha", float(i), float(i), ["x"]) for i in range(9)] + [("gamma", 0.0, i + 1.0, []) for i in range(9)]
    with pytest.raises(LabelsError, match=r" 5 .* and 4 more: an empty.* 14 .* and 4 more: a title that is not"):
        read_labels(parquet(tmp_path, rows), TASKS["tone"], DURATIONS)


def test_without_durations_titles_and_ends_are_not_checked(tmp_path: Path) -> None:
    assert read_labels(parquet(tmp_path, [("gamma", 0.0, 1e6, ["x"])]), TASKS["tone"]).titles == ("gamma",)


@pytest.mark.parametrize(
    ("header", "message"),
    [("title,start_s,end_s", "missing: labels"), ("title,start_s,end_s,labels,mood", "unknown: mood")],
)
def test_columns_are_exactly_those_of_the_task(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(LabelsError, match=message):
        read_labels(
            csv(tmp_path, ",".join(["alpha", "0", "1", "x", "y"][: header.count(",") + 1]), header), TASKS["tone"]
        )


@pytest.mark.parametrize("text", ["", "not,a\x00csv"])
def test_a_file_without_rows_or_without_sense_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(LabelsError):
        read_labels(csv(tmp_path, text), TASKS["tone"])
    (tmp_path / "l.parquet").write_bytes(b"PAR1")
    with pytest.raises(LabelsError, match="cannot be read"):
        read_labels(tmp_path / "l.parquet", TASKS["tone"])
    with pytest.raises(DeliveryError):
        read_labels(tmp_path / "absent.csv", TASKS["tone"])


@pytest.mark.parametrize("row", ["alpha,1,2", "alpha,1,2,x,y", ""])
def test_a_row_of_too_few_or_too_many_cells_is_named_and_never_a_clip_without_labels(tmp_path: Path, row: str) -> None:
    with pytest.raises(LabelsError, match=r"l\.csv, row 2: another number of cells than 4"):
        read_labels(csv(tmp_path, f"alpha,0,1,x\n{row}\nalpha,3,4,x\n"), TASKS["tone"])


def test_a_byte_order_mark_and_blank_lines_at_the_end_are_passed_over_and_a_column_twice_is_not(tmp_path: Path) -> None:
    marked = csv(tmp_path, 'alpha,0,1,"x; y"\r\n\r\n\n', "\ufefftitle,start_s,end_s,labels")
    assert read_labels(marked, TASKS["tone"]).names == ("x", "y")
    with pytest.raises(LabelsError, match="columns title twice"):
        read_labels(csv(tmp_path, "alpha,alpha,0,1,x", "title,title,start_s,end_s,labels"), TASKS["tone"])


def test_ranks_come_from_csv_too_and_a_rank_that_is_a_word_names_its_row(tmp_path: Path) -> None:
    header = "title,start_s,end_s,rank"
    found = read_labels(csv(tmp_path, "alpha,0,1, 2.5\nalpha,1,2,1\n", header), TASKS["popularity"])
    assert found.targets.tolist() == [[2.5], [1.0]]
    with pytest.raises(LabelsError, match=r"row 2 .*a rank that is no number"):
        read_labels(csv(tmp_path, "alpha,0,1,2\nalpha,1,2,first\n", header), TASKS["popularity"])


def test_a_wrong_type_is_refused_with_the_type_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="labels List"):
        read_labels(parquet(tmp_path, [("alpha", 0.0, 1.0, 3)]), TASKS["tone"])


def test_a_number_that_cannot_be_read_in_csv_names_its_row(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match=r"row 2 \(title 'alpha'\): a time that is no number"):
        read_labels(csv(tmp_path, "alpha,0,1,x\nalpha,0:30,1:00,x\n"), TASKS["tone"])


def test_ranks_are_finite_and_stand_as_they_came(tmp_path: Path) -> None:
    rows = [("alpha", 0.0, 1.0, 2.0), ("alpha", 1.0, 2.0, 1.0)]
    found = read_labels(parquet(tmp_path, rows, "rank"), TASKS["popularity"])
    assert found.targets.tolist() == [[2.0], [1.0]]
    bad = [*rows, ("alpha", 2.0, 3.0, float("nan"))]
    with pytest.raises(LabelsError, match=r"row 3 .*a rank that is no number"):
        read_labels(parquet(tmp_path, bad, "rank"), TASKS["popularity"])


def test_a_task_with_fixed_labels_takes_no_other_and_a_task_with_a_limit_no_more(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match=r"row 2 .*label that the task has not.*positive"):
        read_labels(csv(tmp_path, "alpha,0,1,positive\nalpha,1,2,Positive\n"), TASKS["retrieval"])
    rows = [("alpha", float(i), i + 1.0, [f"genre {min(i, 11)}"]) for i in range(30)]
    with pytest.raises(LabelsError, match="12 different labels"):
        read_labels(parquet(tmp_path, rows), TASKS["genre"])


def delivered(*rows: tuple) -> pa.Table:
    names = ["task", "start_s", "end_s", "labels", "rank"]
    types = [pa.string(), pa.float64(), pa.float64(), pa.list_(pa.string()), pa.float64()]
    columns = list(zip(*rows, strict=True)) or [[]] * 5
    return pa.table([pa.array(c, t) for c, t in zip(columns, types, strict=True)], names=names)


def test_deliveries_are_joined_by_task() -> None:
    tables = {
        "beta": delivered(("tone", 0.0, 1.0, ["wry"], None), ("popularity", 0.0, 1.0, [], 3.0)),
        "alpha": delivered(("tone", 2.0, 3.0, [], None), ("popularity", 2.0, 3.0, None, 1.0)),
        "gamma": delivered(),
    }
    tone = merge_labels(tables, TASKS["tone"])
    assert (tone.titles, tone.targets.tolist()) == (("alpha", "beta"), [[False], [True]])
    assert merge_labels(tables, TASKS["popularity"]).targets.tolist() == [[1.0], [3.0]]
    with pytest.raises(LabelsError, match="0 clips"):
        merge_labels(tables, TASKS["genre"])


def test_a_delivered_fault_names_the_row_of_its_title() -> None:
    good = ("tone", 0.0, 1.0, ["wry"], None)
    with pytest.raises(LabelsError, match=r"row 2 \(title 'beta'\): an unknown task"):
        merge_labels({"alpha": delivered(good), "beta": delivered(good, ("mood", 0.0, 1.0, [], None))}, TASKS["tone"])
    with pytest.raises(LabelsError, match=r"row 1 \(title 'beta'\): a clip that ends after"):
        merge_labels({"beta": delivered(("tone", 0.0, 51.0, [], None))}, TASKS["tone"], DURATIONS)


def test_restricting_a_set_to_titles_keeps_its_labels(tmp_path: Path) -> None:
    whole = read_labels(parquet(tmp_path), TASKS["tone"])
    part = whole.of_titles({"beta", "omega"})
    assert (part.titles, part.names, part.of.tolist()) == (("beta",), whole.names, [0])


def test_an_unknown_task_names_those_that_there_are() -> None:
    with pytest.raises(LabelsError, match="ad_relevancy, popularity, tone, genre, retrieval"):
        task_named("mood")


def test_a_title_never_stands_on_both_sides_and_every_clip_is_held_out_once() -> None:
    titles = [f"title-{i}" for i in range(40)]
    of = np.repeat(np.arange(40), 3)
    made = splits(titles, of, 5)
    assert len(made) == 5
    for train, test in made:
        assert not set(of[train]) & set(of[test])
    assert np.sum([test for _, test in made], axis=0).tolist() == [1] * len(of)


@given(
    st.sets(st.text("abcdef-0", min_size=1), min_size=2, max_size=12), st.integers(2, 10), st.sampled_from(["", INNER])
)
def test_however_few_or_many_titles_no_title_is_on_both_sides(names: set[str], n_folds: int, salt: str) -> None:
    titles = sorted(names)
    of = np.repeat(np.arange(len(titles)), 2)
    made = splits(titles, of, n_folds, salt)
    assert 2 <= len(made) <= n_folds
    for train, test in made:
        assert not set(of[train]) & set(of[test])
    assert np.sum([test for _, test in made], axis=0).tolist() == [1] * len(of)


def test_a_new_title_moves_no_other() -> None:
    titles = [f"title-{i}" for i in range(30)]
    before, after = (
        {title: i for i, s in enumerate(splits(t, np.arange(len(t)), 4)) for title in np.array(t)[s.test]}
        for t in (titles, ["new", *titles])
    )
    assert before.items() <= after.items()
    assert [fold_of("title-0", 4), fold_of("title-1", 4)] == [before["title-0"], before["title-1"]]


def test_inner_folds_cut_across_outer_ones() -> None:
    titles = [f"title-{i}" for i in range(300)]
    pairs = {(fold_of(t, 3), fold_of(t, 3, INNER)) for t in titles}
    assert len(pairs) == 9


def test_two_titles_are_always_parted_and_one_never() -> None:
    for i in range(50):
        made = splits([f"a{i}", f"b{i}"], np.array([0, 1]), 3)
        assert len(made) == 2
    with pytest.raises(LabelsError, match="1 titles"):
        splits(["alone"], np.array([0]), 3)
