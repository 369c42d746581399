"""Notes, rests, tuplets and chord symbols as music21 has them.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from music21 import duration, harmony, note

from descant_tokenizers.engraving.chords import ChordName
from descant_tokenizers.engraving.layers import StavedBar
from descant_tokenizers.engraving.rhythm import Tuplet, Value

__all__ = ["bar_rest", "chord_symbol", "mark_tuplet", "set_value"]

_WRITTEN_TYPES = {Fraction(8): "breve", Fraction(4): "whole", Fraction(2): "half", Fraction(1): "quarter"}
_SHORT_TYPES = ("eighth", "16th", "32nd", "64th", "128th")


def bar_rest(own: StavedBar) -> note.Rest:
    """Return the rest of a whole bar, of whatever length."""
    rest = note.Rest()
    rest.duration.quarterLength = own.length
    rest.fullMeasure = True
    return rest


def set_value(element: note.GeneralNote, value: Value, seen: dict[Tuplet, list[note.GeneralNote]]) -> None:
    """Give a note or rest its value, and remember what a tuplet holds."""
    kind, dots = _type_of(value.written)
    element.duration = duration.Duration(type=kind, dots=dots)
    if value.tuplet is not None:
        unit, _ = _type_of(value.tuplet.unit * value.tuplet.actual / value.tuplet.normal)
        element.duration.appendTuplet(duration.Tuplet(value.tuplet.actual, value.tuplet.normal, unit))
        seen.setdefault(value.tuplet, []).append(element)


def _type_of(written: Fraction) -> tuple[str, int]:
    dots = 1 if written.numerator % 3 == 0 else 0
    plain = written * 2 / 3 if dots else written
    if plain in _WRITTEN_TYPES:
        return _WRITTEN_TYPES[plain], dots
    return _SHORT_TYPES[plain.denominator.bit_length() - 2], dots


def mark_tuplet(tuplet: Tuplet, elements: Sequence[note.GeneralNote]) -> None:
    """Say where a tuplet begins and ends; one that a beam joins needs no bracket."""
    is_beamed = all(element.duration.type in _SHORT_TYPES and not element.isRest for element in elements)
    for element in elements:
        element.duration.tuplets[0].bracket = not is_beamed
    first, last = elements[0].duration.tuplets[0], elements[-1].duration.tuplets[0]
    if first is last:
        first.type = "startStop"
    else:
        first.type, last.type = "start", "stop"


def chord_symbol(name: ChordName) -> harmony.ChordSymbol:
    """Return a chord symbol that is written as the chord's own."""

    def spelled(tone: tuple[str, int]) -> str:
        step, alter = tone
        return step + "#" * alter + "-" * -alter

    bass = spelled(name.bass) if name.bass != name.root else None
    symbol = harmony.ChordSymbol(root=spelled(name.root), kind=name.kind, bass=bass)
    symbol.chordKindStr = name.suffix
    return symbol
