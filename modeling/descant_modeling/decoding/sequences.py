"""State of one sample while it is generated: the effect of each token, and how it moves on to the next bar.

Context notes are inserted at their places and never sampled. `legal_tokens` has the tokens that may follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.infilled import InfilledNotes
from descant_modeling.decoding.legal_tokens import LegalTokens
from descant_modeling.decoding.rhythm import NO_LEANING, Leaning, off_beat_ends
from descant_modeling.decoding.template import TargetBar, Template
from descant_tokenizers.tokens.grammar import Grammar, Rules
from descant_tokenizers.tokens.harmony import ChordLabel
from descant_tokenizers.tokens.piece import read_content
from descant_tokenizers.tokens.tasks import Task

__all__ = ["SequenceState", "TokenKind"]

TokenKind = Literal["chord", "pitch", "rhythm"]
"""Part of a chord, a pitch, or what says when the next note begins, in which voice, and how long one is."""


class SequenceState(LegalTokens):
    """State of one sample while it is generated."""

    def __init__(
        self, template: Template, grammar: Grammar, random: np.random.Generator, config: GenerationConfig
    ) -> None:
        super().__init__(template, grammar, config)
        self.random = random
        self.sample = InfilledNotes()
        self.busy_ticks = grammar.busy_with(template.held)
        self.pending: list[int]
        endings = grammar.vocabulary.bar_id, grammar.vocabulary.special("SEP"), grammar.eos
        self._moving_on = np.array(endings), np.array([*grammar.vocabulary.ids("Position"), *endings])
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

    @property
    def leaning(self) -> Leaning:
        """See `sampler.Choice`; the durations of new notes lean, in a layout with hints."""
        if self.kind != "rhythm" or self.state.kind != "Pitch":
            return NO_LEANING
        return off_beat_ends(self.grammar.vocabulary, self.state.meter_id, self.state.offset_ticks)

    def join_faults(self) -> int:
        """Count the notes after the target bars that the new ones lead to against the rules of voice leading."""
        following = self.template.following
        if self.leading is None or not following:
            return 0
        bar = self.template.bars[-1]
        onset = bar.start_ticks + self.grammar.vocabulary.meter_of[bar.meter_id].bar_ticks
        others = {note.voice: [other for other in following if other.voice != note.voice] for note in following}
        return sum(note.pitch in self.leading.forbidden(note.voice, onset, others[note.voice]) for note in following)

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
