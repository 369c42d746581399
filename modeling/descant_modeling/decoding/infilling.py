"""Fill a span with a model, however long the piece is.

A piece that a model can hold is one stream. A longer one is written window by window: each sees as many of the bars
before it as there is room for, what was just written among them. The last bars of such a window did not see what
follows, so they are thrown away and written again by the next one.

Units: grid ticks of the vocabulary; bars are indices from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from transformers import PreTrainedModel

from descant_modeling.common.console import part_of
from descant_modeling.decoding.config import SamplingConfig
from descant_modeling.decoding.engine.forward import CachedModel
from descant_modeling.decoding.sampler import OnBar, sample_templates
from descant_modeling.decoding.sequences import InfilledNotes
from descant_modeling.decoding.smc import sample_particles
from descant_modeling.decoding.template import Span, make_template
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.piece import GridBar, GridNote, GridTempo, Piece
from descant_tokenizers.tokens.tasks import Task, TaskLayout

_TOKENS_PER_BAR = 4  # bar, time signature, mask, separator
_SPARE = 0.9  # of the model's positions, because what will be written is only estimated: a note a voice and quarter
_WINDOW_BARS = 8  # longest span that is drawn in training, see `examples.MAX_INFILL_BARS`
_DISCARDED_BARS = 2
_MAX_CACHED_TOKENS = 1 << 16  # in all rows together: about half a gigabyte for the published size


OnPiece: TypeAlias = Callable[[Piece, int], None]
"""Takes the first of the pieces as far as it is written, and how many bars of its span that are."""


@dataclass(frozen=True)
class _Window:
    """The model sees bars `low` to `high` (excluded); of what it writes, bars before `kept` stay."""

    low: int
    high: int
    span: Span
    kept: int


class Infiller:
    """Writes what is missing from pieces.

    Args:
        model: A causal model in eval mode.
        layout: The layout it was trained with.
        grammar: Grammar over its vocabulary.
        config: Temperature and nucleus.
    """

    def __init__(self, model: PreTrainedModel, layout: TaskLayout, grammar: Grammar, config: SamplingConfig) -> None:
        self.model, self.layout, self.grammar, self.config = model, layout, grammar, config
        self._num_particles = config.num_particles(layout.vocabulary)
        self._max_tokens = int(_SPARE * model.config.max_position_embeddings)
        # A bar is expected to get half of what it may get; GPT-2 has no position for one token too many.
        self._full_bar_share = 1.0 if model.config.model_type == "gpt2" else 0.5
        self._tokens_per_note = 1 + layout.vocabulary.tokens_per_note  # a position for each: the most, learned or not

    def fill(
        self,
        pieces: Sequence[Piece],
        span: Span,
        randoms: Sequence[np.random.Generator],
        progress: Callable[[float], None] | None = None,
        on_bar: OnPiece | None = None,
    ) -> list[InfilledNotes]:
        """Fill the same span of one piece or several.

        Args:
            pieces: What is given, for each sample; one and the same object where samples share it. Bars must agree.
            span: What is missing from each of them.
            randoms: Random numbers of each sample.
            progress: Called with the share done, 0-1.
            on_bar: Called whenever a bar was written.

        Returns:
            For each sample the notes of the span's bars. Tokens and likelihood count what was thrown away, too.

        Raises:
            InputError: The music is too long for the model.
        """
        num_tokens = min(self._max_tokens, self._num_tokens(pieces, span, 0, span.stop))
        num_rows = max(1, _MAX_CACHED_TOKENS // num_tokens // self._num_particles)
        samples: list[InfilledNotes] = []
        for start in range(0, len(pieces), num_rows):
            rows = slice(start, start + num_rows)
            report = part_of(progress, start / len(pieces), min(num_rows, len(pieces) - start) / len(pieces))
            samples += self._fill_rows(list(pieces[rows]), span, randoms[rows], report, on_bar)
        return samples

    def _fill_rows(
        self,
        pieces: list[Piece],
        span: Span,
        randoms: Sequence[np.random.Generator],
        progress: Callable[[float], None] | None,
        on_bar: OnPiece | None,
    ) -> list[InfilledNotes]:
        samples = [InfilledNotes() for _ in pieces]
        first = span.first
        while first < span.stop:
            window = self._window(pieces, replace(span, first=first))
            share = (window.kept - first) / len(span.bars)
            report = part_of(progress, (first - span.first) / len(span.bars), share)
            found = self._fill_window(pieces, window, randoms, report, _first_piece(pieces[0], span, on_bar))
            for index, (sample, part) in enumerate(zip(samples, found, strict=True)):
                notes = {bar: part.notes[bar] for bar in part.notes if bar < window.kept}
                tempos = {bar: part.tempos[bar] for bar in part.tempos if bar < window.kept}
                pieces[index] = with_content(pieces[index], notes, tempos)
                sample.notes |= notes
                sample.tempos |= tempos
                sample.num_tokens += part.num_tokens
                sample.log_likelihood += part.log_likelihood
            first = window.kept
        return samples

    def _fill_window(
        self,
        pieces: Sequence[Piece],
        window: _Window,
        randoms: Sequence[np.random.Generator],
        progress: Callable[[float], None] | None,
        on_bar: OnBar | None,
    ) -> list[InfilledNotes]:
        templates = {
            id(piece): make_template(self.layout, piece, window.span, window.low, window.high) for piece in pieces
        }
        engine = CachedModel(self.model, 1, self._num_tokens(pieces, window.span, window.low, window.high))
        ordered = [templates[id(piece)] for piece in pieces]
        if self._num_particles == 1:
            return sample_templates(engine, self.grammar, ordered, self.config, randoms, progress, on_bar)
        return sample_particles(
            engine, self.grammar, ordered, self.config, randoms, self._num_particles, progress, on_bar
        )

    def _window(self, pieces: Sequence[Piece], span: Span) -> _Window:
        """Choose what is written next: everything if the model can hold it, else some bars."""
        num_bars = len(pieces[0].bars)
        if span.task is Task.HARMONIZE and span.first > 0:  # all voices are there up to the span
            span = replace(span, task=Task.INFILL)
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

    def _window_bars(self, span: Span) -> int:
        """How many bars are written at once: of instruments as many as surely leave half of the room for the past."""
        if self.layout.vocabulary.is_four_part:
            return _WINDOW_BARS
        return max(1, min(_WINDOW_BARS, int(self._max_tokens / (2 * self._full_bar_share * span.max_bar_tokens))))

    def _reach(self, pieces: Sequence[Piece], span: Span) -> int:
        """The most bars from the beginning that the model can hold, at least one."""
        stop = 1
        while stop < span.stop and self._num_tokens(pieces, span, 0, stop + 1) <= self._max_tokens:
            stop += 1
        return stop

    def _num_tokens(self, pieces: Sequence[Piece], span: Span, low: int, high: int) -> int:
        """Estimate the longest stream for some bars: what is given, and what may be written.

        In four-part music that is a note a voice and quarter, of instruments the most that a bar may get.
        """
        given = max(sum(len(bar.notes) for bar in piece.bars[low:high]) for piece in pieces)
        empty = pieces[0].bars[max(low, span.first) : min(high, span.stop)]
        num_bar_tokens = _TOKENS_PER_BAR * (high - low)
        if not self.layout.vocabulary.is_four_part:
            tempos = max(sum(len(bar.tempos) for bar in piece.bars[low:high]) for piece in pieces)
            room = len(span.voices) + round(self._full_bar_share * span.max_bar_tokens * len(empty))
            return num_bar_tokens + self._tokens_per_note * given + 2 * tempos + room
        quarters = sum(bar.meter.bar_ticks for bar in empty) / self.layout.vocabulary.ticks_per_quarter
        num_notes = given + len(span.voices) * quarters
        if self.layout.config.given_at_onsets and span.task is not Task.CONTINUE:  # said twice
            num_notes += sum(note.voice not in span.voices for bar in empty for note in bar.notes)
        return num_bar_tokens + round(self._tokens_per_note * num_notes)


def _first_piece(piece: Piece, span: Span, on_bar: OnPiece | None) -> OnBar | None:
    """Return what takes the samples of a window and reports the first piece."""
    if on_bar is None:
        return None

    def report(samples: Sequence[InfilledNotes]) -> None:
        written = samples[0]
        num_bars = max(written.notes, default=span.first - 1) + 1 - span.first
        on_bar(with_content(piece, written.notes, written.tempos), num_bars)

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
    """Return a piece with empty bars behind its last one, in its meter."""
    return Piece(piece.bars + (GridBar(piece.bars[-1].meter),) * num_bars)
