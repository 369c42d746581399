"""Infill a span of a piece of any length.

A piece that fits the model is one stream. A longer one is written window by window: each sees as many of the bars
before it as fit, including those just written. The last bars of such a window did not see what follows, so they are
discarded and written again in the next one.

Units: grid ticks of the vocabulary; bars are indices from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from descant_modeling.common.console import part_of
from descant_modeling.decoding.config import GenerationConfig, OnProgress
from descant_modeling.decoding.engine import EngineModel
from descant_modeling.decoding.infilled import InfilledNotes
from descant_modeling.decoding.sampler import OnBar, one_for_each, sample_templates
from descant_modeling.decoding.smc import num_particles, sample_particles
from descant_modeling.decoding.template import Span, make_template
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.harmony import beat_ticks
from descant_tokenizers.tokens.hint_tokens import BEATS_AHEAD, BEATS_AHEAD_OTHERS
from descant_tokenizers.tokens.kinds import kind_of
from descant_tokenizers.tokens.piece import GridBar, GridNote, GridTempo, Piece
from descant_tokenizers.tokens.tasks import Task, TaskLayout

_TOKENS_PER_BAR = 4  # bar, time signature, mask, separator
_HINTS_PER_BAR = 6  # bars left, bars left of the gap, the pitch class after it in four voices
_HINTS_PER_BEAT = 3  # the phrase, root and quality of the chord; pitch classes ahead are counted with the given voices
_MARGIN = 0.9  # of the model's positions, because new notes are estimated as one for each voice and quarter
_WINDOW_BARS = 8  # longest span that is drawn in training, see `examples.MAX_INFILL_BARS`
_DISCARDED_BARS = 2
_MAX_CACHED_TOKENS = 1 << 16  # over all rows: about half a gigabyte for the published size


OnPiece: TypeAlias = Callable[[Piece, int], None]
"""Takes the first sample's piece so far, and how many bars of its span are written."""


@dataclass(frozen=True)
class _Window:
    """The model sees bars `low` to `high` (excluded); of the bars it writes, those before `kept` stay."""

    low: int
    high: int
    span: Span
    kept: int


class Infiller:
    """Infills spans of pieces with a model.

    Args:
        model: The model.
        layout: The layout it was trained with.
        grammar: Grammar over its vocabulary.
        config: Options of sampling.
    """

    def __init__(self, model: EngineModel, layout: TaskLayout, grammar: Grammar, config: GenerationConfig) -> None:
        self.model, self.layout, self.grammar, self.config = model, layout, grammar, config
        self._is_polyphonic = kind_of(layout.vocabulary).is_polyphonic
        self._num_particles = num_particles(config, layout.vocabulary)
        self._max_tokens = int(_MARGIN * model.max_positions)
        # A bar is expected to get half of its token budget; a table has no position for one token too many.
        self._budget_share = 1.0 if model.has_position_table else 0.5
        self._tokens_per_note = 1 + layout.vocabulary.tokens_per_note  # with a position for each: an upper bound

    def infill(
        self,
        pieces: Sequence[Piece],
        span: Span,
        randoms: Sequence[np.random.Generator],
        progress: OnProgress | None = None,
        on_bar: OnPiece | None = None,
    ) -> list[InfilledNotes]:
        """Infill the same span once for each sample, that is, for each random stream.

        Args:
            pieces: Context: one piece for all samples, or one for each with the same bars.
            span: The span.
            randoms: Random stream of each sample.
            progress: Called with the share done, 0-1.
            on_bar: Called after each bar.

        Returns:
            The notes of the span's bars, for each sample. Tokens and likelihood include discarded bars.

        Raises:
            InputError: The music is too long for the model.
        """
        num_tokens = max(1, min(self._max_tokens, self._num_tokens(pieces, span, 0, span.stop)))
        num_rows = max(1, _MAX_CACHED_TOKENS // num_tokens // self._num_particles)
        samples: list[InfilledNotes] = []
        for start in range(0, len(randoms), num_rows):
            rows = randoms[start : start + num_rows]
            context = pieces if len(pieces) == 1 else pieces[start : start + num_rows]
            report = part_of(progress, start / len(randoms), len(rows) / len(randoms))
            samples += self._infill_rows(context, span, rows, report, on_bar)
        return samples

    def _infill_rows(
        self,
        pieces: Sequence[Piece],
        span: Span,
        randoms: Sequence[np.random.Generator],
        progress: OnProgress | None,
        on_bar: OnPiece | None,
    ) -> list[InfilledNotes]:
        samples = [InfilledNotes() for _ in randoms]
        first = span.first
        while first < span.stop:
            window = self._window(pieces, replace(span, first=first))
            done, share = (first - span.first) / len(span.bars), (window.kept - first) / len(span.bars)
            report, report_bar = part_of(progress, done, share), _reporter(pieces[0], span, on_bar)
            templates = [make_template(self.layout, piece, window.span, window.low, window.high) for piece in pieces]
            engine = self.model.start(self._num_tokens(pieces, window.span, window.low, window.high))
            sampling = (engine, self.grammar, templates, self.config, randoms)
            if self._num_particles == 1:
                parts = sample_templates(*sampling, report, report_bar)
            else:
                parts = sample_particles(*sampling, self._num_particles, report, report_bar)
            for sample, part in zip(samples, parts, strict=True):
                part.discard_from(window.kept, pieces[0].bar_starts_ticks()[window.kept])
                sample.add(part)
            pieces = [
                with_content(piece, part.notes, part.tempos)
                for piece, part in zip(one_for_each(pieces, len(parts)), parts, strict=True)
            ]
            first = window.kept
        return samples

    def _window(self, pieces: Sequence[Piece], span: Span) -> _Window:
        """Choose what to write next: the whole span if the model can hold the piece, otherwise some bars."""
        num_bars = len(pieces[0].bars)
        if span.task is Task.HARMONIZE and span.first > 0:  # all voices are there up to the span
            if self.layout.vocabulary.ensemble is not None:
                return self._later_window(pieces, span)
            span = replace(span, task=Task.INFILL)
        if span.task is Task.HARMONIZE:  # of a part of the piece, the model sees no more
            num_bars = span.stop
        if self._num_tokens(pieces, span, 0, num_bars) <= self._max_tokens:
            return _Window(0, num_bars, span, span.stop)
        if span.task is Task.HARMONIZE:
            stop = self._reach(pieces, span)
            return _Window(0, stop, replace(span, stop=stop), stop - min(_DISCARDED_BARS, stop - 1))
        stop = min(span.stop, span.first + self._window_bars(span))
        high = min(num_bars, stop + _WINDOW_BARS) if stop == span.stop else stop
        low = span.first
        while high > stop and self._num_tokens(pieces, span, low, high) > self._max_tokens:
            high -= 1
        while low > 0 and self._num_tokens(pieces, span, low - 1, high) <= self._max_tokens:
            low -= 1
        is_last = stop == span.stop or span.task is Task.CONTINUE
        discarded = 0 if is_last else min(_DISCARDED_BARS, stop - span.first - 1)
        return _Window(low, high, replace(span, stop=stop), stop - discarded)

    def _later_window(self, pieces: Sequence[Piece], span: Span) -> _Window:
        """Choose the next bars of a harmony, after as many of its bars as fit; a model seldom saw such an infill."""
        low = stop = span.first
        most = min(span.stop, span.first + self._window_bars(span))
        while stop < most and (stop == span.first or self._num_tokens(pieces, span, low, stop + 1) <= self._max_tokens):
            stop += 1
        while low > span.since and self._num_tokens(pieces, span, low - 1, stop) <= self._max_tokens:
            low -= 1
        discarded = 0 if stop == span.stop else min(_DISCARDED_BARS, stop - span.first - 1)
        return _Window(low, stop, replace(span, stop=stop), stop - discarded)

    def _window_bars(self, span: Span) -> int:
        """Return the bars of a window; of instruments, as many as leave half of the model's positions for the past."""
        if not self._is_polyphonic:
            return _WINDOW_BARS
        return max(1, min(_WINDOW_BARS, int(self._max_tokens / (2 * self._budget_share * span.max_bar_tokens))))

    def _reach(self, pieces: Sequence[Piece], span: Span) -> int:
        """Return how many bars from the beginning the model can hold, at least one."""
        stop = 1
        while stop < span.stop and self._num_tokens(pieces, span, 0, stop + 1) <= self._max_tokens:
            stop += 1
        return stop

    def _num_tokens(self, pieces: Sequence[Piece], span: Span, low: int, high: int) -> int:
        """Estimate the longest stream of some bars, context and new notes.

        New notes are estimated as one for each voice and quarter in four-part music, and by the token budget of a bar
        in multitrack music.
        """
        num_notes = max(sum(len(bar.notes) for bar in piece.bars[low:high]) for piece in pieces)
        target = pieces[0].bars[max(low, span.first) : min(high, span.stop)]
        num_bar_tokens = _TOKENS_PER_BAR * (high - low)
        if self._is_polyphonic:
            tempos = max(sum(len(bar.tempos) for bar in piece.bars[low:high]) for piece in pieces)
            budget = len(span.voices) + round(self._budget_share * span.max_bar_tokens * len(target))
            is_all = span.task is Task.HARMONIZE  # the bars before the span are target blocks too
            num_notes += self._num_repeated(span, pieces[0].bars[low:high] if is_all else target)
            return num_bar_tokens + self._tokens_per_note * num_notes + 2 * tempos + budget
        quarters = sum(bar.meter.bar_ticks for bar in target) / self.layout.vocabulary.ticks_per_quarter
        expected = num_notes + len(span.voices) * quarters
        if self.layout.config.hints:
            given = len({*pieces[0].voices} - {*span.voices})
            ahead = BEATS_AHEAD + (given - 1) * BEATS_AHEAD_OTHERS if given else 0
            num_beats = sum(bar.meter.bar_ticks // beat_ticks(bar.meter) for bar in target)
            num_hints = _HINTS_PER_BAR * (high - low) + (ahead + _HINTS_PER_BEAT) * num_beats
            return num_bar_tokens + num_hints + round(self._tokens_per_note * expected)
        return num_bar_tokens + round(self._tokens_per_note * (expected + self._num_repeated(span, target)))

    def _num_repeated(self, span: Span, target: Sequence[GridBar]) -> int:
        """Return the number of context notes that are there twice."""
        if not self.layout.config.given_at_onsets or span.task is Task.CONTINUE:
            return 0
        return sum(note.voice not in span.voices for bar in target for note in bar.notes)


def _reporter(piece: Piece, span: Span, on_bar: OnPiece | None) -> OnBar | None:
    """Return a function that takes the samples of a window and reports the first piece."""
    if on_bar is None:
        return None

    def report(samples: Sequence[InfilledNotes]) -> None:
        first = samples[0]
        num_bars = max(first.notes, default=span.first - 1) + 1 - span.first
        on_bar(with_content(piece, first.notes, first.tempos), num_bars)

    return report


def with_content(
    piece: Piece, notes: Mapping[int, tuple[GridNote, ...]], tempos: Mapping[int, tuple[GridTempo, ...]]
) -> Piece:
    """Return a piece with notes and tempos added to some of its bars, given by index."""
    bars = list(piece.bars)
    for index, added in notes.items():
        bars[index] = bars[index].with_notes(bars[index].notes + added)
    for index, written in tempos.items():
        bars[index] = replace(bars[index], tempos=tuple(sorted(bars[index].tempos + written)))
    return Piece(tuple(bars))


def with_bars(piece: Piece, num_bars: int) -> Piece:
    """Return a piece with empty bars after its last one, in its meter."""
    return Piece(piece.bars + (GridBar(piece.bars[-1].meter),) * num_bars)
