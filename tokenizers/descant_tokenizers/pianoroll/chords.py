"""The 24 major and minor triads, their names, and the best one for a bar.

The weight of a triad is the time that its pitch classes sound. A bar with harmony may have any of the 24, a bar of
melody alone only those of the piece's key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.rolls import Rolls
from descant_tokenizers.scores.key import MAJOR_TONICS, NUM_PITCH_CLASSES, pitch_class

#: Length of a chord as a vector: the root one-hot, then 1 for minor.
CHORD_SIZE = NUM_PITCH_CLASSES + 1
STRONG_STEPS = (0, 1, 2, 3, 8, 9, 10, 11)
"""Steps of a bar of 4/4 that count twice: those of its first and third beat."""
BASS_SHARE = 0.5
#: Triads of a key as (semitones above the tonic, is minor), the likelier first; of equals, the first is taken.
MAJOR_KEY_TRIADS = ((0, False), (7, False), (5, False), (9, True), (2, True), (4, True))
MINOR_KEY_TRIADS = ((0, True), (7, False), (5, True), (8, False), (3, False), (10, False), (7, True))

_NAME = re.compile(r"([A-Ga-g])([#b]?)(m?)")


@dataclass(frozen=True)
class Chord:
    """A major or minor triad.

    Attributes:
        root: Pitch class of its root, 0-11 (0 is C).
        is_minor: True if its third is minor.
    """

    root: int
    is_minor: bool

    def __str__(self) -> str:
        """Return its name, such as `Eb` or `F#m`."""
        return MAJOR_TONICS[self.root] + "m" * self.is_minor

    @property
    def pitch_classes(self) -> tuple[int, int, int]:
        """Root, third and fifth, 0-11."""
        return self.root, (self.root + 4 - self.is_minor) % NUM_PITCH_CLASSES, (self.root + 7) % NUM_PITCH_CLASSES


ALL_CHORDS = tuple(Chord(root, is_minor) for is_minor in (False, True) for root in range(NUM_PITCH_CLASSES))


def parse_chord(name: str) -> Chord:
    """Read a chord such as `C`, `F#m` or `Bbm`.

    Raises:
        InputError: The name is not that of a major or minor triad.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise InputError(f"The chord is {name!r}. Give major and minor triads such as C, F#, Am or Bbm.")
    letter, accidental, minor = found.groups()
    return Chord(pitch_class(letter.upper() + accidental), bool(minor))


def triads_of_key(key: str) -> tuple[Chord, ...]:
    """Return the triads that may accompany a melody in a key such as `G major`, the likelier first."""
    tonic, mode = key.split(" ")
    root = parse_chord(tonic).root
    triads = MAJOR_KEY_TRIADS if mode == "major" else MINOR_KEY_TRIADS
    return tuple(Chord((root + above) % NUM_PITCH_CLASSES, is_minor) for above, is_minor in triads)


def weights_of(rolls: Rolls) -> NDArray[np.float64]:
    """Return the steps of a bar in which each pitch class sounds; those of strong beats count twice.

    Args:
        rolls: (16, 128), or (16, 128, voices).

    Returns:
        (12,).
    """
    cells = rolls.reshape(*rolls.shape[:2], -1).sum(2).astype(np.float64)
    cells[list(STRONG_STEPS)] *= 2
    return np.array([cells[:, start::NUM_PITCH_CLASSES].sum() for start in range(NUM_PITCH_CLASSES)])


def chord_of_harmony(rolls: Rolls) -> Chord:
    """Return the triad that most of a bar's harmony belongs to, the first of equals in `ALL_CHORDS`.

    The weight of a triad is that of its pitch classes (see `weights_of`), plus half that of its root in the lowest
    voice.

    Args:
        rolls: (16, 128, voices), the lowest voice last.
    """
    weights, bass = weights_of(rolls), weights_of(rolls[..., -1])
    return max(ALL_CHORDS, key=lambda chord: _weight(chord, weights) + BASS_SHARE * float(bass[chord.root]))


def chord_of_melody(roll: Rolls, key: str) -> Chord:
    """Return the triad of a key that most of a bar's melody belongs to; of equals, the likelier (see `triads_of_key`).

    Args:
        roll: (16, 128).
        key: Tonic and mode, such as `G major`.
    """
    weights = weights_of(roll)
    return max(triads_of_key(key), key=lambda chord: _weight(chord, weights))


def _weight(chord: Chord, weights: NDArray[np.float64]) -> float:
    return float(weights[list(chord.pitch_classes)].sum())
