"""The rows of `bench.quality` as a picture: how far each encoder is above the best that needs no learning."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mediafm_core.identity import fingerprint
from mediafm_core.probes.tasks import TASKS

_COLOURS = ("#b3471d", "#2b6a99", "#8a95a2", "#7b4bab")
_GAP = 0.6  # between two worlds, in rows


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """One panel for each task; one dot with its 95 % interval for each encoder, world and training seed.

    Args:
        rows: of `bench.quality`; those without a difference are left out.
        path: of the SVG that is written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    judged = [row for row in rows if "difference" in row]
    names = sorted({row["features"] for row in judged})
    worlds = sorted({row["world"] for row in judged})
    figure = Figure(figsize=(11, 1.2 + 0.2 * len(judged) / len(TASKS)), layout="constrained")
    places, ticks = _places(judged, worlds)
    for axes, task in zip(figure.subplots(1, len(TASKS), sharey=True), TASKS, strict=True):
        axes.axvline(0, color="#56606b", linewidth=0.8)
        for name in names:
            mine = [row for row in judged if (row["task"], row["features"]) == (task, name)]
            value, low, high = zip(*(row["difference"] for row in mine), strict=True)
            at = [places[row["world"], row["features"], row["seed"]] for row in mine]
            colour = _COLOURS[names.index(name) % len(_COLOURS)]
            axes.hlines(at, low, high, color=colour, linewidth=1.4)
            axes.plot(value, at, "o", color=colour, markersize=3.5, label=name)
        axes.set(title=task.replace("_", " "))
        axes.locator_params(axis="x", nbins=3)
        axes.set_yticks(list(ticks), [f"world {world}" for world in ticks.values()])
    figure.axes[0].invert_yaxis()  # shared by all
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), frameon=False, ncols=len(names), loc="outside upper center"
    )
    figure.supxlabel("above the best of the baselines, with the 95 % interval over titles")
    with mpl.rc_context({"svg.hashsalt": "mediafm"}):
        figure.savefig(path, format="svg", metadata={"Date": None, "Identifier": identity(rows)})


def identity(rows: Sequence[Mapping[str, Any]]) -> str:
    """Of the rows, 64 hex digits; it stands in their picture."""
    return fingerprint("rows of the measurement of quality", {"rows": [dict(row) for row in rows]})


def _places(
    rows: Sequence[Mapping[str, Any]], worlds: Sequence[int]
) -> tuple[dict[tuple[int, str, int], float], dict[float, int]]:
    """The height of each dot, and the middle of each world."""
    places, ticks, height = dict[tuple[int, str, int], float](), dict[float, int](), 0.0
    for world in worlds:
        first = height
        for name, seed in sorted({(row["features"], row["seed"]) for row in rows if row["world"] == world}):
            places[world, name, seed] = height
            height += 1
        ticks[(first + height - 1) / 2] = world
        height += _GAP
    return places, ticks
