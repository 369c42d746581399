"""Chords that a player can strike: how many notes of a part begin together, and how far apart, in ensembles.

A string instrument or a voice begins no note while it holds another. Where chords are requested, the notes are theirs.

Shapes: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

from descant_modeling.decoding.chord_tones import ChordTones
from descant_modeling.decoding.masks import without
from descant_modeling.decoding.template import Span, Template
from descant_tokenizers.scores.ensembles import Ensemble
from descant_tokenizers.tokens.grammar import Mask, State
from descant_tokenizers.tokens.vocabulary import Vocabulary


class PlayableChords:
    """Narrows the tokens that may follow to what the parts of an ensemble can strike at once."""

    def __init__(self, vocabulary: Vocabulary, ensemble: Ensemble, span: Span) -> None:
        self._vocabulary, self._parts, self._voices = vocabulary, ensemble.parts, frozenset(span.voices)
        self._tops = [min(high, max(vocabulary.pitch_id)) for _, high in span.pitches]
        chords = None if span.annotations is None else span.annotations.chords
        bass = ensemble.names.index(ensemble.tracks[-1])
        self._tones = ChordTones(chords, vocabulary, bass) if chords else None

    def narrowed(self, legal: Mask, state: State, written: Sequence[int], bar_start: int = 0) -> Mask:
        """Return the legal tokens (V,) without notes beyond the reach of a part, unless no other token is left.

        Args:
            legal: Mask of the tokens that may follow.
            state: State of the grammar in the bar.
            written: Base tokens of the bar so far.
            bar_start: Onset of the bar.
        """
        legal = self._without_held(legal, state, written)
        if state.voice not in self._voices or state.kind not in ("Program", "Pitch", "Duration"):
            return legal
        now = bar_start + state.offset_ticks
        if state.kind == "Pitch":
            return legal if self._tones is None else self._tones.durations(legal, state, now)
        struck, part = self._struck(state.voice, written), self._parts[state.voice]
        if state.kind == "Program":
            beyond = [i for pitch, i in self._vocabulary.pitch_id.items() if struck and pitch > struck[0] + part.reach]
            legal = without(legal, beyond)
            return legal if self._tones is None else self._tones.pitches(legal, state, now, len(struck))
        if not struck:
            return legal
        highest = struck[0] + part.reach
        sounding = {lane.pitch for lane in state.busy_ticks if lane.voice == state.voice}
        top = min(highest, self._tops[state.voice])
        free = [pitch for pitch in range(struck[-1] + 1, top + 1) if pitch not in sounding]
        if self._tones is not None:
            free = [pitch for pitch in free if self._tones.allows(pitch, now)]
        is_full = len(struck) >= part.most or not free
        return without(legal, [self._vocabulary.voice_id[state.voice]]) if is_full else legal

    def _without_held(self, legal: Mask, state: State, written: Sequence[int]) -> Mask:
        """Remove parts that hold a note and may not, and onsets before all of them may begin another one."""
        if state.kind in ("Program", "Pitch") or all(self._parts[voice].holds for voice in self._voices):
            return legal
        now, vocabulary = max(0, state.offset_ticks), self._vocabulary
        ends = dict.fromkeys(self._voices, 0)
        for lane in state.busy_ticks:
            if lane.voice in ends and not self._parts[lane.voice].holds:
                ends[lane.voice] = max(ends[lane.voice], lane.end_ticks)
        held = [v for v, end in ends.items() if end > now and not self._struck(v, written)]
        legal = without(legal, [vocabulary.voice_id[voice] for voice in held])
        position_ticks, free = vocabulary.meter_of[state.meter_id].position_ticks, min(ends.values())
        return without(legal, [i for i, place in vocabulary.position_of.items() if place * position_ticks < free])

    def _struck(self, voice: int, written: Sequence[int]) -> list[int]:
        """Return the pitches that a part strikes at the current onset, ascending."""
        vocabulary, pitches = self._vocabulary, []
        for place in range(len(written) - 1, 0, -1):
            if written[place] in vocabulary.position_of:
                break
            if vocabulary.voice_of.get(written[place - 1]) == voice and written[place] in vocabulary.pitch_of:
                pitches.append(vocabulary.pitch_of[written[place]])
        return pitches[::-1]


def playable_chords_of(template: Template, vocabulary: Vocabulary) -> PlayableChords | None:
    """Return the rule for a template; None for other music, and for merged tokens, which hold several notes."""
    if vocabulary.ensemble is None or vocabulary.has_merges:
        return None
    return PlayableChords(vocabulary, vocabulary.ensemble, template.span)
