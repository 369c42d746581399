"""Facts about a score that a dataset row carries: key, main time signature, digests of its notes."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick

from descant_tokenizers.scores import bars_of

# Relative frequencies in per cent of scale degrees in the Essen collection (Aarden 2003, as in music21's AardenEssen).
# They name the encoder's key in 79 % of the chorales; Krumhansl and Kessler's ratings, in 69 %: they lean to the fifth.
MAJOR_PROFILE = (17.77, 0.15, 14.93, 0.16, 19.80, 11.36, 0.29, 22.06, 0.15, 8.15, 0.23, 4.95)
MINOR_PROFILE = (18.26, 0.74, 14.05, 16.86, 0.70, 14.44, 0.70, 18.62, 4.57, 1.93, 7.38, 1.76)
# The spelling with fewer accidentals in its key signature; sharps for F sharp major, flats for E flat minor.
MAJOR_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


def estimate_key(score: ScoreTick) -> str:
    """Estimate the key: the profile that fits best to how long each pitch class sounds (Krumhansl and Schmuckler).

    Args:
        score: A score with at least one note.

    Returns:
        Tonic and mode, such as `"G major"` or `"Bb minor"`.
    """
    weights = np.zeros(12)
    for track in score.tracks:
        for note in track.notes:
            weights[note.pitch % 12] += note.duration
    fits = {}
    for mode, profile, tonics in (("major", MAJOR_PROFILE, MAJOR_TONICS), ("minor", MINOR_PROFILE, MINOR_TONICS)):
        for pitch_class, tonic in enumerate(tonics):
            fits[f"{tonic} {mode}"] = float(np.corrcoef(weights, np.roll(profile, pitch_class))[0, 1])
    return max(fits, key=fits.__getitem__)


def main_time_signature(score: ScoreTick) -> str:
    """Name the time signature that governs the most ticks; a pickup does not count.

    Args:
        score: A score with at least one bar.

    Returns:
        The signature, such as `"4/4"`.
    """
    ticks: Counter[str] = Counter()
    for bar in bars_of(score):
        ticks[f"{bar.numerator}/{bar.denominator}"] += bar.length_ticks if bar.number > 0 else 0
    return ticks.most_common(1)[0][0]


def notes_digest(score: ScoreTick, *, transposable: bool = False) -> str:
    """Hash the notes of each voice: onsets, durations and pitches, in units that no resolution changes.

    File name, tempo, meter, velocities, sounds and track names play no part.

    Args:
        score: The score; the order of its tracks counts.
        transposable: Give the same digest to every transposition of the piece.

    Returns:
        A SHA-256 digest in hexadecimal.
    """
    voices = [_note_rows(track.notes.numpy()) for track in score.tracks]
    times = np.concatenate([rows[:, :2].ravel() for rows in voices])
    unit = int(np.gcd.reduce(np.append(times, score.tpq)))
    lowest = min((int(rows[:, 2].min()) for rows in voices if len(rows)), default=0) if transposable else 0
    digest = hashlib.sha256(str(score.tpq // unit).encode())
    for rows in voices:
        digest.update(b"voice")
        digest.update(((rows - [0, 0, lowest]) // [unit, unit, 1]).astype("<i8").tobytes())
    return digest.hexdigest()


def _note_rows(notes: dict[str, NDArray[np.int32]]) -> NDArray[np.int64]:
    """Return (onset, duration, pitch) rows in an order that depends on nothing but themselves."""
    rows = np.stack([notes["time"], notes["duration"], notes["pitch"]], axis=1).astype(np.int64)
    return rows[np.lexsort(rows.T)]
