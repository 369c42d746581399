"""Augmentation of training pieces: other meters, and melodies that move more than their harmony.

Sopranos of chorales move note against note in simple meters, and the tunes that people bring do not. `in_other_meter`
spreads the beats of a chorale over compound or slower meters; `ornament` fills the long notes of a melody with passing
and neighbor notes, broken chords, repetitions, suspensions and rests, while the harmony stays.

Units: grid ticks of the vocabulary.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter

import numpy as np

from descant_tokenizers.tokens.harmony import ChordLabel, PieceKey, beat_ticks
from descant_tokenizers.tokens.hints import Annotations
from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece
from descant_tokenizers.tokens.vocabulary import Vocabulary

_MAJOR, _MINOR = frozenset((0, 2, 4, 5, 7, 9, 11)), frozenset((0, 2, 3, 5, 7, 8, 10))


@dataclass(frozen=True)
class MeterChange:
    """A way to spread the quarters of x/4 over another meter.

    Attributes:
        units: Length of a former quarter in new units.
        denominator: The new unit, as a time signature writes it.
        is_uneven: True if the second half of a quarter gets a third of its length.
        bar_quarters: Former quarters in a new bar; 0 for as many as in the former bar.
        harmonic_rhythm: Distance of the chords in the new meter.
    """

    units: int
    denominator: int
    is_uneven: bool
    bar_quarters: int
    harmonic_rhythm: str


#: Quarters as dotted quarters (in bars of the same number of beats, or of two); as half notes; as whole bars.
METER_CHANGES = (
    MeterChange(3, 8, True, 0, "beat"),
    MeterChange(3, 8, True, 2, "beat"),
    MeterChange(1, 2, False, 0, "beat"),
    MeterChange(2, 4, False, 2, "half-bar"),
    MeterChange(3, 4, True, 1, "bar"),
    MeterChange(6, 8, True, 1, "bar"),
)


def other_meters(vocabulary: Vocabulary, meter: str) -> set[str]:
    """Return the time signatures to which `in_other_meter` moves pieces in a time signature such as `3/4`."""
    numerator, denominator = map(int, meter.split("/"))
    sizes = {change: change.bar_quarters or numerator for change in METER_CHANGES if denominator == 4}
    found = {(size * change.units, change.denominator) for change, size in sizes.items() if numerator % size == 0}
    return {f"{units}/{unit}" for units, unit in found & {*vocabulary.meter_id}}


def in_other_meter(
    vocabulary: Vocabulary, piece: Piece, annotations: Annotations, change: MeterChange
) -> tuple[Piece, Annotations] | None:
    """Return a piece in x/4 in another meter, with its annotations (but for chords); None if it cannot be written so.

    Args:
        vocabulary: The vocabulary.
        piece: The piece.
        annotations: Its annotations.
        change: The change.
    """
    if any(bar.meter.denominator != 4 for bar in piece.bars):
        return None
    quarter = vocabulary.ticks_per_quarter
    unit = quarter * 4 // change.denominator

    def moved(ticks: int) -> int:
        whole, rest = divmod(ticks, quarter)
        length = change.units * unit
        if change.is_uneven:
            rest = rest * 4 // 3 if rest * 2 <= quarter else quarter * 2 // 3 + (rest - quarter // 2) * 2 // 3
        return whole * length + rest * length // quarter

    meters = []
    for index, bar in enumerate(piece.bars):
        quarters = bar.meter.numerator
        size = change.bar_quarters or quarters
        if index and quarters % size:
            return None
        while quarters > 0:
            part = quarters % size or size
            numerator = part * change.units
            if (numerator, change.denominator) not in vocabulary.meter_id:
                return None
            meters.append(vocabulary.meter_of[vocabulary.meter_id[numerator, change.denominator]])
            quarters -= part
    notes = [
        (moved(start + n.offset_ticks), moved(start + n.offset_ticks + n.duration_ticks), n)
        for start, bar in zip(piece.bar_starts_ticks(), piece.bars, strict=False)
        for n in bar.notes
    ]
    durations = vocabulary.duration_id[change.denominator]
    if any(end - start not in durations for start, end, _ in notes):
        return None
    bars, index, begin = [], 0, 0
    for meter in meters:
        own = []
        while index < len(notes) and notes[index][0] < begin + meter.bar_ticks:
            start, end, note = notes[index]
            if (start - begin) % meter.position_ticks:
                return None
            own.append(note._replace(offset_ticks=start - begin, duration_ticks=end - start))
            index += 1
        bars.append(GridBar(meter, tuple(sorted(own))))
        begin += meter.bar_ticks
    ends = annotations.phrase_ends
    ends = None if ends is None else tuple(map(moved, ends))
    return Piece(tuple(bars)), replace(
        annotations, phrase_ends=ends, chords=None, harmonic_rhythm=change.harmonic_rhythm
    )


def with_minor_ending(piece: Piece, key: PieceKey) -> Piece:
    """Return a piece in minor that ends on the minor chord of its tonic, where it ended on the major one.

    Bach's chorales in minor end on a picardy third, and tunes that people bring often cannot.

    Args:
        piece: The piece; in a major key it is returned as it is.
        key: Its key.
    """
    if key.is_major:
        return piece
    starts = piece.bar_starts_ticks()

    def ends(start: int, note: GridNote) -> int:
        return start + note.offset_ticks + note.duration_ticks

    def lowered(start: int, note: GridNote) -> GridNote:
        is_third = ends(start, note) == end and (note.pitch - key.tonic) % 12 == 4
        return note._replace(pitch=note.pitch - 1) if is_third else note

    bars = list(zip(starts, piece.bars, strict=False))
    end = max((ends(start, note) for start, bar in bars for note in bar.notes), default=0)
    return Piece(tuple(bar.with_notes(lowered(start, note) for note in bar.notes) for start, bar in bars))


def ornament(
    vocabulary: Vocabulary,
    piece: Piece,
    voice: int,
    annotations: Annotations,
    rng: np.random.Generator,
    share: float,
) -> Piece:
    """Return a piece whose melody moves more: about `share` of its long notes are divided.

    Args:
        vocabulary: The vocabulary.
        piece: The piece.
        voice: Rank of the melody.
        annotations: Its annotations; chords and key, if known, choose the added notes.
        rng: Source of all draws.
        share: Share of the notes of at least two units to divide, 0-1.
    """
    starts = piece.bar_starts_ticks()
    line = [
        (s + n.offset_ticks, n)
        for s, bar in zip(starts, piece.bars, strict=False)
        for n in bar.notes
        if n.voice == voice
    ]
    following = {at: after.pitch for (at, _), (_, after) in pairwise(line)}
    ends = frozenset(annotations.phrase_ends or ())
    chords = sorted((annotations.chords or {}).items(), key=itemgetter(0))
    low, high = min(vocabulary.pitch_id), max(vocabulary.pitch_id)
    bars = []
    for start, bar in zip(starts, piece.bars, strict=False):
        notes, unit = [], _unit(vocabulary, bar, rng)
        durations = vocabulary.duration_id[bar.meter.denominator]
        for note in bar.notes:
            at = start + note.offset_ticks
            chance = share * (0.2 if at in ends else 1.0)
            if note.voice != voice or note.duration_ticks < 2 * unit or rng.random() >= chance:
                notes.append(note)
                continue
            lengths = _rhythm(note.duration_ticks, unit, beat_ticks(bar.meter), rng)
            chord = _chord_before(chords, at)
            pitches = _figure(note.pitch, following.get(at), len(lengths), chord, annotations.key, rng)
            parts, offset = [], note.offset_ticks
            for length, pitch in zip(lengths, pitches, strict=True):
                parts.append(GridNote(offset, voice, pitch, length))
                offset += length
            is_legal = len(parts) > 1 and all(
                low <= part.pitch <= high
                and part.duration_ticks in durations
                and part.offset_ticks < bar.meter.bar_ticks
                for part in parts
            )
            if is_legal and rng.random() < 0.05 and parts[0].pitch == note.pitch:
                parts.pop()  # a rest
            notes += parts if is_legal else [note]
        bars.append(bar.with_notes(notes))
    return Piece(tuple(bars))


def _unit(vocabulary: Vocabulary, bar: GridBar, rng: np.random.Generator) -> int:
    """Draw the shortest added note: an eighth, in x/2 mostly a quarter, in x/4 sometimes a 16th."""
    eighth = vocabulary.ticks_per_quarter // 2
    if bar.meter.denominator == 2:
        return 2 * eighth if rng.random() < 0.7 else eighth
    if bar.meter.denominator == 4 and rng.random() < 0.1:
        return eighth // 2
    return eighth


def _rhythm(ticks: int, unit: int, beat: int, rng: np.random.Generator) -> list[int]:
    """Divide a length: into units, some of them joined, or dotted."""
    if ticks == 2 * unit:
        return [ticks * 3 // 4, ticks // 4] if rng.random() < 0.2 else [unit, unit]
    number, rest = divmod(ticks, unit)
    lengths = [unit] * number
    if rest:
        lengths[-1] += rest
    joined: list[int] = []
    chance = float(rng.choice([0.0, 0.3, 0.6]))
    for length in lengths:
        if joined and rng.random() < chance and joined[-1] < beat:
            joined[-1] += length
        else:
            joined.append(length)
    return joined


def _chord_before(chords: Sequence[tuple[int, ChordLabel | None]], at: int) -> ChordLabel | None:
    """Return the chord at the beat of a note, of chords and their onsets."""
    place = bisect.bisect_right(chords, at, key=itemgetter(0))
    return chords[place - 1][1] if place else None


def _figure(
    pitch: int, after: int | None, number: int, chord: ChordLabel | None, key: PieceKey | None, rng: np.random.Generator
) -> list[int]:
    """Draw the pitches of a divided note; the first or the second one is its own."""
    tonic, scale = (key.tonic, _MAJOR if key.is_major else _MINOR) if key else (pitch, _MAJOR)

    def step(origin: int, direction: int) -> int:
        found = origin + direction
        while (found - tonic) % 12 not in scale and abs(found - origin) < 3:
            found += direction
        return found

    def passing() -> list[int]:
        if after is None:
            return neighbor()
        direction = 1 if after > pitch else -1
        line = [pitch]
        while len(line) < number:
            nearer = step(line[-1], direction)
            line.append(line[-1] if (nearer - after) * direction >= 0 else nearer)
        return line

    def neighbor() -> list[int]:
        other = step(pitch, 1 if rng.random() < 0.5 else -1)
        return [pitch if place % 2 == 0 else other for place in range(number)]

    def broken() -> list[int]:
        tones = [p for p in range(pitch - 9, pitch + 10) if chord is not None and p % 12 in chord.pitch_classes]
        return [pitch, *(int(rng.choice(tones)) for _ in range(number - 1))] if tones else neighbor()

    def repeated() -> list[int]:
        return [pitch] * number

    def leaning() -> list[int]:
        return [step(pitch, 1 if rng.random() < 0.7 else -1), *[pitch] * (number - 1)]

    def anticipated() -> list[int]:
        return [*[pitch] * (number - 1), pitch if after is None else after]

    figures: list[Callable[[], list[int]]] = [passing, neighbor, broken, repeated, leaning, anticipated]
    return figures[int(rng.choice(len(figures), p=[0.3, 0.2, 0.25, 0.1, 0.08, 0.07]))]()
