"""Reading the catalogue: what a title is made of, and what is like it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mediafm_assets.cli.context import (
    HomeOption,
    JsonOption,
    TitleArgument,
    console,
    home_root,
    open_home,
    print_json,
    print_table,
    records,
)
from mediafm_core.consumption.catalogue import Catalogue, Shots, open_catalogue
from mediafm_core.consumption.similarity import similar_shots, similar_titles
from mediafm_core.errors import SpanError


def _catalogue(home: Path | None) -> Catalogue:
    return open_catalogue(str(home_root(home)))


def titles(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the titles, and whether readers see them already.

    Example: mediafm titles --json
    """
    from mediafm_core.stock import read_state
    from mediafm_core.store.pointer import read_pointer

    opened = open_home(home)
    shown = {e.title: e for e in _catalogue(home).titles()} if read_pointer(opened.objects) else {}
    columns = ("title", "name", "shots", "seconds", "readable")
    rows = []
    for title in read_state(opened).titles.values():
        entry = shown.get(title.id)
        counts = (entry.n_shots, round(entry.duration_s, 3)) if entry else (None, None)
        rows.append((title.id, title.metadata.name, *counts, entry is not None))
    print_json(records(columns, rows)) if as_json else print_table("titles", columns, rows)


def shots(title: TitleArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the shots of a title: when each is, and what is said in it.

    Example: mediafm shots big-buck-bunny
    """
    _show_shots(_catalogue(home).shots(title), as_json)


def clip(
    title: TitleArgument,
    start_s: Annotated[float, typer.Argument(metavar="START", help="Seconds from the title's first frame.")],
    end_s: Annotated[float, typer.Argument(metavar="END", help="Likewise; not included.")],
    out: Annotated[Path | None, typer.Option(help="Write the shots' vectors here: .parquet or .npy.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read the shots of a clip, each embedded in the context of the whole title.

    Example: mediafm clip big-buck-bunny 60 90 --out clip.parquet
    """
    found = _catalogue(home).clip(title, start_s, end_s)
    if out is not None:
        _write(out, found)
    _show_shots(found, as_json)


def _show_shots(found: Shots, as_json: bool) -> None:
    columns = ("shot", "start_s", "end_s", "text")
    rows = [(i, s.start_s, s.end_s, text) for i, (s, text) in enumerate(zip(found.spans, found.texts, strict=True))]
    if as_json:
        print_json(records(columns, rows))
    else:
        print_table(f"{found.title}, embedded by {found.encoder}", columns, rows)


def _write(out: Path, found: Shots) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from mediafm_core.store.vectors import vector_table

    if out.suffix == ".parquet":
        pq.write_table(vector_table(found.spans, found.vectors, text=pa.array(found.texts)), out)
    elif out.suffix == ".npy":
        np.save(out, found.vectors, allow_pickle=False)
    else:
        raise typer.BadParameter("the file must end in .parquet or .npy", param_hint="--out")
    console.print(f"wrote {out}: {found.vectors.shape[0]} vectors of {found.vectors.shape[1]}", markup=False)


def similar(
    title: TitleArgument,
    at: Annotated[float | None, typer.Option(help="Seconds: find shots like the one that is shown then.")] = None,
    most: Annotated[int, typer.Option(help="How many to show.")] = 5,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the titles most like a title, or the shots of other titles most like one of its shots.

    Examples: mediafm similar bbb-cut; mediafm similar bbb-cut --at 12.5
    """
    catalogue = _catalogue(home)
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    if at is None:
        columns, rows = (
            ("title", "name", "similarity"),
            [tuple(hit) for hit in similar_titles(catalogue, title, most=most)],
        )
    else:
        query = _shot_at(catalogue, title, at)
        others = [entry.title for entry in catalogue.titles() if entry.title != title]
        (hits,) = similar_shots(catalogue, query, within=others, most=most)
        columns = ("title", "start_s", "end_s", "cosine", "text")
        rows = [(hit.title, hit.span.start_s, hit.span.end_s, hit.cosine, hit.text) for hit in hits]
    print_json(records(columns, rows)) if as_json else print_table(f"like {title}", columns, rows)


def _shot_at(catalogue: Catalogue, title: str, at_s: float) -> Shots:
    duration_s = catalogue.title(title).duration_s
    if not 0.0 <= at_s < duration_s:
        raise SpanError(
            f"title {title!r}",
            found=f"{at_s:g} s",
            expected=f"an instant in [0, {duration_s:.3f}) s",
            next_step="Times are seconds from the title's first frame.",
        )
    shots = catalogue.shots(title)
    index = max(i for i, span in enumerate(shots.spans) if span.start_s <= at_s)
    one = slice(index, index + 1)
    return shots._replace(spans=shots.spans[one], texts=shots.texts[one], vectors=shots.vectors[one])


def report(
    title: TitleArgument,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the page; else reports/TITLE.html in the home.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Write a page about a title that a person can look at: its shots, their text, and what is like them.

    Example: mediafm report big-buck-bunny
    """
    from mediafm_core.reports.gather import title_page_of
    from mediafm_core.reports.title_page import title_page

    opened = open_home(home)
    page = title_page(title_page_of(opened, title))
    target = out or opened.reports / f"{title}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    console.print(f"wrote {target}", markup=False)
