"""Chords, keys and beats of a piece: what its hints (hints.py) say about its harmony.

A chord is read at a beat, from the notes that sound there. Where these form no chord (a suspension, an appoggiatura),
the notes in the middle of the beat are read instead.

Units: grid ticks of the vocabulary from the beginning of the piece; pitch classes are 0-11, 0 is C.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.chords import NO_CHORD_SYMBOL, chord_symbol
from descant_tokenizers.scores.chords import QUALITIES as ALL_QUALITIES
from descant_tokenizers.scores.key import MAJOR_SCALE, NUM_PITCH_CLASSES, PITCH_NAMES, key_fits, pitch_class
from descant_tokenizers.tokens.hint_tokens import QUALITIES
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


def beat_units(numerator: int, denominator: int) -> int:
    """Return the units of a beat as it is felt: three in 6/8, 9/16 and so on, two in 5/8 and 7/8, else one."""
    if denominator < 8:
        return 1
    return 3 if numerator % 3 == 0 else 2


def beat_ticks(meter: Meter) -> int:
    """Return the length of a beat as it is felt, see `beat_units`."""
    return meter.beat_ticks * beat_units(meter.numerator, meter.denominator)


def has_pickup(piece: Piece) -> bool:
    """Return True if the first bar is shorter than the second one."""
    return len(piece.bars) > 1 and piece.bars[0].meter.bar_ticks < piece.bars[1].meter.bar_ticks


def beats(piece: Piece) -> list[int]:
    """Return the onsets of all beats. A pickup's beats are those of the next bar, counted back from its end."""
    found, starts = [], piece.bar_starts_ticks()
    for index, bar in enumerate(piece.bars):
        beat, length, first = beat_ticks(bar.meter), bar.meter.bar_ticks, 0
        if index == 0 and has_pickup(piece):
            beat = beat_ticks(piece.bars[1].meter)
            first = length % beat
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
        for quality, (steps, required) in QUALITIES.items():
            if not above.issubset(steps) or not above.issuperset(required):
                continue
            inversion = steps.index((bass - root) % NUM_PITCH_CLASSES)
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


def shift_to_common_tonic(key: PieceKey) -> int:
    """Return the semitones, -6 to 5, that move a key's tonic to C: every piece whose key is told is seen there."""
    return (6 - key.tonic) % NUM_PITCH_CLASSES - 6


def closing_key(notes: Sequence[SoundingNote]) -> PieceKey | None:
    """Return the key in which music ends: the root of its last chord, and the third that prevails above it."""
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


# Added to the fit of a key's profile where a melody ends on the first, third or fifth degree of the key, or elsewhere.
# Chosen on the training sopranos, whose closing keys they find in 97 % (97 % of the valid ones too).
_FINAL_BONUS = {0: 0.4, 3: -0.1, 4: -0.1, 7: -0.1}
_OTHER_FINAL = -0.2
# Added where the key signature is that of the key, and where it is that of one of its modes: semitones of the tonic
# above the signature's major key, and whether the third is major.
_SIGNATURE_BONUS = {(0, True): 0.2, (9, False): 0.2, (2, False): 0.1, (4, False): 0.1, (5, True): 0.1, (7, True): 0.1}
# By how many times more where the melody's own notes cannot decide: some degrees of the signature's scale are missing,
# and no other pitch class is there. A pentatonic melody fits three scales.
_UNDECIDED = 3.5


def melody_key(notes: Sequence[SoundingNote], sharps: int | None = None) -> PieceKey | None:
    """Estimate the key in which a melody ends, from how long its pitch classes sound and from its last note.

    Args:
        notes: The melody.
        sharps: Sharps of its key signature, negative for flats; None if it has none.
    """
    weights = np.zeros(NUM_PITCH_CLASSES)
    for note in notes:
        weights[note.pitch % NUM_PITCH_CLASSES] += note.end_ticks - note.start_ticks
    if not weights.any():
        return None
    last = max(notes, key=lambda note: note.end_ticks).pitch
    fits = {
        PieceKey(tonic, is_major): fit + _final_bonus(last - tonic, is_major=is_major)
        for (tonic, is_major), fit in key_fits(weights).items()
    }
    if sharps is not None:
        tonic = sharps * 7 % NUM_PITCH_CLASSES
        heard = frozenset(((np.flatnonzero(weights) - tonic) % NUM_PITCH_CLASSES).tolist())
        scale = _UNDECIDED if heard < frozenset(MAJOR_SCALE) else 1
        for key in fits:
            bonus = _SIGNATURE_BONUS.get(((key.tonic - tonic) % NUM_PITCH_CLASSES, key.is_major), 0.0)
            fits[key] += scale * bonus
    return max(fits, key=fits.__getitem__)


def _final_bonus(degree: int, *, is_major: bool) -> float:
    """Return the bonus of a melody's last note, in semitones above the tonic."""
    degree %= NUM_PITCH_CLASSES
    return _OTHER_FINAL if degree == (3 if is_major else 4) else _FINAL_BONUS.get(degree, _OTHER_FINAL)


_CHORD_NAME = re.compile(r"([A-G])([#b]?)([^/]*)(?:/([A-G])([#b]?))?")
_SUFFIXES = {quality.code: quality.suffix for quality in ALL_QUALITIES}
_CODES = {suffix: code for code, suffix in _SUFFIXES.items()} | {
    "maj": "maj", "M": "maj", "min": "min", "-": "min", "o": "dim", "°": "dim", "+": "aug", "dom7": "7", "min7": "m7",
    "-7": "m7", "M7": "maj7", "ø": "hdim7", "ø7": "hdim7", "hdim7": "hdim7", "o7": "dim7", "°7": "dim7",
}  # fmt: skip


def parse_chord_name(name: str) -> ChordLabel | None:
    """Read a chord symbol: `C`, `F#m`, `Bb7`, `Am7b5`, `C/E` (third in the bass), or `N.C.` for no chord.

    Raises:
        InputError: It is not a chord that the hints can name.
    """
    if name == NO_CHORD_SYMBOL:
        return None
    match = _CHORD_NAME.fullmatch(name)
    quality = None if match is None else _CODES.get(match[3])
    if match is None or quality is None:
        raise InputError(
            f"'{name}' is not a chord. Write it as in C, F#m, Bb7, Gm7, Cmaj7, Bdim, or C/E with its bass."
        )
    root, steps = pitch_class(match[1] + match[2]), QUALITIES[quality][0]
    if match[4] is None:
        return ChordLabel(root, quality, 0)
    bass = (pitch_class(match[4] + match[5]) - root) % NUM_PITCH_CLASSES
    if bass not in steps:
        raise InputError(
            f"The bass of '{name}' is not in the chord. Name its third, fifth or seventh, or leave it out."
        )
    return ChordLabel(root, quality, steps.index(bass))


def chord_name(chord: ChordLabel | None, pitch_names: Sequence[str] = PITCH_NAMES) -> str:
    """Return the symbol of a chord, as `parse_chord_name` reads it, with the given names of the pitch classes."""
    if chord is None:
        return NO_CHORD_SYMBOL
    bass = chord.root + QUALITIES[chord.quality][0][chord.inversion]
    bass_name = pitch_names[bass % NUM_PITCH_CLASSES] if chord.inversion else ""
    return chord_symbol(pitch_names[chord.root], _SUFFIXES[chord.quality], bass_name)
