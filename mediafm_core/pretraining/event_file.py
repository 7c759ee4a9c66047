"""A training's curve as the event file that TensorBoard reads."""

import logging
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mediafm_core.pretraining.curves import STEP, WALL_S, Curve

_log = logging.getLogger(__name__)

_PATTERN = "events.out.tfevents.*"
_WRITTEN_OUT_S = 10.0  # at least so long between two times that what was added reaches the disk


class EventFile:
    """One file in a folder of its own, with each step once.

    It begins with the steps of the curve as it stands, in place of any file that an earlier run left there: so a
    training that goes on continues its curve, without the steps that were lost and are done again.

    Nothing depends on it, so it neither stops a training nor hides how one ends: a file that cannot be written, as on a
    full disk, is given up, the log says so once, and `lost` says why. It is written in the caller's thread; the
    library's usual writer has a thread of its own, and waits for ever once that has met a full disk.
    """

    def __init__(self, folder: Path, curve: Curve) -> None:
        from tensorboardX.record_writer import RecordWriter

        self.lost: str | None = None  # why it was given up
        self._folder = folder
        self._writer: RecordWriter | None = None
        self._written_out_s = time.monotonic()
        with self._giving_up():
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(_PATTERN):
                left.unlink()
            name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
            self._writer = RecordWriter(str(folder / name))
            self._writer.write(_event(wall_time=time.time(), file_version="brain.Event:2"))
            for row in curve.rows():
                self._add(row)
            self._writer.flush()

    def add(self, row: Mapping[str, float]) -> None:
        """Add a row of a curve."""
        with self._giving_up():
            self._add(row)
            if self._writer and time.monotonic() - self._written_out_s >= _WRITTEN_OUT_S:
                self._writer.flush()
                self._written_out_s = time.monotonic()

    def add_level(self, name: str, value: float, curve: Curve) -> None:
        """Add a horizontal line over the whole curve."""
        rows = curve.rows()
        with self._giving_up():
            for row in (rows[0], rows[-1]):
                self._add({STEP: row[STEP], WALL_S: row[WALL_S], name: value})

    def close(self) -> None:
        """Write out what is still on its way."""
        with self._giving_up():
            if self._writer:
                self._writer.close()
                self._writer = None

    def _add(self, row: Mapping[str, float]) -> None:
        from tensorboardX.summary import scalar

        if self._writer:
            for name in sorted(row.keys() - {STEP, WALL_S}):
                figure = scalar(name, row[name])
                self._writer.write(_event(wall_time=row[WALL_S], step=int(row[STEP]), summary=figure))

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.lost = error.strerror or str(error)
            _log.warning("The event file in %s is given up: %s. The training goes on.", self._folder, self.lost)
            writer, self._writer = self._writer, None
            with suppress(OSError):  # what it still holds has nowhere to go either
                if writer:
                    writer.close()


def _event(**fields: object) -> bytes:
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] - made at run time

    return Event(**fields).SerializeToString()
