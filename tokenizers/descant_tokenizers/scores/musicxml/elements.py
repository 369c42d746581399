"""What is read from the elements of a MusicXML file, before parts become tracks.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from xml.etree.ElementTree import Element

from descant_tokenizers.common.errors import printable
from descant_tokenizers.scores.marks import Lyric, Metronome, RepeatSign, Words

_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,12})?")
_MAX_NAMED = 4

_NAMES = ("1024th", "512th", "256th", "128th", "64th", "32nd", "16th", "eighth", "quarter", "half", "whole", "breve")
TYPES = {name: Fraction(2) ** power for power, name in enumerate((*_NAMES, "long"), start=-8)}
"""Lengths of the note types, in quarters."""


def number_of(text: str | None) -> Fraction:
    """Read a decimal number.

    Raises:
        ValueError: It is not a number of at most twelve digits.
    """
    plain = (text or "").strip()
    if _NUMBER.fullmatch(plain) is None:
        raise ValueError(f"'{printable(plain, 20)}' is not a number")
    return Fraction(plain)


def text_of(element: Element, path: str) -> str:
    """Return the text of a descendant, empty if there is none."""
    return (element.findtext(path) or "").strip()


@dataclass(slots=True, eq=False)
class WrittenNote:
    """A note as written; one that a tie continues is a note of its own.

    Attributes:
        onset: Its onset in the part.
        end: Its end.
        pitch: MIDI pitch at which it sounds.
        spelling: Step and alteration as written, None if it does not sound as written or is a microtone.
        voice: Name of its voice.
        staff: Number of its staff in the part, from 1.
        place: Its place in its chord, from 0.
        measure: Index of its measure, from 0.
        velocity: MIDI velocity, None if the file states none.
        ties: Some of `start` and `stop`.
        lyrics: Its syllables.
        has_fermata: It has a fermata.
        graces: Grace chords before it: pitches, written length, slash.
        head: The note that sounds: itself, or the first of the tied notes that it continues.
    """

    onset: Fraction
    end: Fraction
    pitch: int
    spelling: tuple[str, int] | None
    voice: str
    staff: int
    place: int
    measure: int
    velocity: int | None = None
    ties: frozenset[str] = frozenset()
    lyrics: tuple[Lyric, ...] = ()
    has_fermata: bool = False
    graces: list[tuple[list[int], Fraction, bool]] = field(default_factory=list)
    head: WrittenNote | None = None


@dataclass(frozen=True, slots=True)
class WrittenMeasure:
    """A measure of one part: its content ends at `length`; the time signature in force, None before the first one."""

    length: Fraction
    meter: tuple[int, int] | None
    is_implicit: bool


@dataclass
class WrittenPart:
    """One part.

    Attributes:
        name: Its name.
        program: General MIDI program, 0-127, None if the file states none.
        notes: Its notes in the order of the file.
        slurs: First and last note of each slur.
        keys: Sharps at sounding pitch and mode, by onset.
        tempos: Quarters per minute, by onset.
        metronomes: Metronome marks.
        words: Words, dynamics, rehearsal marks.
        chords: Chord symbols.
        signs: Repeat signs.
        voices: Measure, staff and name of each voice that has notes or rests in a measure.
    """

    name: str
    program: int | None = None
    notes: list[WrittenNote] = field(default_factory=list)
    slurs: list[tuple[WrittenNote, WrittenNote]] = field(default_factory=list)
    keys: dict[Fraction, tuple[int, str]] = field(default_factory=dict)
    tempos: dict[Fraction, float] = field(default_factory=dict)
    metronomes: list[Metronome] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)
    chords: list[Words] = field(default_factory=list)
    signs: list[RepeatSign] = field(default_factory=list)
    voices: set[tuple[int, int, str]] = field(default_factory=set)


@dataclass
class Report:
    """What is left out of a score: every kind is counted, and named once.

    Attributes:
        dropped: What is left out.
        elements: Further elements that are left out, by name.
        num_microtones: Notes between semitones.
    """

    dropped: Counter[str] = field(default_factory=Counter)
    elements: Counter[str] = field(default_factory=Counter)
    num_microtones: int = 0

    def sentences(self) -> list[str]:
        """Return a phrase for everything that was left out, and one for what was rounded."""
        dropped = [f"{count:,} {_plural(noun, count)}" for noun, count in self.dropped.items()]
        if self.elements:
            names = [printable(name.replace("-", " "), 24) for name, _ in self.elements.most_common(_MAX_NAMED)]
            more = ", ..." if len(self.elements) > len(names) else ""
            count = self.elements.total()
            dropped.append(f"{count:,} other {_plural('mark', count)} ({', '.join(names)}{more})")
        found = [f"dropped: {', '.join(dropped)}"] if dropped else []
        count = self.num_microtones
        return [*found, f"{count:,} {_plural('microtone', count)} rounded to a semitone"] if count else found


def _plural(noun: str, count: int) -> str:
    head, of, rest = noun.partition(" of ")
    return noun if count == 1 else f"{head}s{of}{rest}"
