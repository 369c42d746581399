"""Validate parsed scores: check their size and values, repair what can be repaired, and keep what sheet music shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from symusic.core import (
    ControlChangeTickList,
    KeySignatureTick,
    NoteTick,
    NoteTickList,
    PitchBendTickList,
    ScoreTick,
    TempoTick,
    TimeSignatureTick,
    TrackTick,
)

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.bars import count_bars, last_note_end
from descant_tokenizers.scores.tracks import Notes, notes_of

_DENOMINATORS = (1, 2, 4, 8, 16, 32, 64)
_MAX_NUMERATOR = 128
_MAX_TEMPO_MSPQ = 2**24 - 1  # microseconds per quarter: three bytes in a MIDI file, and symusic cuts off the rest
_MAX_NAME_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on input: a file of 30 bytes can hold a note at tick 2^28, after thousands of empty bars.

    Attributes:
        max_bytes: Size of the file, and of the MusicXML text inside an .mxl file.
        max_notes: Notes, and separately tempo, time signature and key signature events.
        max_events: Events of all kinds in a MIDI file.
        max_bars: Bars, counted as in `bars_of`.
        max_tracks: Tracks.
        max_ticks: End of the last note in ticks: 18 hours at 480 ticks per quarter and 120 quarters per minute.
    """

    max_bytes: int = 4 * 2**20
    max_notes: int = 50_000
    max_events: int = 500_000
    max_bars: int = 2_000
    max_tracks: int = 1_000
    max_ticks: int = 2**26

    def __post_init__(self) -> None:
        """Raise a `ValueError` if a bound is below 1."""
        for bound in fields(self):
            if getattr(self, bound.name) < 1:
                raise ValueError(f"{bound.name} is {getattr(self, bound.name)}. Give 1 or more.")


@dataclass(frozen=True, slots=True)
class Metadata:
    """Title, authors and rights stated in a file, else empty. MIDI files have none.

    Attributes:
        title: The titles of the work and the movement, such as `Missa Papae Marcelli: Kyrie`.
        composer: The composer.
        rights: Copyright and licence statements.
        encoder: The transcriber of an ABC file; ABC has no field for rights.
    """

    title: str = ""
    composer: str = ""
    rights: str = ""
    encoder: str = ""


def check_count(path: Path, what: str, count: int, limit: int) -> None:
    """Raise an `InputError` if a file holds more than `limit` of something ("notes", "bars")."""
    if count > limit:
        raise InputError(f"{path} holds {count:,} {what}, more than the limit of {limit:,}. Cut it into shorter files.")


def validated(path: Path, score: ScoreTick, limits: Limits, *, controls: bool = False) -> tuple[ScoreTick, list[str]]:
    """Check a parsed score, and keep what sheet music shows.

    The result holds tracks with notes (sorted by onset, then pitch, then velocity), tempos, time and key signatures;
    lyrics, markers, and tracks without notes are left out. With `controls`, tracks keep their controllers and pitch
    bends.

    Returns:
        A new score, and one sentence per kind of repair.

    Raises:
        InputError: The score exceeds a bound, has no notes but percussion, or holds an impossible value.
    """
    if score.ticks_per_quarter < 1:
        raise InputError(f"{path} has a resolution of 0 ticks per quarter note. Export it again.")
    check_count(path, "tracks", len(score.tracks), limits.max_tracks)
    check_count(path, "notes", score.note_num(), limits.max_notes)
    events = len(score.tempos) + len(score.time_signatures) + len(score.key_signatures)
    check_count(path, "tempo and signature events", events, limits.max_notes)
    notes = notes_of(score.tracks)
    _check_ticks(path, notes, limits)
    _check_time_signatures(path, score)
    check_count(path, "bars", count_bars(score), limits.max_bars)
    repairs: list[str] = []
    clean = ScoreTick(score.ticks_per_quarter)
    unclean = _unclean_tracks(notes)
    for index, track in enumerate(score.tracks):
        kept = TrackTick(printable(track.name, _MAX_NAME_LENGTH), track.program, track.is_drum)
        if index in unclean:
            label = f"track {index + 1} '{kept.name}'" if kept.name else f"track {index + 1}"
            kept.notes = _clean_notes(path, track, label, repairs)
        else:
            kept.notes = track.notes.copy()
        if kept.notes and controls:
            kept.controls = ControlChangeTickList([c for c in track.controls if 0 <= c.time <= limits.max_ticks])
            kept.pitch_bends = PitchBendTickList([b for b in track.pitch_bends if 0 <= b.time <= limits.max_ticks])
        if kept.notes:
            clean.tracks.append(kept)
    if not clean.tracks:
        raise InputError(f"{path} holds no notes. Choose a file with music in it.")
    if all(track.is_drum for track in clean.tracks):
        raise InputError(f"{path} holds only percussion (MIDI channel 10). Choose a file with pitched notes.")
    _copy_events(score, clean, repairs)
    return clean, repairs


def _check_ticks(path: Path, notes: Notes, limits: Limits) -> None:
    starts_early = (notes.time_N < 0).any() or (notes.duration_N < 0).any()  # the tick overflowed while parsing
    if starts_early or notes.ends.max(initial=0) > limits.max_ticks:
        raise InputError(
            f"{path} has notes outside ticks 0 to {limits.max_ticks:,}. Remove the silence before them or cut the file."
        )


def _check_time_signatures(path: Path, score: ScoreTick) -> None:
    for event in score.time_signatures:
        numerator, denominator = event.numerator, event.denominator
        if not 1 <= numerator <= _MAX_NUMERATOR or denominator not in _DENOMINATORS:
            raise InputError(
                f"{path} has the time signature {numerator}/{denominator}. Correct it and export the file again."
            )
        if 4 * score.ticks_per_quarter * numerator % denominator:
            raise InputError(
                f"{path} has the time signature {numerator}/{denominator}, but its resolution of "
                f"{score.ticks_per_quarter} ticks per quarter note cannot express it. Export it with a finer one."
            )


def _unclean_tracks(notes: Notes) -> set[int]:
    """Return the tracks whose notes are out of order or impossible, or sound one pitch twice at once."""
    wrong = (notes.duration_N <= 0) | (notes.pitch_N < 0) | (notes.velocity_N < 1)  # a byte above 127 is negative
    steps = np.diff(notes.time_N)
    same_track = np.diff(notes.track_N) == 0
    wrong[1:] |= same_track & ((steps < 0) | ((steps == 0) & (np.diff(notes.pitch_N) <= 0)))
    lanes = notes.track_N << 8 | notes.pitch_N & 0xFF
    order = np.argsort(lanes, kind="stable")
    same_lane = np.diff(lanes[order]) == 0
    wrong[order[1:]] |= same_lane & (notes.ends[order][:-1] > notes.time_N[order][1:])
    return set(notes.track_N[wrong].tolist())


def _clean_notes(path: Path, track: TrackTick, label: str, repairs: list[str]) -> NoteTickList:
    kept: list[NoteTick] = []
    sounding: dict[int, NoteTick] = {}
    num_empty = num_cut = num_doubled = 0
    for note in sorted(track.notes, key=lambda note: (note.time, note.pitch, -note.duration)):
        if not 0 <= note.pitch <= 127 or not 1 <= note.velocity <= 127:
            raise InputError(
                f"{path} has a note of pitch {note.pitch} and velocity {note.velocity}, beyond the range of MIDI. "
                "Export it again."
            )
        before = sounding.get(note.pitch)
        if note.duration <= 0:
            num_empty += 1
        elif before is not None and before.time == note.time:
            num_doubled += 1
        else:
            if before is not None and before.time + before.duration > note.time:
                before.duration = note.time - before.time
                num_cut += 1
            sounding[note.pitch] = note.copy()
            kept.append(sounding[note.pitch])
    for count, fault in (
        (num_empty, "of no length dropped"),
        (num_doubled, "struck twice at once dropped"),
        (num_cut, "still sounding when the same pitch was struck again cut short"),
    ):
        if count:
            repairs.append(f"{label}: {count} note{'s' * (count > 1)} {fault}")
    return NoteTickList(kept)


def _copy_events(score: ScoreTick, clean: ScoreTick, repairs: list[str]) -> None:
    """Copy the events before the end of the last note, one of a kind per tick (the last one), in order of time."""
    end = last_note_end(clean)
    for time, signature in _by_time(score.time_signatures, end).items():
        clean.time_signatures.append(TimeSignatureTick(time, signature.numerator, signature.denominator))
    keys = _by_time(score.key_signatures, end)
    for time, key in keys.items():
        if -7 <= key.key <= 7:
            clean.key_signatures.append(KeySignatureTick(time, key.key, int(key.tonality == 1)))
    tempos = _by_time(score.tempos, end)
    for time, tempo in tempos.items():
        if 1 <= tempo.mspq <= _MAX_TEMPO_MSPQ:
            clean.tempos.append(TempoTick(time, mspq=tempo.mspq))
    _report_dropped(len(keys) - len(clean.key_signatures), "key signature", "more than 7 sharps or flats", repairs)
    _report_dropped(len(tempos) - len(clean.tempos), "tempo", "0 or fewer than 4 quarters per minute", repairs)


def _by_time(events: Iterable[Any], end: int) -> dict[int, Any]:
    last = {event.time: event for event in events if 0 <= event.time < end}
    return dict(sorted(last.items()))


def _report_dropped(count: int, what: str, why: str, repairs: list[str]) -> None:
    if count:
        repairs.append(f"{count} {what}{'s' * (count > 1)} of {why} dropped")
