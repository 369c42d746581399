"""Conversion of the notes of one track to a piano roll and back.

A roll is a Boolean array (steps, 128 pitches): cell (t, p) is true if pitch p sounds when step t begins. Every note
that begins and ends on a step is kept unchanged, except that repeated notes without a rest between them merge into one.
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
"""One or more piano rolls in one array; each function names its axes."""


@dataclass(frozen=True)
class Lost:
    """Notes that a roll does not keep.

    Attributes:
        num_notes: All notes, kept or not.
        merged: Notes on the grid that merge with a note of the same pitch, which ends where they begin.
        off_grid: Notes that do not begin and end on a step.
    """

    num_notes: int
    merged: int
    off_grid: int


def roll_of_notes(notes: Iterable[NoteTick], edges_ticks: Sequence[int]) -> Rolls:
    """Mark the pitches that sound when each step begins.

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
