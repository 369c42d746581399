"""The kinds of chords, and how each is named: in words, by MusicXML, in chord symbols and in hint tokens."""

from __future__ import annotations

from typing import NamedTuple

#: Suffixes of chord symbols, by MusicXML's `kind`.
CHORD_SUFFIXES = {
    "major": "",
    "minor": "m",
    "augmented": "aug",
    "diminished": "dim",
    "dominant": "7",
    "major-seventh": "maj7",
    "minor-seventh": "m7",
    "diminished-seventh": "dim7",
    "augmented-seventh": "aug7",
    "half-diminished": "m7b5",
    "major-minor": "mM7",
    "major-sixth": "6",
    "minor-sixth": "m6",
    "dominant-ninth": "9",
    "major-ninth": "maj9",
    "minor-ninth": "m9",
    "dominant-11th": "11",
    "major-11th": "maj11",
    "minor-11th": "m11",
    "dominant-13th": "13",
    "major-13th": "maj13",
    "minor-13th": "m13",
    "suspended-second": "sus2",
    "suspended-fourth": "sus4",
    "power": "5",
}
NO_CHORD_SYMBOL = "N.C."
"""Chord symbol for no chord."""

_THIRDS, _PERFECT_FIFTH, _SEVENTHS = (3, 4), 7, (9, 10, 11)


class Quality(NamedTuple):
    """A kind of chord.

    Attributes:
        name: Its name in words.
        steps: Semitones of root, third, fifth and seventh above the root, ascending.
        kind: MusicXML's `kind`.
        code: Its name in hint tokens.
    """

    name: str
    steps: tuple[int, ...]
    kind: str = ""
    code: str = ""

    @property
    def suffix(self) -> str:
        """Suffix of its chord symbol."""
        return CHORD_SUFFIXES[self.kind]

    @property
    def required(self) -> tuple[int, ...]:
        """The steps without which it is another chord: all but a perfect fifth."""
        return tuple(step for step in self.steps if step != _PERFECT_FIFTH)

    @property
    def third(self) -> int | None:
        """Semitones from the root to the third; None if there is none."""
        return next((step for step in self.steps if step in _THIRDS), None)

    @property
    def seventh(self) -> int | None:
        """Semitones from the root to the seventh; None for a triad."""
        return next((step for step in self.steps if step in _SEVENTHS), None)


#: Triads and seventh chords.
QUALITIES = (
    Quality("major", (0, 4, 7), "major", "maj"),
    Quality("minor", (0, 3, 7), "minor", "min"),
    Quality("diminished", (0, 3, 6), "diminished", "dim"),
    Quality("augmented", (0, 4, 8), "augmented", "aug"),
    Quality("dominant seventh", (0, 4, 7, 10), "dominant", "7"),
    Quality("minor seventh", (0, 3, 7, 10), "minor-seventh", "m7"),
    Quality("major seventh", (0, 4, 7, 11), "major-seventh", "maj7"),
    Quality("half-diminished seventh", (0, 3, 6, 10), "half-diminished", "hdim7"),
    Quality("diminished seventh", (0, 3, 6, 9), "diminished-seventh", "dim7"),
)


def chord_symbol(root: str, suffix: str, bass: str = "") -> str:
    """Return a chord symbol such as `F#m7/C#`; `bass` is empty if the root is the lowest note."""
    return root + suffix + (f"/{bass}" if bass else "")
