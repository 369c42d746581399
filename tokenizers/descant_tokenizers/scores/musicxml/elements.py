"""Numbers, texts and measures of a MusicXML file.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from xml.etree.ElementTree import Element

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.measures import TICKS_PER_QUARTER

FREE_METER = (0, 1)
"""What stands for a time signature in music without meter (senza misura)."""

_NUMBER = re.compile(r"[+-]?(\d{1,12}(\.\d{0,30})?|\.\d{1,30})")

_MAX_TICKS = 2**31 - 1  # symusic keeps ticks in 32 bits
_MAX_MISSING = 50_000  # measures that a timewise score leaves out
_NAMES = ("1024th", "512th", "256th", "128th", "64th", "32nd", "16th", "eighth", "quarter", "half", "whole", "breve")
TYPES = {name: Fraction(2) ** power for power, name in enumerate((*_NAMES, "long"), start=-8)}
"""Lengths of the note types, in quarters."""


def number_of(text: str | None) -> Fraction:
    """Read a decimal number.

    Raises:
        ValueError: It is not a number of at most twelve digits and thirty decimals.
    """
    plain = (text or "").strip()
    if _NUMBER.fullmatch(plain) is None:
        raise ValueError(f"'{printable(plain, 20)}' is not a number")
    return Fraction(plain)


def countable(time: Fraction) -> Fraction:
    """Return a time in quarter notes.

    Raises:
        InputError: It is later than ticks can count.
    """
    if time * TICKS_PER_QUARTER > _MAX_TICKS:
        raise InputError(f"The file lasts {float(time):,.0f} quarter notes. Cut it shorter.")
    return time


def number_or(text: str | None, default: int) -> Fraction:
    """Read a decimal number that may be missing or wrong, because nothing depends on it but how music looks."""
    try:
        return number_of(text)
    except ValueError:
        return Fraction(default)


def text_of(element: Element, path: str) -> str:
    """Return the text of a descendant, empty if there is none."""
    return (element.findtext(path) or "").strip()


@dataclass(frozen=True, slots=True)
class WrittenMeasure:
    """A measure of one part.

    Attributes:
        length: Where its content ends.
        meter: The time signature in force, None before the first one.
        is_implicit: It has no number of its own, as a pickup.
        has_notes: It has more than rests.
    """

    length: Fraction
    meter: tuple[int, int] | None
    is_implicit: bool
    has_notes: bool


def value_of(note: Element) -> Fraction:
    """Return the length that the type and dots of a note or rest say, 0 without a type."""
    return TYPES.get(text_of(note, "type"), Fraction(0)) * (2 - Fraction(1, 2 ** min(len(note.findall("dot")), 4)))


def stated_length(note: Element, duration: Fraction, division: Fraction) -> Fraction:
    """Return the length of a note or rest: what its value and tuplet say if its duration is this, rounded to divisions.

    Args:
        note: The element.
        duration: Its duration.
        division: The unit of durations.
    """
    tuplet = note.find("time-modification")
    if tuplet is None:
        return duration
    normal, actual = (number_or(tuplet.findtext(tag), 1) for tag in ("normal-notes", "actual-notes"))
    exact = value_of(note) * normal / max(actual, Fraction(1))
    return exact if abs(exact - duration) < min(division, exact / 8) else duration


def short_rests(measure: Element, divisions: Fraction, nominal: Fraction) -> dict[Element, Fraction]:
    """Return by how much rests are too short whose durations are two thirds of their values.

    MuseScore writes such rests where staves have different time signatures. Only those count that leave a voice short
    of the measure, and fill it with their values: others belong to triplets.
    """
    found: dict[Element, Fraction] = {}
    voice: dict[Element, Fraction] = {}
    total = missing = Fraction(0)
    for element in (*measure.findall("*"), Element("backup")):
        if element.tag == "backup":
            if voice and total + missing == nominal:
                found |= voice
            voice, total, missing = {}, Fraction(0), Fraction(0)
        elif element.tag in ("note", "forward") and element.find("grace") is None and element.find("chord") is None:
            length = number_or(element.findtext("duration"), 0) / divisions
            total += length
            if element.find("rest") is not None and element.find("time-modification") is None:
                lack = value_of(element) - length
                if lack > 0 and 2 * lack == length:
                    voice[element] = lack
                    missing += lack
    return found


def measures_of_parts(root: Element) -> dict[str, list[Element]]:
    """Return the measures of each part, by its id, of a partwise or timewise score."""
    if root.tag == "score-partwise":
        return {part.get("id", ""): part.findall("measure") for part in root.findall("part")}
    found: dict[str, list[Element]] = {}
    num_missing = 0
    for index, measure in enumerate(root.findall("measure")):
        for part in measure.findall("part"):
            own: list[Element] = found.setdefault(part.get("id", ""), [])
            num_missing += max(0, index - len(own))
            if num_missing > _MAX_MISSING:
                raise InputError("The file leaves out too many measures of its parts. Export it again.")
            own += [Element("measure")] * (index - len(own))
            part.attrib.update(measure.attrib)
            own.append(part)
    return found
