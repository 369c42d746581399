"""Read and write MIDI files through symusic, and check the events in their bytes.

symusic silently drops a note that never ends, and keeps only the lowest eight bits of 2 to the power of a time
signature's second byte, so that 32 becomes a whole-note beat. It makes a track of each program in each channel of a
track of the file; here, a track of the file is one track.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from symusic.core import ScoreTick, TimeSignatureTick, TimeSignatureTickList, TrackTick, TrackTickList

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.common.files import atomic_write
from descant_tokenizers.scores.bars import DEFAULT_SIGNATURE
from descant_tokenizers.scores.encodings import decode_text, likely_encoding
from descant_tokenizers.scores.tracks import listed, notes_of, program_name

MIDI_MAGIC = b"MThd"
_RIFF_HEAD = struct.Struct("<4sI4s")  # "RIFF", size, "RMID"
_RIFF_CHUNK = struct.Struct("<4sI")
_HEADER = struct.Struct(">4sIHHH")  # magic, header length, format, number of tracks, division
_HEADER_BYTES = 6
_MACBINARY_BYTES = 128
_SMPTE_BIT = 0x8000
_INDEPENDENT_TRACKS = 2
_CHUNK_HEAD = struct.Struct(">4sI")
_NOTE_OFF, _NOTE_ON, _SYSEX, _ESCAPE, _META = 0x80, 0x90, 0xF0, 0xF7, 0xFF
_TRACK_NAME, _END_OF_TRACK, _TIME_SIGNATURE = 0x03, 0x2F, 0x58
_ONE_DATA_BYTE = (0xC0, 0xD0)  # program change, channel pressure
_SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
_NUM_CHANNELS = 16
_MAX_POWER = 6  # 64th notes
_MAX_NAMED = 8
_SPOILED = "\ufffd"

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


def unwrapped(data: bytes) -> bytes:
    """Return the MIDI file inside a RIFF file (`.rmi`) or behind a MacBinary header, and other bytes as they are.

    A header of more than six bytes, which the specification allows, is cut to six.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = _from_riff(data)
    elif data[_MACBINARY_BYTES:].startswith(MIDI_MAGIC) and data[:1] == b"\0":
        data = data[_MACBINARY_BYTES:]
    if data.startswith(MIDI_MAGIC) and len(data) >= _HEADER.size:
        _, length, *rest = _HEADER.unpack_from(data)
        if _HEADER_BYTES < length < len(data) - _CHUNK_HEAD.size:
            return _HEADER.pack(MIDI_MAGIC, _HEADER_BYTES, *rest) + data[_CHUNK_HEAD.size + length :]
    return data


def _from_riff(data: bytes) -> bytes:
    """Return the chunk `data`; in a file whose sizes are wrong, everything from the head of the MIDI file on."""
    place = _RIFF_HEAD.size
    while place + _RIFF_CHUNK.size <= len(data):
        name, length = _RIFF_CHUNK.unpack_from(data, place)
        place += _RIFF_CHUNK.size
        if name == b"data" and data[place : place + length].startswith(MIDI_MAGIC):
            return data[place : place + length]
        place += length + length % 2
    return data[max(data.find(MIDI_MAGIC), 0) :]


def parse_midi(path: Path, data: bytes) -> tuple[ScoreTick, list[str]]:
    """Parse the bytes of a MIDI file to a score that is not yet validated; `path` is for messages.

    A track of the file is one track, whatever channels and programs change in it; percussion in it is another one. If
    only one track of the file has notes, its channels are tracks, unless they take turns in one line. Names are decoded
    as `decode_text` does.

    Returns:
        The score, and a sentence for each change made to it.

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
        score = ScoreTick.from_midi(data)
        changes = _join_tracks(score, data)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} is damaged or cut off ({printable(str(error), 100)}). Export it again.") from error
    _decode_names(score, data)
    return score, changes + _snap_signatures(score)


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


def _join_tracks(score: ScoreTick, data: bytes) -> list[str]:
    """Make one track of the tracks that symusic made of each track of the file; return a sentence for each change."""
    sounding = [track for track in score.tracks if track.notes]
    if all(before.name != track.name for before, track in itertools.pairwise(sounding)):
        return []  # symusic names all tracks of a track alike
    parsed = [_parsed_alone(data, data[start:end]) for start, end in _tracks(data)]
    groups = [tracks for each in parsed if (tracks := [track for track in each.tracks if track.notes])]
    if len(groups) == 1 and not _are_one_line(groups[0]):
        (place,) = (place for place, each in zip(_tracks(data), parsed, strict=True) if each.note_num())
        channels = [_parsed_alone(data, chunk) for chunk in _channels(data, *place)]
        groups = [tracks for each in channels if (tracks := [track for track in each.tracks if track.notes])]
    joined: list[TrackTick] = []
    changes: list[str] = []
    for tracks in groups:
        pitched = sorted((track for track in tracks if not track.is_drum), key=lambda track: track.start())
        joined += [_joined(same) for same in (pitched, [track for track in tracks if track.is_drum]) if same]
        programs = list(dict.fromkeys(track.program for track in pitched))
        if len(programs) > 1:
            names = listed([program_name(program) for program in programs], 4)
            changes.append(f"track {len(joined)} changes its instrument ({names}); the first one is kept")
    score.tracks = TrackTickList(joined)
    return changes


def _parsed_alone(data: bytes, chunk: bytes) -> ScoreTick:
    """Parse the events of one track as a file of their own."""
    *_, division = _HEADER.unpack_from(data)
    header = _HEADER.pack(MIDI_MAGIC, _HEADER.size - _CHUNK_HEAD.size, 1, 1, division)
    return ScoreTick.from_midi(header + _CHUNK_HEAD.pack(b"MTrk", len(chunk)) + chunk)


def _joined(tracks: Sequence[TrackTick]) -> TrackTick:
    """Join tracks; the first one gives the name and the program."""
    joined = tracks[0].copy()
    for track in tracks[1:]:
        for kind in ("notes", "controls", "pitch_bends", "pedals"):
            getattr(joined, kind).extend(getattr(track, kind))
    if len(tracks) > 1:
        joined.sort()
    return joined


def _are_one_line(tracks: Sequence[TrackTick]) -> bool:
    """Return True if pitched tracks never sound together."""
    return notes_of([_joined(tracks)]).are_lines and not any(track.is_drum for track in tracks)


def _channels(data: bytes, start: int, end: int) -> Iterator[bytes]:
    """Yield the events of each channel of a track as a track of their own."""
    pieces: dict[int, list[bytes]] = {}
    times: dict[int, int] = {}
    time = 0
    for first, status, meta, begin, stop in track_events(data, start, end):
        place, delta = _quantity(data, first)
        time += delta
        channel = status & 0x0F if status < _SYSEX else -1
        names_track = meta == _TRACK_NAME
        for own in range(_NUM_CHANNELS) if names_track else (channel,):
            status_byte = bytes([status] * (place == begin))  # running status
            event = _variable(time - times.get(own, 0)) + status_byte + data[place:stop]
            pieces.setdefault(own, []).append(event)
            times[own] = time
    for channel in range(_NUM_CHANNELS):
        if channel in pieces:
            yield b"".join(pieces[channel])


def _decode_names(score: ScoreTick, data: bytes) -> None:
    """Decode names that are not UTF-8, which symusic spoils."""
    if not any(_SPOILED in track.name for track in score.tracks):
        return
    names = [
        data[begin:stop]
        for start, end in _tracks(data)
        for _, _, meta, begin, stop in track_events(data, start, end)
        if meta == _TRACK_NAME
    ]
    encoding = likely_encoding(names)
    decoded = {_collapsed(name.decode("utf-8", "replace")): decode_text(name, encoding) for name in names}
    for track in score.tracks:
        track.name = decoded.get(_collapsed(track.name), track.name)


def _collapsed(name: str) -> str:
    return re.sub(f"{_SPOILED}+", _SPOILED, name)


def _snap_signatures(score: ScoreTick) -> list[str]:
    """Move time signature events near a bar line onto it, others onto a 16th; return a sentence for each."""
    moved: list[TimeSignatureTick] = []
    changes = []
    for event in sorted(score.time_signatures, key=lambda event: event.time):
        before = moved[-1] if moved else TimeSignatureTick(0, *DEFAULT_SIGNATURE)
        place = before.time + _snapped(event.time - before.time, before, score.ticks_per_quarter)
        if place != event.time:
            name = f"{event.numerator}/{event.denominator}"
            changes.append(f"the time signature {name} at tick {event.time} moved to tick {place}")
        moved.append(TimeSignatureTick(place, event.numerator, event.denominator))
    if changes:
        score.time_signatures = TimeSignatureTickList(moved)
    if len(changes) > _MAX_NAMED:
        changes = [*changes[:_MAX_NAMED], f"{len(changes) - _MAX_NAMED:,} further time signatures moved"]
    return changes


def _snapped(ticks: int, signature: TimeSignatureTick, ticks_per_quarter: int) -> int:
    """Move a time since a time signature onto a bar line less than a 16th away, else onto a 16th."""
    bar = (4 * ticks_per_quarter * signature.numerator or 1, signature.denominator or 1)
    sixteenth = (ticks_per_quarter or 4, 4)
    for place in (ticks, _nearest(ticks, *sixteenth)):
        line = _nearest(place, *bar)
        if 4 * abs(place - line) < sixteenth[0]:
            return line
    return place


def _nearest(ticks: int, numerator: int, denominator: int) -> int:
    """Return the multiple of a fraction that is nearest to a time, rounded; a file may hold 100,000 signatures."""
    return _rounded(_rounded(ticks * denominator, numerator) * numerator, denominator)


def _rounded(dividend: int, divisor: int) -> int:
    """Divide and round as `round` does: halves to even."""
    quotient, rest = divmod(dividend, divisor)
    return quotient + (2 * rest > divisor or (2 * rest == divisor and quotient % 2))


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


def count_tracks(data: bytes) -> int:
    """Count the tracks of a file."""
    return sum(1 for _ in _tracks(data))


def events_of_tracks(data: bytes) -> Iterator[list[Event]]:
    """Yield the events of each track of a file, each with its time in ticks in place of its start."""
    for start, end in _tracks(data):
        time = 0
        events: list[Event] = []
        for first, status, meta, begin, stop in track_events(data, start, end):
            time += _quantity(data, first)[1]
            events.append((time, status, meta, begin, stop))
        yield events


def _tracks(data: bytes) -> Iterator[tuple[int, int]]:
    place = _HEADER.size
    while place + _CHUNK_HEAD.size <= len(data):
        name, length = _CHUNK_HEAD.unpack_from(data, place)
        place += _CHUNK_HEAD.size
        if name == b"MTrk":
            yield place, min(place + length, len(data))
        place += length


def _variable(value: int) -> bytes:
    """Write a quantity of variable length."""
    low = [value & 127]
    while value := value >> 7:
        low.append(value & 127 | 128)
    return bytes(reversed(low))


def _quantity(data: bytes, place: int) -> tuple[int, int]:
    """Read a quantity of variable length; return the place after it and the value."""
    value = 0
    while data[place] > 127:
        value = value << 7 | data[place] & 127
        place += 1
    return place + 1, value << 7 | data[place]
