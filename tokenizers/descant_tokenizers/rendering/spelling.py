"""Keys, and the spelling of MIDI pitches: the name nearest to the key on the line of fifths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.key import NATURALS, estimate_key

if TYPE_CHECKING:
    from music21 import key as music21_key

_STEPS = "FCGDAEB"
_LOWEST = {"major": -3, "lydian": -3, "mixolydian": -3}
_LOWEST_IN_MINOR = -2
"""The flattest of the twelve fifths that a key uses, from its signature's major tonic: Eb in C major, Bb in A minor."""
_MINOR_FIFTHS = 3  # from the major tonic of a signature to its minor one
_MODE_FIFTHS = {"major": 0, "minor": 3, "dorian": 2, "phrygian": 4, "lydian": -1, "mixolydian": 1, "locrian": 5}
"""Fifths from the major tonic of a signature to the tonic of each mode."""
_MAX_SHARPS = 7
LOWEST_PRINTED = 12
"""Pitch of C0: MusicXML has no lower octave."""
_KEY = re.compile(r"([A-Ga-g])\s*(#|b|-?sharp|-?flat)?\s*(m|min|minor|maj|major)?", re.IGNORECASE)


@dataclass(frozen=True)
class Key:
    """A key: sharps of its signature (negative for flats, -7 to 7) and mode (`major`, `minor`, `dorian`, ...)."""

    sharps: int
    mode: str = "major"

    @property
    def tonic(self) -> str:
        """Name of the tonic, such as `F#` or `Bb`."""
        return note_name(*name_of_fifths(self.sharps + _MODE_FIFTHS[self.mode]))

    def __str__(self) -> str:
        return f"{self.tonic} {self.mode}"

    def to_music21(self) -> music21_key.Key:
        """Return music21's form of the key."""
        from music21 import key as music21_key

        return music21_key.Key(self.tonic.replace("b", "-"), self.mode)


@dataclass(frozen=True)
class KeyFound:
    """The key of a score, and its source in a few words."""

    key: Key
    reason: str

    def __str__(self) -> str:
        return f"{self.key} ({self.reason})"


def parse_key(text: str) -> Key:
    """Parse a key as people write it: `G`, `F# minor`, `Bb major`, `ebm`.

    Raises:
        InputError: It is not a key, or has more than seven sharps or flats.
    """
    found = _KEY.fullmatch(text.strip())
    if found is None:
        raise InputError(f"'{text}' is not a key. Give one such as G, 'F# minor' or Bb.")
    step, sign, word = found[1].upper(), (found[2] or "").strip("-").lower(), found[3] or ""
    is_minor = word == "m" or word.lower().startswith("min")
    alter = 1 if sign in ("#", "sharp") else -1 if sign else 0
    sharps = _STEPS.index(step) - 1 + 7 * alter - (_MINOR_FIFTHS if is_minor else 0)
    key = Key(sharps, "minor" if is_minor else "major")
    if abs(sharps) > _MAX_SHARPS:
        raise InputError(f"{key} has {abs(sharps)} {'sharps' if sharps > 0 else 'flats'}. Give a key with at most 7.")
    return key


def note_name(step: str, alter: int, flat: str = "b") -> str:
    """Return a name such as `F#`; music21 writes flats as `-`."""
    return step + "#" * alter + flat * -alter


def spell(pitch: int, sharps: int, mode: str = "major") -> tuple[str, int, int]:
    """Spell a pitch in a key.

    Args:
        pitch: MIDI pitch, 0-127.
        sharps: Sharps of the key signature, negative for flats.
        mode: A mode; minor raises its sixth and seventh degrees, and the fourth before the fifth.

    Returns:
        Step, alteration in semitones, octave: `("C", 1, 4)` is C sharp above middle C.
    """
    step, alter = name_of_fifths(fifths_of(pitch, sharps, mode))
    return step, alter, (pitch - alter - NATURALS[step]) // 12 - 1


def spelled_as(pitch: int, step: str, alter: int) -> tuple[str, int, int]:
    """Return step, alteration and octave of a pitch with a known name; see `spell`."""
    return step, alter, (pitch - alter - NATURALS[step]) // 12 - 1


def fifths_of(pitch: int, sharps: int, mode: str = "major") -> int:
    """Return the position on the line of fifths, counted from C, of the name that `spell` gives a pitch."""
    lowest = sharps + _LOWEST.get(mode, _LOWEST_IN_MINOR)
    return lowest + (pitch * 7 - lowest) % 12  # of all names of a pitch, which are 12 fifths apart


def name_of_fifths(fifths: int) -> tuple[str, int]:
    """Return step and alteration of a position on the line of fifths, counted from C."""
    index = fifths + 1  # from F, which is one fifth below C
    return _STEPS[index % 7], index // 7


def find_key(score: ScoreTick, mode: str = "") -> KeyFound:
    """Find the key of a score.

    A `mode` such as `dorian`, which a file states, is that of the first key signature.

    The first key signature gives the number of sharps or flats. The rest is estimated from the notes (see
    `estimate_key`): many MIDI files have no key signature, and most signatures say major whatever the mode. Of a major
    key and its relative minor, the one on whose tonic the music ends is chosen.
    """
    last = _last_pitch_class(score)
    estimated = _ending_on(parse_key(estimate_key(score)), last)
    if not score.key_signatures:
        return KeyFound(estimated, "found in the notes")
    written = score.key_signatures[0]
    if mode in _MODE_FIFTHS:
        return KeyFound(Key(written.key, mode), "from the file")
    # Old editions write Dorian and Mixolydian signatures, one accidental off the key.
    is_minor = estimated.mode == "minor" and abs(written.key - estimated.sharps) <= 1
    if written.tonality == 1:
        key = Key(written.key, "minor")
    else:
        key = _ending_on(Key(written.key, "minor" if is_minor else "major"), last)
    return KeyFound(key, "from the file" if key == estimated else f"from the file; the notes suggest {estimated}")


def _last_pitch_class(score: ScoreTick) -> int:
    """Return the pitch class of the lowest of the notes that end last."""
    notes = [(note.end, -note.pitch) for track in score.tracks if not track.is_drum for note in track.notes]
    return -max(notes)[1] % 12


def _ending_on(key: Key, pitch_class: int) -> Key:
    """Return a key, or its relative key if the music ends on that key's tonic."""
    tonics = {"major": key.sharps * 7 % 12, "minor": (key.sharps + _MINOR_FIFTHS) * 7 % 12}
    return next((Key(key.sharps, mode) for mode, tonic in tonics.items() if tonic == pitch_class), key)
