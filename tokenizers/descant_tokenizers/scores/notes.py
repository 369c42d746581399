"""Notes of several tracks as arrays, for a look at all of them at once.

symusic makes arrays of one track at a time, which takes longer than most of what is then done with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from symusic.core import TrackTick

__all__ = ["Notes", "notes_of"]

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
