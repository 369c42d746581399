"""Chords of a bar: the 24 major and minor triads, how they are written, and how a bar's is found.

Where there is harmony, a triad is weighed by what sounds of it; where there is a melody alone, by what the melody plays
of it, among the triads of the piece's key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.key import MAJOR_TONICS

PITCH_CLASSES = 12
#: Length of a chord as a vector: the root one-hot, then 1 for minor.
CHORD_SIZE = PITCH_CLASSES + 1
STRONG_STEPS = (0, 1, 2, 3, 8, 9, 10, 11)
"""Sixteenths of a bar of 4/4 that count twice: those of its first and third beat."""
BASS_SHARE = 0.5
#: Triads of a key as (semitones above the tonic, is minor), the likelier first: of equals the first is taken.
MAJOR_KEY_TRIADS = ((0, False), (7, False), (5, False), (9, True), (2, True), (4, True))
MINOR_KEY_TRIADS = ((0, True), (7, False), (5, True), (8, False), (3, False), (10, False), (7, True))

_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAME = re.compile(r"([A-Ga-g])([#b]?)(m?)")


@dataclass(frozen=True)
class Chord:
    """A major or minor triad.

    Attributes:
        root: Pitch class of its root, 0-11 (0 is C).
        is_minor: Whether its third is a minor one.
    """

    root: int
    is_minor: bool

    def __str__(self) -> str:
        """Its name, such as `Eb` or `F#m`."""
        return MAJOR_TONICS[self.root] + "m" * self.is_minor

    @property
    def pitch_classes(self) -> tuple[int, int, int]:
        """Root, third and fifth, 0-11."""
        return self.root, (self.root + 4 - self.is_minor) % PITCH_CLASSES, (self.root + 7) % PITCH_CLASSES


ALL_CHORDS = tuple(Chord(root, is_minor) for is_minor in (False, True) for root in range(PITCH_CLASSES))


def parse_chord(name: str) -> Chord:
    """Read a chord such as `C`, `F#m` or `Bbm`.

    Raises:
        InputError: It is no major or minor triad.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise InputError(f"the chord is {name!r}; give major and minor triads such as C, F#, Am or Bbm.")
    letter, accidental, minor = found.groups()
    shift = {"": 0, "#": 1, "b": -1}[accidental]
    return Chord((_NATURAL[letter.upper()] + shift) % PITCH_CLASSES, bool(minor))


def triads_of_key(key: str) -> tuple[Chord, ...]:
    """Return the triads that a melody is heard over, the likelier first.

    Args:
        key: As a row has it, such as `G major`.
    """
    tonic, mode = key.split(" ")
    root = parse_chord(tonic).root
    triads = MAJOR_KEY_TRIADS if mode == "major" else MINOR_KEY_TRIADS
    return tuple(Chord((root + above) % PITCH_CLASSES, is_minor) for above, is_minor in triads)


def weights_of(rolls: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How long each pitch class sounds in a bar, in sixteenths; those of strong beats count twice.

    Args:
        rolls: (16, 128), or (16, 128, voices).

    Returns:
        (12,).
    """
    cells = rolls.reshape(*rolls.shape[:2], -1).sum(2).astype(np.float64)
    cells[list(STRONG_STEPS)] *= 2
    return np.array([cells[:, start::PITCH_CLASSES].sum() for start in range(PITCH_CLASSES)])


def chord_of_harmony(rolls: NDArray[np.bool_]) -> Chord:
    """Name the triad that most of a bar's harmony belongs to.

    Each of the 24 triads gets what sounds of it (see `weights_of`), and half as much again for what the lowest voice
    plays of its root. Of equals the first of `ALL_CHORDS` is taken.

    Args:
        rolls: (16, 128, voices), the lowest voice last.
    """
    weights, bass = weights_of(rolls), weights_of(rolls[..., -1])
    return _heaviest(ALL_CHORDS, [_weight(chord, weights) + BASS_SHARE * bass[chord.root] for chord in ALL_CHORDS])


def chord_of_melody(roll: NDArray[np.bool_], key: str) -> Chord:
    """Name the triad of a key that most of a bar's melody belongs to; of equals the likelier, see `triads_of_key`.

    Args:
        roll: (16, 128).
        key: Such as `G major`.
    """
    weights, triads = weights_of(roll), triads_of_key(key)
    return _heaviest(triads, [_weight(chord, weights) for chord in triads])


def _weight(chord: Chord, weights: NDArray[np.float64]) -> float:
    return float(weights[list(chord.pitch_classes)].sum())


def _heaviest(chords: Sequence[Chord], weights: Sequence[float]) -> Chord:
    return chords[int(np.argmax(weights))]
