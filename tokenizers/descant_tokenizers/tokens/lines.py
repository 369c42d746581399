"""Which learned tokens are legal where voices are single lines: all of them at once, as arrays.

To follow thousands of runs base token by base token (as polyphony.py does) takes longer than the model itself. Here a
run is taken apart into its notes once; because voices come in order and each begins at most one note at an onset, what
one note of a run needs does not depend on the notes before it, only on the state in which the run begins. That the
result is that of following base tokens is tested.

Units: ticks of the vocabulary's grid; offsets count from the beginning of the current bar. Shapes: N notes of all runs.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from descant_tokenizers.tokens.vocabulary import TokenTable

if TYPE_CHECKING:
    from descant_tokenizers.tokens.grammar import Mask, Rules, State

_ORDER = ("Position", "Program", "Pitch", "Duration")


class _Note(NamedTuple):
    """A note of a run, or the part of one that it holds; -1 for what it does not say."""

    position: int = -1
    voice: int = -1
    pitch: int = -1
    duration_id: int = -1


class LearnedLines:
    """The learned tokens of a vocabulary whose voices are single lines.

    Args:
        table: The vocabulary.
    """

    def __init__(self, table: TokenTable) -> None:
        self.table = table
        runs = [table.base_ids(token_id) for token_id in range(table.num_base_ids, table.size)]
        notes = [_notes(table, run) for run in runs]
        self._first_ids = np.array([run[0] for run in runs])
        self._possible = np.array([_is_possible(table, run, own) for run, own in zip(runs, notes, strict=True)])
        self._starts = np.cumsum([0, *(len(own) for own in notes[:-1])])
        flat = np.array([note for own in notes for note in own], dtype=np.int64)
        self._position_N, self._voice_N, self._pitch_N, duration_id_N = flat.T
        self._ticks_N = {
            denominator: _lookup(ticks, table.num_base_ids)[duration_id_N]
            for denominator, ticks in table.duration_ticks.items()
        }
        self._begins_N = self._voice_N >= 0

    def legal(self, state: State, rules: Rules, allowed: Mask) -> Mask:
        """Return which learned tokens may follow, in the order of their ids.

        Args:
            state: Where the stream stands.
            rules: What a caller forbids.
            allowed: Which base tokens may follow.
        """
        begins: Mask = allowed[self._first_ids] & self._possible
        if not begins.any():
            return begins
        meter = self.table.meter_of[state.meter_id]
        position_ticks = self._position_N * meter.position_ticks
        offset_N = np.where(self._position_N >= 0, position_ticks, state.offset_ticks)
        voice_N = np.where(self._begins_N, self._voice_N, state.voice)
        latest_N = np.array(rules.latest_end_ticks)[voice_N]
        low_N, high_N = np.array(rules.pitches).T[:, voice_N]
        may_begin_N = self._may_begin(state, rules, offset_N, voice_N, latest_N)
        in_range_N = (low_N <= self._pitch_N) & (self._pitch_N <= high_N)
        in_time_N = offset_N + self._ticks_N[meter.denominator] <= latest_N
        legal_N = (may_begin_N | ~self._begins_N) & (in_range_N | (self._pitch_N < 0)) & in_time_N
        legal: Mask = begins & np.logical_and.reduceat(legal_N, self._starts)
        return legal

    def _may_begin(
        self,
        state: State,
        rules: Rules,
        offset_N: npt.NDArray[np.int64],
        voice_N: npt.NDArray[np.int64],
        latest_N: npt.NDArray[np.int64],
    ) -> Mask:
        """Whether each note's voice may begin a note at its onset."""
        written = np.zeros(self.table.num_voices, dtype=bool)
        written[list(rules.voices)] = True
        shortest = min(self.table.duration_ticks[self.table.meter_of[state.meter_id].denominator].values())
        free_N = np.array(state.busy_ticks)[voice_N]
        in_order_N = (self._position_N >= 0) | (voice_N > state.voice)
        may_begin_N: Mask = written[voice_N] & (free_N <= offset_N) & (offset_N + shortest <= latest_N) & in_order_N
        return may_begin_N


def _notes(table: TokenTable, run: tuple[int, ...]) -> list[_Note]:
    """Take a run apart; each `Program` begins a note, and what stands before the first one belongs to a note begun."""
    notes: list[_Note] = []
    position, note = -1, _Note()
    for base_id in run:
        kind = table.types[base_id]
        if kind == "Position":
            position = table.position_of[base_id]
            note = _Note(position)
        elif kind == "Program":
            if note != _Note(position):
                notes.append(note)
            note = _Note(position, table.voice_of[base_id])
        elif kind == "Pitch":
            note = note._replace(pitch=table.pitch_of[base_id])
        elif kind == "Duration":
            note = note._replace(duration_id=base_id)
    return [*notes, note]


def _is_possible(table: TokenTable, run: tuple[int, ...], notes: list[_Note]) -> bool:
    """Whether a run follows the order of types, and its voices come in order."""
    kinds = [_ORDER.index(table.types[base_id]) for base_id in run]
    in_order = all(after == before + 1 or (before, after) == (3, 1) for before, after in pairwise(kinds))
    voices = [note.voice for note in notes if note.voice >= 0]
    return in_order and all(before < after for before, after in pairwise(voices))


def _lookup(ticks_of: dict[int, int], size: int) -> npt.NDArray[np.int64]:
    """Ticks by duration id, 0 for -1 (none); a duration that this meter does not have never ends in time."""
    ticks = np.full(size + 1, 1 << 40)
    ticks[list(ticks_of)] = list(ticks_of.values())
    ticks[-1] = 0
    return ticks
