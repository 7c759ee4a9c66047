"""What stands in a TensorBoard event file, read record by record."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event

_LENGTH, _CRC_BYTES = struct.Struct("<Q"), 4


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of every tag, in the order in which they were written, over all event files of a folder."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (n_bytes,) = _LENGTH.unpack_from(data, at)
            start = at + _LENGTH.size + _CRC_BYTES
            event = Event.FromString(data[start : start + n_bytes])
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
            at = start + n_bytes + _CRC_BYTES
    return found
