"""Play along: answer the notes of a soprano one by one with the other three voices, while they sound.

The stream is that of *continue* in all four voices, with the soprano's notes given. Nothing is known of what comes, not
even how long a note will last: its duration is guessed, and put right in the model's cache when the next note begins.
Before a stream becomes longer than those of training, one that began later takes over.

Units: grid ticks of the vocabulary from the first bar line; pitches are MIDI numbers at which the model sees them,
unless a name says `heard`. Shapes: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.engine import Engine, EngineModel
from descant_modeling.decoding.masks import without
from descant_modeling.decoding.rhythm import NO_LEANING, Leaning
from descant_modeling.decoding.sampler import Logits, draw
from descant_modeling.decoding.sequences import TokenKind
from descant_modeling.decoding.voice_leading import LeadingRules, VoiceLeading
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.grammar import Mask
from descant_tokenizers.tokens.harmony import PieceKey, beat_ticks, shift_to_common_tonic
from descant_tokenizers.tokens.hints import Annotations
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import Task, TaskLayout

__all__ = ["MAX_BARS", "Accompanist"]

MAX_BARS = 2048
"""Longest session: an hour and more."""

_WINDOW_TOKENS = 1024  # of a stream before the next one takes over: about 20 bars
_SILENT_BARS = 2  # of a longer silence, bars that the model sees
_OCTAVE = 12


@dataclass
class _Note:
    """A note of the soprano with what was written to it."""

    onset: int
    end: int
    pitches: dict[int, int]  # by rank
    was_released: bool = False


@dataclass
class _Window:
    """A stream: all tokens fed so far, of which the last may still change, and the notes that no longer do."""

    engine: Engine
    first_bar: int
    next_note: int  # index of the first note whose tokens may change
    ids: list[int] = field(default_factory=list)
    num_settled: int = 0

    def feed(self, ids: Sequence[int], num_settled: int = 0) -> Logits:
        """Replace the tokens that may change; the first of the new ones are settled then. Return the logits, (1, V)."""
        tail, same = self.ids[self.num_settled :], 0
        while same < min(len(tail), len(ids) - 1) and tail[same] == ids[same]:
            same += 1
        if same < len(tail):
            self.engine.rewind([self.num_settled + same])
        self.ids[self.num_settled :] = ids
        self.num_settled += num_settled
        return self.engine.append([ids[same:]])


@dataclass(frozen=True)
class _Choice:
    """The pitch of a voice, to be drawn."""

    mask: Mask
    random: np.random.Generator
    kind: TokenKind | None = "pitch"
    moving_on: tuple[()] = ()
    leaning: Leaning = NO_LEANING

    def legal(self) -> Mask:
        """Return the mask of tokens to choose from, (V,)."""
        return self.mask


class Accompanist:
    """Answers a soprano with alto, tenor and bass.

    Args:
        model: The model.
        layout: The layout it was trained with, of four single lines.
        ranges: Lowest and highest pitch of each voice by rank, as trained.
        meter: Numerator and denominator.
        key: Key of the music; None leaves it open.
        style: Style to write in.
        config: Options of sampling.

    Raises:
        InputError: The vocabulary lacks the meter.
    """

    def __init__(
        self,
        model: EngineModel,
        layout: TaskLayout,
        ranges: Sequence[tuple[int, int]],
        meter: tuple[int, int],
        key: PieceKey | None,
        style: str | None,
        config: GenerationConfig,
    ) -> None:
        self._model, self._vocabulary, self._config = model, layout.vocabulary, config
        vocabulary = self._vocabulary
        if meter not in vocabulary.meter_id:
            raise InputError(
                f"The time signature {meter[0]}/{meter[1]} is not in the vocabulary. "
                f"Give one of {vocabulary.meter_ranges}."
            )
        self._meter = vocabulary.meter_of[vocabulary.meter_id[meter]]
        self._sixteenth, self._beat = vocabulary.ticks_per_quarter // 4, beat_ticks(self._meter)
        self._shift = 0 if key is None else shift_to_common_tonic(key)
        key = None if key is None else key.transpose(self._shift)
        self._ranges = [(low + self._shift, high + self._shift) for low, high in ranges]
        self._soprano, *lower = (vocabulary.voices.index(voice) for voice in VOICES)
        self._bass, self._lower = lower[-1], sorted(lower)
        ranks = [self._soprano, *self._lower]
        self._prefix = layout.prefix(Task.CONTINUE, ranks, style)
        if layout.config.hints:
            known = Annotations(key=key, ends=False)
            self._prefix += layout.guide(Piece(()), ranks, range(0), known).header()
        beats = range(0, MAX_BARS * self._meter.bar_ticks, self._beat)
        outer = self._soprano, self._bass
        self._leading = VoiceLeading(len(VOICES), (), LeadingRules(), key, outer, beats=beats)
        self._random = np.random.default_rng(config.seed)
        self._notes: list[_Note] = []
        self._windows = [self._open_window(0)]

    def answer(self, onset_16ths: int, heard_pitch: int) -> dict[str, int]:
        """Return the pitches of the lower voices, as heard, to a note of the soprano.

        Args:
            onset_16ths: Its onset in 16ths; a note that is not later than the last one is put a 16th after it.
            heard_pitch: Its pitch.

        Raises:
            InputError: The session is too long.
        """
        onset, guess = onset_16ths * self._sixteenth, self._beat
        if self._notes:
            last = self._notes[-1]
            onset = max(onset, last.onset + self._sixteenth)
            if last.end > onset or not last.was_released:
                last.end = onset
            for rank in last.pitches:
                self._leading.resize_last(rank, last.end)
            guess = last.end - last.onset
        if not 0 <= onset < MAX_BARS * self._meter.bar_ticks:
            raise InputError(f"The music is outside the first {MAX_BARS:,} bars. Start again.")
        note = _Note(onset, onset + min(guess, self._meter.bar_ticks), {})
        self._add(note, self._soprano, self._in_vocabulary(heard_pitch + self._shift))
        self._notes.append(note)
        window = self._windows[0]
        settled, opening = self._settled_ids(window), [*self._opening(window, len(self._notes) - 1)]
        logits_1V = window.feed([*settled, *opening, *self._voice(note, self._soprano), self._id(self._lower[0])])
        window.num_settled += len(settled)
        window.next_note = len(self._notes) - 1
        written = [*opening, *self._voice(note, self._soprano)]
        for place, rank in enumerate(self._lower):
            mask = self._pitches(note, rank)
            (token_id,) = draw(logits_1V, [_Choice(mask, self._random)], self._config).token_ids
            self._add(note, rank, self._vocabulary.pitch_of[token_id])
            written += self._voice(note, rank)
            if place + 1 < len(self._lower):
                logits_1V = window.feed([*written, self._id(self._lower[place + 1])])
        names = self._vocabulary.voices
        return {names[rank]: note.pitches[rank] - self._shift for rank in self._lower}

    def release(self, end_16ths: int) -> None:
        """Say where the last note of the soprano ended, in 16ths; otherwise it lasts until the next one."""
        if self._notes:
            note = self._notes[-1]
            note.end, note.was_released = max(end_16ths * self._sixteenth, note.onset + self._sixteenth), True

    def prepare(self) -> None:
        """Do between notes what the next answer need not wait for: keep the stream short."""
        first = self._windows[0]
        if len(self._windows) == 1 and len(first.ids) > _WINDOW_TOKENS // 2:
            self._windows.append(self._open_window(self._bar_of(self._notes[-1].onset) + 1))
        elif len(self._windows) == 2:
            second = self._windows[1]
            if settled := self._settled_ids(second):
                second.feed(settled, len(settled))
                second.next_note = len(self._notes) - 1
            if len(first.ids) > _WINDOW_TOKENS:
                self._windows.pop(0)

    def _open_window(self, first_bar: int) -> _Window:
        window = _Window(self._model.start(_WINDOW_TOKENS + 256), first_bar, len(self._notes))
        window.feed(self._prefix, len(self._prefix))
        return window

    def _settled_ids(self, window: _Window) -> list[int]:
        """Return the tokens of the notes but the last that a window does not have settled yet."""
        found: list[int] = []
        for index in range(window.next_note, len(self._notes) - 1):
            note = self._notes[index]
            if self._bar_of(note.onset) >= window.first_bar:
                found += self._opening(window, index)
                for rank in (self._soprano, *self._lower):
                    found += self._voice(note, rank)
        return found

    def _opening(self, window: _Window, index: int) -> Iterator[int]:
        """Yield what stands before a note in a window: the bars since the note before it, and its position."""
        onset, vocabulary = self._notes[index].onset, self._vocabulary
        bar, first = self._bar_of(onset), window.first_bar
        if index and self._bar_of(self._notes[index - 1].onset) >= first:
            first = self._bar_of(self._notes[index - 1].onset) + 1
        meter_id = vocabulary.meter_id[self._meter.numerator, self._meter.denominator]
        for _ in range(max(first, bar - _SILENT_BARS), bar + 1):
            yield from (vocabulary.bar_id, meter_id)
        yield vocabulary.position_id[onset % self._meter.bar_ticks // self._meter.position_ticks]

    def _voice(self, note: _Note, rank: int) -> list[int]:
        """Return the tokens of one voice of a note, its length rounded down to one that has a token."""
        ids = self._vocabulary.duration_id[self._meter.denominator]
        length = max(ticks for ticks in ids if ticks <= max(note.end - note.onset, self._sixteenth))
        return [self._id(rank), self._vocabulary.pitch_id[note.pitches[rank]], ids[length]]

    def _add(self, note: _Note, rank: int, pitch: int) -> None:
        note.pitches[rank] = pitch
        self._leading.add(rank, note.onset, note.end, pitch)

    def _pitches(self, note: _Note, rank: int) -> Mask:
        """Return the mask of the pitches that a voice may have, (V,): rules that leave none are dropped."""
        ids = self._vocabulary.pitch_id
        legal = np.zeros(self._vocabulary.size, dtype=bool)
        legal[list(ids.values())] = True
        below = [pitch for other, pitch in note.pitches.items() if self._is_above(other, rank)]
        above = [pitch for other, pitch in note.pitches.items() if self._is_above(rank, other)]
        low, high = max([self._ranges[rank][0], *above]), min([self._ranges[rank][1], *below])
        if rank != self._bass and below:
            low = max(low, min(below) - _OCTAVE)
        legal = without(legal, [i for pitch, i in ids.items() if not low <= pitch <= high])
        last_beat = note.onset - self._beat if note.onset % self._beat == 0 else None
        for pitches in self._leading.prohibitions(rank, note.onset, (), last_beat):
            legal = without(legal, [ids[pitch] for pitch in pitches if pitch in ids])
        return legal

    def _is_above(self, rank: int, other: int) -> bool:
        """Return True if one voice is above another one."""
        names = self._vocabulary.voices
        return VOICES.index(names[rank]) < VOICES.index(names[other])

    def _in_vocabulary(self, pitch: int) -> int:
        """Move a pitch by octaves into the vocabulary."""
        low, high = min(self._vocabulary.pitch_id), max(self._vocabulary.pitch_id)
        while pitch < low:
            pitch += _OCTAVE
        while pitch > high:
            pitch -= _OCTAVE
        return pitch

    def _bar_of(self, ticks: int) -> int:
        return ticks // self._meter.bar_ticks

    def _id(self, rank: int) -> int:
        return self._vocabulary.voice_id[rank]
