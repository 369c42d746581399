"""The chunks and events in the bytes of MIDI files."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

MIDI_MAGIC = b"MThd"
HEADER = struct.Struct(">4sIHHH")  # magic, header length, format, number of tracks, division
CHUNK_HEAD = struct.Struct(">4sI")
NOTE_OFF, NOTE_ON, SYSEX, META = 0x80, 0x90, 0xF0, 0xFF
_ESCAPE, _END_OF_TRACK = 0xF7, 0x2F
_ONE_DATA_BYTE = (0xC0, 0xD0)  # program change, channel pressure
_SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}

Event = tuple[int, int, int, int, int]
"""Start of the event (including its delta time), status byte, type of a meta event (else -1), start and end of its
contents."""


def track_events(data: bytes, start: int, end: int) -> Iterator[Event]:
    """Yield the events of a track in `data[start:end]`, up to the first bytes that are not an event."""
    running, place = 0, start
    with contextlib.suppress(IndexError):  # cut off
        while place < end:
            first, status, meta = place, running, -1
            while data[place] > 127:  # the delta time
                place += 1
            place += 1
            if data[place] > 127:
                status = data[place]
                place += 1
            if status < 0xF0:
                running = status  # other events leave it unchanged, at least in symusic
                stop = place + (1 if status & 0xF0 in _ONE_DATA_BYTE else 2)
            elif status in (META, SYSEX, _ESCAPE):
                if status == META:
                    meta = data[place]
                    place += 1
                place, length = quantity(data, place)
                stop = place + length
            else:
                stop = place + _SYSTEM_DATA_BYTES.get(status, 0)
            if status < 128 or stop > end:
                return
            yield first, status, meta, place, stop
            if meta == _END_OF_TRACK:
                return
            place = stop


def count_tracks(data: bytes) -> int:
    """Count the tracks of a file."""
    return sum(1 for _ in places_of_tracks(data))


def events_of_tracks(data: bytes) -> Iterator[list[Event]]:
    """Yield the events of each track of a file, each with its time in ticks in place of its start."""
    for start, end in places_of_tracks(data):
        time = 0
        events: list[Event] = []
        for first, status, meta, begin, stop in track_events(data, start, end):
            time += quantity(data, first)[1]
            events.append((time, status, meta, begin, stop))
        yield events


def places_of_tracks(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the events of each track begin and end in a file."""
    place = HEADER.size
    while place + CHUNK_HEAD.size <= len(data):
        name, length = CHUNK_HEAD.unpack_from(data, place)
        place += CHUNK_HEAD.size
        if name == b"MTrk":
            yield place, min(place + length, len(data))
        place += length


def variable(value: int) -> bytes:
    """Write a quantity of variable length."""
    low = [value & 127]
    while value := value >> 7:
        low.append(value & 127 | 128)
    return bytes(reversed(low))


def quantity(data: bytes, place: int) -> tuple[int, int]:
    """Read a quantity of variable length; return the place after it and the value."""
    value = 0
    while data[place] > 127:
        value = value << 7 | data[place] & 127
        place += 1
    return place + 1, value << 7 | data[place]
