"""Harmonize, continue and infill scores with a checkpoint.

What was given is never generated again: the result is a copy of the prompt, tick for tick, with notes added to it.

Units: ticks of the result's score, unless a name says grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from symusic.core import ScoreTick

from descant_modeling.common.console import part_of
from descant_modeling.decoding.infilling import Infiller, OnPiece, with_bars
from descant_modeling.decoding.template import Span
from descant_modeling.generation.base import (
    MAX_NEW_BARS,
    SOUNDS,
    TASKS,
    GenerationConfig,
    GenerationResult,
    OnProgress,
    OnSketch,
    Sketch,
    SketchNote,
    check_style,
    refuse_instruments,
    without_controls,
)
from descant_modeling.generation.prompts import Prompt, read_prompt
from descant_modeling.generation.results import PartialResult, extended, four_part
from descant_modeling.generation.spans import TickSpan, bar_indices, span_on_grid, voice_span, voices_to_rewrite
from descant_modeling.models.checkpoints import (
    Checkpoint,
)
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.voices import voice_names
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import Task

__all__ = ["FourPartGenerator"]


class FourPartGenerator:
    """A causal model ready to write music.

    Args:
        checkpoint: Model, tokenizer and layout.
    """

    rewrites_melody = False
    tasks: tuple[str, ...] = TASKS
    draws_tokens = True

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.grammar = Grammar(checkpoint.vocabulary)

    @property
    def styles(self) -> tuple[str, ...]:
        """In whose manner it can write."""
        return self.checkpoint.layout.config.styles

    def harmonize(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        track: int | str | None = None,
    ) -> GenerationResult:
        """Write the missing voices of four, up to the end of the given ones; see `Writer`."""
        refuse_instruments(write)
        config = config or GenerationConfig()
        names = voice_names(given) if given else VOICES[:1]
        if len(names) == len(VOICES):
            raise InputError("all four voices are given, so there is nothing to write; leave one out of --given.")
        prompt = self._read(score, names, track, alone=True)
        drafts = _drafts(prompt.piece(), config)
        self._harmonize(prompt, drafts, config, config.progress)
        samples = tuple(four_part(prompt, draft, SOUNDS[config.sound]) for draft in drafts)
        return GenerationResult(samples, prompt.remarks, prompt.voices, _missing(prompt))

    def continue_(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        num_bars: int = 8,
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        track: int | str | None = None,
    ) -> GenerationResult:
        """Write bars behind the prompt in the voices it has, or in all four if `given` says which; see `Writer`."""
        refuse_instruments(write)
        config = config or GenerationConfig()
        if not 1 <= num_bars <= MAX_NEW_BARS:
            raise InputError(f"the number of bars to write is {num_bars}; give 1 to {MAX_NEW_BARS}.")
        names = voice_names(given) if given else None
        harmonized = names is not None and len(names) < len(VOICES)
        prompt = self._read(score, names, track, alone=harmonized)
        drafts = _drafts(prompt.piece(), config)
        if not harmonized:
            self._continue(prompt, drafts, prompt.voices, num_bars, config, config.progress)
            samples = tuple(extended(prompt, draft) for draft in drafts)
            return GenerationResult(samples, prompt.remarks, prompt.voices, prompt.voices)
        self._harmonize(prompt, drafts, config, part_of(config.progress, 0.0, 0.5))
        self._continue(prompt, drafts, VOICES, num_bars, config, part_of(config.progress, 0.5, 0.5))
        samples = tuple(four_part(prompt, draft, SOUNDS[config.sound]) for draft in drafts)
        return GenerationResult(samples, prompt.remarks, prompt.voices, VOICES)

    def infill(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        bars: tuple[int, int],
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
    ) -> GenerationResult:
        """Write some bars anew in the voices that are not given; see `Writer`."""
        refuse_instruments(write)
        config = config or GenerationConfig()
        prompt = self._read(score)
        first, last = bar_indices(prompt.bars, bars)
        written = voices_to_rewrite(prompt, voice_names(given) if given else ())
        start, end = prompt.bars[first].start_ticks, prompt.bars[last].end_ticks
        drafts = _drafts(prompt.piece(written, start, end), config)
        gaps = {voice: voice_span(prompt, voice, start, end) for voice in written}
        span = span_on_grid(prompt, Task.INFILL, gaps, first, last + 1)
        self._fill(prompt, drafts, span, gaps, config, config.progress)
        samples = tuple(extended(prompt, draft, written, start, end) for draft in drafts)
        return GenerationResult(samples, prompt.remarks, prompt.voices, written)

    def _read(
        self,
        score: ScoreTick,
        given: Sequence[str] | None = None,
        track: int | str | None = None,
        *,
        alone: bool = False,
    ) -> Prompt:
        meta = self.checkpoint.meta
        return read_prompt(
            self.checkpoint.vocabulary, meta.voice_ranges, without_controls(score), given, track, alone=alone
        )

    def _harmonize(
        self, prompt: Prompt, drafts: list[PartialResult], config: GenerationConfig, progress: OnProgress | None
    ) -> None:
        """Write the voices that the prompt does not have, up to its end."""
        gaps = {voice: TickSpan(0, prompt.end_ticks()) for voice in _missing(prompt)}
        span = span_on_grid(prompt, Task.HARMONIZE, gaps, 0, len(prompt.bars))
        self._fill(prompt, drafts, span, gaps, config, progress)

    def _continue(
        self,
        prompt: Prompt,
        drafts: list[PartialResult],
        voices: Sequence[str],
        num_bars: int,
        config: GenerationConfig,
        progress: OnProgress | None,
    ) -> None:
        """Write bars behind the prompt's last one, in its meter."""
        last = prompt.bars[-1]
        end = last.start_ticks + (1 + num_bars) * last.length_ticks
        longer = {id(draft.piece): with_bars(draft.piece, num_bars) for draft in drafts}
        for draft in drafts:
            draft.piece = longer[id(draft.piece)]
        gaps = {voice: TickSpan(prompt.end_ticks(voice), end) for voice in voices}
        span = span_on_grid(prompt, Task.CONTINUE, gaps, len(prompt.bars), len(prompt.bars) + num_bars)
        self._fill(prompt, drafts, span, gaps, config, progress)

    def _fill(
        self,
        prompt: Prompt,
        drafts: list[PartialResult],
        span: Span,
        gaps: Mapping[str, TickSpan],
        config: GenerationConfig,
        progress: OnProgress | None,
    ) -> None:
        check_style(config.style, self.checkpoint.layout.config.styles)
        span = replace(span, style=config.style)
        filler = Infiller(self.checkpoint.model, self.checkpoint.layout, self.grammar, config.sampling)
        on_bar = None if config.on_bar is None else _sketcher(prompt, drafts[0].piece, span, config.on_bar)
        samples = filler.fill([d.piece for d in drafts], span, [d.random for d in drafts], progress, on_bar)
        for draft, sample in zip(drafts, samples, strict=True):
            draft.take(prompt, sample, gaps)


def _sketcher(prompt: Prompt, before: Piece, span: Span, on_bar: OnSketch) -> OnPiece:
    """Return what takes a piece as far as it is written and reports it at the prompt's pitch."""
    starts, unit = before.bar_starts_ticks(), prompt.vocabulary.ticks_per_quarter

    def report(piece: Piece, num_written: int) -> None:
        notes = (
            SketchNote(
                prompt.vocabulary.voices[note.voice],
                (start + note.offset_ticks) / unit,
                note.duration_ticks / unit,
                note.pitch - prompt.shift,
                index not in span.bars or note in given.notes,
            )
            for index, (start, given, bar) in enumerate(zip(starts, before.bars, piece.bars, strict=False))
            for note in bar.notes
        )
        on_bar(Sketch(num_written, len(span.bars), starts[-1] / unit, tuple(notes)))

    return report


def _drafts(piece: Piece, config: GenerationConfig) -> list[PartialResult]:
    return [PartialResult(piece, np.random.default_rng((config.seed, index))) for index in range(config.num_samples)]


def _missing(prompt: Prompt) -> tuple[str, ...]:
    return tuple(voice for voice in VOICES if voice not in prompt.voices)
