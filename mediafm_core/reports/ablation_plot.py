"""Rows of a report as dots with their intervals, best first, told apart by form, colour and name."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from markupsafe import Markup

from mediafm_core.reports.inline_svg import ACCENT, GROUND, INK, QUIET, SECOND, THIRD, inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_INCHES = 0.23
_FRAME_INCHES = 1.15  # axis, its label and the legend


class PlottedRow(NamedTuple):
    """One row of a report."""

    features: str
    source: str  # whose vectors it reads
    value: float
    low: float  # of the 95 % interval over titles
    high: float
    dims: int
    ahead: float  # how much better the encoder in context is, on the same clips
    ahead_low: float
    ahead_high: float

    @property
    def is_own(self) -> bool:
        """Whether this is the encoder itself, as it is deployed."""
        return self.source == "the encoder"


class _Look(NamedTuple):
    colour: str
    marker: str
    filled: bool


LOOKS: Final[Mapping[str, _Look]] = {
    "the encoder": _Look(ACCENT, "o", True),
    "the encoder, taken apart": _Look(ACCENT, "o", False),
    "untrained": _Look(ACCENT, "X", False),
    "another encoder": _Look(SECOND, "D", True),
    "an outside model": _Look(THIRD, "s", True),
    "no encoder": _Look(QUIET, "o", True),
}
"""By the source of a row."""


_PAINTED: Final = {
    "muted": "#56606b",
    "bar": "#8a95a2",
    "accent": "#1f6fb5",
    "second": "#b0521b",
    "third": "#7b4bab",
    "paper": "#ffffff",
}
"""The colours of the page in its light dress."""


def dots(name: str, rows: Sequence[PlottedRow], *, metric: str, of: str) -> Markup:
    """Draw the rows of one task, each with its 95 % interval; a line stands where the encoder does.

    Args:
        name: of the figure, one of its own within the page.
        rows: in the order in which they are to stand, from above.
        metric: what is drawn.
        of: the task, for the words that stand for the picture.
    """
    own = next(row for row in rows if row.is_own)
    place = rows.index(own) + 1
    alt = f"{metric} of {len(rows)} rows on {of}; the encoder reaches {own.value:.3f}, place {place}."
    size = (9.2, _FRAME_INCHES + _ROW_INCHES * len(rows))
    return inline_svg(name, size, lambda figure: fill(figure, rows, metric), alt=alt)


def dots_picture(rows: Sequence[PlottedRow], *, metric: str) -> bytes:
    """The same as an SVG document with colours of its own, for where there is no page around it."""
    svg = str(dots("dots", rows, metric=metric, of="one task"))
    for variable, colour in _PAINTED.items():
        svg = svg.replace(f"var(--{variable})", colour)
    return svg.replace("<svg ", '<svg style="background: #fff; font-family: sans-serif" ', 1).encode()


def fill(figure: "Figure", rows: Sequence[PlottedRow], metric: str) -> None:
    """Draw into a figure."""
    axes: Axes = figure.add_subplot()
    own = next(row for row in rows if row.is_own)
    axes.axvline(own.value, color=ACCENT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    for source, look in LOOKS.items():
        _draw(axes, [(i, row) for i, row in enumerate(rows) if row.source == source], source, look)
    axes.set_yticks(range(len(rows)), [row.features for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.is_own else "normal")
        label.set_color(ACCENT if row.is_own else INK)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=f"{metric}, with the 95 % interval over titles")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=QUIET, alpha=0.25, linewidth=0.6)
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=8)


def _draw(axes: "Axes", placed: Sequence[tuple[int, PlottedRow]], source: str, look: _Look) -> None:
    if not placed:
        return
    y = [i for i, _ in placed]
    values = [row.value for _, row in placed]
    axes.hlines(y, [row.low for _, row in placed], [row.high for _, row in placed], color=look.colour, linewidth=1.4)
    own = source == "the encoder"
    axes.plot(
        values,
        y,
        linestyle="none",
        marker=look.marker,
        markersize=8 if own else 5.5,
        color=look.colour,
        markerfacecolor=look.colour if look.filled else GROUND,
        label=source,
    )
