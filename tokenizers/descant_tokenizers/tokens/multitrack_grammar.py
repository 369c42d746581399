"""The automaton of legal successors for multitrack music: chords, velocities, tempos.

As in the grammar of single lines, types come from miditok's graph and values from the vocabulary and the state: onsets
move forward and stay inside the bar; at one onset an optional tempo comes first, then the notes, each once, in the
order of their instruments and from low to high. An instrument strikes a pitch only after it has ended, because MIDI
cannot tell two such notes apart. Drums have their own pitches. There are no dead ends: a position is only opened if
some instrument has a pitch to play there or a tempo is allowed, and a bar can always be closed.

Units: ticks of the vocabulary's grid, from the beginning of the current bar.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from descant_tokenizers.tokens.grammar import NEVER, Busy, Grammar, Mask, Rules, State
from descant_tokenizers.tokens.piece import GridNote
from descant_tokenizers.tokens.vocabulary import Meter, Vocabulary


class Lane(NamedTuple):
    """A pitch that an instrument sounds."""

    voice: int
    pitch: int
    end_ticks: int


class _Bounds(NamedTuple):
    """Rules as arrays: for each voice that may have notes, its rank, pitches and the latest end of its notes."""

    voices: npt.NDArray[np.int64]
    low: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]
    latest: npt.NDArray[np.int64]


class MultitrackGrammar(Grammar):
    """Legal successors over the ids of a vocabulary whose voices are instruments."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__(vocabulary)
        self._voice_ids = np.array([vocabulary.voice_id[rank] for rank in range(vocabulary.num_voices)])
        self._velocity_ids = np.array(vocabulary.ids("Velocity"), dtype=np.int64)
        self._tempo_ids = np.array(vocabulary.ids("Tempo"), dtype=np.int64)
        self._lowest = np.array([min(vocabulary.pitch_ids(rank)) for rank in range(vocabulary.num_voices)])
        self._highest = np.array([max(vocabulary.pitch_ids(rank)) for rank in range(vocabulary.num_voices)])
        self._bounds = lru_cache(maxsize=64)(self._compute_bounds)

    def silence(self) -> Busy:
        """See `Grammar`."""
        return ()

    def busy_with(self, notes: Iterable[tuple[int, GridNote]]) -> Busy:
        """See `Grammar`."""
        ends: dict[tuple[int, int], int] = {}
        for onset, note in notes:
            lane = note.voice, note.pitch
            ends[lane] = max(ends.get(lane, 0), onset + note.duration_ticks)
        return tuple(Lane(voice, pitch, end) for (voice, pitch), end in sorted(ends.items()))

    def later(self, busy_ticks: Busy, ticks: int) -> Busy:
        """See `Grammar`."""
        return tuple(Lane(v, pitch, end + ticks) for v, pitch, end in busy_ticks if end + ticks > 0)

    def end_of(self, busy_ticks: Busy, voice: int) -> int:
        """See `Grammar`."""
        return max((lane.end_ticks for lane in busy_ticks if lane.voice == voice), default=0)

    def _sounding(self, state: State, end_ticks: int) -> Busy:
        others = [lane for lane in state.busy_ticks if (lane.voice, lane.pitch) != (state.voice, state.pitch)]
        return tuple(sorted([*others, Lane(state.voice, state.pitch, end_ticks)]))

    def _step(self, state: State, base_id: int) -> State:
        kind = self.vocabulary.types[base_id]
        if kind in ("Pitch", "PitchDrum"):
            return state._replace(kind=kind, pitch=self.vocabulary.pitch_of[base_id])
        if kind == "Program" and self.vocabulary.voice_of[base_id] != state.voice:
            return state._replace(kind=kind, voice=self.vocabulary.voice_of[base_id], pitch=-1)
        after = super()._step(state, base_id)
        if kind == "Position":  # notes that have ended do not affect the future
            sounding = tuple(lane for lane in after.busy_ticks if lane.end_ticks > after.offset_ticks)
            return after._replace(busy_ticks=sounding)
        return after

    def _merged_mask(self, state: State, rules: Rules, allowed: Mask) -> Mask:
        whole = np.zeros(self.vocabulary.size, dtype=bool)
        self._add_merged(whole, self._trie, state, rules, {state: allowed})
        return whole[self.vocabulary.num_base_ids :]

    def _add_merged(self, whole: Mask, node: _Trie, state: State, rules: Rules, masks: dict[State, Mask]) -> None:
        """Mark the merged tokens whose base tokens are legal from here; `masks` caches masks by state."""
        if state not in masks:
            masks[state] = self._base_mask(state, rules)
        allowed = masks[state]
        for base_id, child in node.children.items():
            if not allowed[base_id]:
                continue
            whole[child.merged_ids] = True
            if child.children:
                after = self._step(state, base_id)
                if self.vocabulary.types[base_id] == "Duration":
                    # Only higher pitches and later instruments follow at this onset. This note does not affect them,
                    # and leaving it out makes more states equal.
                    after = after._replace(busy_ticks=state.busy_ticks)
                self._add_merged(whole, child, after, rules, masks)

    @cached_property
    def _trie(self) -> _Trie:
        root = _Trie()
        for token_id in range(self.vocabulary.num_base_ids, self.vocabulary.size):
            node = root
            for base_id in self.vocabulary.base_ids(token_id):
                node = node.children.setdefault(base_id, _Trie())
            node.merged_ids.append(token_id)
        return root

    def _allow_rest_of_note(self, allowed: Mask, state: State, rules: Rules, meter: Meter) -> bool:
        if state.kind == "Program":
            allowed[self._free_pitches(state, rules)] = True
        elif state.kind in ("Pitch", "PitchDrum") and self._velocity_ids.size:
            allowed[self._velocity_ids] = True
        elif state.kind in ("Pitch", "PitchDrum", "Velocity"):
            self._allow_durations(allowed, state, rules, meter)
        return state.kind in ("Program", "Pitch", "PitchDrum", "Velocity")

    def _allow_notes(self, allowed: Mask, state: State, rules: Rules, meter: Meter) -> None:
        """Allow later onsets that can be used, and whatever can still begin at this one."""
        bounds, offset = self._bounds(rules), state.offset_ticks
        free_from = self._free_from(state, bounds)
        last = bounds.latest - self._shortest[meter.denominator]
        offsets = self._positions * meter.position_ticks
        after = (offsets > offset) & (offsets < meter.bar_ticks)
        if not (rules.tempos and self._tempo_ids.size):  # else every onset can be used
            after &= _covered(offsets, free_from, last)
        allowed[self._position_ids] = after
        if offset < 0:
            return
        now = (free_from <= offset) & (offset <= last) & (bounds.voices > state.voice)
        allowed[self._voice_ids[bounds.voices[now]]] = True
        if state.kind == "Duration" and self._free_pitches(state, rules).size:
            fits = offset <= rules.latest_end_ticks[state.voice] - self._shortest[meter.denominator]
            allowed[self._voice_ids[state.voice]] = fits
        if state.kind == "Position" and rules.tempos:
            allowed[self._tempo_ids] = True

    def _free_pitches(self, state: State, rules: Rules) -> npt.NDArray[np.int64]:
        """Return the ids of the pitches that the current voice may play now: in its range, above its last, silent."""
        low, high = rules.pitches[state.voice]
        sounding = {lane.pitch for lane in state.busy_ticks if lane.voice == state.voice}
        return np.array(
            [
                token_id
                for pitch, token_id in self.vocabulary.pitch_ids(state.voice).items()
                if max(low, state.pitch + 1) <= pitch <= high and pitch not in sounding
            ],
            dtype=np.int64,
        )

    def _free_from(self, state: State, bounds: _Bounds) -> npt.NDArray[np.int64]:
        """Return the tick from which each voice has a pitch to play: 0, unless it sounds all of them."""
        free_from = np.zeros(bounds.voices.size, dtype=np.int64)
        free_from[bounds.high < bounds.low] = NEVER
        for voice, count in Counter(lane.voice for lane in state.busy_ticks).items():
            place = int(np.searchsorted(bounds.voices, voice))
            if place == bounds.voices.size or bounds.voices[place] != voice:
                continue
            low, high = int(bounds.low[place]), int(bounds.high[place])
            if count > high - low:  # otherwise one is free
                ends = [
                    lane.end_ticks for lane in state.busy_ticks if lane.voice == voice and low <= lane.pitch <= high
                ]
                if len(ends) == high - low + 1:
                    free_from[place] = min(ends)
        return free_from

    def _compute_bounds(self, rules: Rules) -> _Bounds:
        voices = np.array(sorted(rules.voices), dtype=np.int64)
        low, high = (np.array([rules.pitches[voice][end] for voice in rules.voices]) for end in (0, 1))
        order = np.argsort(np.array(rules.voices))
        latest = np.array([rules.latest_end_ticks[voice] for voice in voices], dtype=np.int64)
        return _Bounds(
            voices,
            np.maximum(low[order], self._lowest[voices]),
            np.minimum(high[order], self._highest[voices]),
            latest,
        )


class _Trie:
    """Prefix tree of the merged tokens' base tokens."""

    def __init__(self) -> None:
        self.children: dict[int, _Trie] = {}
        self.merged_ids: list[int] = []


def _covered(offsets: npt.NDArray[np.int64], first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> Mask:
    """Return a mask of the offsets inside some interval from `first` to `last`."""
    open_ = first <= last
    spans = {(int(a), int(b)) for a, b in zip(first[open_], last[open_], strict=True)}
    covered = np.zeros(offsets.size, dtype=bool)
    for a, b in spans:  # there are few: most instruments are silent, and all end together
        covered |= (offsets >= a) & (offsets <= b)
    return covered
