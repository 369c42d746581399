"""Notes of one track to a piano roll and back.

A roll is a Boolean array (steps, 128 pitches): cell (t, p) is true where pitch p sounds when step t begins. Every note
that begins and ends on a step comes back unchanged, with one exception that no roll can avoid: notes of one pitch that
follow each other without a rest merge into one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from symusic.core import NoteTick

NUM_PITCHES = 128
STEPS_PER_BEAT = 4
BAR_STEPS = 4 * STEPS_PER_BEAT
WINDOW_BARS = 2
WINDOW_STEPS = WINDOW_BARS * BAR_STEPS
VELOCITY = 80

Rolls = NDArray[np.bool_]
"""One piano roll or several in one array, whose axes each function names."""


@dataclass(frozen=True)
class Lost:
    """Notes that a roll does not keep.

    Attributes:
        num_notes: All notes, kept or not.
        merged: Notes that merge with the note before, which has the same pitch and ends where they begin.
        off_grid: Of the others, those that do not begin and end on a step.
    """

    num_notes: int
    merged: int
    off_grid: int


def roll_of_notes(notes: Iterable[NoteTick], edges_ticks: Sequence[int]) -> Rolls:
    """Mark what sounds when each step begins.

    Args:
        notes: Notes in ticks; those that begin before the first step or end after the last one are cut.
        edges_ticks: Onset of each step, and the end of the last one; increasing.

    Returns:
        (steps, 128).
    """
    onsets = edges_ticks[:-1]
    roll = np.zeros((len(onsets), NUM_PITCHES), dtype=np.bool_)
    for note in notes:
        roll[bisect_left(onsets, note.time) : bisect_left(onsets, note.end), note.pitch] = True
    return roll


def notes_of_roll(roll: Rolls, edges_ticks: Sequence[int], velocity: int = VELOCITY) -> list[NoteTick]:
    """Turn each run of sounding cells into a note.

    Args:
        roll: (steps, 128).
        edges_ticks: Onset of each step, and the end of the last one; increasing.
        velocity: Of all notes.

    Returns:
        Notes by onset, then pitch.
    """
    changes = np.diff(roll.astype(np.int8), axis=0, prepend=0, append=0)  # +1 where a run begins, -1 after its end
    pitches, firsts = np.nonzero(changes.T == 1)  # transposed, so that runs of a pitch come in order
    _, ends = np.nonzero(changes.T == -1)
    runs = sorted(zip(firsts.tolist(), pitches.tolist(), ends.tolist(), strict=True))
    return [
        NoteTick(edges_ticks[first], edges_ticks[end] - edges_ticks[first], pitch, velocity)
        for first, pitch, end in runs
    ]


def even_edges(num_steps: int, step_ticks: int) -> range:
    """Return the edges of steps of equal length, from tick 0."""
    return range(0, (num_steps + 1) * step_ticks, step_ticks)


def count_lost(notes: Iterable[NoteTick], step_ticks: int) -> Lost:
    """Count the notes of one track that a roll does not keep."""
    ends: dict[int, int] = {}
    merged = off_grid = number = 0
    for note in sorted(notes, key=lambda note: note.time):
        number += 1
        if note.time % step_ticks or note.duration % step_ticks:
            off_grid += 1
        elif ends.get(note.pitch) == note.time:
            merged += 1
        ends[note.pitch] = note.time + note.duration
    return Lost(number, merged, off_grid)
