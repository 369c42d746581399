"""One sample in the making: where it stands, which tokens may follow, and what a token does to it.

Given notes are sung where they stand and never drawn; voice leading and the plan take tokens away from those that the
grammar allows, as long as others are left.

Shapes: V vocabulary.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np

from descant_modeling.decoding.config import SamplingConfig
from descant_modeling.decoding.plan import EmptyBar, Plan
from descant_modeling.decoding.voice_leading import LeadingRules, VoiceLeading, key_of_notes
from descant_tokenizers.tokens.grammar import NEVER, Grammar, Mask, Rules, State
from descant_tokenizers.tokens.piece import GridNote, GridTempo, read_content

__all__ = ["Row", "Sample"]


@dataclass
class Sample:
    """What one sample wrote.

    Attributes:
        notes: Notes of each written bar, by bar index.
        tempos: Tempos of each written bar, by bar index, where the vocabulary has them.
        num_tokens: Tokens that were sampled.
        log_likelihood: Sum of ln p of the sampled tokens under the model itself (no mask, temperature 1), in nats.
    """

    notes: dict[int, tuple[GridNote, ...]] = field(default_factory=dict)
    tempos: dict[int, tuple[GridTempo, ...]] = field(default_factory=dict)
    num_tokens: int = 0
    log_likelihood: float = 0.0


class Row:
    """One sample in the making."""

    def __init__(self, plan: Plan, grammar: Grammar, random: np.random.Generator, config: SamplingConfig) -> None:
        self.plan, self.grammar, self.random = plan, grammar, random
        self.sample = Sample()
        rules = config.rules_for(grammar.table)
        self.leading = _voice_leading(plan, grammar.table.num_voices, rules) if rules else None
        self.busy_ticks = grammar.busy_with(plan.held)
        self.bar = -1
        self.state: State
        self.rules: Rules
        self.pending: list[int]
        self.written: list[int]
        self.inside: list[GridNote]
        self._open_next_bar()

    def copy(self) -> Row:
        """Return another sample in the making that has written the same so far; random numbers are shared."""
        twin = copy(self)
        twin.sample = replace(self.sample, notes=dict(self.sample.notes), tempos=dict(self.sample.tempos))
        twin.leading = None if self.leading is None else self.leading.copy()
        twin.pending, twin.written, twin.inside = list(self.pending), list(self.written), list(self.inside)
        return twin

    @property
    def done(self) -> bool:
        """Whether the last bar is written."""
        return self.bar >= len(self.plan.bars)

    @property
    def now_ticks(self) -> int:
        """The onset that is being written, from the beginning of the piece; `NEVER` behind the last bar."""
        return NEVER if self.done else self.plan.bars[self.bar].start_ticks + max(0, self.state.offset_ticks)

    def legal(self) -> Mask:
        """Return what may be drawn, (V,)."""
        legal = self.grammar.mask(self.state, self.rules)
        if self.state.kind == "Program":
            return self._well_led(legal)
        closing = list(self.rules.closing_ids)
        if self.inside and self.state.kind != "Pitch":
            return self._with_given(legal)
        if len(self.written) >= self.plan.max_bar_tokens and legal[closing].any():
            only_closing = np.zeros_like(legal)
            only_closing[closing] = legal[closing]
            return only_closing
        if self._is_unfinished() or self._is_last_bar_empty():
            going_on = legal.copy()
            going_on[closing] = False
            return going_on if going_on.any() else legal
        return legal

    def _well_led(self, legal: Mask) -> Mask:
        """Leave out pitches that voice leading forbids, unless no other is left."""
        if self.leading is None:
            return legal
        onset = self.plan.bars[self.bar].start_ticks + self.state.offset_ticks
        due = (note for note in self.inside if note.offset_ticks == self.state.offset_ticks)
        forbidden = self.leading.forbidden(self.state.voice, onset, due)
        ids = [self.grammar.table.pitch_id[pitch] for pitch in forbidden if pitch in self.grammar.table.pitch_id]
        if not ids:
            return legal
        others = legal.copy()
        others[ids] = False
        return others if others.any() else legal

    def _with_given(self, legal: Mask) -> Mask:
        """Let nothing pass the next given note of the bar: no later onset, at its own no lower voice, no bar line."""
        note, table = self.inside[0], self.grammar.table
        position_ticks = table.meter_of[self.plan.bars[self.bar].meter_id].position_ticks
        legal = legal.copy()
        legal[list(self.rules.closing_ids)] = False
        if note.offset_ticks == self.state.offset_ticks:
            legal[list(table.position_of)] = False
            legal[[i for i, voice in table.voice_of.items() if voice > note.voice]] = False
            legal[table.voice_id[note.voice]] = True
        elif self.state.kind != "Position":
            place = note.offset_ticks // position_ticks
            legal[[i for i, position in table.position_of.items() if position > place]] = False
            legal[table.position_id[place]] = True
        return legal

    def _is_unfinished(self) -> bool:
        """Whether some voice has to sound until an end in this bar, and does not yet."""
        if not self.plan.to_the_end:
            return False
        bar_ticks = self.grammar.table.meter_of[self.plan.bars[self.bar].meter_id].bar_ticks
        ends = self.rules.latest_end_ticks
        return any(self._end_of(voice) < ends[voice] <= bar_ticks for voice in self.plan.voices)

    def _is_last_bar_empty(self) -> bool:
        is_last = self.plan.fills_last_bar and self.bar == len(self.plan.bars) - 1
        return is_last and not any(self._end_of(voice) > 0 for voice in self.plan.voices)

    def _end_of(self, voice: int) -> int:
        return self.grammar.end_of(self.state.busy_ticks, voice)

    def accept(self, token_id: int, log_p: float) -> None:
        """Take a drawn token: a note goes on, a closing token opens the next bar, a given voice sings its own note."""
        if self.inside and self.grammar.table.voice_of.get(token_id) == self.inside[0].voice:
            self.pending = self._sing_given()
        else:
            self.sample.num_tokens += 1
            self.sample.log_likelihood += log_p
            if token_id in self.rules.closing_ids:
                self._close_bar()
                return
            self.pending = self._follow([token_id])
        while self._given_is_due():
            self.pending += self._sing_given()

    def _given_is_due(self) -> bool:
        """Whether nothing else may follow than the next given note."""
        if not self.inside or self.inside[0].offset_ticks != self.state.offset_ticks:
            return False
        return self.state.kind not in ("Program", "Pitch") and int(self.legal().sum()) == 1

    def _sing_given(self) -> list[int]:
        note, table = self.inside.pop(0), self.grammar.table
        durations = table.duration_id[table.meter_of[self.plan.bars[self.bar].meter_id].denominator]
        return self._follow([table.voice_id[note.voice], table.pitch_id[note.pitch], durations[note.duration_ticks]])

    def _follow(self, ids: list[int]) -> list[int]:
        # given notes keep the grammar, not the wishes for written ones
        rules = None if self.plan.inside else self.rules
        for token_id in ids:
            self.state = self.grammar.advance(self.state, token_id, rules)
        self.written += ids
        if self.leading is not None and self.state.kind == "Duration":
            start, voice = self.plan.bars[self.bar].start_ticks, self.state.voice
            end = start + self._end_of(voice)
            self.leading.sing(
                voice, start + self.state.offset_ticks, end, self.grammar.table.pitch_of[self.written[-2]]
            )
        return ids

    def _close_bar(self) -> None:
        bar, table = self.plan.bars[self.bar], self.grammar.table
        ids = [base_id for token_id in self.written for base_id in table.base_ids(token_id)]
        content, _ = read_content(table, ids, 0, table.meter_of[bar.meter_id])
        self.sample.notes[bar.index] = tuple(note for note in content.notes if note.voice in self.plan.voices)
        if content.tempos:
            self.sample.tempos[bar.index] = content.tempos
        self.busy_ticks = self.grammar.later(self.state.busy_ticks, bar.start_ticks)
        self._open_next_bar()

    def _open_next_bar(self) -> None:
        self.bar += 1
        self.written = []
        self.pending = []
        self.inside = []
        if self.done:
            return
        bar = self.plan.bars[self.bar]
        self.pending = list(self.plan.given[self.bar])
        self.inside = list(self.plan.inside[self.bar]) if self.plan.inside else []
        self.state = self.grammar.enter_bar(bar.meter_id, self.grammar.later(self.busy_ticks, -bar.start_ticks))
        self.rules = _rules(self.plan, bar)


def _voice_leading(plan: Plan, num_voices: int, rules: LeadingRules) -> VoiceLeading:
    given = [*(note for _, note in plan.held), *(note for bar in plan.inside for note in bar)]
    key = key_of_notes((note.pitch, note.duration_ticks) for note in given) if rules.leaps else None
    return VoiceLeading(num_voices, plan.held, rules, key)


def _rules(plan: Plan, bar: EmptyBar) -> Rules:
    latest = tuple(end - bar.start_ticks for end in plan.latest_end_ticks)
    return Rules(plan.voices, latest, plan.pitches, bar.closing_ids, plan.tempos)
