"""Labels from files and from deliveries: every row is checked before one of them counts.

The rules: a clip lies within its title; the same span of a title stands once; clips may overlap; a title that is not
known refuses the file, for a misspelt one would vanish in silence. Rows are counted from 1, the header not counted.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from mediafm_core.errors import LabelsError
from mediafm_core.probes.labels import LabelSet, label_set
from mediafm_core.probes.tasks import TASKS, Task, TaskKind

_SLACK_S = 1e-6  # by which a clip may end after its title: rounding
_N_ROWS_SHOWN = 10  # in one error; one of each kind of fault at least
_SEPARATOR = ";"
_CLIP = ("title", "start_s", "end_s")


def read_labels(path: Path, task: Task, durations: Mapping[str, float] | None = None) -> LabelSet:
    """Read the labels of one task.

    Args:
        path: `.parquet` or `.csv` with the columns title, start_s, end_s and, for a ranking, rank, else labels: a list
            of names in Parquet, names joined by `;` in CSV. An empty list is a clip that bears no label.
        task: what they are labels of.
        durations: seconds of every title that may be named; None leaves titles and ends unchecked.

    Raises:
        LabelsError: the file cannot be read, has other columns, is empty, or has rows that break a rule.
    """
    frame = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    value = _value_column(task)
    _check_columns(frame, {*_CLIP, value}, path.name)
    if path.suffix.lower() == ".csv" and value == "labels":
        split = pl.col("labels").str.split(_SEPARATOR).list.eval(pl.element().str.strip_chars())
        frame = frame.with_columns(pl.when(pl.col("labels") == "").then([]).otherwise(split).alias("labels"))
    return _label_set(frame.with_row_index("row", offset=1), task, durations, path.name)


def merge_labels(tables: Mapping[str, pa.Table], task: Task, durations: Mapping[str, float] | None = None) -> LabelSet:
    """Join what the deliveries say about one task.

    Args:
        tables: for each title id its delivered table: task, start_s, end_s, labels, rank; rows of other tasks are
            passed over.
        task: the task.
        durations: as in `read_labels`.

    Raises:
        LabelsError: a table has other columns, names a task that there is not, or has rows that break a rule; no table
            has a row of this task.
    """
    frames = [_delivered(title, table) for title, table in sorted(tables.items())]
    joined = pl.concat(frames) if frames else _delivered("", _NOTHING)
    _check_rows(joined, [_Rule(~pl.col("task").is_in(list(TASKS)), "an unknown task", ", ".join(TASKS))], "delivered")
    mine = joined.filter(pl.col("task") == task.name).select("row", *_CLIP, _value_column(task))
    return _label_set(mine, task, durations, f"delivered for {task.name}")


_DELIVERED = {
    "task": pl.String(),
    "start_s": pl.Float64(),
    "end_s": pl.Float64(),
    "labels": pl.List(pl.String()),
    "rank": pl.Float64(),
}
_NOTHING = pl.DataFrame(schema=_DELIVERED).to_arrow()


def _delivered(title: str, table: pa.Table) -> pl.DataFrame:
    frame = pl.DataFrame(table)
    _check_columns(frame, set(_DELIVERED), f"labels of title {title!r}")
    frame = _cast(frame, _DELIVERED, f"labels of title {title!r}")
    return frame.with_columns(pl.lit(title).alias("title")).with_row_index("row", offset=1)


def _value_column(task: Task) -> str:
    return "rank" if task.kind is TaskKind.RANKING else "labels"


def _read_csv(path: Path) -> pl.DataFrame:
    """All cells as text, but for the numbers; a cell that is no number becomes null and breaks a rule later."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
    except (csv.Error, OSError, ValueError) as error:  # ValueError: no header, or not UTF-8
        raise _unreadable(path, error) from error
    while rows and not rows[-1]:
        rows.pop()  # blank lines at the end
    _check_cells(header, rows, path.name)
    frame = pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String()), orient="row")
    numbers = [name for name in ("start_s", "end_s", "rank") if name in frame.columns]
    return frame.with_columns(pl.col(numbers).str.strip_chars().cast(pl.Float64, strict=False))


def _check_cells(header: list[str], rows: list[list[str]], name: str) -> None:
    """A missing cell would read as a clip without labels, and a name that stands twice hides a column."""
    twice = sorted({column for column in header if header.count(column) > 1})
    ragged = [number for number, row in enumerate(rows, 1) if len(row) != len(header)]
    if twice or ragged:
        shown = ", ".join(map(str, ragged[:_N_ROWS_SHOWN])) + (" and more" if len(ragged) > _N_ROWS_SHOWN else "")
        raise LabelsError(
            f"labels {name}" + (f", row {shown}" if ragged else ""),
            found=f"columns {', '.join(twice)} twice" if twice else f"another number of cells than {len(header)}",
            expected="each column once, and a cell for it in every row",
            next_step="Put cells that hold commas in quotes, join labels by ';', and give the labels again.",
        )


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.DataFrame(parquet.read_table(path))
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> LabelsError:
    return LabelsError(
        f"labels {path.name}",
        found=f"a file that cannot be read ({error})".replace("\n", " "),
        expected="Parquet, or CSV in UTF-8 with a header (.csv)",
        next_step="Check the path, and write the file again.",
    )


class _Rule(NamedTuple):
    broken: pl.Expr  # true where a row breaks the rule; null counts as broken
    found: str
    expected: str


def _label_set(frame: pl.DataFrame, task: Task, durations: Mapping[str, float] | None, where: str) -> LabelSet:
    """The checks that hold for every source, then the set."""
    value = _value_column(task)
    types = {"title": pl.String(), **{name: _DELIVERED[name] for name in ("start_s", "end_s", value)}}
    frame = _cast(frame, types, where)
    if durations is not None:
        known = pl.DataFrame({"title": list(durations), "duration_s": list(durations.values())})
        frame = frame.join(
            known.cast({"title": pl.String(), "duration_s": pl.Float64()}), "title", "left", maintain_order="left"
        )
    _check_rows(frame, _rules(task, durations is not None), where)
    if value == "labels":
        _check_names(frame, task, where)
    values = {"ranks": frame["rank"].to_list()} if value == "rank" else {"labels": frame["labels"].to_list()}
    return label_set(task, *(frame[name].to_list() for name in _CLIP), **values)


def _rules(task: Task, durations_known: bool) -> list[_Rule]:
    """What every row must keep, the plainest first: later rules may rely on earlier ones."""
    start, end = pl.col("start_s"), pl.col("end_s")
    rules = [
        _Rule(pl.col("title").str.len_chars() == 0, "no title", "a title id in every row"),
        _Rule(~(start.is_finite() & end.is_finite()), "a time that is no number", "start_s and end_s in seconds"),
        _Rule(~((start >= 0) & (start < end)), "an empty, reversed or negative span", "0 <= start_s < end_s"),
    ]
    if durations_known:
        outside = end > pl.col("duration_s") + _SLACK_S
        rules.append(_Rule(pl.col("duration_s").is_null(), "a title that is not in the catalogue", "its titles' ids"))
        rules.append(_Rule(outside, "a clip that ends after its title", "seconds from the title's first frame"))
    if task.kind is TaskKind.RANKING:
        rules.append(_Rule(~pl.col("rank").is_finite(), "a rank that is no number", "a finite rank in every row"))
    else:
        names = pl.col("labels").list
        bad = names.eval(pl.element().is_null() | (pl.element() == "")).list.any()
        rules.append(_Rule(bad, "an empty name among the labels, or no list", "names, or an empty list"))
    if task.labels is not None:
        other = pl.col("labels").list.eval(~pl.element().is_in(list(task.labels))).list.any()
        rules.append(_Rule(other, "a label that the task has not", " or ".join(task.labels)))
    twice = pl.struct(*_CLIP).is_duplicated()
    return [*rules, _Rule(twice, "the same span of a title more than once", "one row for each clip")]


def _check_names(frame: pl.DataFrame, task: Task, where: str) -> None:
    """More names than the task may have."""
    names = frame["labels"].explode(empty_as_null=True).drop_nulls().value_counts(sort=True)["labels"].to_list()
    if task.most_labels is not None and len(names) > task.most_labels:
        raise LabelsError(
            f"labels {where}",
            found=f"{len(names)} different labels, the rarest {', '.join(map(repr, names[-3:]))}",
            expected=f"at most {task.most_labels} for task {task.name!r}",
            next_step="Look for misspelt labels among the rarest.",
        )


def _check_columns(frame: pl.DataFrame, expected: set[str], where: str) -> None:
    missing, unknown = sorted(expected - set(frame.columns)), sorted(set(frame.columns) - expected)
    if missing or unknown:
        raise LabelsError(
            f"labels {where}",
            found=f"columns missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}",
            expected=f"exactly the columns {', '.join(sorted(expected))}",
            next_step="Rename or drop columns, and give the labels again.",
        )


def _cast(frame: pl.DataFrame, types: Mapping[str, pl.DataType], where: str) -> pl.DataFrame:
    try:
        return frame.cast({**types})
    except pl.exceptions.PolarsError as error:
        raise LabelsError(
            f"labels {where}",
            found=f"columns of types {', '.join(f'{n} {frame.schema[n]}' for n in types)}",
            expected=", ".join(f"{name} {kind}" for name, kind in types.items()),
            next_step="Write the columns with these types.",
        ) from error


def _check_rows(frame: pl.DataFrame, rules: list[_Rule], where: str) -> None:
    """Each row counts under the first rule that it breaks; all rules that are broken stand in one error."""
    first = pl.coalesce(pl.when(rule.broken.fill_null(True)).then(i) for i, rule in enumerate(rules))
    broken = frame.select("row", "title", first.alias("rule")).drop_nulls("rule")
    faults = [(rules[i], broken.filter(pl.col("rule") == i)) for i in broken["rule"].unique().sort()]
    if not faults:
        return
    rows = [_named(of_rule, _N_ROWS_SHOWN // len(faults)) for _, of_rule in faults]
    found = [rule.found for rule, _ in faults]
    several = len(faults) > 1
    raise LabelsError(
        f"labels {where}" if several else f"labels {where}, {rows[0]}",
        found="; ".join(map(": ".join, zip(rows, found, strict=True))) if several else found[0],
        expected="; ".join(rule.expected for rule, _ in faults),
        next_step="Mend these rows and give the labels again; none were taken.",
    )


def _named(rows: pl.DataFrame, n_shown: int) -> str:
    shown = [f"{row} (title {title!r})" for row, title in rows.select("row", "title").head(max(1, n_shown)).iter_rows()]
    more = f" and {len(rows) - len(shown)} more" if len(rows) > len(shown) else ""
    return f"row {', '.join(shown)}{more}"
