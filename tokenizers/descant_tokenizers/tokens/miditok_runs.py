"""The tokens of a tokenizer that MidiTok trained (BPE, Unigram, WordPiece): runs of base tokens, all at once.

Following tens of thousands of runs base token by base token takes longer than the model. Here each run is read once for
each time signature, from an unknown state: what is illegal in any state is struck out, and what depends on the state
is kept as a few numbers. A mask then compares these with the state: one comparison for all runs, and one for each
note that sounds.

Two rare runs are left out even where their base tokens, one by one, are legal: those in which something follows a rest
(but in MIDI-Like), and, without bar lines, those that change the time signature after their first token.

Units: ticks. Shapes: T ids.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from descant_tokenizers.scores.tracks import DRUMS
from descant_tokenizers.tokens.grammar import NEVER, Mask
from descant_tokenizers.tokens.miditok_stream import BEGIN, END, Key, State, Stream

CURRENT = -2
"""The instrument of the state, in place of a program."""

Counts = npt.NDArray[np.int64]


class When(NamedTuple):
    """A time, in ticks after the state's own time, or after the beginning of its bar."""

    in_bar: bool
    ticks: int


class Context(NamedTuple):
    """What must be known of a state to read a run.

    Attributes:
        signature_id: Base id of its time signature.
        has_durations: True if its instrument has durations.
        is_drums: True if its instrument has the pitches of drums.
    """

    signature_id: int
    has_durations: bool
    is_drums: bool


@dataclass
class Run:
    """What a run asks of the state.

    Attributes:
        is_possible: False if no state allows it.
        earliest_position: Its first position in the bar of the state; `NEVER` if it has none.
        latest_offset: The latest place of the state in its bar.
        begins: The notes it begins that the state may still sound: key and time.
        ends: The notes of the state that it ends: key and time.
        pending_ticks: Length that it gives to the last note of the state; `NEVER` if none.
        own_program: Programs that it names for a pitch that it also has without a name: perhaps the same instrument.
        num_begins: Number of notes it begins.
    """

    is_possible: bool = True
    earliest_position: int = NEVER
    latest_offset: int = NEVER
    begins: list[tuple[Key, When]] = field(default_factory=list)
    ends: list[tuple[Key, When]] = field(default_factory=list)
    pending_ticks: int = NEVER
    own_program: set[int] = field(default_factory=set)
    num_begins: int = 0


class Events(NamedTuple):
    """The notes of all runs with one key: runs and times."""

    runs: Counts
    in_bar: Mask
    ticks: Counts

    def times(self, state: State) -> Counts:
        """Return the times in a state."""
        return self.ticks + np.where(self.in_bar, _bar_tick(state), state.tick)


class Table(NamedTuple):
    """All runs, read in one context."""

    is_possible: Mask
    earliest_position: Counts
    latest_offset: Counts
    pending_ticks: Counts
    num_ends: Counts
    begins: Mapping[Key, Events]
    ends: Mapping[Key, Events]
    own_program: Mapping[int, Counts]


class Runs:
    """The ids of a trained tokenizer.

    Args:
        stream: The meaning of the base tokens.
        followers: For each type, a mask of the base ids that may follow.

    Attributes:
        expansions: The base ids of each id.
        is_single: Mask of the ids of one base token.
        num_begins: Number of notes that each id begins; `most_begins` is the greatest.
    """

    def __init__(self, stream: Stream, followers: Mapping[str, Mask]) -> None:
        self._stream, self._followers = stream, followers
        self.expansions = _expansions(stream)
        lengths = np.array([len(run) for run in self.expansions])
        self.is_single: Mask = lengths == 1
        self._is_empty: Mask = lengths == 0
        is_special = np.array([bool(stream.special[list(run)].any()) for run in self.expansions])
        self._first_ids = np.array([run[0] if run else 0 for run in self.expansions])
        self._is_usable: Mask = ~is_special & ~self._is_empty
        begins = stream.of_kind(*BEGIN)
        self.num_begins = np.array([int(begins[list(run)].sum()) for run in self.expansions])
        self.most_begins = int(self.num_begins.max())
        self._fewest_pitches = min(int(mask.sum()) for kind in BEGIN if (mask := stream.of_kind(kind)).any())
        self._has_drum_kinds = bool(stream.of_kind("PitchDrum", "DrumOn").any())
        self._tables: dict[tuple[Context, int], Table] = {}

    def mask(self, state: State, base: Mask) -> Mask:
        """Return a mask of the ids that may follow, given that of base ids: shape (T,)."""
        allowed: Mask = self._is_usable & base[self._first_ids]
        if len(state.sounding) + self.most_begins >= self._fewest_pitches:
            allowed &= self.is_single  # nearly all pitches sound: one step after the other
        elif allowed.any():
            allowed &= self.is_single | self._legal(state)
        if not state.after_empty and not self._stream.is_inside_note(state):
            allowed |= self._is_empty
        return allowed

    def _legal(self, state: State) -> Mask:
        """Return a mask of the runs whose tokens after the first are legal."""
        context = Context(state.signature_id, self._stream.has_durations(state.program), self._is_drums(state.program))
        table = self._table(context, CURRENT)
        legal = self._compare(table, state)
        if state.program in table.own_program:
            places = table.own_program[state.program]
            legal[places] = self._compare(self._table(context, state.program), state)
        return legal

    def _compare(self, table: Table, state: State) -> Mask:
        """Compare what the runs of a table ask for with a state."""
        legal: Mask = table.is_possible & (table.earliest_position >= state.first_position_ticks)
        legal &= table.latest_offset >= state.offset_ticks
        is_pending = self._stream.is_inside_note(state)
        ended = np.zeros(legal.size, dtype=np.int64)
        for key, span in state.sounding.items():
            for own in (key, Key(CURRENT, key.pitch)) if key.program == state.program else (key,):
                if events := table.begins.get(own):
                    end: int | Counts = span.end
                    if is_pending and key == (state.program, state.pitch):
                        end = state.tick + table.pending_ticks[events.runs]
                    legal[events.runs[events.times(state) < end]] = False
                if span.end == NEVER and (events := table.ends.get(own)):
                    ended[events.runs[events.times(state) > span.begin]] += 1
        legal &= ended == table.num_ends
        return legal

    def _is_drums(self, program: int) -> bool:
        """Return True if an instrument has the pitches of drums."""
        return program == DRUMS and self._has_drum_kinds

    def _table(self, context: Context, program: int) -> Table:
        """Return the runs as they read in a context; for a program, those that name it and begin without a name."""
        if (context, program) not in self._tables:
            reader = _Reader(self._stream, self._followers, context, program)
            runs = self.expansions
            if program != CURRENT:
                runs = [runs[place] for place in self._table(context, CURRENT).own_program[program]]
            self._tables[context, program] = _table([reader.read(run) for run in runs])
        return self._tables[context, program]


class _Reader:
    """Reads runs in a context."""

    def __init__(self, stream: Stream, followers: Mapping[str, Mask], context: Context, program: int) -> None:
        self._stream, self._followers, self._context, self._first_program = stream, followers, context, program
        self._has_drum_kinds = bool(stream.of_kind("PitchDrum", "DrumOn").any())
        self._moves: Mapping[str, Callable[[int, int], None]] = {
            "Bar": self._move_to_bar,
            "Position": self._move_to_position,
            "TimeShift": self._shift,
            "Rest": self._shift,
            "TimeSig": self._change_signature,
            "Program": self._change_program,
            **dict.fromkeys(BEGIN, self._begin),
            **dict.fromkeys(END, self._end),
        }

    def read(self, base_ids: Sequence[int]) -> Run:
        """Read a run."""
        self._run = run = Run()
        self._signature = self._stream.signature(self._context.signature_id)
        self._now, self._bar_start, self._first_position = When(False, 0), 0, 0
        self._program = self._first_program
        self._open: Key | None = None  # the note that is not complete; at first, that of the state
        self._begun: dict[Key, When] = {}
        self._ended: dict[Key, When | None] = {}  # None while the end is not known
        kind = ""
        for place, base_id in enumerate(base_ids):
            if self._stream.special[base_id] or (place and not self._followers[kind][base_id]):
                run.is_possible = False
            if not run.is_possible:
                break
            kind = self._stream.kinds[base_id]
            if kind in self._moves:
                self._moves[kind](base_id, place)
            kind = self._complete(kind, base_id)
            is_followed_rest = kind == "Rest" and place + 1 < len(base_ids)
            run.is_possible &= not is_followed_rest or self._stream.scheme == "MIDILike"
        own = {key.pitch for key in self._ended if key.program == CURRENT}
        run.own_program = {key.program for key in self._ended if key.program != CURRENT and key.pitch in own}
        return run

    # -- time --------------------------------------------------------------------------------------------------------

    def _move_to_bar(self, base_id: int, place: int) -> None:
        self._bar_start += self._signature.bar_ticks
        self._now, self._first_position = When(True, self._bar_start), 0

    def _move_to_position(self, base_id: int, place: int) -> None:
        ticks = int(self._stream.numbers[base_id]) * self._signature.position_ticks
        self._run.is_possible &= ticks < self._signature.bar_ticks
        if self._now.in_bar:
            self._run.is_possible &= ticks >= self._first_position
        elif place:
            self._run.earliest_position = ticks
            if self._begun:
                self._run.latest_offset = min(self._run.latest_offset, ticks - 1)
        self._now, self._first_position = When(True, self._bar_start + ticks), ticks + 1

    def _shift(self, base_id: int, place: int) -> None:
        ticks = int(self._signature.ticks[base_id])
        self._run.is_possible &= ticks > 0 or self._stream.scheme == "Structured"
        self._now = self._now._replace(ticks=self._now.ticks + ticks)

    def _change_signature(self, base_id: int, place: int) -> None:
        self._run.is_possible &= place == 0 or self._stream.scheme == "REMI"
        self._signature = self._stream.signature(base_id)

    # -- notes -------------------------------------------------------------------------------------------------------

    def _change_program(self, base_id: int, place: int) -> None:
        self._program = int(self._stream.numbers[base_id])

    def _has_durations(self) -> bool:
        if self._program == CURRENT:
            return self._context.has_durations
        return self._stream.has_durations(self._program)

    def _key(self, base_id: int) -> Key:
        """Return the key of a note token, and strike the run out if its instrument has other pitches."""
        is_drums = self._context.is_drums if self._program == CURRENT else self._program == DRUMS
        is_drum_kind = self._stream.kinds[base_id] in ("PitchDrum", "DrumOn", "DrumOff")
        self._run.is_possible &= is_drums == is_drum_kind or not self._has_drum_kinds
        return Key(self._program, int(self._stream.numbers[base_id]))

    def _begin(self, base_id: int, place: int) -> None:
        key = self._key(base_id)
        if key in self._ended:
            self._check_order(self._ended[key], self._now)
        else:
            self._run.begins.append((key, self._now))
        self._begun[key], self._ended[key], self._open = self._now, None, key
        self._run.num_begins += 1
        if self._now.in_bar:
            self._first_position = self._now.ticks - self._bar_start + 1

    def _check_order(self, end: When | None, begin: When) -> None:
        """Make sure that a note of the run has ended when the next one of its pitch begins."""
        if end is None:
            self._run.is_possible = False
        elif end.in_bar == begin.in_bar:
            self._run.is_possible &= end.ticks <= begin.ticks
        else:
            self._run.latest_offset = min(self._run.latest_offset, begin.ticks - end.ticks)

    def _end(self, base_id: int, place: int) -> None:
        key = self._key(base_id)
        if key not in self._ended:
            self._run.ends.append((key, self._now))
        else:
            is_held = self._ended[key] is None and self._has_durations()
            self._run.is_possible &= is_held and self._begun[key].ticks < self._now.ticks
        self._begun.setdefault(key, self._now)
        self._ended[key] = self._now

    def _complete(self, kind: str, base_id: int) -> str:
        """Complete a note with its last token; return the type that decides what follows."""
        if not self._stream.completes(kind, self._has_durations()):
            return kind
        if self._stream.scheme == "MIDILike" and self._has_durations():
            return self._stream.complete
        ticks = int(self._signature.ticks[base_id]) if kind == "Duration" else self._signature.default_ticks
        self._run.is_possible &= ticks > 0
        if self._open is None:
            self._run.pending_ticks = ticks
        else:
            self._ended[self._open] = self._now._replace(ticks=self._now.ticks + ticks)
            self._open = None
        return self._stream.complete


def _table(runs: Sequence[Run]) -> Table:
    """Arrange runs by what they ask for."""
    own_program: dict[int, list[int]] = defaultdict(list)
    for place, run in enumerate(runs):
        for program in run.own_program:
            own_program[program].append(place)
    return Table(
        np.array([run.is_possible for run in runs]),
        np.array([run.earliest_position for run in runs]),
        np.array([run.latest_offset for run in runs]),
        np.array([run.pending_ticks for run in runs]),
        np.array([len(run.ends) for run in runs]),
        _events([run.begins for run in runs]),
        _events([run.ends for run in runs]),
        {program: np.array(places) for program, places in own_program.items()},
    )


def _events(notes: Sequence[Sequence[tuple[Key, When]]]) -> dict[Key, Events]:
    """Group the notes of all runs by key."""
    places: dict[Key, list[tuple[int, When]]] = defaultdict(list)
    for place, own in enumerate(notes):
        for key, when in own:
            places[key].append((place, when))
    return {
        key: Events(
            np.array([place for place, _ in own]),
            np.array([when.in_bar for _, when in own]),
            np.array([when.ticks for _, when in own]),
        )
        for key, own in places.items()
    }


def _expansions(stream: Stream) -> list[tuple[int, ...]]:
    """Return the base ids of each id of a trained tokenizer."""
    tokenizer = stream.tokenizer
    ids: dict[str, int] = tokenizer.vocab
    pieces = [tokenizer._model.id_to_token(token_id) for token_id in range(len(tokenizer))]
    return [tuple(ids[name] for name in tokenizer._vocab_learned_bytes_to_tokens[piece]) for piece in pieces]


def _bar_tick(state: State) -> int:
    return max(state.bar_tick, 0)
