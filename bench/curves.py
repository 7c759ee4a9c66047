"""Learning curves as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.optimisers import Run

_COLOURS = ("#b3471d", "#2b6a99", "#8aa3b5")


def draw(runs: "Sequence[Run]", path: Path) -> None:
    """Held-out loss over steps and over CPU seconds, one colour for each name and one line for each seed.

    Args:
        runs: at most three names; CPU seconds are steps times what a step costs.
        path: of the SVG that is written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(run.name for run in runs))
    figure = Figure(figsize=(9.2, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for run in runs:
        steps, losses = zip(*run.curve, strict=True)
        is_first = next(each for each in runs if each.name == run.name) is run
        look = {"color": _COLOURS[names.index(run.name)], "linewidth": 1.2, "label": run.name if is_first else None}
        left.plot(steps, losses, **look)
        right.plot([step * run.step_s for step in steps], losses, **look)
    left.set(xlabel="steps", ylabel="MSM loss on held-out titles")
    right.set(xlabel="CPU seconds")
    left.legend(frameon=False)
    with mpl.rc_context({"svg.hashsalt": "mediafm"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
