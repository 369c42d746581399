"""Tokens that may follow in a sample: what the grammar allows, less what voice leading, chords and the template forbid.

Rules other than the grammar's remove tokens only as long as others are left.

Shapes: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.ending import Closing
from descant_modeling.decoding.fixed_notes import FixedNotes
from descant_modeling.decoding.given_chords import given_chords_of
from descant_modeling.decoding.masks import first_possible, no_longer, without
from descant_modeling.decoding.playable import playable_chords_of
from descant_modeling.decoding.template import Template
from descant_modeling.decoding.texture import texture_of
from descant_modeling.decoding.voice_leading import leading_rules, voice_leading_of
from descant_tokenizers.tokens.grammar import NEVER, Grammar, Mask, Rules, State
from descant_tokenizers.tokens.harmony import beat_ticks
from descant_tokenizers.tokens.piece import GridNote

__all__ = ["LegalTokens"]


class LegalTokens:
    """Where a sample stands in its template, and the tokens that may follow there.

    Args:
        template: What to write.
        grammar: The grammar of its tokens.
        config: Options, of which those about rules are used.
    """

    def __init__(self, template: Template, grammar: Grammar, config: GenerationConfig) -> None:
        self.template, self.grammar = template, grammar
        rules = leading_rules(config, grammar.vocabulary)
        self.leading = voice_leading_of(template, grammar.vocabulary, rules) if rules else None
        self.texture = None if config.allow_rests else texture_of(template, grammar)
        self.chords = given_chords_of(template, grammar.vocabulary)
        self.playable = playable_chords_of(template, grammar.vocabulary)
        self.closing = None if template.span.ending is None else Closing(template.span.ending)
        self.bar = -1
        self.state: State
        self.rules: Rules
        self.written: list[int]
        self.inside: list[GridNote]
        self.fixed = FixedNotes(template.span, grammar.vocabulary)
        self._chord_root: int | None = None  # token of a chord's root whose quality comes next; -1 before the root

    @property
    def done(self) -> bool:
        """True if the last bar is written."""
        return self.bar >= len(self.template.bars)

    @property
    def now_ticks(self) -> int:
        """The onset being written, from the beginning of the piece; `NEVER` after the last bar."""
        return NEVER if self.done else self.template.bars[self.bar].start_ticks + max(0, self.state.offset_ticks)

    def legal(self) -> Mask:
        """Return the mask of tokens to choose from, (V,)."""
        if self._chord_root is not None:
            return self._chord_tokens()
        legal = self.grammar.mask(self.state, self.rules)
        if not self.fixed.applies:
            return self._legal(legal)
        is_note = self.state.kind in ("Program", "Pitch")  # of which a fixed one is as it is
        legal = legal if is_note else self._legal(legal)
        context = self.inside[0].offset_ticks if self.inside else None
        allowed = self.fixed.mask(self.grammar, self.state, self.template.bars[self.bar], legal, context)
        return self._legal(allowed) if is_note else allowed

    def _legal(self, legal: Mask) -> Mask:
        """Remove what context notes, voice leading, the players and the template do not allow."""
        if self.playable is not None:
            legal = self.playable.narrowed(legal, self.state, self.written, self.template.bars[self.bar].start_ticks)
        if self.state.kind == "Program":
            return self._well_led(legal)
        if self.state.kind == "Pitch":
            legal = self._chord_durations(self._closing_durations(self._filling_durations(legal)))
            if self.playable is not None and self._is_last_onset():
                legal = self._longest(legal)
            return legal if self.texture is None else self.texture.in_phrase(legal, self._durations, self.now_ticks)
        legal = self._next_onsets(legal)
        if self.playable is not None and self._is_last_onset():
            legal = without(legal, list(self.grammar.vocabulary.position_of))
        if self.texture is not None:
            start = self.template.bars[self.bar].start_ticks
            legal = self.texture.without_rests(legal, self.state, self.rules, start, self._least_ticks)
        return legal

    def _longest(self, legal: Mask) -> Mask:
        """Keep the longest duration: nothing follows a last chord, so it is held."""
        longest = max((ticks for i, ticks in self._durations.items() if legal[i]), default=0)
        return without(legal, [i for i, ticks in self._durations.items() if ticks < longest])

    def _is_last_onset(self) -> bool:
        """Return True if nothing may begin after this onset: the last given note of the piece, or a note under it."""
        is_last_bar = self.rules.closing_ids == (self.grammar.eos,)
        return is_last_bar and not self.inside and self.state.offset_ticks >= 0

    def _next_onsets(self, legal: Mask) -> Mask:
        """Remove what passes a context note, or leaves a voice without notes that it must have."""
        closing = list(self.rules.closing_ids)
        if self.inside:
            return self._with_context(legal)
        if len(self.written) >= self.template.span.max_bar_tokens and legal[closing].any():
            only_closing = np.zeros_like(legal)
            only_closing[closing] = legal[closing]
            return only_closing
        if (unfinished := self._unfinished()) or self._lacks_notes():
            going_on = legal.copy()
            going_on[closing] = False
            if unfinished and not self.fixed.applies:
                self._keep_in_time(going_on, unfinished)
            return going_on if going_on.any() else legal
        return legal

    def _well_led(self, legal: Mask) -> Mask:
        """Remove pitches that voice leading forbids, rule by rule, unless no other is left.

        Parallels come before requested chords and the last chord: where a chord's lowest note makes them, the bass has
        another of its notes.
        """
        parallels, *others = self._prohibitions()
        legal = self._closing_pitches(self._chord_pitches(without(legal, parallels)))
        for prohibited in others:
            legal = without(legal, prohibited)
        return legal

    def _prohibitions(self) -> list[list[int]]:
        """Return the tokens of the pitches that each rule of voice leading forbids; the first one is parallels."""
        if self.leading is None:
            return [[]]
        onset = self.now_ticks
        due = (note for note in self.inside if note.offset_ticks == self.state.offset_ticks)
        beat = beat_ticks(self.grammar.vocabulary.meter_of[self.state.meter_id])
        last_beat = onset - beat if self.state.offset_ticks % beat == 0 else None
        pitch_id = self.grammar.vocabulary.pitch_id
        rules = self.leading.prohibitions(self.state.voice, onset, due, last_beat)
        found = [[pitch_id[pitch] for pitch in pitches if pitch in pitch_id] for pitches in rules]
        return found if self.leading.rules.parallels else [[], *found]

    def _chord_pitches(self, legal: Mask) -> Mask:
        """Keep the pitches that a requested chord leaves a voice, unless there is none."""
        if self.chords is None:
            return legal
        own, offset = self.state.voice, self.state.offset_ticks
        num_left = sum(voice != own and self._end_of(voice) <= offset for voice in self.template.span.voices)
        return first_possible(legal, self.grammar.vocabulary, self.chords.choices(own, self.now_ticks, num_left))

    def _chord_durations(self, legal: Mask) -> Mask:
        """End a note at the beat of a requested chord that does not have it, unless no duration is short enough."""
        if self.chords is None:
            return legal
        now, pitch = self.now_ticks, self.grammar.vocabulary.pitch_of[self.written[-1]]
        return no_longer(legal, self._durations, self.chords.latest_end(self.state.voice, pitch, now) - now)

    def _closes(self) -> bool:
        """Return True if the onset being written belongs to an ending."""
        return self.closing is not None and self.now_ticks >= self.closing.ending.start_ticks

    def _closing_pitches(self, legal: Mask) -> Mask:
        """Keep the pitches of the last chord, unless none is left."""
        if self.closing is None or not self._closes():
            return legal
        voice, ends = self.state.voice, self.rules.latest_end_ticks
        upper = {*self.template.span.voices} - {voice, self.closing.ending.bass}
        is_last = all(self._end_of(other) >= ends[other] for other in upper)
        return self.closing.keep_pitches(legal, self.grammar.vocabulary, voice, is_last=is_last)

    def _closing_durations(self, legal: Mask) -> Mask:
        """End a note before the last chord if it is not one of its notes, unless no duration is short enough."""
        if self.closing is None or self._closes():
            return legal
        pitch = self.grammar.vocabulary.pitch_of[self.written[-1]]
        if pitch in self.closing.pitches(self.state.voice):
            return legal
        return no_longer(legal, self._durations, self.closing.ending.start_ticks - self.now_ticks)

    def _with_context(self, legal: Mask) -> Mask:
        """Let nothing pass the bar's next context note: no later onset, no lower voice at its own, no bar line."""
        note, vocabulary, legal = self.inside[0], self.grammar.vocabulary, legal.copy()
        position_ticks = vocabulary.meter_of[self.template.bars[self.bar].meter_id].position_ticks
        legal[list(self.rules.closing_ids)] = False
        if note.offset_ticks == self.state.offset_ticks:
            assert self.template.guide is None, "given notes stand before new ones"
            legal[list(vocabulary.position_of)] = False
            legal[[i for i, voice in vocabulary.voice_of.items() if voice > note.voice]] = False
            legal[vocabulary.voice_id[note.voice]] = True
        elif self.state.kind != "Position":
            place = note.offset_ticks // position_ticks
            legal[self.grammar.position_ids_after(place)] = False
            legal[vocabulary.position_id[place]] = True
        return legal

    def _unfinished(self) -> list[int]:
        """Return the voices that must sound until an end in this bar, and do not yet."""
        if not self.template.span.to_the_end:
            return []
        bar_ticks = self.grammar.vocabulary.meter_of[self.template.bars[self.bar].meter_id].bar_ticks
        ends = self.rules.latest_end_ticks
        return [voice for voice in self.template.span.voices if self._end_of(voice) < ends[voice] <= bar_ticks]

    def _keep_in_time(self, legal: Mask, unfinished: Sequence[int]) -> None:
        """Remove tokens after which a voice could not begin its last note a 16th before its end."""
        vocabulary, offset = self.grammar.vocabulary, self.state.offset_ticks
        position_ticks = vocabulary.meter_of[self.state.meter_id].position_ticks
        latest = min(self.rules.latest_end_ticks[voice] for voice in unfinished) - self._least_ticks
        legal[self.grammar.position_ids_after(latest // position_ticks)] = False
        waiting = [voice for voice in unfinished if self._end_of(voice) <= offset]
        if waiting and offset + position_ticks > latest:
            legal[[i for i, voice in vocabulary.voice_of.items() if voice > min(waiting)]] = False

    def _filling_durations(self, legal: Mask) -> Mask:
        """Remove durations that leave a voice that must sound to its end less than a 16th before it."""
        if not self.template.span.to_the_end or self.grammar.vocabulary.has_merges:
            return legal
        left = self.rules.latest_end_ticks[self.state.voice] - self.state.offset_ticks
        kept = legal.copy()
        kept[[i for i, ticks in self._durations.items() if 0 < left - ticks < self._least_ticks]] = False
        return kept if kept.any() else legal

    @property
    def _durations(self) -> dict[int, int]:
        """Length of each duration token in this bar."""
        vocabulary = self.grammar.vocabulary
        return vocabulary.duration_ticks[vocabulary.meter_of[self.state.meter_id].denominator]

    @property
    def _least_ticks(self) -> int:
        """Least length of a last note: ends are rounded up to a 16th, so that nothing is left of a shorter one."""
        return self.grammar.vocabulary.ticks_per_quarter // 4

    def _lacks_notes(self) -> bool:
        is_last = self.bar == len(self.template.bars) - 1
        is_needed = self.template.is_continuation or self.template.is_alone
        return is_last and is_needed and not any(self._end_of(voice) > 0 for voice in self.template.span.voices)

    def _end_of(self, voice: int) -> int:
        return self.grammar.end_of(self.state.busy_ticks, voice)

    def _chord_tokens(self) -> Mask:
        """Return the mask of the tokens that a chord can begin, or go on with."""
        assert self.template.guide is not None, "a layout without hints"
        ids, legal = self.template.guide.ids, np.zeros(self.grammar.vocabulary.size, dtype=bool)
        if self.closing is not None and self._closes():
            place = 0 if self._chord_root == -1 else 1
            legal[[ids.chord(chord)[place] for chord in self.closing.chords]] = True
        else:
            last = None if self.texture is None else self.texture.last_pitch(self.now_ticks)
            legal[ids.chord_ids(None if self._chord_root == -1 else self._chord_root, last)] = True
        return legal
