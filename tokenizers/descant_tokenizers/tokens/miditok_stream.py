"""What the tokens of a stock MidiTok tokenizer mean, one after the other: time, signatures, instruments, notes.

The state follows miditok's own decoder, `MusicTokenizer._tokens_to_score`, for REMI, TSD, MIDI-Like and Structured.

Units: ticks of the tokenizer, `tokenizer.time_division` to the quarter note, from the beginning of the music.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.tracks import DRUMS
from descant_tokenizers.tokens.grammar import NEVER, Mask

if TYPE_CHECKING:
    from miditok import MusicTokenizer

SCHEMES = ("REMI", "TSD", "MIDILike", "Structured")
BEGIN = ("Pitch", "PitchDrum", "NoteOn", "DrumOn")
"""Types that begin a note."""
END = ("NoteOff", "DrumOff")
"""Types that end a note of MIDI-Like."""
LASTING = ("Duration", "TimeShift", "Rest")
"""Types with a length."""

_NOT_KNOWN = ("use_pitch_intervals", "use_control_changes", "use_sustain_pedals", "use_pitch_bends")
_NOT_KNOWN_OF_REMI = ("max_bar_embedding", "use_bar_end_tokens")


class Key(NamedTuple):
    """A pitch of an instrument."""

    program: int
    pitch: int


class Span(NamedTuple):
    """Begin and end of a note in ticks; the end is `NEVER` while it is not known."""

    begin: int
    end: int


class Signature(NamedTuple):
    """A time signature in ticks.

    Attributes:
        bar_ticks: Length of a bar.
        position_ticks: Distance of two positions.
        ticks: For each base id, the length of a duration, shift or rest; -1 for other types.
        default_ticks: Length of a note whose instrument has no durations.
    """

    bar_ticks: int
    position_ticks: int
    ticks: npt.NDArray[np.int64]
    default_ticks: int


class State(NamedTuple):
    """The state of a stream.

    Attributes:
        kind: Type of the last base token; `""` before the first. After a complete note always `Stream.complete`.
        tick: Time of the next note.
        bar_tick: Beginning of the current bar of REMI; -1 before the first.
        first_position_ticks: The earliest position in this bar that may follow, in ticks from its beginning.
        signature_id: Base id of the current time signature; -1 before the first.
        signature_tick: Time of that token.
        program: Current instrument; -1 for drums.
        pitch: Pitch of the last note begun; -1 before the first.
        last_end: End of the last note of all, where a rest begins.
        sounding: The notes that sound now.
        after_empty: True if the last token of a trained tokenizer stands for nothing.
    """

    kind: str = ""
    tick: int = 0
    bar_tick: int = -1
    first_position_ticks: int = 0
    signature_id: int = -1
    signature_tick: int = 0
    program: int = 0
    pitch: int = -1
    last_end: int = 0
    sounding: Mapping[Key, Span] = {}
    after_empty: bool = False

    @property
    def has_notes(self) -> bool:
        """True once a note has begun."""
        return self.pitch >= 0

    @property
    def offset_ticks(self) -> int:
        """Time since the beginning of the bar, in REMI."""
        return self.tick - max(self.bar_tick, 0)


class Stream:
    """The base tokens of a tokenizer and what each does to the state.

    Args:
        tokenizer: A REMI, TSD, MIDI-Like or Structured tokenizer with one stream of tokens, trained or not.

    Attributes:
        kinds: Type of each base id, such as `Pitch`.
        numbers: Value of each base id as an integer; -1 if it is not one.
        special: Mask of the special tokens.
        complete: Type of the state after a complete note.

    Raises:
        InputError: The tokenizer is of another kind, or uses options that are not known here.
    """

    def __init__(self, tokenizer: MusicTokenizer) -> None:
        _check(tokenizer)
        self.tokenizer = tokenizer
        self.scheme: str = type(tokenizer).__name__
        # A trained Unigram tokenizer has a second token for each special one.
        ids: dict[str, int] = {name: i for name, i in tokenizer.vocab.items() if not name.endswith("-unigram")}
        names = sorted(ids, key=ids.__getitem__)
        self.kinds, self._values = map(list, zip(*(name.split("_", 1) for name in names), strict=True))
        self.numbers = np.array([int(v) if v.removeprefix("-").isdigit() else -1 for v in self._values])
        self.special: Mask = np.isin(names, tokenizer.special_tokens)
        self.has_programs: bool = tokenizer.config.use_programs
        self.has_velocities: bool = tokenizer.config.use_velocities
        self._programs = set(tokenizer.config.use_note_duration_programs)
        self.complete = self._kind_of_complete_notes()
        self._signatures: dict[int, Signature] = {}
        self._moves = self._all_moves()

    @property
    def size(self) -> int:
        """Number of base ids."""
        return len(self.kinds)

    def of_kind(self, *kinds: str) -> Mask:
        """Return a mask of the base ids of some types."""
        return np.isin(self.kinds, kinds)

    def has_durations(self, program: int) -> bool:
        """Return True if the notes of an instrument have an end in the stream."""
        return program in self._programs

    def completes(self, kind: str, has_durations: bool) -> bool:
        """Return True if a token of this type is the last one of a note, or in MIDI-Like of its beginning."""
        if kind == "Duration":
            return True
        if self.scheme != "MIDILike" and has_durations:
            return False
        return kind == "Velocity" or (kind in BEGIN and not self.has_velocities)

    def is_inside_note(self, state: State) -> bool:
        """Return True if a token of the last note is missing."""
        return state.kind in (*BEGIN, "Velocity") and state.kind != self.complete

    def signature(self, signature_id: int) -> Signature:
        """Return the time signature of a base id; 4/4 for -1."""
        if signature_id not in self._signatures:
            text = "4/4" if signature_id < 0 else self._values[signature_id]
            self._signatures[signature_id] = self._read_signature(*map(int, text.split("/")))
        return self._signatures[signature_id]

    def step(self, state: State, base_id: int) -> State:
        """Return the state after a base token, legal or not; special tokens change nothing."""
        if self.special[base_id]:
            return state
        kind = self.kinds[base_id]
        move = self._moves.get(kind)
        return move(state._replace(kind=kind), base_id) if move else state._replace(kind=kind)

    def _kind_of_complete_notes(self) -> str:
        if self.scheme != "MIDILike" and self._programs:
            return "Duration"
        return "Velocity" if self.has_velocities else next(kind for kind in BEGIN if kind in self.kinds)

    def _read_signature(self, numerator: int, denominator: int) -> Signature:
        tokenizer = self.tokenizer
        beat_ticks: int = tokenizer._tpb_per_ts[denominator]
        ticks = np.full(self.size, -1)
        for i, (kind, value) in enumerate(zip(self.kinds, self._values, strict=True)):
            if kind in LASTING:
                table = tokenizer._tpb_rests_to_ticks if kind == "Rest" else tokenizer._tpb_tokens_to_ticks
                ticks[i] = table[beat_ticks].get(value, 0)  # Structured has a shift for none
        default_ticks = max(1, int(tokenizer.config.default_note_duration * beat_ticks))
        return Signature(
            numerator * beat_ticks, beat_ticks // tokenizer.config.max_num_pos_per_beat, ticks, default_ticks
        )

    def _all_moves(self) -> dict[str, Callable[[State, int], State]]:
        moves: dict[str, Callable[[State, int], State]] = {
            "Bar": self._move_to_bar,
            "Position": self._move_to_position,
            "TimeShift": lambda state, i: _at(state, state.tick + self._ticks(state, i)),
            "Rest": self._rest,
            "TimeSig": lambda state, i: state._replace(signature_id=i, signature_tick=state.tick),
            "Program": lambda state, i: state._replace(program=int(self.numbers[i])),
            "Velocity": self._complete_if_last,
            "Duration": lambda state, i: self._complete(state, self._ticks(state, i)),
        }
        return moves | dict.fromkeys(BEGIN, self._begin) | dict.fromkeys(END, self._end)

    def _ticks(self, state: State, base_id: int) -> int:
        return int(self.signature(state.signature_id).ticks[base_id])

    def _move_to_bar(self, state: State, base_id: int) -> State:
        start = 0 if state.bar_tick < 0 else state.bar_tick + self.signature(state.signature_id).bar_ticks
        return _at(state, start)._replace(bar_tick=start, first_position_ticks=0)

    def _move_to_position(self, state: State, base_id: int) -> State:
        ticks = int(self.numbers[base_id]) * self.signature(state.signature_id).position_ticks
        return _at(state, max(state.bar_tick, 0) + ticks)._replace(first_position_ticks=ticks + 1)

    def _rest(self, state: State, base_id: int) -> State:
        begin = state.tick if self.scheme == "MIDILike" else max(state.last_end, state.tick)
        tick = begin + self._ticks(state, base_id)
        if self.scheme != "REMI":
            return _at(state, tick)
        start, length = max(state.bar_tick, 0), self.signature(state.signature_id).bar_ticks
        start += (tick - start) // length * length  # a rest crosses bars without their tokens
        return _at(state, tick)._replace(bar_tick=start, first_position_ticks=tick - start)

    def _begin(self, state: State, base_id: int) -> State:
        pitch, program = int(self.numbers[base_id]), state.program
        if not self.has_programs:
            program = DRUMS if state.kind in ("PitchDrum", "DrumOn") else 0
        sounding = {**state.sounding, Key(program, pitch): Span(state.tick, NEVER)}
        begun = state._replace(
            program=program, pitch=pitch, sounding=sounding, first_position_ticks=state.offset_ticks + 1
        )
        return self._complete_if_last(begun, base_id)

    def _complete_if_last(self, state: State, base_id: int) -> State:
        if not self.completes(state.kind, self.has_durations(state.program)):
            return state
        if self.scheme == "MIDILike" and self.has_durations(state.program):
            return state._replace(kind=self.complete)
        return self._complete(state, self.signature(state.signature_id).default_ticks)

    def _complete(self, state: State, ticks: int) -> State:
        end = state.tick + ticks
        sounding = {**state.sounding, Key(state.program, state.pitch): Span(state.tick, end)}
        return state._replace(kind=self.complete, sounding=sounding, last_end=max(state.last_end, end))

    def _end(self, state: State, base_id: int) -> State:
        ended = Key(state.program, int(self.numbers[base_id]))
        sounding = {key: span for key, span in state.sounding.items() if key != ended}
        return state._replace(sounding=sounding)


def _at(state: State, tick: int) -> State:
    """Return the state at another time, without the notes that have ended by then."""
    if any(span.end <= tick for span in state.sounding.values()):
        sounding = {key: span for key, span in state.sounding.items() if span.end > tick}
        state = state._replace(sounding=sounding)
    return state._replace(tick=tick)


def _check(tokenizer: MusicTokenizer) -> None:
    name, config = type(tokenizer).__name__, tokenizer.config
    if name not in SCHEMES:
        raise InputError(f"There is no grammar for {name}. Use one of {', '.join(SCHEMES)}.")
    options = [option for option in _NOT_KNOWN if getattr(config, option)]
    options += [
        option for option in ("max_bar_embedding", "use_bar_end_tokens") if config.additional_params.get(option)
    ]
    if tokenizer.attribute_controls:
        options.append("attribute controls")
    if config.use_programs and not config.one_token_stream_for_programs:
        options.append("programs outside one stream")
    if options:
        raise InputError(f"There is no grammar for {name} with {', '.join(options)}. Build the tokenizer without.")
