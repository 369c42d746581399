"""How a score is to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from descant_tokenizers.engraving.chords import ChordName
from descant_tokenizers.engraving.layers import GivenRule
from descant_tokenizers.engraving.marks import Marks
from descant_tokenizers.engraving.spelling import Key

__all__ = ["Layout", "Sheet"]

Layout = Literal["open", "closed"]
"""A staff for each track, or two voices to a staff."""


@dataclass(frozen=True)
class Sheet:
    """How a score is to be written.

    Attributes:
        title: Stands above the first system.
        composer: Stands at its right.
        arrangement: `open` has a staff for each track; `closed` two voices to a staff, for four named voices only. By
            default closed for those, unless a lower voice of a staff has words or a voice has overlapping notes.
        is_given: Which notes were given; the others get a colour, and a line of text says so.
        key: The key that notes are named after, and whose signature is printed; by default that of the score.
        chords: Chord symbols above the first staff, Roman numerals below the last.
        marks: Lyrics, fermatas and words of the file that the score came from.
    """

    title: str = ""
    composer: str = ""
    arrangement: Layout | None = None
    is_given: GivenRule | None = None
    key: Key | None = None
    chords: Sequence[ChordName] = ()
    marks: Marks = field(default_factory=Marks)
