"""Reading TensorBoard's event files: TFRecords of protocol buffers."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tensorboardX.proto.event_pb2 import Event

from medray.storage.location import Location


def events(file: Location) -> Iterator[Event]:
    """Yield the events of a file: length (8 bytes), checksum (4), event, checksum (4)."""
    data, place = file.read_bytes(), 0
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        yield Event.FromString(data[place + 12 : place + 12 + length])
        place += length + 16


def scalars(folder: Location) -> dict[str, list[tuple[int, float]]]:
    """Return each curve's (step, value), in the order written."""
    found: dict[str, list[tuple[int, float]]] = {}
    for file in folder.files():
        for event in events(file):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found
