"""The chords that frames spell: root, quality, inversion.

A chord is read from the pitch classes that sound at one moment, and from the lowest of them. Nothing is guessed: a
moment with a suspension or a passing note that spells no chord has none.

Shapes: V voices, T frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from descant_tokenizers.pianoroll.frames import SILENT, Ints
from descant_tokenizers.scores.chords import QUALITIES, Quality
from descant_tokenizers.scores.key import NUM_PITCH_CLASSES

_LAST_OF = (0, 5, 8)  # most semitones above the root that a root, a third or a fifth has
#: Sets of steps above a root, and what they are. Of two readings of the same notes the earlier one is meant: complete
#: chords, then chords without fifth, then chords without third.
_READINGS = (
    *((quality.steps, quality) for quality in QUALITIES),
    *((quality.required, quality) for quality in QUALITIES if quality.required != quality.steps),
    *((steps, Quality("bare seventh" if len(steps) > 2 else "bare", steps)) for steps in ((0, 7, 10), (0, 7), (0,))),
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
        above = (self.bass - self.root) % NUM_PITCH_CLASSES
        return sum(above > last for last in _LAST_OF)

    @property
    def third(self) -> int | None:
        """Pitch class of its third; None if it has none."""
        return None if self.quality.third is None else (self.root + self.quality.third) % NUM_PITCH_CLASSES

    @property
    def seventh(self) -> int | None:
        """Pitch class of its seventh; None for a triad."""
        return None if self.quality.seventh is None else (self.root + self.quality.seventh) % NUM_PITCH_CLASSES


def chords_of_frames(pitches_VT: Ints) -> list[SoundingChord | None]:
    """Return the chord that sounds as each frame begins; None where the notes spell none, or nothing sounds.

    Args:
        pitches_VT: MIDI pitches, `SILENT` for rests.
    """
    sounding = pitches_VT != SILENT
    bits = np.where(sounding, 1 << (pitches_VT % NUM_PITCH_CLASSES), 0)
    masks: npt.NDArray[np.int64] = np.bitwise_or.reduce(bits, axis=0)
    basses = np.where(sounding, pitches_VT, np.iinfo(np.int64).max).min(axis=0) % NUM_PITCH_CLASSES
    return [_chord(mask, bass) for mask, bass in zip(masks.tolist(), basses.tolist(), strict=True)]


def chord_of_pitches(pitches: Iterable[int]) -> SoundingChord | None:
    """Return the chord of the MIDI pitches that sound at a moment; None if there are none, or they spell none."""
    pitches = list(pitches)
    if not pitches:
        return None
    return _chord(sum({1 << pitch % NUM_PITCH_CLASSES for pitch in pitches}), min(pitches) % NUM_PITCH_CLASSES)


@cache
def _chord(mask: int, bass: int) -> SoundingChord | None:
    """Return the chord of a set of pitch classes, given as 12 bits; of a symmetric chord, the bass is the root."""
    for steps, quality in _READINGS:
        for root in ((bass + above) % NUM_PITCH_CLASSES for above in range(NUM_PITCH_CLASSES)):
            if mask == sum(1 << ((root + step) % NUM_PITCH_CLASSES) for step in steps):
                return SoundingChord(root, quality, bass)
    return None
