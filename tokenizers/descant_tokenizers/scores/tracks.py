"""Tracks: their instruments by name or number, and their notes as arrays.

symusic makes arrays of one track at a time, which takes longer than most uses of them; `notes_of` joins all tracks.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError, printable

DRUMS = -1
"""The program of drums in miditok."""

_NUM_PROGRAMS = 128
_COLUMNS = ("time", "duration", "pitch", "velocity")


def program_of(track: TrackTick) -> int:
    """Return the General MIDI program of a track, 0-127, or `DRUMS`."""
    return DRUMS if track.is_drum else int(track.program)


def program_name(program: int) -> str:
    """Return the General MIDI instrument of a program, or Drums."""
    return "Drums" if program == DRUMS else _program_names()[program]


@cache
def _program_names() -> tuple[str, ...]:
    """Return the names that miditok lists, without its package, which imports PyTorch where that is installed."""
    package = importlib.util.find_spec("miditok")
    assert package is not None, "miditok is a dependency"
    assert package.origin is not None, "it has a file"
    spec = importlib.util.spec_from_file_location("_miditok_constants", Path(package.origin).with_name("constants.py"))
    assert spec is not None, "it ends in .py"
    assert spec.loader is not None, "it ends in .py"
    constants = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(constants)
    return tuple(str(instrument["name"]) for instrument in constants.MIDI_INSTRUMENTS)


def track_label(score: ScoreTick, index: int) -> str:
    """Return a track's number from 1, its name and its instrument, for messages."""
    track = score.tracks[index]
    name = f" '{printable(track.name, 40)}'" if track.name else ""
    return f"{index + 1}{name} ({program_name(program_of(track))})"


def track_indices(score: ScoreTick, wanted: str) -> list[int]:
    """Find tracks with notes by number from 1, by name, or by a part of their name or instrument.

    Raises:
        InputError: No track matches; the message lists the tracks.
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
    choices = listed([track_label(score, index) for index in sounding])
    raise InputError(f"There is no track '{printable(wanted, 40)}'. Choose from {choices}.")


def find_program(wanted: str, known: Sequence[int]) -> int:
    """Find a program among the known ones by number 0-127, by its General MIDI name or a part of it, or by `drums`.

    Raises:
        InputError: None of the known programs matches; the message lists them.
    """
    plain = wanted.strip().lower()
    if plain.isdecimal() and int(plain) < _NUM_PROGRAMS and int(plain) in known:
        return int(plain)
    names = {program: program_name(program).lower() for program in known}
    exact = [program for program, name in names.items() if name == plain]
    partial = [program for program, name in names.items() if plain and plain in name and not plain.isdecimal()]
    if exact or partial:
        return (exact or partial)[0]
    choices = listed([f"{name} ({program})" for program, name in names.items()])
    raise InputError(f"The model does not play '{printable(wanted, 40)}'. Choose from {choices}.")


def listed(labels: Sequence[str], most: int = 24) -> str:
    """Join at most `most` labels by commas, and add the number of the others."""
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(labels[:most]) + more


class Notes(NamedTuple):
    """N notes, track by track, in the order of each track.

    Attributes:
        track_N: Index of the note's track.
        time_N: Onset in ticks.
        duration_N: Length in ticks.
        pitch_N: MIDI pitch; negative for a byte above 127 in the file (symusic keeps signed bytes).
        velocity_N: MIDI velocity, likewise.
    """

    track_N: NDArray[np.int64]
    time_N: NDArray[np.int64]
    duration_N: NDArray[np.int64]
    pitch_N: NDArray[np.int64]
    velocity_N: NDArray[np.int64]

    @property
    def ends(self) -> NDArray[np.int64]:
        """End of each note in ticks."""
        return self.time_N + self.duration_N

    @property
    def are_lines(self) -> bool:
        """True if every track is sorted by time and never sounds two notes at once."""
        same = self.track_N[1:] == self.track_N[:-1]
        steps = np.diff(self.time_N)
        return not (same & ((steps <= 0) | (steps < self.duration_N[:-1]))).any()

    def where(self, chosen: NDArray[np.bool_]) -> Notes:
        """Return some of the notes."""
        return Notes(*(column[chosen] for column in self))


def notes_of(tracks: Iterable[TrackTick]) -> Notes:
    """Return the notes of all tracks as arrays; tracks may be empty."""
    found = [track.notes.numpy() for track in tracks]
    if not found:
        return Notes(*(np.empty(0, dtype=np.int64) for _ in Notes._fields))
    sizes = [len(arrays["time"]) for arrays in found]
    columns = (np.concatenate([arrays[name] for arrays in found], dtype=np.int64) for name in _COLUMNS)
    return Notes(np.repeat(np.arange(len(found)), sizes), *columns)
