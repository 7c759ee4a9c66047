"""What every command has: the home it is about, and where it prints."""

import json
import resource
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mediafm_assets.resources import DEFAULT_HOME, HOME_VARIABLE, home_from_environment
from mediafm_core.store.home import Home

console = Console(highlight=False, soft_wrap=True)

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", help=f"The home's folder; else ${HOME_VARIABLE}, else ./{DEFAULT_HOME}.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
TitleArgument = Annotated[str, typer.Argument(help="The title's id.", metavar="TITLE")]


def home_root(home: Path | None) -> Path:
    """The folder that a command is about."""
    return (home or home_from_environment()).absolute()


def open_home(home: Path | None) -> Home:
    """The home that a command is about.

    Raises:
        HomeError: there is none.
    """
    return Home.open(home_root(home))


def print_json(value: Any) -> None:
    """JSON on standard output, and nothing else."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


_NAME_CHARS, _TEXT_CHARS, _LINES = 16, 40, 4
"""A column as wide as this is legible, for names and for text; a cell of fewer lines may be narrower."""
_BORDER_CHARS = 3  # of each column: a line and a space on both sides


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; what is in it is untrusted text and never read as markup.

    Where its columns would become too narrow to be read, each row is printed as a block of lines instead.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    if widths := _widths(columns, cells, console.width - _BORDER_CHARS * len(columns) - 1):
        for column, width in zip(columns, widths, strict=True):
            table.add_column(column, overflow="fold", width=width)
        for row in cells:
            table.add_row(*map(escape, row))
    else:
        table.show_header = False
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for row in cells:
            for column, cell in zip(columns, row, strict=True):
                table.add_row(column, escape(cell))
            table.add_section()
    console.print(table)


def _widths(columns: Sequence[str], cells: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Widths in which each column is legible and all are as wide as they can be; None where there is no room."""
    wanted = [max(map(_chars, column)) for column in zip(columns, *cells, strict=True)]
    widths = [max(min(width, _NAME_CHARS), min(width // _LINES, _TEXT_CHARS)) for width in wanted]
    left = room - sum(widths)
    if left < 0:
        return None
    missing = sorted(range(len(widths)), key=lambda column: wanted[column] - widths[column])
    for n_left, column in zip(range(len(widths), 0, -1), missing, strict=True):
        more = min(wanted[column] - widths[column], left // n_left)
        widths[column], left = widths[column] + more, left - more
    return widths


def _chars(text: str) -> int:
    """How wide a text is on a terminal."""
    return max((cell_len(line) for line in text.splitlines()), default=0)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value)


def records(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[Mapping[str, object]]:
    """The same rows as a table's, as JSON objects."""
    return [dict(zip(columns, row, strict=True)) for row in rows]


def peak_memory_gib() -> float:
    """The most memory that this process, or one of its children, has held so far."""
    kibibytes = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return kibibytes / 2**20
