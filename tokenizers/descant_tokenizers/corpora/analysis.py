"""Facts about a score that a dataset row carries: key, main time signature, digests of its notes."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick

from descant_tokenizers.scores.bars import signature_ticks
from descant_tokenizers.scores.notes import Notes, notes_of

# Relative frequencies in per cent of scale degrees in the Essen collection (Aarden 2003, as in music21's AardenEssen).
# They name the encoder's key in 79 % of the chorales; Krumhansl and Kessler's ratings, in 69 %: they lean to the fifth.
MAJOR_PROFILE = (17.77, 0.15, 14.93, 0.16, 19.80, 11.36, 0.29, 22.06, 0.15, 8.15, 0.23, 4.95)
MINOR_PROFILE = (18.26, 0.74, 14.05, 16.86, 0.70, 14.44, 0.70, 18.62, 4.57, 1.93, 7.38, 1.76)
INCIPIT_INTERVALS = 12
# The spelling with fewer accidentals in its key signature; sharps for F sharp major, flats for E flat minor.
MAJOR_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


def estimate_key(score: ScoreTick, notes: Notes | None = None) -> str:
    """Estimate the key: the profile that fits best to how long each pitch class sounds (Krumhansl and Schmuckler).

    Args:
        score: A score with at least one note that is no percussion.
        notes: Its notes, where they are at hand.

    Returns:
        Tonic and mode, such as `"G major"` or `"Bb minor"`.
    """
    pitched = _pitched(score, notes)
    weights = np.bincount(pitched.pitch_N % 12, pitched.duration_N, minlength=12)
    profiles, names = _key_profiles()
    fits = profiles @ (weights - weights.mean())  # in the order of Pearson's correlation: the weights' norm is common
    return names[int(fits.argmax())]


@cache
def _key_profiles() -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Profiles of the 24 keys, centred and of length 1, as rows, and the keys' names."""
    modes = (("major", MAJOR_PROFILE, MAJOR_TONICS), ("minor", MINOR_PROFILE, MINOR_TONICS))
    profiles = np.stack([np.roll(profile, shift) for _, profile, _ in modes for shift in range(12)])
    profiles -= profiles.mean(axis=1, keepdims=True)
    profiles /= np.linalg.norm(profiles, axis=1, keepdims=True)
    return profiles, tuple(f"{tonic} {mode}" for mode, _, tonics in modes for tonic in tonics)


def main_time_signature(score: ScoreTick) -> str:
    """Name the time signature that governs the most ticks; a pickup does not count.

    Args:
        score: A score with at least one bar.

    Returns:
        The signature, such as `"4/4"`.
    """
    ticks = signature_ticks(score)
    numerator, denominator = max(ticks, key=ticks.__getitem__)
    return f"{numerator}/{denominator}"


def notes_digest(score: ScoreTick, notes: Notes | None = None, *, transposable: bool = False) -> str:
    """Hash the notes of each voice: onsets, durations and pitches, in units that no resolution changes.

    File name, tempo, meter, velocities, sounds and track names play no part.

    Args:
        score: The score; the order of its tracks counts.
        notes: Its notes, where they are at hand.
        transposable: Give the same digest to every transposition of the piece; percussion is not transposed.

    Returns:
        A SHA-256 digest in hexadecimal.
    """
    notes = notes_of(score.tracks) if notes is None else notes
    is_drum_T = np.array([track.is_drum for track in score.tracks], dtype=bool)
    unit = int(np.gcd.reduce(np.concatenate([notes.time_N, notes.duration_N, [score.tpq]])))
    shift = int(notes.pitch_N[~is_drum_T[notes.track_N]].min(initial=128)) if transposable else 0
    shift_N = np.where(is_drum_T[notes.track_N], 0, shift)
    columns = (notes.time_N // unit, notes.duration_N // unit, notes.pitch_N - shift_N)
    order = np.lexsort((*columns, notes.track_N))  # an order that depends on nothing but the notes themselves
    rows = np.stack(columns, axis=1)[order].astype("<i8")
    ends = np.cumsum(np.bincount(notes.track_N, minlength=is_drum_T.size)).tolist()
    digest = hashlib.sha256(str(score.tpq // unit).encode())
    for is_drum, start, end in zip(is_drum_T, [0, *ends], ends, strict=False):
        digest.update(b"drums" if is_drum else b"voice")
        digest.update(rows[start:end].tobytes())
    return digest.hexdigest()


def incipit_digest(score: ScoreTick, notes: Notes | None = None) -> str:
    """Hash how a piece begins: the first intervals of its upper line, a repeated pitch counted once.

    Rhythm, transposition, lower parts and whatever comes later play no part, so that versions of a piece share it.

    Args:
        score: A score with at least one note that is no percussion.
        notes: Its notes, where they are at hand.

    Returns:
        A SHA-256 digest in hexadecimal.
    """
    pitched = _pitched(score, notes)
    order = np.lexsort((-pitched.pitch_N, pitched.time_N))
    times, pitches = pitched.time_N[order], pitched.pitch_N[order]
    upper = pitches[np.append(True, np.diff(times) > 0)]
    steps = np.diff(upper)
    return hashlib.sha256(steps[steps != 0][:INCIPIT_INTERVALS].astype("<i8").tobytes()).hexdigest()


def _pitched(score: ScoreTick, notes: Notes | None) -> Notes:
    """Return the notes that are no percussion."""
    notes = notes_of(score.tracks) if notes is None else notes
    is_drum = [track.is_drum for track in score.tracks]
    return notes.where(~np.array(is_drum)[notes.track_N]) if any(is_drum) else notes
