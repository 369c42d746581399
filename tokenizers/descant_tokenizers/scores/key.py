"""Key estimation by pitch-class profiles, and names of pitches."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick

from descant_tokenizers.scores.tracks import Notes, notes_of

PITCH_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
"""Names of the pitch classes, each in its more common spelling."""

# Frequencies of scale degrees in the Essen collection, in percent (Aarden 2003, as in music21's AardenEssen). They find
# the encoder's key in 79 % of the chorales; the ratings of Krumhansl and Kessler, which favor the fifth, in 69 %.
MAJOR_PROFILE = (17.77, 0.15, 14.93, 0.16, 19.80, 11.36, 0.29, 22.06, 0.15, 8.15, 0.23, 4.95)
MINOR_PROFILE = (18.26, 0.74, 14.05, 16.86, 0.70, 14.44, 0.70, 18.62, 4.57, 1.93, 7.38, 1.76)
# The spelling with fewer accidentals in its key signature; sharps for F sharp major, flats for E flat minor.
MAJOR_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
"""Semitones above the tonic."""
NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
"""Pitch classes of the letters."""
NUM_PITCH_CLASSES = 12


def pitch_name(pitch: int) -> str:
    """Return the name of a MIDI pitch: 60 is C4."""
    return f"{PITCH_NAMES[pitch % 12]}{pitch // 12 - 1}"


def pitch_class(name: str) -> int:
    """Return the pitch class, 0-11, of a name such as `F#` or `Bb`."""
    return (NATURALS[name[0]] + name.count("#") - name.count("b")) % NUM_PITCH_CLASSES


def estimate_key(score: ScoreTick, notes: Notes | None = None) -> str:
    """Estimate the key of a score with pitched notes, such as `"G major"` or `"Bb minor"`.

    It is the key whose profile best fits how long each pitch class sounds (Krumhansl and Schmuckler). `notes` are
    those of the score, if the caller has them.
    """
    pitched = pitched_notes(score, notes)
    return key_of_weights(np.bincount(pitched.pitch_N % 12, pitched.duration_N, minlength=12))


def key_of_weights(weights: NDArray[Any]) -> str:
    """Return the key whose profile best fits how long each of the 12 pitch classes sounds (any unit), C first."""
    profiles, names = _key_profiles()
    fits = profiles @ (weights - weights.mean())  # ordered as Pearson's correlation: all share the weights' norm
    return names[int(fits.argmax())]


def key_fits(weight_C: NDArray[np.float64]) -> dict[tuple[int, bool], float]:
    """Return how well each key fits the weights of the pitch classes: Pearson's correlation with its profile, -1 to 1.

    The keys are (pitch class of the tonic, True if major); `weight_C` has 12 entries, not all equal.
    """
    centered_C = weight_C - weight_C.mean()
    fit_K = _key_profiles()[0] @ (centered_C / (np.linalg.norm(centered_C) or 1.0))
    return {(place % 12, place < 12): float(fit) for place, fit in enumerate(fit_K)}


def tonic_and_mode(key: str) -> tuple[int, bool]:
    """Return the pitch class of a key's tonic, 0-11, and True if the key is major; `key` is as in `estimate_key`."""
    tonic, mode = key.split()
    return (MAJOR_TONICS if mode == "major" else MINOR_TONICS).index(tonic), mode == "major"


def pitched_notes(score: ScoreTick, notes: Notes | None = None) -> Notes:
    """Return the notes of a score that are not percussion."""
    notes = notes_of(score.tracks) if notes is None else notes
    is_drum = [track.is_drum for track in score.tracks]
    return notes.where(~np.array(is_drum)[notes.track_N]) if any(is_drum) else notes


@cache
def _key_profiles() -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the profiles of the 24 keys as rows, centered and of norm 1, and the names of the keys."""
    modes = (("major", MAJOR_PROFILE, MAJOR_TONICS), ("minor", MINOR_PROFILE, MINOR_TONICS))
    profiles = np.stack([np.roll(profile, shift) for _, profile, _ in modes for shift in range(12)])
    profiles -= profiles.mean(axis=1, keepdims=True)
    profiles /= np.linalg.norm(profiles, axis=1, keepdims=True)
    return profiles, tuple(f"{tonic} {mode}" for mode, _, tonics in modes for tonic in tonics)
