"""Melodic intervals as they are written: which leaps are augmented in a key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_tokenizers.corpora.analysis import MAJOR_TONICS, MINOR_TONICS, estimate_key

__all__ = ["MAJOR_FIFTHS", "MINOR_FIFTHS", "STEP", "TRITONE_FIFTHS", "Key", "augmented_leaps", "key_of_notes"]

STEP: Final = 2
"""Semitones of the widest step; what is wider is a leap."""
TRITONE_FIFTHS: Final = 6
"""An interval is augmented if it goes so many places on the line of fifths towards the sharps while rising."""
_OCTAVE = 12

# Line-of-fifths places of the twelve degrees above the tonic: how a note is spelled as a rule in a major and a minor
# key (the raised fourth and the lowered seventh in both; in minor also the lowered second, in major the raised first
# and fifth).
MAJOR_FIFTHS: Final = (0, 7, 2, -3, 4, -1, 6, 1, 8, 3, -2, 5)
MINOR_FIFTHS: Final = (0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5)


class Key(NamedTuple):
    """A key.

    Attributes:
        tonic: Pitch class, 0-11.
        is_major: Its mode.
    """

    tonic: int
    is_major: bool


def key_of_notes(notes: Iterable[tuple[int, int]]) -> Key | None:
    """Estimate the key of notes, given as pitch and duration in any unit; None if there are none."""
    track = TrackTick("", 0, False)
    for pitch, duration in notes:
        track.notes.append(NoteTick(0, duration, pitch, 1))
    if not track.notes:
        return None
    score = ScoreTick(1)
    score.tracks.append(track)
    tonic, mode = estimate_key(score).split()
    is_major = mode == "major"
    return Key((MAJOR_TONICS if is_major else MINOR_TONICS).index(tonic), is_major)


def augmented_leaps(key: Key, pitch: int) -> frozenset[int]:
    """Return the MIDI pitches, up to an octave away, that an augmented leap reaches from a pitch."""
    fifths = MAJOR_FIFTHS if key.is_major else MINOR_FIFTHS
    place = fifths[(pitch - key.tonic) % _OCTAVE]
    leaps = (leap for leap in range(-_OCTAVE, _OCTAVE + 1) if abs(leap) > STEP)
    return frozenset(
        pitch + leap
        for leap in leaps
        if (1 if leap > 0 else -1) * (fifths[(pitch + leap - key.tonic) % _OCTAVE] - place) >= TRITONE_FIFTHS
    )
