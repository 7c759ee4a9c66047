"""What every command has: the home it is about, and where it prints."""

import json
import resource
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
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


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; what is in it is untrusted text and never read as markup."""
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_cell(cell)) for cell in row))
    console.print(table)


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
