"""Tracks and instruments by name or number.

Notes of several tracks as arrays, for a look at all of them at once.

symusic makes arrays of one track at a time, which takes longer than most of what is then done with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError, printable

__all__ = ["DRUMS", "Notes", "find_program", "notes_of", "program_name", "program_of", "track_indices", "track_label"]

DRUMS = -1
"""The program under which miditok has drums."""

_MAX_LISTED = 24
_NUM_PROGRAMS = 128


def program_of(track: TrackTick) -> int:
    """Return the General MIDI program of a track, 0-127, or `DRUMS`."""
    return DRUMS if track.is_drum else int(track.program)


def program_name(program: int) -> str:
    """Name a program: its instrument in General MIDI, or Drums."""
    from miditok.constants import MIDI_INSTRUMENTS  # a worker process that only reads scores starts sooner without it

    return "Drums" if program == DRUMS else str(MIDI_INSTRUMENTS[program]["name"])


def track_label(score: ScoreTick, index: int) -> str:
    """Name a track for people: its number from 1, name and instrument."""
    track = score.tracks[index]
    name = f" '{printable(track.name, 40)}'" if track.name else ""
    return f"{index + 1}{name} ({program_name(program_of(track))})"


def track_indices(score: ScoreTick, wanted: str) -> list[int]:
    """Find the tracks with notes that are meant: by number from 1, by name, or by a word of their instrument's name.

    Raises:
        InputError: There is none; the message lists what there is.
    """
    plain = wanted.strip().lower()
    sounding = [index for index, track in enumerate(score.tracks) if track.notes]
    found = [index for index in sounding if score.tracks[index].name.strip().lower() == plain]
    if not found and plain.isdecimal() and int(plain) - 1 in sounding:
        found = [int(plain) - 1]
    found = found or [index for index in sounding if plain and plain in score.tracks[index].name.lower()]
    found = found or [i for i in sounding if plain and plain in program_name(program_of(score.tracks[i])).lower()]
    if found:
        return found
    listed = ", ".join(track_label(score, index) for index in sounding[:_MAX_LISTED])
    more = f" and {len(sounding) - _MAX_LISTED} more" if len(sounding) > _MAX_LISTED else ""
    raise InputError(f"there is no track '{printable(wanted, 40)}'; choose from {listed}{more}.")


def find_program(wanted: str, known: Sequence[int]) -> int:
    """Find the program that is meant: by number 0-127, by its name in General MIDI or a word of it, or `drums`.

    Args:
        wanted: Number or name.
        known: Programs to choose from, such as those that a model has heard.

    Raises:
        InputError: None of the known programs is meant; the message lists them.
    """
    plain = wanted.strip().lower()
    if plain.isdecimal() and int(plain) < _NUM_PROGRAMS and int(plain) in known:
        return int(plain)
    names = {program: program_name(program).lower() for program in known}
    exact = [program for program, name in names.items() if name == plain]
    partial = [program for program, name in names.items() if plain and plain in name and not plain.isdecimal()]
    if exact or partial:
        return (exact or partial)[0]
    listed = ", ".join(f"{name} ({program})" for program, name in list(names.items())[:_MAX_LISTED])
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    raise InputError(f"the model plays no '{printable(wanted, 40)}'; choose from {listed.lower()}{more}.")


_COLUMNS = ("time", "duration", "pitch", "velocity")


class Notes(NamedTuple):
    """N notes, track after track, each track's in its own order.

    Attributes:
        track_N: Place of a note's track among those given.
        time_N: Onset in ticks.
        duration_N: Length in ticks.
        pitch_N: MIDI pitch; below 0 where a file says more than 127 (symusic keeps bytes with a sign).
        velocity_N: MIDI velocity, likewise.
    """

    track_N: NDArray[np.int64]
    time_N: NDArray[np.int64]
    duration_N: NDArray[np.int64]
    pitch_N: NDArray[np.int64]
    velocity_N: NDArray[np.int64]

    @property
    def ends(self) -> NDArray[np.int64]:
        """Where each note ends, in ticks."""
        return self.time_N + self.duration_N

    @property
    def are_lines(self) -> bool:
        """Whether each track is in order of time, one note after the other."""
        same = self.track_N[1:] == self.track_N[:-1]
        steps = np.diff(self.time_N)
        return not (same & ((steps <= 0) | (steps < self.duration_N[:-1]))).any()

    def where(self, chosen: NDArray[np.bool_]) -> Notes:
        """Return some of the notes."""
        return Notes(*(column[chosen] for column in self))


def notes_of(tracks: Iterable[TrackTick]) -> Notes:
    """Gather the notes of tracks.

    Args:
        tracks: Any tracks, empty ones too.
    """
    found = [track.notes.numpy() for track in tracks]
    if not found:
        return Notes(*(np.empty(0, dtype=np.int64) for _ in Notes._fields))
    sizes = [len(arrays["time"]) for arrays in found]
    columns = (np.concatenate([arrays[name] for arrays in found], dtype=np.int64) for name in _COLUMNS)
    return Notes(np.repeat(np.arange(len(found)), sizes), *columns)
