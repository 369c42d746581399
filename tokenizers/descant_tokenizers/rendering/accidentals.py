"""Accidentals of a staff: they hold to the bar line, for all voices, and ties carry them over it.

Beyond that rule, a note has a reminder if the same note of the bar before, or another octave in the same bar, differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from music21 import chord, key, note, pitch, stream

_Place = tuple[str, int | None]
"""A line or space of a staff: step and octave."""


def show_accidentals(part: Any) -> None:
    """State for every pitch of a music21 part whether its accidental is printed."""
    signature: dict[str, float] = {}
    before: dict[_Place, float] = {}
    for measure in part.getElementsByClass(stream.Measure):
        for found in measure.getElementsByClass(key.KeySignature):
            signature = {each.step: each.alter for each in found.alteredPitches}
        inside: dict[_Place, float] = {}
        held: dict[_Place, float] = {}
        for head in _heads(measure):
            place = head.pitch.step, head.pitch.octave
            if head.tie is not None and head.tie.type != "start" and place not in inside:
                held[place] = head.pitch.alter
                _show(head.pitch, is_shown=False)
                continue
            _show(head.pitch, is_shown=_is_needed(head.pitch, signature, inside, before | held))
            inside[place] = head.pitch.alter
        before = held | inside


def _heads(measure: Any) -> Iterator[note.Note]:
    """Yield the note heads of all voices of a measure in order of time, grace notes before the note that they adorn."""
    voices = list(measure.voices) or [measure]
    elements = [element for voice in voices for element in voice.notes]
    for element in sorted(elements, key=lambda element: (element.offset, not element.duration.isGrace)):
        yield from element.notes if isinstance(element, chord.Chord) else (element,)


def _is_needed(
    own: pitch.Pitch, signature: dict[str, float], inside: dict[_Place, float], before: dict[_Place, float]
) -> bool:
    place = own.step, own.octave
    if place in inside:
        return own.alter != inside[place]
    others = {alter for (step, _), alter in inside.items() if step == own.step}
    return (
        own.alter != signature.get(own.step, 0)
        or bool(others - {own.alter})
        or before.get(place, own.alter) != own.alter
    )


def _show(own: pitch.Pitch, *, is_shown: bool) -> None:
    if is_shown and own.accidental is None:
        own.accidental = pitch.Accidental("natural")
    if own.accidental is not None:
        own.accidental.displayStatus = is_shown
