"""Notes that the voices to write must have: what leads to the next of them, and what may stand before it.

A fixed note is sampled like any other, from a mask that leaves only what is fixed, so that its probability counts when
particles are compared.

Units: grid ticks of the vocabulary.
Shapes: V vocabulary.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from descant_modeling.decoding.template import FixedNote, Span, TargetBar
from descant_tokenizers.tokens.grammar import NEVER, Grammar, Mask, State
from descant_tokenizers.tokens.vocabulary import Vocabulary

_ALWAYS: Final = (0, NEVER)


class FixedNotes:
    """The fixed notes of a span that are still to come.

    Args:
        span: The span.
        vocabulary: A vocabulary whose voices are single lines, without merged tokens.
    """

    def __init__(self, span: Span, vocabulary: Vocabulary) -> None:
        self.applies = bool(span.fixed) or span.free is not None
        self._notes, self._next, self._free = span.fixed, 0, span.free or _ALWAYS
        self._vocabulary = vocabulary

    def accept(self, voice: int, onset_ticks: int) -> None:
        """Take note that a voice has begun a note."""
        if self._next < len(self._notes) and self._notes[self._next][:2] == (onset_ticks, voice):
            self._next += 1

    def mask(self, grammar: Grammar, state: State, bar: TargetBar, legal: Mask, context_ticks: int | None) -> Mask:
        """Remove the tokens that would pass a fixed note, change it, or begin a note where none may.

        Args:
            grammar: The grammar.
            state: Its state.
            bar: The bar that is written.
            legal: Mask of tokens that the grammar allows, (V,).
            context_ticks: Onset in the bar of the next context note between new ones, whose position is open too.

        Returns:
            Another mask, never empty: what the grammar leaves no choice about stays.
        """
        allowed = legal.copy()
        now = bar.start_ticks + max(state.offset_ticks, 0)
        while self._next < len(self._notes) and self._notes[self._next].onset_ticks < now:
            self._next += 1
        if state.kind == "Program":
            self._choose_pitch(allowed, state, bar)
        elif state.kind == "Pitch":
            self._limit_duration(allowed, state, bar)
        else:
            self._choose_next(allowed, grammar, state, bar, context_ticks)
        return allowed if allowed.any() else legal

    def _coming(self, bar: TargetBar) -> FixedNote | None:
        """Return the next fixed note, with its onset in a bar; None if it is in a later one."""
        if self._next == len(self._notes):
            return None
        note = self._notes[self._next]
        end = bar.start_ticks + self._vocabulary.meter_of[bar.meter_id].bar_ticks
        return note._replace(onset_ticks=note.onset_ticks - bar.start_ticks) if note.onset_ticks < end else None

    def _is_due(self, state: State, bar: TargetBar) -> FixedNote | None:
        """Return the fixed note that is being written, if it is one."""
        note = self._coming(bar)
        return note if note is not None and note[:2] == (state.offset_ticks, state.voice) else None

    def _choose_pitch(self, allowed: Mask, state: State, bar: TargetBar) -> None:
        note = self._is_due(state, bar)
        if note is not None:
            _keep_only(allowed, [self._vocabulary.pitch_id[p] for p in note.pitches if p in self._vocabulary.pitch_id])

    def _limit_duration(self, allowed: Mask, state: State, bar: TargetBar) -> None:
        """Give a fixed note its length; end another one before the next fixed note of its voice."""
        durations = self._vocabulary.duration_id[self._vocabulary.meter_of[bar.meter_id].denominator]
        note = self._is_due(state, bar)
        if note is not None:
            _keep_only(allowed, [durations[note.duration_ticks]] if note.duration_ticks in durations else [])
            return
        later = (n.onset_ticks - bar.start_ticks for n in self._notes[self._next :] if n.voice == state.voice)
        room = next(later, NEVER) - state.offset_ticks
        allowed[[token_id for ticks, token_id in durations.items() if ticks > room]] = False

    def _choose_next(
        self, allowed: Mask, grammar: Grammar, state: State, bar: TargetBar, context_ticks: int | None
    ) -> None:
        """Let nothing pass the next fixed note, and no other note begin outside the free part."""
        note, vocabulary = self._coming(bar), self._vocabulary
        position_ticks = vocabulary.meter_of[bar.meter_id].position_ticks
        first, stop = (ticks - bar.start_ticks for ticks in self._free)
        wanted = {context_ticks} if note is None else {context_ticks, note.onset_ticks}
        closed = [
            token_id
            for token_id, position in vocabulary.position_of.items()
            if not first <= position * position_ticks < stop and position * position_ticks not in wanted
        ]
        allowed[closed] = False
        if not first <= state.offset_ticks < stop:
            due = -1 if note is None or note.onset_ticks != state.offset_ticks else note.voice
            allowed[[token_id for token_id, voice in vocabulary.voice_of.items() if voice != due]] = False
        if note is None:
            return
        allowed[list(bar.closing_ids)] = False
        allowed[grammar.position_ids_after(note.onset_ticks // position_ticks)] = False
        if note.onset_ticks == state.offset_ticks:
            allowed[list(vocabulary.position_of)] = False
            allowed[[i for i, voice in vocabulary.voice_of.items() if voice > note.voice]] = False


def _keep_only(allowed: Mask, ids: list[int]) -> None:
    others = np.ones_like(allowed)
    others[ids] = False
    allowed[others] = False
