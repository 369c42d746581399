"""State of one sample while it is generated: its position, the tokens that may follow, and the effect of each.

Context notes are inserted at their places and never sampled; voice leading and the template remove tokens from those
that the grammar allows, as long as others are left.

Shapes: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.ending import Closing
from descant_modeling.decoding.fixed_notes import FixedNotes
from descant_modeling.decoding.given_chords import given_chords_of
from descant_modeling.decoding.infilled import InfilledNotes
from descant_modeling.decoding.masks import first_possible, no_longer, without
from descant_modeling.decoding.playable import playable_chords_of
from descant_modeling.decoding.template import TargetBar, Template
from descant_modeling.decoding.texture import texture_of
from descant_modeling.decoding.voice_leading import leading_rules, voice_leading_of
from descant_tokenizers.tokens.grammar import NEVER, Grammar, Mask, Rules, State
from descant_tokenizers.tokens.harmony import ChordLabel, beat_ticks
from descant_tokenizers.tokens.piece import GridNote, read_content
from descant_tokenizers.tokens.tasks import Task

__all__ = ["SequenceState", "TokenKind"]

TokenKind = Literal["chord", "pitch", "rhythm"]
"""Part of a chord, a pitch, or what says when the next note begins, in which voice, and how long one is."""


class SequenceState:
    """State of one sample while it is generated."""

    def __init__(
        self, template: Template, grammar: Grammar, random: np.random.Generator, config: GenerationConfig
    ) -> None:
        self.template, self.grammar, self.random = template, grammar, random
        self.sample = InfilledNotes()
        rules = leading_rules(config, grammar.vocabulary)
        self.leading = voice_leading_of(template, grammar.vocabulary, rules) if rules else None
        self.texture = None if config.allow_rests else texture_of(template, grammar)
        self.chords = given_chords_of(template, grammar.vocabulary)
        self.playable = playable_chords_of(template, grammar.vocabulary)
        self.closing = None if template.span.ending is None else Closing(template.span.ending)
        self.busy_ticks = grammar.busy_with(template.held)
        self.bar = -1
        self.state: State
        self.rules: Rules
        self.pending: list[int]
        self.written: list[int]
        self.inside: list[GridNote]
        self.fixed = FixedNotes(template.span, grammar.vocabulary)
        endings = grammar.vocabulary.bar_id, grammar.vocabulary.special("SEP"), grammar.eos
        self._moving_on = np.array(endings), np.array([*grammar.vocabulary.ids("Position"), *endings])
        self._chord_root: int | None = None  # token of a chord's root whose quality comes next; -1 before the root
        self._open_next_bar()

    def copy(self) -> SequenceState:
        """Return another state with the same tokens so far; the random stream is shared."""
        twin = copy(self)
        notes, tempos, chords = self.sample.notes, self.sample.tempos, self.sample.chords
        twin.sample = replace(self.sample, notes=dict(notes), tempos=dict(tempos), chords=dict(chords))
        twin.leading = None if self.leading is None else self.leading.copy()
        twin.chords = None if self.chords is None else self.chords.copy()
        twin.closing = None if self.closing is None else self.closing.copy()
        twin.pending, twin.written, twin.inside = list(self.pending), list(self.written), list(self.inside)
        twin.fixed = copy(self.fixed)
        return twin

    @property
    def done(self) -> bool:
        """True if the last bar is written."""
        return self.bar >= len(self.template.bars)

    @property
    def now_ticks(self) -> int:
        """The onset being written, from the beginning of the piece; `NEVER` after the last bar."""
        return NEVER if self.done else self.template.bars[self.bar].start_ticks + max(0, self.state.offset_ticks)

    @property
    def kind(self) -> TokenKind | None:
        """What the next token is when a layout with hints harmonizes or infills; None for others and elsewhere."""
        if self.template.guide is None or self.done or self.template.span.task is Task.CONTINUE:
            return None
        if self._chord_root is not None:
            return "chord"
        return "pitch" if self.state.kind == "Program" else "rhythm"

    @property
    def moving_on(self) -> Sequence[npt.NDArray[np.int64]]:
        """See `sampler.Choice`; a layout with hints tells how many bars are left, and its rules count on positions."""
        return () if self.template.guide is not None else self._moving_on

    def join_faults(self) -> int:
        """Count the notes after the target bars that the new ones lead to against the rules of voice leading."""
        following = self.template.following
        if self.leading is None or not following:
            return 0
        bar = self.template.bars[-1]
        onset = bar.start_ticks + self.grammar.vocabulary.meter_of[bar.meter_id].bar_ticks
        others = {note.voice: [other for other in following if other.voice != note.voice] for note in following}
        return sum(note.pitch in self.leading.forbidden(note.voice, onset, others[note.voice]) for note in following)

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
            return self._well_led(self._chord_pitches(legal))
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

        Parallels come before the last chord: where its root makes them, the bass has another of its notes.
        """
        parallels, *others = self._prohibitions()
        legal = self._closing_pitches(without(legal, parallels))
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

    def accept(self, token_id: int, log_p: float) -> None:
        """Append a sampled token; a closing token opens the next bar, the voice of a context note inserts that note.

        Args:
            token_id: The token; the voice of a context note is not counted as sampled.
            log_p: Its ln p under the model itself.
        """
        has_hints = self.template.guide is not None
        if not has_hints and self.inside and self.grammar.vocabulary.voice_of.get(token_id) == self.inside[0].voice:
            self.pending = self._insert_context()
        else:
            self.sample.num_tokens += 1
            self.sample.log_likelihood += log_p
            if self._chord_root is not None:
                self._accept_chord(token_id)
                return
            if token_id in self.rules.closing_ids:
                self._close_bar()
                return
            self.pending = self._follow([token_id])
        if has_hints:
            self._open_onsets()
            return
        while self._context_is_due():
            self.pending += self._insert_context()

    def _open_onsets(self) -> None:
        """Insert what belongs to an onset that was just reached, in a layout with hints.

        Where only the onset of a given note may follow, the model is not asked.
        """
        if self.state.kind == "Position":
            self._open_onset()
        while self._chord_root is None and not self.done and self.state.kind not in ("Program", "Pitch"):
            (legal_ids,) = self.legal().nonzero()
            if len(legal_ids) != 1 or int(legal_ids[0]) in self.rules.closing_ids:
                return
            self.pending += self._follow([int(legal_ids[0])])
            if self.state.kind == "Position":
                self._open_onset()

    def _open_onset(self) -> None:
        """Insert what a layout with hints has at an onset before the new notes."""
        guide, offset, index = self.template.guide, self.state.offset_ticks, self.template.bars[self.bar].index
        assert guide is not None, "a layout without hints"
        given = []
        while self.inside and self.inside[0].offset_ticks == offset:
            given.append(self.inside[0])
            self._insert_context()
        self.state = self.state._replace(voice=-1)
        self.pending += guide.onset(index, offset, given)
        chord = guide.chord_at(index, offset)
        if chord is True:
            self._chord_root = -1
        elif chord is not False:
            self.pending += guide.ids.chord(chord)

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

    def _accept_chord(self, token_id: int) -> None:
        """Append a token of a chord."""
        assert self.template.guide is not None, "a layout without hints"
        ids = self.template.guide.ids
        self.pending = [token_id]
        if token_id in ids.root:
            self._chord_root = token_id
            return
        root, self._chord_root = self._chord_root, None
        assert root is not None, "no chord is due"
        chord = None if token_id == ids.no_chord else ChordLabel(ids.root.index(root), *ids.kind_of[token_id])
        self.sample.chords[self.now_ticks] = chord
        if self.closing is not None and self._closes():
            self.closing.choose(chord)

    def _context_is_due(self) -> bool:
        """Return True if only the next context note may follow."""
        if not self.inside or self.inside[0].offset_ticks != self.state.offset_ticks:
            return False
        return self.state.kind not in ("Program", "Pitch") and int(self.legal().sum()) == 1

    def _insert_context(self) -> list[int]:
        note, vocabulary = self.inside.pop(0), self.grammar.vocabulary
        durations = vocabulary.duration_id[vocabulary.meter_of[self.template.bars[self.bar].meter_id].denominator]
        return self._follow(
            [vocabulary.voice_id[note.voice], vocabulary.pitch_id[note.pitch], durations[note.duration_ticks]]
        )

    def _follow(self, ids: list[int]) -> list[int]:
        # context notes obey the grammar, but not the rules for new notes
        rules = None if self.template.inside else self.rules
        for token_id in ids:
            self.state = self.grammar.advance(self.state, token_id, rules)
        self.written += ids
        if self.state.kind == "Duration":
            start, voice = self.template.bars[self.bar].start_ticks, self.state.voice
            end = start + self._end_of(voice)
            self.fixed.accept(voice, start + self.state.offset_ticks)
            if self.leading is not None or self.closing is not None or self.chords is not None:
                pitch = self.grammar.vocabulary.pitch_of[self.written[-2]]
                if self.leading is not None:
                    self.leading.add(voice, start + self.state.offset_ticks, end, pitch)
                for follower in (self.closing, self.chords):
                    if follower is not None:
                        follower.add(voice, end, pitch)
        return ids

    def _close_bar(self) -> None:
        bar, vocabulary = self.template.bars[self.bar], self.grammar.vocabulary
        ids = [base_id for token_id in self.written for base_id in vocabulary.base_ids(token_id)]
        content, _ = read_content(vocabulary, ids, 0, vocabulary.meter_of[bar.meter_id])
        self.sample.notes[bar.index] = tuple(note for note in content.notes if note.voice in self.template.span.voices)
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
        bar = self.template.bars[self.bar]
        self.pending = list(self.template.context[self.bar])
        self.inside = list(self.template.inside[self.bar]) if self.template.inside else []
        self.state = self.grammar.enter_bar(bar.meter_id, self.grammar.later(self.busy_ticks, -bar.start_ticks))
        self.rules = _rules(self.template, bar)


def _rules(template: Template, bar: TargetBar) -> Rules:
    latest = tuple(end - bar.start_ticks for end in template.latest_end_ticks)
    return Rules(template.span.voices, latest, template.span.pitches, bar.closing_ids, template.is_continuation)
