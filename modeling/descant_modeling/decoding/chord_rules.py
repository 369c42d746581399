"""Rules of chords while sampling: sevenths resolve down by step, and no chord on a beat lacks its third.

Of Bach's sevenths on beats 87 % resolve, and of his beats at which four voices sound 0.6 % have no third; a small model
leaves a third of its sevenths hanging. A voice that has had a seventh may only keep it or fall by a step, unless its
phrase is over, and the last voice of a chord may not complete it without a third. Sevenths of given voices are left
alone: forbidding those that do not resolve cost more in the other voices than it gained (records/LOG.md).

Chords are those that the sounding notes spell (`descant_tokenizers.pianoroll.harmony`), as in the evaluation. In
diminished seventh chords any note may be the seventh, so none is.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from descant_tokenizers.pianoroll.harmony import chord_of_pitches
from descant_tokenizers.scores.key import NUM_PITCH_CLASSES

_STEP: Final = 2
_PITCHES: Final = frozenset(range(128))


def is_seventh(pitch: int, sounding: Iterable[int]) -> bool:
    """Return True if a MIDI pitch is the seventh of the chord that sounds, which is not a diminished seventh chord."""
    chord = chord_of_pitches(sounding)
    return (
        chord is not None and chord.quality.name != "diminished seventh" and chord.seventh == pitch % NUM_PITCH_CLASSES
    )


def not_resolving(seventh: int) -> frozenset[int]:
    """Return the MIDI pitches to which a voice may not go on from a seventh."""
    return _PITCHES - {seventh - step for step in range(_STEP + 1)}


@lru_cache(maxsize=1 << 12)
def without_third(sounding: tuple[int, ...]) -> frozenset[int]:
    """Return the MIDI pitches that complete the other voices to a chord without its third."""
    chords = {pitch: chord_of_pitches((*sounding, pitch)) for pitch in _PITCHES}
    return frozenset(pitch for pitch, chord in chords.items() if chord is not None and chord.third is None)
