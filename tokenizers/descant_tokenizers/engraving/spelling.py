"""Note names for MIDI pitches: the nearest on the line of fifths to the key."""

from __future__ import annotations

from symusic.core import ScoreTick

from descant_tokenizers.corpora.analysis import estimate_key

__all__ = ["key_of", "spell"]

_STEPS = "FCGDAEB"
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_LOWEST = {"major": -3, "minor": -2}
"""The flattest of the twelve fifths that a key uses, counted from its signature's major tonic.

In C major they are Eb to G#, in A minor Bb to D#.
"""


def spell(pitch: int, sharps: int, mode: str = "major") -> tuple[str, int, int]:
    """Name a pitch in a key.

    Args:
        pitch: MIDI pitch, 0-127.
        sharps: Sharps of the key signature, negative for flats.
        mode: `major` or `minor`; the minor raises its sixth and seventh degree, and the fourth before the fifth.

    Returns:
        Step, alteration in semitones, octave: `("C", 1, 4)` is C sharp above middle C.
    """
    lowest = sharps + _LOWEST[mode]
    fifths = lowest + (pitch * 7 - lowest) % 12  # of all names of a pitch, which are 12 fifths apart
    index = fifths + 1  # from F, which is one fifth below C
    step, alter = _STEPS[index % 7], index // 7
    return step, alter, (pitch - alter - _NATURALS[step]) // 12 - 1


def key_of(score: ScoreTick) -> tuple[int, str]:
    """Return the sharps of a score's first key signature (negative for flats), and its mode.

    What the score does not say is estimated from its notes (see `estimate_key`): a MIDI file without a key signature
    has neither, and most say major whatever the mode is.
    """
    tonic, mode = estimate_key(score).split()
    step, alter = tonic[0], tonic.count("#") - tonic.count("b")
    estimated = _STEPS.index(step) - 1 + 7 * alter - (3 if mode == "minor" else 0)
    if not score.key_signatures:
        return estimated, mode
    written = score.key_signatures[0]
    # A signature a step off its key is an old habit: Dorian and Mixolydian.
    is_minor = written.tonality == 1 or (mode == "minor" and abs(written.key - estimated) <= 1)
    return written.key, "minor" if is_minor else "major"
