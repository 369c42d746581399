"""The chords that frames spell: root, quality, inversion.

A chord is read from the pitch classes that sound at one moment, and from the lowest of them. Nothing is guessed: a
moment with a suspension or a passing note that spells no chord has none.

Shapes: V voices, T frames.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from descant_tokenizers.pianoroll.frames import SILENT, Ints

NUM_CLASSES = 12
_LAST_OF = (0, 5, 8)  # most semitones above the root that a root, a third or a fifth has


class Quality(NamedTuple):
    """A kind of chord: its name, and semitones above the root."""

    name: str
    tones: tuple[int, ...]

    @property
    def third(self) -> int | None:
        """Semitones from the root to the third; None if there is none."""
        return next((tone for tone in self.tones if tone in (3, 4)), None)

    @property
    def seventh(self) -> int | None:
        """Semitones from the root to the seventh; None for a triad."""
        return self.tones[-1] if "seventh" in self.name else None


#: Of two readings of the same notes the earlier one is meant: complete chords, then chords without fifth, then chords
#: without third.
QUALITIES = (
    Quality("major", (0, 4, 7)),
    Quality("minor", (0, 3, 7)),
    Quality("diminished", (0, 3, 6)),
    Quality("augmented", (0, 4, 8)),
    Quality("dominant seventh", (0, 4, 7, 10)),
    Quality("minor seventh", (0, 3, 7, 10)),
    Quality("major seventh", (0, 4, 7, 11)),
    Quality("half-diminished seventh", (0, 3, 6, 10)),
    Quality("diminished seventh", (0, 3, 6, 9)),
    Quality("dominant seventh", (0, 4, 10)),
    Quality("minor seventh", (0, 3, 10)),
    Quality("major seventh", (0, 4, 11)),
    Quality("major", (0, 4)),
    Quality("minor", (0, 3)),
    Quality("bare seventh", (0, 7, 10)),
    Quality("bare", (0, 7)),
    Quality("bare", (0,)),
)


class SoundingChord(NamedTuple):
    """A chord as it sounds.

    Attributes:
        root: Pitch class of its root, 0-11.
        quality: Its kind.
        bass: Its lowest pitch class.
    """

    root: int
    quality: Quality
    bass: int

    @property
    def is_triad(self) -> bool:
        """True if it has no seventh; a triad may lack its fifth, or be a bare fifth or octave."""
        return self.quality.seventh is None

    @property
    def inversion(self) -> int:
        """0 in root position, 1 with the third in the bass, 2 with the fifth, 3 with the seventh."""
        above = (self.bass - self.root) % NUM_CLASSES
        return sum(above > last for last in _LAST_OF)

    @property
    def third(self) -> int | None:
        """Pitch class of its third; None if it has none."""
        return None if self.quality.third is None else (self.root + self.quality.third) % NUM_CLASSES

    @property
    def seventh(self) -> int | None:
        """Pitch class of its seventh; None for a triad."""
        return None if self.quality.seventh is None else (self.root + self.quality.seventh) % NUM_CLASSES


def chords_of_frames(pitches_VT: Ints) -> list[SoundingChord | None]:
    """Return the chord that sounds as each frame begins; None where the notes spell none, or nothing sounds.

    Args:
        pitches_VT: MIDI pitches, `SILENT` for rests.
    """
    sounding = pitches_VT != SILENT
    bits = np.where(sounding, 1 << (pitches_VT % NUM_CLASSES), 0)
    masks: npt.NDArray[np.int64] = np.bitwise_or.reduce(bits, axis=0)
    basses = np.where(sounding, pitches_VT, np.iinfo(np.int64).max).min(axis=0) % NUM_CLASSES
    return [_chord(mask, bass) for mask, bass in zip(masks.tolist(), basses.tolist(), strict=True)]


@cache
def _chord(mask: int, bass: int) -> SoundingChord | None:
    """Return the chord of a set of pitch classes, given as 12 bits; of a symmetric chord, the bass is the root."""
    for quality in QUALITIES:
        for root in ((bass + step) % NUM_CLASSES for step in range(NUM_CLASSES)):
            if mask == sum(1 << ((root + tone) % NUM_CLASSES) for tone in quality.tones):
                return SoundingChord(root, quality, bass)
    return None
