"""Note values and tuplets as music21's durations."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from music21 import duration, note

from descant_tokenizers.rendering.rhythm import NoteValue, Tuplet

_LONG_TYPES = {Fraction(8): "breve", Fraction(4): "whole", Fraction(2): "half", Fraction(1): "quarter"}
SHORT_TYPES = ("eighth", "16th", "32nd", "64th", "128th")


def set_value(element: note.GeneralNote, value: NoteValue, members: dict[Tuplet, list[note.GeneralNote]]) -> None:
    """Give a note or rest its value, and record the members of tuplets."""
    kind, dots = _type_of(value.written)
    element.duration = duration.Duration(type=kind, dots=dots)
    if value.tuplet is not None:
        unit, _ = _type_of(value.tuplet.unit * value.tuplet.actual / value.tuplet.normal)
        element.duration.appendTuplet(duration.Tuplet(value.tuplet.actual, value.tuplet.normal, unit))
        members.setdefault(value.tuplet, []).append(element)


def _type_of(written: Fraction) -> tuple[str, int]:
    """Return music21's name of a note value, and its number of dots."""
    dots = 1 if written.numerator % 3 == 0 else 0
    plain = written * 2 / 3 if dots else written
    return _LONG_TYPES.get(plain) or SHORT_TYPES[plain.denominator.bit_length() - 2], dots


def mark_tuplet(elements: Sequence[note.GeneralNote]) -> None:
    """Mark where a tuplet begins and ends; one that a beam joins needs no bracket."""
    is_beamed = all(element.duration.type in SHORT_TYPES and not element.isRest for element in elements)
    for element in elements:
        element.duration.tuplets[0].bracket = not is_beamed
    first, last = elements[0].duration.tuplets[0], elements[-1].duration.tuplets[0]
    if first is last:
        first.type = "startStop"
    else:
        first.type, last.type = "start", "stop"
