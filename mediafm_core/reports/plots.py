"""The plots of a title: its rhythm, and its likeness to itself.

Shape letters: S shots, H hidden, N shots drawn.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from mediafm_core.identity import Span
from mediafm_core.reports.inline_svg import ACCENT, QUIET, inline_svg
from mediafm_core.reports.render import clock
from mediafm_core.reports.sampling import even_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_MATRIX = 400
"""Rows of the self-similarity picture; a longer title is thinned out evenly."""

_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MAX_TICKS = 12


class Plot(NamedTuple):
    """A drawn plot."""

    svg: Markup  # an <svg> element that says in words what it shows
    n_drawn: int  # how many of the title's shots it shows


def timeline(spans: Sequence[Span], has_text: Sequence[bool]) -> Plot:
    """How long each shot is, over the title's time, and which shots have text.

    Args:
        spans: (S) the shots by start, without overlap; gaps stay empty.
        has_text: (S) whether something is said in each.
    """
    lengths = [span.duration_s for span in spans]
    heights, edges = steps_of(spans, lengths)
    said, _ = steps_of(spans, [length if flag else 0.0 for length, flag in zip(lengths, has_text, strict=True)])
    alt = (
        f"Shot lengths over time: {len(spans)} shots of {min(lengths):.1f} to {max(lengths):.1f} seconds, "
        f"{sum(has_text)} of them with text."
    )
    ticks = [at_s for at_s in _ticks(edges[-1]) if at_s >= edges[0]]

    def draw(figure: "Figure") -> None:
        axes: Axes = figure.add_subplot()
        axes.stairs(heights, edges, fill=True, color=QUIET)
        axes.stairs(said, edges, fill=True, color=ACCENT)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xticks(ticks, [clock(at_s).removesuffix(".0") for at_s in ticks])
        axes.set(xlabel="time in the title", ylabel="shot length, s")

    return Plot(inline_svg("timeline", (9.2, 2.2), draw, alt=alt), len(spans))


def self_similarity(vectors: NDArray[np.float32]) -> Plot:
    """The cosine of each shot to each other one, as a picture.

    Colours run between the 2nd and the 98th percentile of the cosines of different shots, so that what is special about
    a title shows even where all of its shots are alike; the scale beside it gives the numbers.

    Args:
        vectors: (S, H) float32 contextual embeddings, S >= 2.
    """
    drawn = vectors[even_sample(len(vectors), MAX_MATRIX)]  # (N, H)
    unit = drawn / np.maximum(np.linalg.norm(drawn, axis=1, keepdims=True), 1e-12)
    cosines = unit @ unit.T  # (N, N)
    low, high = np.percentile(cosines[~np.eye(len(unit), dtype=bool)], [2, 98])
    alt = f"Cosines of {len(drawn)} shots to one another, in the order of the title, {low:.2f} to {high:.2f} for most."
    colours = {"cmap": "cividis", "vmin": low, "vmax": max(high, low + 1e-6), "interpolation": "none"}
    first, last = 0.5, len(vectors) + 0.5

    def draw(figure: "Figure") -> None:
        axes: Axes = figure.add_subplot()
        image = axes.imshow(cosines, extent=(first, last, last, first), **colours)
        axes.set(xlabel="shot", ylabel="shot")
        figure.colorbar(image, ax=axes, shrink=0.8, label="cosine")

    return Plot(inline_svg("similarity", (4.6, 3.8), draw, alt=alt), len(drawn))


def steps_of(spans: Sequence[Span], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Values and the edges between them: one for each span, and 0 for each gap."""
    edges, steps = [spans[0].start_s], []
    for span, value in zip(spans, values, strict=True):
        if span.start_s > edges[-1]:
            edges.append(span.start_s)
            steps.append(0.0)
        edges.append(span.end_s)
        steps.append(value)
    return steps, edges


def _ticks(end_s: float) -> list[int]:
    """A dozen round times at most."""
    step = next((step for step in _TICKS_S if end_s / step <= _MAX_TICKS), _TICKS_S[-1])
    return list(range(0, int(end_s) + 1, step))
