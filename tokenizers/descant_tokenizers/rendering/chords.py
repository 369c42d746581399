"""The chords of a score, beat by beat: chord symbols, and Roman numerals in a key.

A beat's chord is the one whose tones sound longest in it, whatever the passing notes and suspensions; a beat that fits
no triad or seventh chord has none. music21 names the Roman numeral.

Units: ticks of the score.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick

from descant_tokenizers.rendering.rhythm import TimeSignature
from descant_tokenizers.rendering.spelling import Key, fifths_of, name_of_fifths, note_name
from descant_tokenizers.scores import bars_of
from descant_tokenizers.scores.chords import QUALITIES, chord_symbol
from descant_tokenizers.scores.key import MAJOR_SCALE

if TYPE_CHECKING:
    from music21.roman import RomanNumeral

_QUALITIES = {quality.kind: quality for quality in QUALITIES}
# Distance of a tone from the root on the line of fifths, by semitones.
_FIFTHS = {0: 0, 3: -3, 4: 4, 6: -6, 7: 1, 8: 8, 9: -9, 10: -2, 11: 5}
_MARKS = {"diminished": "o", "diminished-seventh": "o", "half-diminished": "ø", "augmented": "+"}
_TRIAD_FIGURES = ("", "6", "64")
_SEVENTH_FIGURES = ("7", "65", "43", "42")
_DOMINANT = 5
_SEVENTH = 3  # index of the seventh among a chord's tones
_RARE = {"augmented": 0.1, "diminished": 0.05, "diminished-seventh": 0.05, "half-diminished": 0.05}
_FOREIGN = 1.0  # cost of a note outside the chord, relative to the gain of one inside
_MISSING = (0.6, 0.35, 0.05, 0.35)  # cost of a missing root, third, fifth, seventh
_PASSING = 0.5  # cost of a seventh that enters after the beat
_LATE = 0.2  # of another tone, if there are others on the beat
_SYMMETRIC = "diminished-seventh"  # any of its tones could be the root
_BASS_IS_ROOT = 0.1
_MIN_FIT = 0.3  # below it, no chord is named
_MIN_TONES = 2


@dataclass(frozen=True)
class ChordName:
    """A chord and where it begins.

    Attributes:
        time_ticks: Its onset.
        bar: Number of the bar; a pickup is 0.
        root: Step and alteration of the root, such as `("F", 1)`.
        bass: Step and alteration of the lowest note.
        kind: MusicXML's name of the chord type, such as `minor-seventh`.
        suffix: Suffix of the chord symbol, such as `m7`.
        symbol: The chord symbol, such as `F#m7/C#`.
        numeral: The Roman numeral with figures, such as `ii43`; empty if it has none in the key.
    """

    time_ticks: int
    bar: int
    root: tuple[str, int]
    bass: tuple[str, int]
    kind: str
    suffix: str
    symbol: str
    numeral: str


def chords_of(score: ScoreTick, key: Key) -> list[ChordName]:
    """Name the chords of a score.

    Args:
        score: Any score with pitched notes.
        key: The key for numerals and for spelling.

    Returns:
        A chord wherever the harmony changes or a bar begins, in order of time.
    """
    pitched = [track for track in score.tracks if not track.is_drum]
    rows = [(note.time, note.end, note.pitch) for track in pitched for note in track.notes]
    notes = np.array(rows, np.int64).reshape(-1, 3)
    found: list[ChordName] = []
    for bar in bars_of(score):
        beat_ticks = max(int(TimeSignature(bar.numerator, bar.denominator).beat * score.ticks_per_quarter), 1)
        symbol = ""
        for start in range(bar.start_ticks, bar.end_ticks, beat_ticks):
            chord = _chord_in(notes, start, min(start + beat_ticks, bar.end_ticks), key)
            if chord is not None and chord.symbol != symbol:
                found.append(replace(chord, bar=bar.number))
                symbol = chord.symbol
    return found


def chord_lines(chords: Sequence[ChordName]) -> list[str]:
    """Return a line for each bar: `1: C (I), G7/B (V65)`."""
    lines = []
    for bar, group in itertools.groupby(chords, key=lambda chord: chord.bar):
        names = [f"{chord.symbol} ({chord.numeral})" if chord.numeral else chord.symbol for chord in group]
        lines.append(f"{bar}: {', '.join(names)}")
    return lines


def _chord_in(notes: NDArray[np.int64], start: int, end: int, key: Key) -> ChordName | None:
    """Name the chord of a beat, from the rows of `notes` (onset, end, pitch) that sound in it."""
    sounding = notes[(notes[:, 0] < end) & (notes[:, 1] > start)]
    if not len(sounding):
        return None
    lengths = np.minimum(sounding[:, 1], end) - np.maximum(sounding[:, 0], start)
    weights = np.bincount(sounding[:, 2] % 12, lengths, minlength=12) / lengths.sum()
    if np.count_nonzero(weights) < _MIN_TONES:
        return None
    struck = sounding[sounding[:, 0] <= start]  # what sounds on the beat
    on_beat = {int(pitch) % 12 for pitch in struck[:, 2]}
    bass = int((struck if len(struck) else sounding)[:, 2].min()) % 12
    scale = _scale_of(key)
    fit, _, _, root, kind = max(
        (
            _fit(weights, root, kind, bass, on_beat),
            _num_inside(root, kind, scale),
            fifths_of(root, key.sharps),
            root,
            kind,
        )
        for root in range(12)
        for kind in _QUALITIES
    )
    if fit < _MIN_FIT:
        return None
    tones = {(root + step) % 12 for step in _QUALITIES[kind].steps}
    return _named(start, root, kind, bass if bass in tones else root, key)


def _scale_of(key: Key) -> set[int]:
    """Return the pitch classes of a key signature."""
    return {(key.sharps * 7 + step) % 12 for step in MAJOR_SCALE}


def _num_inside(root: int, kind: str, scale: Collection[int]) -> int:
    """Return how many more tones of a chord are in a scale than outside."""
    return sum(1 if (root + step) % 12 in scale else -1 for step in _QUALITIES[kind].steps)


def _fit(weights: NDArray[np.float64], root: int, kind: str, bass: int, on_beat: Collection[int]) -> float:
    """Return how well a chord fits the notes of a beat, of which those that enter after the beat count less."""
    tones = [(root + step) % 12 for step in _QUALITIES[kind].steps]
    inside = float(weights[tones].sum())
    missing = sum(cost for tone, cost in zip(tones, _MISSING, strict=False) if weights[tone] == 0)
    passing = _PASSING if len(tones) > _SEVENTH and on_beat and tones[_SEVENTH] not in on_beat else 0.0
    if len(on_beat) >= _MIN_TONES:
        passing += _LATE * sum(weights[tone] > 0 and tone not in on_beat for tone in tones[:_SEVENTH])
    bonus = _BASS_IS_ROOT if bass == root and kind != _SYMMETRIC else 0.0
    return inside - _FOREIGN * (1 - inside) - missing - passing + bonus - _RARE.get(kind, 0.0)


def _named(start: int, root: int, kind: str, bass: int, key: Key) -> ChordName:
    steps, suffix = _QUALITIES[kind].steps, _QUALITIES[kind].suffix
    home = fifths_of(root, key.sharps, key.mode)
    tones = tuple(name_of_fifths(home + _FIFTHS[step]) for step in steps)  # thirds above the root, in any key
    inversion = next(index for index, step in enumerate(steps) if (root + step) % 12 == bass)
    symbol = chord_symbol(note_name(*tones[0]), suffix, note_name(*tones[inversion]) if inversion else "")
    numeral = _numeral(root, kind, inversion, tones, key)
    return ChordName(start, 0, tones[0], tones[inversion], kind, suffix, symbol, numeral)


@functools.lru_cache(1000)  # music21 takes milliseconds for each
def _numeral(root: int, kind: str, inversion: int, tones: tuple[tuple[str, int], ...], key: Key) -> str:
    """Return the Roman numeral with its figures; a chord outside the key may be a secondary dominant."""
    from music21 import chord, roman

    names = [note_name(*tone, flat="-") + str(4 + (index > 0)) for index, tone in enumerate(tones)]
    sounding, home = chord.Chord(names), key.to_music21()
    figures = (_SEVENTH_FIGURES if len(tones) > _SEVENTH else _TRIAD_FIGURES)[inversion]
    plain = roman.romanNumeralFromChord(sounding, home)
    pitches = {(root + step) % 12 for step in _QUALITIES[kind].steps}
    if _is_secondary_dominant(plain.scaleDegree, pitches, kind, key):
        applied = roman.romanNumeralFromChord(sounding, home, preferSecondaryDominants=True)
        if applied.secondaryRomanNumeral is not None:
            return f"V{figures}/{_degree(applied.secondaryRomanNumeral, key)}"
    return f"{_degree(plain, key)}{_MARKS.get(kind, '')}{figures}"


def _is_secondary_dominant(degree: int, pitches: Collection[int], kind: str, key: Key) -> bool:
    """Return True for a possible secondary dominant: a dominant seventh, or a major triad with a chromatic third."""
    if degree == _DOMINANT or kind not in ("major", "dominant"):
        return False
    return kind == "dominant" or (degree != 1 and not _scale_of(key).issuperset(pitches))


def _degree(numeral: RomanNumeral, key: Key) -> str:
    """Return the degree's numeral; in minor, both forms of the sixth and seventh degrees have no accidental."""
    plain: str = numeral.romanNumeralAlone
    return plain if key.mode == "minor" and plain.upper() in ("VI", "VII") else str(numeral.romanNumeral)
