"""Chords, keys and beats of a piece: what its hints (hints.py) say about its harmony.

A chord is read at a beat, from the notes that sound there. Where these form no chord (a suspension, an appoggiatura),
the notes in the middle of the beat are read instead.

Units: grid ticks of the vocabulary from the beginning of the piece; pitch classes are 0-11, 0 is C.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from descant_tokenizers.tokens.hint_tokens import NUM_PITCH_CLASSES, QUALITIES
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.vocabulary import Meter


class ChordLabel(NamedTuple):
    """A chord.

    Attributes:
        root: Pitch class of its root.
        quality: A key of `QUALITIES`.
        inversion: 0 if the root is in the bass, 1 for the third, 2 for the fifth, 3 for the seventh.
    """

    root: int
    quality: str
    inversion: int

    @property
    def pitch_classes(self) -> frozenset[int]:
        """Pitch classes of the whole chord."""
        return frozenset((self.root + step) % NUM_PITCH_CLASSES for step in QUALITIES[self.quality][0])

    def transpose(self, semitones: int) -> ChordLabel:
        """Return the chord moved by semitones."""
        return self._replace(root=(self.root + semitones) % NUM_PITCH_CLASSES)


@dataclass(frozen=True, slots=True)
class SoundingNote:
    """A note in ticks from the beginning of the piece."""

    start_ticks: int
    end_ticks: int
    voice: int
    pitch: int


def sounding_notes(piece: Piece) -> list[SoundingNote]:
    """Return the notes of a piece by onset."""
    starts = piece.bar_starts_ticks()
    return [
        SoundingNote(start + n.offset_ticks, start + n.offset_ticks + n.duration_ticks, n.voice, n.pitch)
        for start, bar in zip(starts, piece.bars, strict=False)
        for n in bar.notes
    ]


def beat_ticks(meter: Meter) -> int:
    """Return the length of a beat as it is felt: three units of 6/8, 9/16 and so on, two of 5/8 and 7/8, else one."""
    if meter.denominator < 8:
        return meter.beat_ticks
    return meter.beat_ticks * (3 if meter.numerator % 3 == 0 else 2)


def beats(piece: Piece) -> list[int]:
    """Return the onsets of all beats. A pickup's beats are counted back from its end."""
    found, starts = [], piece.bar_starts_ticks()
    for index, bar in enumerate(piece.bars):
        beat, length = beat_ticks(bar.meter), bar.meter.bar_ticks
        first = length % beat if index == 0 else 0
        found += [starts[index] + offset for offset in range(first, length, beat)]
    return found


def read_chord(pitches: Iterable[int]) -> ChordLabel | None:
    """Name the chord of sounding pitches, the lowest of which is the bass; None if they form none.

    The chord with the fewest notes is chosen, of those one in root position.
    """
    pitches = list(pitches)
    if not pitches:
        return None
    bass = min(pitches) % NUM_PITCH_CLASSES
    heard = {pitch % NUM_PITCH_CLASSES for pitch in pitches}
    best: tuple[tuple[int, int], ChordLabel] | None = None
    for root in heard:
        above = {(pitch - root) % NUM_PITCH_CLASSES for pitch in heard}
        for quality, (steps, needed) in QUALITIES.items():
            if not above.issubset(steps) or not above.issuperset(steps[:needed]):
                continue
            inversion = sorted(steps).index((bass - root) % NUM_PITCH_CLASSES)
            rank = len(steps), inversion
            if best is None or rank < best[0]:
                best = rank, ChordLabel(root, quality, inversion)
    return None if best is None else best[1]


def beat_chords(piece: Piece) -> dict[int, ChordLabel | None]:
    """Return the chord at each beat; None for notes that form none."""
    notes, onsets = sounding_notes(piece), beats(piece)
    longest = max((note.end_ticks - note.start_ticks for note in notes), default=0)
    chords: dict[int, ChordLabel | None] = {}
    first = 0
    for onset, after in zip(onsets, [*onsets[1:], piece.bar_starts_ticks()[-1]], strict=True):
        while first < len(notes) and notes[first].start_ticks + longest <= onset:
            first += 1
        chords[onset] = read_chord(_pitches_at(notes, onset, first)) or read_chord(
            _pitches_at(notes, (onset + after) // 2, first)
        )
    return chords


def _pitches_at(notes: Sequence[SoundingNote], ticks: int, first: int) -> list[int]:
    pitches = []
    for note in notes[first:]:
        if note.start_ticks > ticks:
            break
        if note.end_ticks > ticks:
            pitches.append(note.pitch)
    return pitches


class PieceKey(NamedTuple):
    """A key: the pitch class of its tonic, and True for a major third above it."""

    tonic: int
    is_major: bool

    def transpose(self, semitones: int) -> PieceKey:
        """Return the key moved by semitones."""
        return self._replace(tonic=(self.tonic + semitones) % NUM_PITCH_CLASSES)


def closing_key(piece: Piece) -> PieceKey | None:
    """Return the key in which a piece ends: the root of its last chord, and the third that prevails above it."""
    notes = sounding_notes(piece)
    if not notes:
        return None
    end = max(note.end_ticks for note in notes)
    last = [note for note in notes if note.end_ticks == end]
    chord = read_chord(note.pitch for note in last)
    tonic = min(last, key=lambda note: note.pitch).pitch % NUM_PITCH_CLASSES if chord is None else chord.root
    weights = np.zeros(NUM_PITCH_CLASSES)
    for note in notes:
        if note.end_ticks < end:  # a picardy third does not count
            weights[(note.pitch - tonic) % NUM_PITCH_CLASSES] += note.end_ticks - note.start_ticks
    return PieceKey(tonic, bool(weights[4] >= weights[3]))
