"""Read and write MIDI files through symusic, and check the events in their bytes.

symusic silently drops a note that never ends, and keeps only the lowest eight bits of 2 to the power of a time
signature's second byte, so that 32 becomes a whole-note beat.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.common.files import atomic_write

MIDI_MAGIC = b"MThd"
_HEADER = struct.Struct(">4sIHHH")  # magic, header length, format, number of tracks, division
_SMPTE_BIT = 0x8000
_INDEPENDENT_TRACKS = 2
_CHUNK_HEAD = struct.Struct(">4sI")
_NOTE_OFF, _NOTE_ON, _SYSEX, _ESCAPE, _META = 0x80, 0x90, 0xF0, 0xF7, 0xFF
_END_OF_TRACK, _TIME_SIGNATURE = 0x2F, 0x58
_ONE_DATA_BYTE = (0xC0, 0xD0)  # program change, channel pressure
_SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
_MAX_POWER = 6  # 64th notes

Event = tuple[int, int, int, int, int]
"""Start of the event (including its delta time), status byte, type of a meta event (else -1), start and end of its
contents."""

# The events of most files as regular expressions: contents below 128 bytes, possible time signatures, with or without
# running status. They are four times as fast as `track_events`, which handles everything else.
_MIN_EVENT_BYTES = 2
_DATA = rb"[\0-\x7f]"
_TIME = rb"[\x80-\xff]*+" + _DATA
_ONE, _TWO = (rb"%b(?:%b%b)*+" % (data, _TIME, data) for data in (_DATA, _DATA + _DATA))
_CONTENTS = b"(?:%b)" % b"|".join(rb"\x%02x.{%d}" % (length, length) for length in range(128))
_NOTE_ONS = rb"[\x90-\x9f]%b" % _TWO
_OTHERS = b"|".join(
    (
        rb"[\x80-\x8f\xa0-\xbf\xe0-\xef]" + _TWO,
        rb"[\xc0-\xdf]" + _ONE,
        rb"\xff\x58\x04.[\0-\x%02x].." % _MAX_POWER,
        rb"(?:\xff(?!\x58)%b|[\xf0\xf7])%b" % (_DATA, _CONTENTS),
    )
)
_PLAIN_TRACK = re.compile(rb"(?:%b(?:%b|%b))*+" % (_TIME, _NOTE_ONS, _OTHERS), re.DOTALL)
_PLAIN_EVENTS = re.compile(rb"%b(?:(%b)|%b)" % (_TIME, _NOTE_ONS, _OTHERS), re.DOTALL)
_STATUS_AND_TIME_BYTES = bytes(range(128, 256))  # of a run of note-ons: all but the last byte of each delta time


def parse_midi(path: Path, data: bytes) -> ScoreTick:
    """Parse the bytes of a MIDI file to a score that is not yet validated; `path` is for messages.

    Raises:
        InputError: The bytes are not a MIDI file, are damaged or cut off, or use SMPTE time or format 2.
    """
    if len(data) < _HEADER.size or not data.startswith(MIDI_MAGIC):
        raise InputError(f"{path} is not a MIDI file, or is cut off. Export it again.")
    _, _, form, _, division = _HEADER.unpack_from(data)
    if division & _SMPTE_BIT:
        raise InputError(f"{path} counts time in film frames (SMPTE). Export it with ticks per quarter note.")
    if form == _INDEPENDENT_TRACKS:
        raise InputError(f"{path} holds independent patterns (MIDI format 2). Export it in format 0 or 1.")
    try:
        return ScoreTick.from_midi(data)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} is damaged or cut off ({printable(str(error), 100)}). Export it again.") from error


def write_midi(score: ScoreTick, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a score as a MIDI file of format 1, complete or not at all.

    Names, programs, notes, tempos, time and key signatures survive unchanged; a track without notes does not.

    Args:
        score: The score to write.
        path: The file; its folder is created if the parent of the folder exists.
        force: Replace an existing file.

    Raises:
        InputError: `path` exists and `force` is off, or it cannot be written.
    """
    target = Path(path)
    if os.path.lexists(target) and not force and not target.is_dir():
        raise InputError(f"{target} already exists. Add --force to replace it, or choose another name.")
    data = score.dumps_midi()
    with atomic_write(target) as temporary:
        temporary.write_bytes(data)


def check_midi(path: Path, data: bytes, max_events: int, num_notes: int) -> list[str]:
    """Refuse impossible time signatures and more than `max_events` events; report notes that never end.

    symusic drops such notes: `num_notes` is the number that it found in the file.
    """
    if len(data) <= max_events * _MIN_EVENT_BYTES and _num_note_ons(data) == num_notes:
        return []
    num_events = num_hanging = 0
    for start, end in _tracks(data):
        open_notes: Counter[tuple[int, int]] = Counter()
        for _, status, meta, begin, stop in track_events(data, start, end):
            num_events += 1
            if num_events > max_events:
                raise InputError(f"{path} holds over {max_events:,} MIDI events. Thin out its controllers or cut it.")
            kind = status & 0xF0
            if kind == _NOTE_ON and data[begin + 1]:
                open_notes[status & 0x0F, data[begin]] += 1
            elif kind in (_NOTE_ON, _NOTE_OFF):
                key = (status & 0x0F, data[begin])
                open_notes[key] = max(0, open_notes[key] - 1)
            elif meta == _TIME_SIGNATURE and stop >= begin + 2 and data[begin + 1] > _MAX_POWER:
                signature = f"{data[begin]}/2^{data[begin + 1]}"
                raise InputError(f"{path} has the time signature {signature}. Correct it and export the file again.")
        num_hanging += open_notes.total()
    return [f"{num_hanging} note{'s' * (num_hanging > 1)} without an end dropped"] if num_hanging else []


def _num_note_ons(data: bytes) -> int | None:
    """Count the note-ons of a file; return None if it holds anything unusual."""
    count = 0
    for start, end in _tracks(data):
        if _PLAIN_TRACK.fullmatch(data, start, end) is None:
            return None
        runs = b"\0".join(filter(None, _PLAIN_EVENTS.findall(data, start, end)))  # delta time 0 between two runs
        velocities = runs.translate(None, _STATUS_AND_TIME_BYTES)[1::3]  # leaves pitch, velocity, delta time
        count += len(velocities) - velocities.count(0)
    return count


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
            elif status in (_META, _SYSEX, _ESCAPE):
                if status == _META:
                    meta = data[place]
                    place += 1
                place, length = _quantity(data, place)
                stop = place + length
            else:
                stop = place + _SYSTEM_DATA_BYTES.get(status, 0)
            if status < 128 or stop > end:
                return
            yield first, status, meta, place, stop
            if meta == _END_OF_TRACK:
                return
            place = stop


def _tracks(data: bytes) -> Iterator[tuple[int, int]]:
    place = _HEADER.size
    while place + _CHUNK_HEAD.size <= len(data):
        name, length = _CHUNK_HEAD.unpack_from(data, place)
        place += _CHUNK_HEAD.size
        if name == b"MTrk":
            yield place, min(place + length, len(data))
        place += length


def _quantity(data: bytes, place: int) -> tuple[int, int]:
    """Read a quantity of variable length; return the place after it and the value."""
    value = 0
    while data[place] > 127:
        value = value << 7 | data[place] & 127
        place += 1
    return place + 1, value << 7 | data[place]
