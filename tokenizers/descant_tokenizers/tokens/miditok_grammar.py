"""The automaton of legal successors for a stock MidiTok tokenizer: REMI, TSD, MIDI-Like or Structured.

A stream is legal if MidiTok decodes it without losing a note. The *types* that may follow another come from miditok's
own graph; the *values* follow from the state: time moves forward and positions stay inside the bar, a time signature
changes at a bar line, a note lasts at least one tick, an instrument strikes a pitch only after it has ended (MIDI
cannot tell two such notes apart), a `NoteOff` ends a note that sounds, and the stream ends only when every note has
ended. There are no dead ends. A token of a trained tokenizer (BPE, Unigram, WordPiece) is legal if its base tokens are,
one by one (see `miditok_runs.py`). Chords are free, because miditok does not decode them.

The presets have a stricter grammar of their own, in `grammar.py`.

Units: ticks of the tokenizer, from the beginning of the music.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from descant_tokenizers.scores.tracks import DRUMS
from descant_tokenizers.tokens.grammar import NEVER, Mask
from descant_tokenizers.tokens.miditok_ending import Ending
from descant_tokenizers.tokens.miditok_runs import Runs
from descant_tokenizers.tokens.miditok_stream import BEGIN, END, LASTING, State, Stream

if TYPE_CHECKING:
    from miditok import MusicTokenizer


class MidiTokGrammar:
    """Legal successors over the ids of a tokenizer with one stream of tokens.

    Args:
        tokenizer: A REMI, TSD, MIDI-Like or Structured tokenizer of miditok, trained or not.

    Attributes:
        stream: The meaning of the base tokens.
        size: Number of ids.
        eos: Id of `EOS`; None if the tokenizer has none, and then its streams never end.

    Raises:
        InputError: The tokenizer is of another kind, or uses options that the grammar does not know.
    """

    def __init__(self, tokenizer: MusicTokenizer) -> None:
        self.stream = stream = Stream(tokenizer)
        self.size = len(tokenizer)
        self.eos: int | None = tokenizer.vocab.get("EOS_None")
        self._is_trained: bool = tokenizer.is_trained
        self._ids = {kind: np.flatnonzero(stream.of_kind(kind)) for kind in set(stream.kinds)}
        self._id_of = {
            kind: dict(zip(map(int, stream.numbers[ids]), map(int, ids), strict=True))
            for kind in (*BEGIN, *END)
            if (ids := self._ids.get(kind)) is not None
        }
        self._pitch_kinds = {"Pitch", "NoteOn"} & self._ids.keys()
        self._drum_kinds = {"PitchDrum", "DrumOn"} & self._ids.keys() or self._pitch_kinds
        self._after = self._types_after()
        self.followers = {kind: stream.of_kind(*after) & ~stream.special for kind, after in self._after.items()}
        self._num_pitches = min(self._ids[kind].size for kind in BEGIN if kind in self._ids)
        self._limits = self._all_limits()
        self._ending = Ending(stream, self._after)

    def start(self) -> State:
        """Return the state before the first token."""
        return State()

    def base_ids(self, token_id: int) -> tuple[int, ...]:
        """Return the base ids of an id: itself, or the parts of a token of a trained tokenizer."""
        return self._runs.expansions[token_id] if self._is_trained else (token_id,)

    def is_final(self, state: State) -> bool:
        """Return True if the stream has ended."""
        return state.kind == "EOS"

    def mask(self, state: State, remaining: int | None = None) -> Mask:
        """Return a mask of the ids that may follow: a boolean array of shape (size,).

        Args:
            state: The state.
            remaining: Number of tokens until the stream must have ended, `EOS` included; by default, any.
        """
        may_end = self._ending.may_end(state)
        room = self._room(state, remaining)
        base = self.base_mask(state)
        if room is not None:
            in_time = base & (self._ending.needed_after(state) <= room)
            base = in_time if in_time.any() or may_end else base
        allowed = base
        if self._is_trained:
            allowed = self._runs.mask(state, base)
            if room is not None:
                allowed &= self._runs.is_single | (self._ending.at_most_after(state, self._runs.num_begins) <= room)
        if self.eos is not None:
            allowed[self.eos] = may_end or self.is_final(state)
        return allowed

    def _room(self, state: State, remaining: int | None) -> int | None:
        """Return the number of tokens between the next one and `EOS`; None if there are more than enough."""
        if remaining is None or self.eos is None:
            return None
        most_begins = self._runs.most_begins if self._is_trained else 1
        is_ample = self._ending.at_most_after(state, np.array([most_begins]))[0] <= remaining - 2
        return None if is_ample else remaining - 2

    def follow(self, state: State, token_id: int) -> State:
        """Return the state after a token, legal or not, because a prompt may hold anything."""
        if token_id == self.eos:
            return state._replace(kind="EOS")
        run = self.base_ids(token_id)
        for base_id in run:
            state = self.stream.step(state, base_id)
        return state._replace(after_empty=not run)

    def advance(self, state: State, token_id: int) -> State:
        """Return the state after a token; raises `ValueError` if it may not follow."""
        if not self.mask(state)[token_id]:
            raise ValueError(f"Token {token_id} may not follow {state.kind or 'the beginning'}. Follow the mask.")
        return self.follow(state, token_id)

    def accepts(self, ids: Iterable[int]) -> bool:
        """Return True if a stream is legal so far; it need not have ended."""
        state = self.start()
        try:
            for token_id in ids:
                state = self.advance(state, token_id)
        except ValueError:
            return False
        return True

    def base_mask(self, state: State) -> Mask:
        """Return a mask of the base ids that may follow, special tokens excluded: shape (base vocabulary,)."""
        if self.is_final(state):
            return np.zeros(self.stream.size, dtype=bool)
        allowed = self.followers[state.kind].copy()
        for kind in self._after[state.kind]:
            if limit := self._limits.get(kind):
                limit(allowed, state)
        return allowed

    @cached_property
    def _runs(self) -> Runs:
        return Runs(self.stream, self.followers)

    def _types_after(self) -> dict[str, set[str]]:
        """Return miditok's graph, with the types that begin a stream, and without what loses notes."""
        types = {
            kind for kind, is_special in zip(self.stream.kinds, self.stream.special, strict=True) if not is_special
        }
        graph: dict[str, set[str]] = {kind: set() for kind in types}
        graph |= {kind: set(after) & types for kind, after in self.stream.tokenizer.tokens_types_graph.items()}
        if self.stream.scheme != "REMI":
            return graph | {"": graph["TimeShift"] | {"TimeShift"}}
        for kind in {"Rest", "TimeSig"} & types:  # as miditok writes: what follows has its own position, on the grid
            graph[kind] &= {"Position", "Bar", "Rest", "TimeSig"}
        return graph | {"": {"Bar"}}

    # -- values ------------------------------------------------------------------------------------------------------

    def _all_limits(self) -> dict[str, Callable[[Mask, State], None]]:
        limits: dict[str, Callable[[Mask, State], None]] = {
            "Position": self._limit_positions,
            "TimeSig": self._limit_signatures,
            "Program": self._limit_programs,
            "Chord": self._limit_chords,
        }
        for kind in BEGIN:
            limits[kind] = lambda allowed, state, kind=kind: self._limit_pitches(allowed, state, kind)  # type: ignore
        for kind in END:
            limits[kind] = lambda allowed, state, kind=kind: self._limit_ends(allowed, state, kind)  # type: ignore
        for kind in LASTING:
            limits[kind] = lambda allowed, state, kind=kind: self._limit_lengths(allowed, state, kind)  # type: ignore
        return limits

    def _free_tick(self, state: State) -> int:
        """Return the earliest time at which a pitch is free, now or later."""
        if len(state.sounding) < self._num_pitches or self._free_programs(state).any():
            return state.tick
        return min(span.end for span in state.sounding.values())

    def _free_programs(self, state: State) -> Mask:
        """Return a mask of the programs, in the order of their ids, of which a pitch is free."""
        programs = self.stream.numbers[self._ids["Program"]] if self.stream.has_programs else np.array([state.program])
        count = Counter(key.program for key in state.sounding)
        return np.array([count[int(program)] < self._pitches_of(int(program)) for program in programs])

    def _pitches_of(self, program: int) -> int:
        return sum(self._ids[kind].size for kind in self._begin_kinds(program))

    def _begin_kinds(self, program: int) -> set[str]:
        """Return the types that begin a note of an instrument."""
        return self._drum_kinds if program == DRUMS else self._pitch_kinds

    def _limit_positions(self, allowed: Mask, state: State) -> None:
        ids, signature = self._ids["Position"], self.stream.signature(state.signature_id)
        ticks = self.stream.numbers[ids] * signature.position_ticks
        first = max(state.first_position_ticks, self._free_tick(state) - max(state.bar_tick, 0))
        allowed[ids] = (ticks >= first) & (ticks < signature.bar_ticks)

    def _limit_signatures(self, allowed: Mask, state: State) -> None:
        since = state.tick - (max(state.bar_tick, 0) if self.stream.scheme == "REMI" else state.signature_tick)
        if since % self.stream.signature(state.signature_id).bar_ticks:
            allowed[self._ids["TimeSig"]] = False

    def _limit_programs(self, allowed: Mask, state: State) -> None:
        if len(state.sounding) >= self._num_pitches:
            allowed[self._ids["Program"]] &= self._free_programs(state) | self._ending_programs(state)

    def _ending_programs(self, state: State) -> Mask:
        """Return a mask of the programs, in the order of their ids, of which a `NoteOff` may end a note now."""
        ending = [key.program for key, span in state.sounding.items() if span.end == NEVER and span.begin < state.tick]
        in_order: Mask = np.isin(self.stream.numbers[self._ids["Program"]], ending)
        return in_order & ("NoteOff" in self._ids)

    def _limit_chords(self, allowed: Mask, state: State) -> None:
        if self._free_tick(state) > state.tick:
            allowed[self._ids["Chord"]] = False

    def _limit_pitches(self, allowed: Mask, state: State, kind: str) -> None:
        ids = self._ids[kind]
        is_known = self.stream.has_programs or state.has_notes
        if is_known and kind not in self._begin_kinds(state.program):
            allowed[ids] = False
            return
        id_of = self._id_of[kind]
        sounding = [id_of[key.pitch] for key in state.sounding if key.program == state.program and key.pitch in id_of]
        allowed[sounding] = False

    def _limit_ends(self, allowed: Mask, state: State, kind: str) -> None:
        allowed[self._ids[kind]] = False
        if ("NoteOn" if kind == "NoteOff" else "DrumOn") not in self._begin_kinds(state.program):
            return
        for key, span in state.sounding.items():
            if key.program == state.program and span.end == NEVER and span.begin < state.tick:
                allowed[self._id_of[kind][key.pitch]] = True

    def _limit_lengths(self, allowed: Mask, state: State, kind: str) -> None:
        ids = self._ids[kind]
        ticks = self.stream.signature(state.signature_id).ticks[ids]
        least = 1
        if self.stream.scheme == "Structured" and kind == "TimeShift":
            least = self._free_tick(state) - state.tick
        allowed[ids] &= ticks >= least
