"""How a training went, as one picture: its losses beside the baselines, its rates, its gradients and its speed."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE_INCHES = (8.0, 4.6)

Rows = Sequence[Mapping[str, float]]


def training_picture(curve: Rows, baselines: Mapping[str, float]) -> bytes:
    """Draw a training.

    Args:
        curve: rows of a thinned curve, at least one, as `Curve.thinned` makes them.
        baselines: held-out loss of each by name; drawn as horizontal lines.

    Returns:
        An SVG document.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=(3, 2))
    axes = figure.add_subplot(grid[:, 0])
    for name in _named(curve, "loss/"):
        _line(axes, curve, name, marker="o" if name == "loss/held_out" else None)
    for shade, (name, loss) in enumerate(sorted(baselines.items(), key=lambda each: each[1])):
        axes.axhline(loss, color=str(0.2 + 0.1 * shade), linewidth=0.8, linestyle="--", label=name)
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    axes.legend(fontsize=7, framealpha=0.8, loc="best")
    for place, names in enumerate((_named(curve, "rate/"), ["gradient_norm"], ["shots_per_s"])):
        panel = figure.add_subplot(grid[place, 1])
        for name in names:
            _line(panel, curve, name)
        panel.legend(fontsize=7, frameon=False)
        panel.set(xlabel="step" if place == 2 else None, ylim=(0, None))
    drawn = BytesIO()
    figure.savefig(drawn, format="svg")
    return drawn.getvalue()


def _named(curve: Rows, prefix: str) -> list[str]:
    return sorted({name for row in curve for name in row if name.startswith(prefix)})


def _line(axes: "Axes", curve: Rows, name: str, marker: str | None = None) -> None:
    rows = [row for row in curve if name in row]
    steps, figures = [row["step"] for row in rows], [row[name] for row in rows]
    label = name.partition("/")[2] or name.replace("_", " ")
    axes.plot(steps, figures, linewidth=1, marker=marker, markersize=3, label=label)
