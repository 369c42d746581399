"""Read and write MIDI files through symusic, and check the events in their bytes.

symusic silently drops a note that never ends, and keeps only the lowest eight bits of 2 to the power of a time
signature's second byte, so that 32 becomes a whole-note beat. It makes a track of each program in each channel of a
track of the file; here, a track of the file is one track.
"""

from __future__ import annotations

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
from descant_tokenizers.scores.midi_events import (
    CHUNK_HEAD,
    HEADER,
    META,
    MIDI_MAGIC,
    NOTE_OFF,
    NOTE_ON,
    SYSEX,
    count_tracks,
    places_of_tracks,
    quantity,
    track_events,
    variable,
)
from descant_tokenizers.scores.tracks import listed, notes_of, program_name

_RIFF_HEAD = struct.Struct("<4sI4s")  # "RIFF", size, "RMID"
_RIFF_CHUNK = struct.Struct("<4sI")
_HEADER_BYTES = 6
_MACBINARY_BYTES = 128
_SMPTE_BIT = 0x8000
_INDEPENDENT_TRACKS = 2
_TRACK_NAME, _INSTRUMENT_NAME, _TIME_SIGNATURE = 0x03, 0x04, 0x58
_INSTRUMENT = bytes((META, _INSTRUMENT_NAME))
_NUM_CHANNELS = 16
_MAX_TRACKS = 0xFFFF
_MAX_POWER = 6  # 64th notes
_MAX_NAMED = 8
_SPOILED = "\ufffd"

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
    if data.startswith(MIDI_MAGIC) and len(data) >= HEADER.size:
        _, length, *rest = HEADER.unpack_from(data)
        if _HEADER_BYTES < length < len(data) - CHUNK_HEAD.size:
            return HEADER.pack(MIDI_MAGIC, _HEADER_BYTES, *rest) + data[CHUNK_HEAD.size + length :]
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
    if len(data) < HEADER.size or not data.startswith(MIDI_MAGIC):
        raise InputError(f"{path} is not a MIDI file, or is cut off. Export it again.")
    _, length, form, declared, division = HEADER.unpack_from(data)
    num_tracks = count_tracks(data)
    if division & _SMPTE_BIT:
        raise InputError(f"{path} counts time in film frames (SMPTE). Export it with ticks per quarter note.")
    if form == _INDEPENDENT_TRACKS and num_tracks > 1:
        raise InputError(f"{path} holds independent patterns (MIDI format 2). Export it in format 0 or 1.")
    if num_tracks > declared or form == _INDEPENDENT_TRACKS:  # symusic would leave the others out
        header = HEADER.pack(MIDI_MAGIC, length, int(num_tracks > 1), min(num_tracks, _MAX_TRACKS), division)
        data = header + data[HEADER.size :]
    data = _with_names(data)
    try:
        score = ScoreTick.from_midi(data)
        if any(_SPOILED in track.name for track in score.tracks):
            data = _with_decoded_names(data)
            score = ScoreTick.from_midi(data)
        changes = _join_tracks(score, data)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} is damaged or cut off ({printable(str(error), 100)}). Export it again.") from error
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
    for start, end in places_of_tracks(data):
        open_notes: Counter[tuple[int, int]] = Counter()
        for _, status, meta, begin, stop in track_events(data, start, end):
            num_events += 1
            if num_events > max_events:
                raise InputError(f"{path} holds over {max_events:,} MIDI events. Thin out its controllers or cut it.")
            kind = status & 0xF0
            if kind == NOTE_ON and data[begin + 1]:
                open_notes[status & 0x0F, data[begin]] += 1
            elif kind in (NOTE_ON, NOTE_OFF):
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
    parsed = [_parsed_alone(data, data[start:end]) for start, end in places_of_tracks(data)]
    groups = [tracks for each in parsed if (tracks := [track for track in each.tracks if track.notes])]
    if len(groups) == 1 and not _are_one_line(groups[0]):
        (place,) = (place for place, each in zip(places_of_tracks(data), parsed, strict=True) if each.note_num())
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
    *_, division = HEADER.unpack_from(data)
    header = HEADER.pack(MIDI_MAGIC, HEADER.size - CHUNK_HEAD.size, 1, 1, division)
    return ScoreTick.from_midi(header + CHUNK_HEAD.pack(b"MTrk", len(chunk)) + chunk)


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
        place, delta = quantity(data, first)
        time += delta
        channel = status & 0x0F if status < SYSEX else -1
        names_track = meta == _TRACK_NAME
        for own in range(_NUM_CHANNELS) if names_track else (channel,):
            status_byte = bytes([status] * (place == begin))  # running status
            event = variable(time - times.get(own, 0)) + status_byte + data[place:stop]
            pieces.setdefault(own, []).append(event)
            times[own] = time
    for channel in range(_NUM_CHANNELS):
        if channel in pieces:
            yield b"".join(pieces[channel])


def _with_names(data: bytes) -> bytes:
    """Name each track without a name after its instrument, if that is named before the notes."""
    if _INSTRUMENT not in data:
        return data
    changed = bytearray(data)
    for start, end in places_of_tracks(data):
        places: dict[int, int] = {}
        for first, status, meta, *_ in track_events(data, start, end):
            if status & 0xF0 == NOTE_ON:
                break
            if meta in (_TRACK_NAME, _INSTRUMENT_NAME):
                places.setdefault(meta, _place_of_type(data, first))
        if _TRACK_NAME not in places and _INSTRUMENT_NAME in places:
            changed[places[_INSTRUMENT_NAME]] = _TRACK_NAME
    return bytes(changed)


def _with_decoded_names(data: bytes) -> bytes:
    """Write the names of tracks in UTF-8; symusic spoils those in other encodings."""
    tracks = [(start, end, list(track_events(data, start, end))) for start, end in places_of_tracks(data)]
    names = [data[begin:stop] for *_, events in tracks for _, _, meta, begin, stop in events if meta == _TRACK_NAME]
    encoding = likely_encoding(names)
    found, done = [], 0
    for start, end, events in tracks:
        track, place = [], start
        for first, _, meta, begin, stop in events:
            if meta == _TRACK_NAME:
                name = decode_text(data[begin:stop], encoding).encode()
                track += [data[place : _place_of_type(data, first) + 1], variable(len(name)), name]
                place = stop
        content = b"".join([*track, data[place:end]])
        found += [data[done : start - CHUNK_HEAD.size], CHUNK_HEAD.pack(b"MTrk", len(content)), content]
        done = end
    return b"".join([*found, data[done:]])


def _place_of_type(data: bytes, first: int) -> int:
    """Return where the type of a meta event stands: behind its time and its status."""
    return quantity(data, first)[0] + 1


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
    for start, end in places_of_tracks(data):
        if _PLAIN_TRACK.fullmatch(data, start, end) is None:
            return None
        runs = b"\0".join(filter(None, _PLAIN_EVENTS.findall(data, start, end)))  # delta time 0 between two runs
        velocities = runs.translate(None, _STATUS_AND_TIME_BYTES)[1::3]  # leaves pitch, velocity, delta time
        count += len(velocities) - velocities.count(0)
    return count
