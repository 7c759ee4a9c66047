"""A training's curve as the event file that TensorBoard reads."""

from collections.abc import Mapping
from pathlib import Path

from mediafm_core.pretraining.curves import STEP, WALL_S, Curve

_PATTERN = "events.out.tfevents.*"


class EventFile:
    """One file in a folder of its own, with each step once.

    It begins with the steps of the curve as it stands, in place of any file that an earlier run left there: so a
    training that goes on continues its curve, without the steps that were lost and are done again.
    """

    def __init__(self, folder: Path, curve: Curve) -> None:
        from tensorboardX import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(_PATTERN):
            left.unlink()
        self._writer = SummaryWriter(str(folder))
        for row in curve.rows():
            self.add(row)

    def add(self, row: Mapping[str, float]) -> None:
        """Add a row of a curve."""
        for name in row.keys() - {STEP, WALL_S}:
            self._writer.add_scalar(name, row[name], int(row[STEP]), walltime=row[WALL_S])

    def add_level(self, name: str, value: float, curve: Curve) -> None:
        """Add a horizontal line over the whole curve."""
        rows = curve.rows()
        for row in (rows[0], rows[-1]):
            self._writer.add_scalar(name, value, int(row[STEP]), walltime=row[WALL_S])

    def close(self) -> None:
        """Write out what is still on its way."""
        self._writer.close()
