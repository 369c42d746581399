"""Quantize the notes of a score, all at once as arrays: each value becomes the nearest that the vocabulary has.

All numbers are whole, so that ties are exact: ticks of the score (`fine` to the quarter note) are multiplied by those
of the grid, and ticks of the grid by `fine`, before they are compared.

Shapes: B bars, N notes, V values to choose from. Units: grid ticks, unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descant_tokenizers.scores import Bar
from descant_tokenizers.scores.tracks import Notes
from descant_tokenizers.tokens.piece import GridBar, GridNote, GridTempo
from descant_tokenizers.tokens.vocabulary import Meter, Vocabulary

Ints = NDArray[np.int64]


class GridNotes(NamedTuple):
    """Notes on the grid; offsets count from the beginning of a note's bar."""

    bar_N: Ints
    offset_N: Ints
    voice_N: Ints
    pitch_N: Ints
    duration_N: Ints
    velocity_N: Ints

    def at(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> GridNotes:
        """Return some of the notes, or all of them in another order."""
        return GridNotes(*(column[chosen] for column in self))

    def in_bars(self, meters: Sequence[Meter], tempos: Sequence[Sequence[GridTempo]]) -> tuple[GridBar, ...]:
        """Return bars with these notes, given the meter and the tempos of each bar."""
        ordered = self.at(np.lexsort((self.pitch_N, self.voice_N, self.offset_N, self.bar_N)))
        notes = list(map(GridNote._make, zip(*(column.tolist() for column in ordered[1:]), strict=True)))
        bounds = np.searchsorted(ordered.bar_N, np.arange(len(meters) + 1)).tolist()
        return tuple(
            GridBar(meter, tuple(notes[start:end]), tuple(inside))
            for meter, start, end, inside in zip(meters, bounds[:-1], bounds[1:], tempos, strict=True)
        )


class Quantizer:
    """The onsets and durations that the grid allows in a piece.

    The bars of the score are as long as their meters; there is one more meter, for a bar into which events at the very
    end may be rounded up. `fine` are the ticks of the score to the quarter note.
    """

    def __init__(self, vocabulary: Vocabulary, bars: Sequence[Bar], meters: Sequence[Meter], fine: int) -> None:
        assert len(meters) == len(bars) + 1
        self._vocabulary, self._grid, self._fine = vocabulary, vocabulary.ticks_per_quarter, fine
        self._fine_start_B = np.array([bar.start_ticks for bar in bars])
        self._bar_ticks_B = np.array([meter.bar_ticks for meter in meters])
        self._position_ticks_B = np.array([meter.position_ticks for meter in meters])
        self._denominator_B = np.array([meter.denominator for meter in meters])
        self._start_B = np.cumsum(self._bar_ticks_B) - self._bar_ticks_B

    def place(self, fine_ticks: ArrayLike) -> tuple[Ints, Ints]:
        """Return for each time, in ticks of the score, the bar and the offset in it that are nearest."""
        time_N = np.asarray(fine_ticks, dtype=np.int64)
        bar_N = np.searchsorted(self._fine_start_B, time_N, side="right") - 1
        step_N = self._position_ticks_B[bar_N]
        unit_N = step_N * self._fine
        offset_N = (2 * (time_N - self._fine_start_B[bar_N]) * self._grid + unit_N) // (2 * unit_N) * step_N
        is_next_N = offset_N >= self._bar_ticks_B[bar_N]
        return bar_N + is_next_N, np.where(is_next_N, 0, offset_N)

    def round(self, notes: Notes, voice_N: Ints) -> GridNotes:
        """Round the notes of a score; several may coincide."""
        bar_N, offset_N = self.place(notes.time_N)
        duration_N = np.empty_like(bar_N)
        for denominator, mine in self._by_denominator(bar_N):
            lengths = self._lengths(denominator)
            duration_N[mine] = _nearest(lengths, self._fine, notes.duration_N[mine] * self._grid)
        velocity_N = _nearest(np.array(sorted(self._vocabulary.velocity_id)), 1, notes.velocity_N)
        return GridNotes(bar_N, offset_N, voice_N, notes.pitch_N, duration_N, velocity_N)

    def without_clashes(self, notes: GridNotes) -> GridNotes:
        """Keep the longest of notes of one pitch that begin together; end one when its pitch is struck again."""
        onset_N = self.onsets(notes)
        order = np.lexsort((notes.velocity_N, notes.duration_N, onset_N, notes.pitch_N, notes.voice_N))
        notes, onset_N = notes.at(order), onset_N[order]
        is_last_N = np.append(~_has_same_next(notes) | (np.diff(onset_N) > 0), True)
        notes, onset_N = notes.at(is_last_N), onset_N[is_last_N]
        duration_N = notes.duration_N.copy()
        room_N = np.append(np.where(_has_same_next(notes), np.diff(onset_N), duration_N[:-1]), duration_N[-1:])
        for denominator, mine in self._by_denominator(notes.bar_N):
            cut = mine & (duration_N > room_N)
            lengths = self._lengths(denominator)
            duration_N[cut] = lengths[np.searchsorted(lengths, room_N[cut], side="right") - 1]
        return notes._replace(duration_N=duration_N)

    def onsets(self, notes: GridNotes) -> Ints:
        """Return onsets from the beginning of the piece."""
        onset_N: Ints = self._start_B[notes.bar_N] + notes.offset_N
        return onset_N

    def count_changes(self, before: Notes, voice_N: Ints, after: GridNotes) -> dict[str, int]:
        """Count the notes of a score that were changed, by the kind of change."""
        keys_before = _keys(voice_N, before.pitch_N, before.time_N * self._grid)
        keys_after = _keys(after.voice_N, after.pitch_N, self.onsets(after) * self._fine)
        _, last = np.unique(keys_before[::-1], return_index=True)  # of notes that begin together, the last one counts
        last = keys_before.size - 1 - last
        both, at, new = np.intersect1d(keys_before[last], keys_after, assume_unique=True, return_indices=True)
        old = last[at]
        resized = before.duration_N[old] * self._grid != after.duration_N[new] * self._fine
        return {
            "notes dropped to fit the grid": keys_before.size - keys_after.size,
            "notes moved to fit the grid": keys_after.size - both.size,
            "notes given another length to fit the grid": int(resized.sum()),
            "velocities rounded": int((before.velocity_N[old] != after.velocity_N[new]).sum()),
        }

    def _by_denominator(self, bar_N: Ints) -> list[tuple[int, NDArray[np.bool_]]]:
        """Return which notes are in bars of each denominator."""
        denominator_N = self._denominator_B[bar_N]
        return [(denominator, denominator_N == denominator) for denominator in np.unique(denominator_N).tolist()]

    def _lengths(self, denominator: int) -> Ints:
        return np.array(sorted(self._vocabulary.duration_id[denominator]))


def _nearest(value_V: Ints, factor: int, target_N: Ints) -> Ints:
    """Return the rising value whose product with a factor is nearest; of two equally near, the larger."""
    middle = (value_V[1:] + value_V[:-1]) * factor
    return value_V[np.searchsorted(middle, 2 * target_N, side="right")]


def _has_same_next(notes: GridNotes) -> NDArray[np.bool_]:
    """Return for each note but the last whether the next one has its voice and pitch."""
    same: NDArray[np.bool_] = (np.diff(notes.voice_N) == 0) & (np.diff(notes.pitch_N) == 0)
    return same


def _keys(voice_N: Ints, pitch_N: Ints, onset_N: Ints) -> Ints:
    """Return one number for voice, pitch and onset; an onset at 2^26 ticks, times those of the grid, has 33 bits."""
    return (voice_N << 7 | pitch_N) << 44 | onset_N
