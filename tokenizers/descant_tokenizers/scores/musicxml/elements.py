"""Numbers, texts and measures of a MusicXML file.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from xml.etree.ElementTree import Element

from descant_tokenizers.common.errors import printable

FREE_METER = (0, 1)
"""What stands for a time signature in music without meter (senza misura)."""

_NUMBER = re.compile(r"[+-]?(\d{1,12}(\.\d{0,30})?|\.\d{1,30})")

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
