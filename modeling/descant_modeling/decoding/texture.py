"""Where new voices must sound, and where their notes end: under the given voices, phrase by phrase.

In a chorale all voices sing while one does and begin the last note of a phrase together. Of Bach's lower voices, one
rests under the soprano for 0.1 % of the time; at 4 % of his phrase ends one is held into the last note, and at 5 % one
moves under it. A model leaves holes in meters that it seldom saw, holds notes across cadences whose chords then do not
sound, and gives a long last note the chords of the next phrase.

Units: grid ticks of the vocabulary, from the beginning of the piece unless said otherwise.
Shapes: V vocabulary.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence

from descant_modeling.decoding.masks import no_longer
from descant_modeling.decoding.template import Template
from descant_tokenizers.tokens.grammar import NEVER, Grammar, Mask, Rules, State
from descant_tokenizers.tokens.hints import PhraseClose
from descant_tokenizers.tokens.tasks import Task


class Texture:
    """The times at which given voices sound, and the last notes of phrases.

    Args:
        given: Onset and end of each time at which a given voice sounds, ascending and apart from each other.
        closes: The ends of phrases, ascending.
        grammar: Grammar of a vocabulary whose voices are single lines, without merged tokens.
    """

    def __init__(self, given: Sequence[tuple[int, int]], closes: Sequence[PhraseClose], grammar: Grammar) -> None:
        self._starts, self._ends = [start for start, _ in given], [end for _, end in given]
        self._closes, self._close_ends = [close.beat_ticks for close in closes], [close.end_ticks for close in closes]
        self._last_pitches = {close.beat_ticks: close.pitch for close in closes}
        self._grammar = grammar

    def last_pitch(self, ticks: int) -> int | None:
        """Return the pitch of a phrase's last note, if the phrase ends at a beat."""
        return self._last_pitches.get(ticks)

    def without_rests(self, legal: Mask, state: State, rules: Rules, bar_start: int, least_ticks: int) -> Mask:
        """Remove tokens that leave a voice silent while a given one sounds, unless none is left.

        Args:
            legal: Mask of the tokens that may follow, (V,): voices, positions or the end of the bar.
            state: State of the grammar in the bar.
            rules: Rules of the bar.
            bar_start: Onset of the bar.
            least_ticks: Length of a note below which a voice may rest.
        """
        grammar, now = self._grammar, state.offset_ticks
        meter, kept = grammar.vocabulary.meter_of[state.meter_id], legal.copy()
        due = {}
        for voice in rules.voices:
            free = max(now, 0, grammar.end_of(state.busy_ticks, voice))
            next_onset = self._sounds_from(bar_start + free) - bar_start
            due[voice] = next_onset if next_onset <= rules.latest_end_ticks[voice] - least_ticks else NEVER
        waiting = [voice for voice, ticks in due.items() if ticks <= now and voice > state.voice]
        first = min((ticks for ticks in due.values() if ticks > now), default=NEVER)
        latest = now if waiting else first
        kept[grammar.position_ids_after(-(-latest // meter.position_ticks))] = False
        if waiting:
            kept[[i for i, voice in grammar.vocabulary.voice_of.items() if voice > min(waiting)]] = False
        if waiting or first < meter.bar_ticks:
            kept[list(rules.closing_ids)] = False
        return kept if kept.any() else legal

    def _sounds_from(self, ticks: int) -> int:
        """Return the first time from `ticks` on at which a given voice sounds; `NEVER` if none does."""
        place = bisect.bisect_right(self._starts, ticks)
        if place and ticks < self._ends[place - 1]:
            return ticks
        return self._starts[place] if place < len(self._starts) else NEVER

    def in_phrase(self, legal: Mask, durations: Mapping[int, int], now_ticks: int) -> Mask:
        """Remove durations that pass the last note of a phrase, or end before it does, unless none is left.

        Args:
            legal: Mask of the tokens that may follow, (V,).
            durations: Length of each duration token.
            now_ticks: Onset of the note.
        """
        place, kept = bisect.bisect_right(self._closes, now_ticks), legal.copy()
        most = self._closes[place] - now_ticks if place < len(self._closes) else NEVER
        if place and (held := self._close_ends[place - 1] - now_ticks) > 0:
            most = min(most, held)
            least = max((ticks for i, ticks in durations.items() if legal[i] and ticks <= most), default=0)
            kept[[i for i, ticks in durations.items() if ticks < least]] = False
        return no_longer(kept, durations, most) if kept.any() else legal


def texture_of(template: Template, grammar: Grammar) -> Texture | None:
    """Return what new voices sing under, in a layout with hints where no note is fixed and no music is continued."""
    guide, span = template.guide, template.span
    if guide is None or span.task is Task.CONTINUE or span.fixed or span.free is not None:
        return None
    return Texture(guide.given_spans, guide.phrase_closes, grammar)
