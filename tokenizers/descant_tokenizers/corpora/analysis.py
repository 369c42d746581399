"""Facts about a score that a dataset row carries: key, main time signature, digests of its notes."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick

from descant_tokenizers.scores import bars_of

# Krumhansl and Kessler's probe-tone ratings (Krumhansl, Cognitive Foundations of Musical Pitch, 1990, p. 30).
MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
# The spelling with fewer accidentals in its key signature; sharps for F sharp major, flats for E flat minor.
MAJOR_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


def estimate_key(score: ScoreTick) -> str:
    """Estimate the key from how long each pitch class sounds (Krumhansl and Schmuckler).

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
    """Return (onset, duration, pitch) rows sorted by onset, then pitch."""
    rows = np.stack([notes["time"], notes["duration"], notes["pitch"]], axis=1).astype(np.int64)
    return rows[np.lexsort((rows[:, 2], rows[:, 0]))]
