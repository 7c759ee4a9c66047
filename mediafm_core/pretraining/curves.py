"""How a training goes, step by step: kept beside its saved state, so that one that goes on has the whole of it."""

import time
from array import array
from collections.abc import Mapping
from io import BytesIO
from itertools import pairwise
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.pretraining.progress import Progress

MAX_ROWS = 200
"""As many rows of a thinned curve at most: what the facts of an encoder keep of it."""

STEP, WALL_S, HELD_OUT = "step", "wall_s", "loss/held_out"


class Curve:
    """A row for each step done, each once and in order; a figure that a step does not have is NaN.

    Columns: `step`; `wall_s`, when the step was done, in seconds since the epoch; `loss/NAME` of each loss;
    `loss/held_out`; `rate/NAME` of each optimiser; `gradient_norm`; `shots_per_s`.
    """

    def __init__(self) -> None:
        self.columns: dict[str, array[float]] = {STEP: array("d")}

    def __len__(self) -> int:
        return len(self.columns[STEP])

    def note(self, row: Mapping[str, float]) -> None:
        """Add one step; rows of this step and later ones, from a run that was killed, give way to it."""
        self.cut(row[STEP])
        n_rows = len(self)
        for name in [*self.columns, *row]:
            column = self.columns.setdefault(name, array("d", [np.nan] * n_rows))
            if len(column) == n_rows:
                column.append(row.get(name, np.nan))

    def cut(self, step: float) -> None:
        """Drop this step and all that come after it."""
        n_kept = int(np.searchsorted(np.asarray(self.columns[STEP]), step))
        for name, column in self.columns.items():
            self.columns[name] = column[:n_kept]

    def rows(self) -> list[dict[str, float]]:
        """The rows, each without the figures that it does not have."""
        return [_row(self.columns, i) for i in range(len(self))]

    def thinned(self, n_rows: int = MAX_ROWS) -> list[dict[str, float]]:
        """Rows that tell the same at a glance: figures are means over even stretches, a held-out loss is the last.

        A row stands at the last step of its stretch.
        """
        edges = np.linspace(0, len(self), min(n_rows, len(self)) + 1).astype(int)
        columns = {name: np.asarray(column) for name, column in self.columns.items()}
        return [_mean_row(columns, a, b) for a, b in pairwise(edges)]

    def told(self, n_rows: int = MAX_ROWS) -> list[dict[str, float]]:
        """Rows of the thinned curve with six digits each, steps and times with all before the point."""
        return [{name: _rounded(name, figure) for name, figure in row.items()} for row in self.thinned(n_rows)]

    def to_bytes(self) -> bytes:
        """All of it, as Parquet."""
        written = BytesIO()
        pq.write_table(pa.table({name: np.asarray(column) for name, column in self.columns.items()}), written)
        return written.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        table, curve = pq.read_table(BytesIO(data)), cls()
        curve.columns = {name: array("d", table[name].to_numpy()) for name in table.column_names}
        return curve


def row_of(progress: Progress) -> dict[str, float]:
    """One step, done just now, as a row of a curve."""
    figures = {STEP: float(progress.step), WALL_S: time.time(), "loss/msm": progress.msm}
    figures |= {f"loss/{name}": loss for name, loss in progress.parts.items()}
    figures |= {f"rate/{name}": rate for name, rate in progress.rates.items()}
    figures |= {"gradient_norm": progress.grad_norm, "shots_per_s": progress.shots_per_s}
    return figures if progress.held_out is None else {**figures, HELD_OUT: progress.held_out}


def _rounded(name: str, figure: float) -> float:
    return float(round(figure)) if name in (STEP, WALL_S) else float(f"{figure:.6g}")


def _row(columns: dict[str, "array[float]"], i: int) -> dict[str, float]:
    return {name: column[i] for name, column in columns.items() if not np.isnan(column[i])}


def _mean_row(columns: dict[str, np.ndarray], start: int, stop: int) -> dict[str, float]:
    row = {name: column[start:stop] for name, column in columns.items()}
    row = {name: figures[~np.isnan(figures)] for name, figures in row.items()}
    last = {STEP, WALL_S, HELD_OUT}
    return {
        name: float(figures[-1] if name in last else figures.mean()) for name, figures in row.items() if len(figures)
    }
