"""Figures as inline SVG. Their colours are the page's: CSS variables, so they follow its light and dark dress."""

import re
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# stand-ins, no real colours: each becomes a CSS variable
INK = "#010203"
QUIET = "#010204"
ACCENT = "#010205"
SECOND = "#010206"
THIRD = "#010207"
GROUND = "#010208"

_VARIABLES = {
    INK: "var(--muted)",
    QUIET: "var(--bar)",
    ACCENT: "var(--accent)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
    GROUND: "var(--paper)",
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mediafm",  # the same data give the same page
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def inline_svg(name: str, size_inches: tuple[float, float], draw: Callable[["Figure"], None], *, alt: str) -> Markup:
    """Draw a figure for a page.

    Args:
        name: of the figure, one of its own within the page.
        size_inches: (width, height); the page scales it to the width that it has.
        draw: fills the figure.
        alt: what the figure shows, in words.

    Returns:
        An `<svg>` element with text as text, a transparent ground, and no colours of its own for what is drawn in
        the stand-ins above.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    text = StringIO()
    with rc_context(_SETTINGS):
        figure = Figure(figsize=size_inches, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        figure.savefig(text, format="svg", transparent=True, metadata=_NO_METADATA)
    return _as_element(name, text.getvalue(), alt)


def _as_element(name: str, document: str, alt: str) -> Markup:
    svg = document[document.index("<svg") :]  # after the prolog, which names a DTD
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it would hold for the whole page
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)  # two figures share their ids
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, variable)
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1))  # noqa: S704 drawn by us
