"""The automaton of legal successors: which tokens may follow, so that every generated stream decodes.

The *types* that may follow another come from miditok's own graph of token types; the *values* follow from the
vocabulary and the state: onsets move forward and stay inside the bar, a voice begins a note only when its last one has
ended, voices at one onset come in order, and a position is only opened if some voice can use it. There are no dead
ends: a bar can always be closed. A merged token (BPE, Unigram) is legal exactly if its base tokens are, one by one.

Masking illegal successors while sampling follows Thickstun et al. 2023, "Anticipatory Music Transformer".

Units: ticks of the vocabulary's grid; offsets count from the beginning of the current bar.
Shapes: N notes of all merged tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from descant_tokenizers.tokens.piece import GridNote
from descant_tokenizers.tokens.vocabulary import Meter, Vocabulary

Mask = npt.NDArray[np.bool_]

Busy: TypeAlias = tuple[Any, ...]
"""The tick until which each voice, or in multitrack music each pitch of an instrument, sounds. Opaque outside the
grammar that made it."""

NEVER = 1 << 40  # ticks that no note reaches
_ORDER = ("Position", "Program", "Pitch", "Duration")  # types of a merged token's parts


class State(NamedTuple):
    """The state of a stream. Hashable: equal states have equal futures.

    Attributes:
        kind: Type of the last token; `""` before the first.
        meter_id: Id of the current time signature token; -1 before the first.
        offset_ticks: Current onset in the bar; -1 while the bar has none.
        voice: Rank of the last voice named at this onset; -1 if none.
        busy_ticks: For each voice, the end of its last note.
        has_notes: True once there is a note.
        pitch: In multitrack music, the last pitch of the last voice at this onset; -1 if none.
    """

    kind: str
    meter_id: int
    offset_ticks: int
    voice: int
    busy_ticks: Busy
    has_notes: bool
    pitch: int = -1


class Rules(NamedTuple):
    """A caller's restrictions for one bar, beyond the grammar. Hashable.

    Attributes:
        voices: Ranks of the voices that may have notes.
        latest_end_ticks: For each voice, the latest end of its notes.
        pitches: For each voice, lowest and highest MIDI pitch.
        closing_ids: The tokens that may close the bar; by default `Bar` and `EOS`.
        tempos: True if tempos are allowed, where the vocabulary has them.
    """

    voices: tuple[int, ...]
    latest_end_ticks: tuple[int, ...]
    pitches: tuple[tuple[int, int], ...]
    closing_ids: tuple[int, ...]
    tempos: bool = True


class Grammar:
    """Legal successors over the ids of a vocabulary whose voices are single lines, with or without merges."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.eos = vocabulary.special("EOS")
        graph = vocabulary.tokenizer.tokens_types_graph
        self._followers: dict[str, Mask] = {
            kind: vocabulary.type_mask(*graph[kind]) for kind in graph if kind in set(vocabulary.types)
        }
        special = np.array([name in vocabulary.tokenizer.special_tokens for name in vocabulary.names])
        for mask in self._followers.values():
            mask &= ~special
        self._position_ids = np.array(vocabulary.ids("Position"))
        self._positions = np.array([vocabulary.position_of[i] for i in self._position_ids])
        self._pitch_ids = np.array(vocabulary.ids("Pitch"))
        self._pitches = np.array([vocabulary.pitch_of[i] for i in self._pitch_ids])
        self._durations = {
            den: (np.array(list(ticks)), np.array(list(ticks.values())))
            for den, ticks in vocabulary.duration_ticks.items()
        }
        self._meters: Mask = vocabulary.type_mask("TimeSig")
        self._shortest = {den: min(ticks.values()) for den, ticks in vocabulary.duration_ticks.items()}
        self._open = Rules(
            tuple(range(vocabulary.num_voices)),
            (NEVER,) * vocabulary.num_voices,
            ((0, 127),) * vocabulary.num_voices,
            (vocabulary.bar_id, self.eos),
        )
        self._mask = lru_cache(maxsize=1 << 14)(self._compute_mask)

    def start(self) -> State:
        """Return the state before the first token of a piece."""
        return State("", -1, -1, -1, self.silence(), False)

    def enter_bar(self, meter_id: int, busy_ticks: Busy = ()) -> State:
        """Return the state after `Bar TimeSig`, with voices still sounding from before until `busy_ticks`."""
        return State("TimeSig", meter_id, -1, -1, tuple(busy_ticks) or self.silence(), True)

    def silence(self) -> Busy:
        """Return the ends of an empty past."""
        return (0,) * self.vocabulary.num_voices

    def busy_with(self, notes: Iterable[tuple[int, GridNote]]) -> Busy:
        """Return the ends of notes, given with their onsets in ticks from any origin."""
        ends = [0] * self.vocabulary.num_voices
        for onset, note in notes:
            ends[note.voice] = max(ends[note.voice], onset + note.duration_ticks)
        return tuple(ends)

    def later(self, busy_ticks: Busy, ticks: int) -> Busy:
        """Move the origin `ticks` earlier (if negative, later), and drop notes that have ended by then."""
        return tuple(max(0, end + ticks) for end in busy_ticks)

    def end_of(self, busy_ticks: Busy, voice: int) -> int:
        """Return the end of a voice's last note; 0 if it is silent."""
        return int(busy_ticks[voice])

    def position_ids_after(self, position: int) -> npt.NDArray[np.int64]:
        """Return the ids of later positions in a bar."""
        return self._position_ids[self._positions > position]

    def is_final(self, state: State) -> bool:
        """Return True if the stream has ended."""
        return state.kind == "EOS"

    def mask(self, state: State, rules: Rules | None = None) -> Mask:
        """Return a mask of the ids that may follow: a read-only boolean array of shape (vocabulary,)."""
        return self._mask(state, rules or self._open)

    def advance(self, state: State, token_id: int, rules: Rules | None = None) -> State:
        """Return the state after a token; raises `ValueError` if it may not follow."""
        if not self.mask(state, rules)[token_id]:
            raise ValueError(f"Token {token_id} may not follow {state.kind or 'the beginning'}. Follow the mask.")
        for base_id in self.vocabulary.base_ids(token_id):
            state = self._step(state, base_id)
        return state

    def accepts(self, ids: Sequence[int]) -> bool:
        """Return True if a whole stream, EOS included, is legal."""
        state = self.start()
        try:
            for token_id in ids:
                state = self.advance(state, token_id)
        except ValueError:
            return False
        return self.is_final(state)

    def _step(self, state: State, base_id: int) -> State:
        """Follow a base token that is known to be legal."""
        kind = self.vocabulary.types[base_id]
        if kind == "Bar":
            length = self.vocabulary.meter_of[state.meter_id].bar_ticks if state.kind else 0
            busy = self.later(state.busy_ticks, -length)
            return state._replace(kind=kind, offset_ticks=-1, voice=-1, busy_ticks=busy, pitch=-1)
        if kind == "TimeSig":
            return state._replace(kind=kind, meter_id=base_id)
        if kind == "Position":
            offset = self.vocabulary.position_of[base_id] * self.vocabulary.meter_of[state.meter_id].position_ticks
            return state._replace(kind=kind, offset_ticks=offset, voice=-1, pitch=-1)
        if kind == "Program":
            return state._replace(kind=kind, voice=self.vocabulary.voice_of[base_id])
        if kind == "Duration":
            ticks = self.vocabulary.duration_ticks[self.vocabulary.meter_of[state.meter_id].denominator][base_id]
            busy = self._sounding(state, state.offset_ticks + ticks)
            return state._replace(kind=kind, busy_ticks=busy, has_notes=True)
        return state._replace(kind=kind)

    def _sounding(self, state: State, end_ticks: int) -> Busy:
        """Return the ends including that of the note just completed."""
        ends = list(state.busy_ticks)
        ends[state.voice] = end_ticks
        return tuple(ends)

    def _compute_mask(self, state: State, rules: Rules) -> Mask:
        allowed = self._base_mask(state, rules)
        if self.vocabulary.has_merges:
            allowed = np.concatenate([allowed, self._merged_mask(state, rules, allowed)])
        allowed.flags.writeable = False
        return allowed

    def _merged_mask(self, state: State, rules: Rules, allowed: Mask) -> Mask:
        """Return a mask of the merged tokens that may follow, given the mask of base tokens."""
        return self._merged.legal(state, rules, allowed)

    @cached_property
    def _merged(self) -> MergedGrammar:
        return MergedGrammar(self.vocabulary)

    def _base_mask(self, state: State, rules: Rules) -> Mask:
        allowed = np.zeros(self.vocabulary.num_base_ids, dtype=bool)
        if state.kind in ("", "EOS"):
            allowed[self.vocabulary.bar_id] = state.kind == ""
            return allowed
        followers = self._followers[state.kind]
        if state.kind == "Bar":
            return followers & self._meters
        meter = self.vocabulary.meter_of[state.meter_id]
        if self._allow_rest_of_note(allowed, state, rules, meter):
            return allowed & followers
        self._allow_notes(allowed, state, rules, meter)
        allowed &= followers
        if state.kind != "Position":
            allowed[list(rules.closing_ids)] = True
            allowed[self.eos] &= state.has_notes
        return allowed

    def _allow_rest_of_note(self, allowed: Mask, state: State, rules: Rules, meter: Meter) -> bool:
        """Allow the next part of an unfinished note; return True if there is one."""
        if state.kind == "Program":
            low, high = rules.pitches[state.voice]
            allowed[self._pitch_ids] = (self._pitches >= low) & (self._pitches <= high)
        elif state.kind == "Pitch":
            self._allow_durations(allowed, state, rules, meter)
        return state.kind in ("Program", "Pitch")

    def _allow_durations(self, allowed: Mask, state: State, rules: Rules, meter: Meter) -> None:
        ids, ticks = self._durations[meter.denominator]
        allowed[ids] = state.offset_ticks + ticks <= rules.latest_end_ticks[state.voice]

    def _allow_notes(self, allowed: Mask, state: State, rules: Rules, meter: Meter) -> None:
        """Allow later onsets that some voice can use, and voices that can begin a note at this onset."""
        offsets = self._positions * meter.position_ticks
        usable = np.zeros(offsets.size, dtype=bool)
        for voice in rules.voices:
            free, last = state.busy_ticks[voice], rules.latest_end_ticks[voice] - self._shortest[meter.denominator]
            usable |= (offsets >= free) & (offsets <= last)
            if state.offset_ticks >= 0 and voice > state.voice and free <= state.offset_ticks <= last:
                allowed[self.vocabulary.voice_id[voice]] = True
        allowed[self._position_ids] = usable & (offsets > state.offset_ticks) & (offsets < meter.bar_ticks)


class _Note(NamedTuple):
    """A note of a merged token, or part of one; missing fields are -1."""

    position: int = -1
    voice: int = -1
    pitch: int = -1
    duration_id: int = -1


class MergedGrammar:
    """The merged tokens of a vocabulary whose voices are single lines, all at once as arrays.

    Following thousands of runs base token by base token (as in multitrack_grammar.py) takes longer than the model. Here
    each run is split into its notes once. Because voices come in order and each begins at most one note at an onset,
    the conditions of a note depend only on the state in which the run begins, not on the notes before it. A test
    compares the result with that of following base tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        runs = [vocabulary.base_ids(token_id) for token_id in range(vocabulary.num_base_ids, vocabulary.size)]
        notes = [_notes(vocabulary, run) for run in runs]
        self._first_ids = np.array([run[0] for run in runs])
        self._possible = np.array([_is_possible(vocabulary, run, own) for run, own in zip(runs, notes, strict=True)])
        self._starts = np.cumsum([0, *(len(own) for own in notes[:-1])])
        flat = np.array([note for own in notes for note in own], dtype=np.int64)
        self._position_N, self._voice_N, self._pitch_N, duration_id_N = flat.T
        self._ticks_N = {
            denominator: _lookup(ticks, vocabulary.num_base_ids)[duration_id_N]
            for denominator, ticks in vocabulary.duration_ticks.items()
        }
        self._begins_N = self._voice_N >= 0

    def legal(self, state: State, rules: Rules, allowed: Mask) -> Mask:
        """Return a mask of the merged tokens that may follow, by id, given the mask of base tokens."""
        begins: Mask = allowed[self._first_ids] & self._possible
        if not begins.any():
            return begins
        meter = self.vocabulary.meter_of[state.meter_id]
        position_ticks = self._position_N * meter.position_ticks
        offset_N = np.where(self._position_N >= 0, position_ticks, state.offset_ticks)
        voice_N = np.where(self._begins_N, self._voice_N, state.voice)
        latest_N = np.array(rules.latest_end_ticks)[voice_N]
        low_N, high_N = np.array(rules.pitches).T[:, voice_N]
        can_begin_N = self._can_begin(state, rules, offset_N, voice_N, latest_N)
        in_range_N = (low_N <= self._pitch_N) & (self._pitch_N <= high_N)
        in_time_N = offset_N + self._ticks_N[meter.denominator] <= latest_N
        legal_N = (can_begin_N | ~self._begins_N) & (in_range_N | (self._pitch_N < 0)) & in_time_N
        legal: Mask = begins & np.logical_and.reduceat(legal_N, self._starts)
        return legal

    def _can_begin(
        self,
        state: State,
        rules: Rules,
        offset_N: npt.NDArray[np.int64],
        voice_N: npt.NDArray[np.int64],
        latest_N: npt.NDArray[np.int64],
    ) -> Mask:
        """Return a mask of the notes whose voice can begin a note at their onset."""
        open_voices = np.isin(np.arange(self.vocabulary.num_voices), rules.voices)
        shortest = min(self.vocabulary.duration_ticks[self.vocabulary.meter_of[state.meter_id].denominator].values())
        free_N = np.array(state.busy_ticks)[voice_N]
        in_order_N = (self._position_N >= 0) | (voice_N > state.voice)
        can_begin_N: Mask = open_voices[voice_N] & (free_N <= offset_N) & (offset_N + shortest <= latest_N) & in_order_N
        return can_begin_N


def _notes(vocabulary: Vocabulary, run: tuple[int, ...]) -> list[_Note]:
    """Split a run into notes: each `Program` begins one, and parts before the first belong to an earlier note."""
    notes: list[_Note] = []
    position, note = -1, _Note()
    for base_id in run:
        kind = vocabulary.types[base_id]
        if kind == "Position":
            position = vocabulary.position_of[base_id]
            note = _Note(position)
        elif kind == "Program":
            if note != _Note(position):
                notes.append(note)
            note = _Note(position, vocabulary.voice_of[base_id])
        elif kind == "Pitch":
            note = note._replace(pitch=vocabulary.pitch_of[base_id])
        elif kind == "Duration":
            note = note._replace(duration_id=base_id)
    return [*notes, note]


def _is_possible(vocabulary: Vocabulary, run: tuple[int, ...], notes: list[_Note]) -> bool:
    """Return True if the types of a run are in order, and so are its voices."""
    kinds = [_ORDER.index(vocabulary.types[base_id]) for base_id in run]
    in_order = all(after == before + 1 or (before, after) == (3, 1) for before, after in pairwise(kinds))
    voices = [note.voice for note in notes if note.voice >= 0]
    return in_order and all(before < after for before, after in pairwise(voices))


def _lookup(ticks_of: dict[int, int], size: int) -> npt.NDArray[np.int64]:
    """Return ticks by duration id, 0 for -1 (none) and `NEVER` for durations that this meter does not have."""
    ticks = np.full(size + 1, NEVER)
    ticks[list(ticks_of)] = list(ticks_of.values())
    ticks[-1] = 0
    return ticks
