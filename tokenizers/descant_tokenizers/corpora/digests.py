"""Facts about a score that a dataset row carries: key, main time signature, digests of its notes."""

from __future__ import annotations

import hashlib

import numpy as np
from symusic.core import ScoreTick

from descant_tokenizers.scores.bars import signature_ticks
from descant_tokenizers.scores.key import _pitched
from descant_tokenizers.scores.tracks import Notes, notes_of

INCIPIT_INTERVALS = 12


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
