"""The card of a release: what it was made of, what it reaches, how it was judged, and who let it go live.

One structure, written as a page and as Markdown, so that both say the same.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mediafm_core.reports.render import render
from mediafm_core.store.home import Home

Cell = str | int | float | None


class Table(NamedTuple):
    """A part of a card."""

    title: str
    note: str  # in words, above the rows; "" for none
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]  # None is an empty cell

    @property
    def numbers(self) -> tuple[bool, ...]:
        """Of each column whether it holds numbers alone."""
        columns = range(len(self.columns))
        return tuple(all(isinstance(row[i], int | float | None) for row in self.rows) for i in columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseCard:
    """All that a card says."""

    name: str  # of the release, or of the encoder where it was never released
    lead: str  # one sentence: what this is, and whether it is live
    use: str  # what it is meant for
    cautions: tuple[str, ...]
    tables: tuple[Table, ...]
    curves: bytes | None  # the training as an SVG document; None where its curve is not kept


def card_page(card: ReleaseCard) -> str:
    """A card as one self-contained HTML file."""
    curves = base64.b64encode(card.curves).decode() if card.curves else None
    return render("release_card.html", card=card, curves=curves, shown=shown)


def card_markdown(card: ReleaseCard, curves: str | None) -> str:
    """A card as Markdown.

    Args:
        card: what it says.
        curves: the file of the picture, beside it.
    """
    lines = [f"# {card.name}", "", card.lead, "", f"**Intended use.** {card.use}"]
    lines += [f"\n> {caution}" for caution in card.cautions]
    for table in card.tables:
        lines += ["", f"## {table.title}", "", *([table.note, ""] if table.note else []), *_rows(table)]
    if curves:
        lines += [
            "",
            "## Curves",
            "",
            f"![losses, rates, gradients and speed over the steps of the training]({curves})",
        ]
    return "\n".join(lines) + "\n"


def write_card(home: Home, name: str, folder: Path | None = None) -> list[Path]:
    """Write a card to a folder, by default `reports/releases` of the home; the files that it is.

    Raises:
        PlanError: there is no release and no encoder of this name.
    """
    from mediafm_core.reports.gather_card import card_of

    card = card_of(home, name)
    folder = folder or home.reports / "releases"
    folder.mkdir(parents=True, exist_ok=True)
    picture = f"{card.name}.svg" if card.curves else None
    written = {f"{card.name}.html": card_page(card), f"{card.name}.md": card_markdown(card, picture)}
    for file, text in written.items():
        (folder / file).write_text(text, encoding="utf-8")
    if picture and card.curves:
        (folder / picture).write_bytes(card.curves)
    return [folder / file for file in (*written, *([picture] if picture else []))]


def shown(cell: Cell) -> str:
    """A cell as a reader sees it."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.3f}".replace("-", "\N{MINUS SIGN}")
    return f"{cell:,}" if isinstance(cell, int) else cell


def _rows(table: Table) -> Sequence[str]:
    lines = [table.columns, tuple("---:" if number else "---" for number in table.numbers)]
    lines += [tuple(_escaped(shown(cell)) for cell in row) for row in table.rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines] if table.rows else ["None."]


def _escaped(text: str) -> str:
    """Text that a Markdown table shows as it is, whoever wrote it."""
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
