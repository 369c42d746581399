"""Harmonize, continue and infill scores with a causal model.

The prompt is never generated again: each sample is a copy of it, tick for tick, with new notes.

Units: ticks of the result's score, unless a name says grid.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np
from symusic.core import ScoreTick

from descant_modeling.common.console import part_of
from descant_modeling.decoding.config import EngineName, GenerationConfig, OnProgress, OnSketch, Sketch, SketchNote
from descant_modeling.decoding.engine import EngineModel
from descant_modeling.decoding.engine.graph import read_stack
from descant_modeling.decoding.engine.onnx_engine import OnnxModel
from descant_modeling.decoding.infilling import Infiller, OnPiece, with_bars
from descant_modeling.decoding.template import MAX_BAR_TOKENS, Span
from descant_modeling.generation.base import TASKS, GenerationResult, Request, check_style, refuse_hints
from descant_modeling.generation.fixed import fixed_of
from descant_modeling.generation.forms import copied_bars
from descant_modeling.generation.planning import Plan, plan_of, with_melodys_ending, with_tonic_ending
from descant_modeling.generation.prompts import Prompt, TickSpan, bar_indices
from descant_modeling.generation.results import PartialResult, PartialSample, Players, released, without_notes
from descant_modeling.models.checkpoints import Checkpoint, not_loaded
from descant_tokenizers.common.errors import InputError, missing_extra
from descant_tokenizers.corpora.splits import main_time_signature
from descant_tokenizers.tokens.kinds import kind_of, make_grammar
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import Task


class CausalGenerator(ABC):
    """A causal model ready to generate; its two subclasses are for four-part and for multitrack music.

    Args:
        checkpoint: Model, tokenizer and layout.
        model: The model as engines run it.
    """

    tasks: tuple[str, ...] = TASKS
    rewrites_melody = False
    draws_tokens = True
    own_options: tuple[str, ...] = ()

    def __init__(self, checkpoint: Checkpoint, model: EngineModel) -> None:
        self.checkpoint, self.model = checkpoint, model
        self.vocabulary = checkpoint.vocabulary
        self.grammar = make_grammar(self.vocabulary)

    @property
    def styles(self) -> tuple[str, ...]:
        """Styles that it can write in."""
        return self.checkpoint.layout.config.styles

    @property
    def has_hints(self) -> bool:
        """True if its layout has hints."""
        return self.checkpoint.layout.config.hints

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Generate music; see `MusicGenerator`."""
        check_style(config.style, self.styles)
        if request.task == "infill":
            return self._infill(request, config)
        num_bars = request.new_bars() if request.task == "continue" else 0
        prompt = self._read_prompt(request)
        ranks = self._new_ranks(request, prompt)
        partial = _start(prompt, prompt.piece, config, self._plan(request, prompt, ranks, config))
        base, players = self._tracks(prompt, ranks, config)
        share = 0.5 if num_bars and ranks else 1.0
        partial.fixed = fixed_of(request, prompt, _up_to_the_end(prompt, ranks))
        if ranks:
            copies = copied_bars(prompt, request)
            self._harmonize(partial, ranks, copies, config, part_of(config.progress, 0.0, share))
        if num_bars:
            ranks = tuple(sorted({*prompt.ranks.values(), *ranks}))
            self._continue(partial, ranks, num_bars, config, part_of(config.progress, 1.0 - share, share))
            base = released(base, prompt.bars[-1].end_ticks)
        return partial.result(
            base, players, given=self._track_names(prompt, prompt.parts), written=self._voice_names(ranks)
        )

    def _read_prompt(self, request: Request) -> Prompt:
        """Read the request's prompt; remark on a meter that no training piece has, where these are known."""
        prompt, known = self._read(request), self.checkpoint.meta.meters
        meter = main_time_signature(prompt.score)
        if not known or meter in known:
            return prompt
        remark = f"no training piece is in {meter}, so the new notes may fit it poorly"
        return replace(prompt, remarks=(*prompt.remarks, remark))

    def _style(self, config: GenerationConfig) -> str | None:
        """Return the style to ask for; with hints, the first one of the model where none is requested."""
        layout = self.checkpoint.layout.config
        return layout.styles[0] if config.style is None and layout.hints and layout.styles else config.style

    def _plan(self, request: Request, prompt: Prompt, new: Collection[int], config: GenerationConfig) -> Plan | None:
        """Plan the hints for the voices to write to a prompt, for a layout with hints."""
        if self.has_hints:
            plan = plan_of(request, prompt, new)
            ended = {"auto": with_melodys_ending, "tonic": with_tonic_ending}.get(config.last_chord)
            return plan if ended is None else ended(plan, request, new)
        refuse_hints(request, config)
        return None

    def _harmonize(
        self,
        partial: PartialResult,
        ranks: Iterable[int],
        copies: Mapping[int, int],
        config: GenerationConfig,
        progress: OnProgress | None,
    ) -> None:
        """Write voices that the prompt does not have, up to its end; a copied bar gets the notes of its original."""
        prompt, last = partial.prompt, len(partial.prompt.bars)
        starts = [bar for bar in range(last) if bar not in copies and (bar - 1 in copies or bar == 0)]
        for start in starts:
            stop = next((bar for bar in range(start, last) if bar in copies), last)
            spans = {rank: TickSpan(0, min(prompt.end_ticks, prompt.bars[stop - 1].end_ticks)) for rank in ranks}
            part = part_of(progress, start / last, (stop - start) / last)
            self._write(partial, Task.HARMONIZE, spans, range(start, stop), config, part)
            partial.copy_bars({bar: own for bar, own in copies.items() if start <= own < stop}, spans)

    def _continue(
        self,
        partial: PartialResult,
        ranks: Iterable[int],
        num_bars: int,
        config: GenerationConfig,
        progress: OnProgress | None,
    ) -> None:
        """Write bars after the prompt's last one, in its meter."""
        last, first = partial.prompt.bars[-1], len(partial.prompt.bars)
        spans = {rank: TickSpan(last.end_ticks, last.end_ticks + num_bars * last.length_ticks) for rank in ranks}
        partial.pieces = [with_bars(piece, num_bars) for piece in partial.pieces]
        self._write(partial, Task.CONTINUE, spans, range(first, first + num_bars), config, progress)

    def _infill(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Write some bars of some tracks again."""
        assert request.bars is not None, "infill needs bars"
        prompt = self._read_prompt(request)
        first, last = bar_indices(prompt.bars, request.bars)
        tracks = self._rewritten_tracks(request, prompt)
        start, end = prompt.bars[first].start_ticks, prompt.bars[last].end_ticks
        spans = {rank: prompt.rewritable(rank, start, end) for rank in {prompt.ranks[index] for index in tracks}}
        plan = self._plan(request, prompt, spans, config)
        partial = _start(prompt, prompt.piece_without(tracks, start, end), config, plan)
        partial.fixed = fixed_of(request, prompt, {rank: TickSpan(start, end) for rank in spans})
        self._write(partial, Task.INFILL, spans, range(first, last + 1), config, config.progress)
        base = without_notes(prompt.score, tracks, start, end)
        players = {rank: [index for index in prompt.players(rank) if index in tracks] for rank in spans}
        kept = [index for index in prompt.parts if index not in tracks] if self._is_polyphonic else prompt.parts
        return partial.result(
            base, players, given=self._track_names(prompt, kept), written=self._track_names(prompt, tracks)
        )

    def _write(
        self,
        partial: PartialResult,
        task: Task,
        spans: Mapping[int, TickSpan],
        bars: range,
        config: GenerationConfig,
        progress: OnProgress | None,
        since: int = 0,
    ) -> None:
        """Infill some bars of some voices in every sample; the model sees the bars from `since` on, see `Span`."""
        prompt = partial.prompt
        ends = [0] * self.vocabulary.num_voices
        for rank, span in spans.items():
            low, high = prompt.pitches[rank]
            if low > high:
                name = self.vocabulary.voice_name(rank)
                raise InputError(f"The model saw no {name} in training that fits this prompt. Choose another model.")
            ends[rank] = prompt.grid_time(span.end)
        ending = None if partial.plan is None else partial.plan.ending
        target = Span(
            task,
            tuple(sorted(spans)),
            bars.start,
            bars.stop,
            tuple(ends),
            prompt.pitches,
            to_the_end=(task is Task.HARMONIZE and not self._is_polyphonic) or ending is not None,
            max_bar_tokens=self._max_bar_tokens(prompt, spans),
            style=self._style(config),
            annotations=None if partial.plan is None else partial.plan.for_task(task),
            ending=ending,
            hint_stop=bars.stop,
            fixed=partial.fixed.notes,
            free=partial.fixed.free,
            since=since,
        )
        infiller = Infiller(self.model, self.checkpoint.layout, self.grammar, config)
        on_bar = None if config.on_bar is None else _sketcher(prompt, partial.pieces[0], target, config.on_bar)
        randoms = [sample.random for sample in partial.samples]
        partial.add(infiller.infill(partial.pieces, target, randoms, progress, on_bar), spans)

    @property
    def _is_polyphonic(self) -> bool:
        return kind_of(self.vocabulary).is_polyphonic

    def _voice_names(self, ranks: Iterable[int]) -> tuple[str, ...]:
        """Return the names of voices, by rank."""
        return tuple(self.vocabulary.voice_name(rank) for rank in ranks)

    def _tracks(self, prompt: Prompt, new: Collection[int], config: GenerationConfig) -> tuple[ScoreTick, Players]:
        """Return the score to which notes are added, and the tracks of its voices; `new` voices may have none yet."""
        return prompt.score, {rank: prompt.players(rank) for rank in prompt.ranks.values()}

    def _max_bar_tokens(self, prompt: Prompt, ranks: Collection[int]) -> int:
        """Return the base tokens after which a bar is closed."""
        return MAX_BAR_TOKENS

    @abstractmethod
    def _read(self, request: Request) -> Prompt:
        """Read the request's prompt."""

    @abstractmethod
    def _new_ranks(self, request: Request, prompt: Prompt) -> tuple[int, ...]:
        """Return the voices to add to the prompt, to harmonize or before it is continued."""

    @abstractmethod
    def _rewritten_tracks(self, request: Request, prompt: Prompt) -> tuple[int, ...]:
        """Return the indices of the tracks to infill."""

    @abstractmethod
    def _track_names(self, prompt: Prompt, indices: Iterable[int]) -> tuple[str, ...]:
        """Return the names of tracks of the prompt, by index."""


def open_model(checkpoint: Checkpoint, engine: EngineName = "auto") -> EngineModel:
    """Return a checkpoint's model, ready to run on its device.

    Args:
        checkpoint: The checkpoint.
        engine: `onnx` for a checkpoint on the CPU; `torch`; or `auto`, which is `onnx` on a CPU.

    Raises:
        InputError: A file is damaged, the model is not supported, or the extra that the engine needs is missing.
    """
    if engine == "torch" or checkpoint.device != "cpu":
        try:
            from descant_modeling.decoding.engine.torch_engine import TorchModel
        except ModuleNotFoundError as error:
            raise missing_extra(error) from None
        return TorchModel(checkpoint.model)
    weights = checkpoint.read_weights()
    try:
        stack = read_stack(checkpoint.config)
    except ValueError as error:
        raise InputError(f"{checkpoint.folder}: {error}") from None
    except KeyError as error:
        raise not_loaded(checkpoint.folder, f"config.json has no {error}") from None
    try:
        return OnnxModel(stack, weights)
    except (ValueError, KeyError):
        raise not_loaded(checkpoint.folder, "parameters are missing or have another size") from None


def _up_to_the_end(prompt: Prompt, ranks: Iterable[int]) -> dict[int, TickSpan]:
    """Return where new notes of voices may sound that the prompt does not have."""
    return {rank: TickSpan(0, prompt.end_ticks) for rank in ranks}


def _start(prompt: Prompt, piece: Piece, config: GenerationConfig, plan: Plan | None) -> PartialResult:
    """Start all samples from the same piece, each with its own random stream."""
    samples = [PartialSample(np.random.default_rng((config.seed, index))) for index in range(config.num_samples)]
    return PartialResult(prompt, [piece], samples, plan)


def _sketcher(prompt: Prompt, before: Piece, span: Span, on_bar: OnSketch) -> OnPiece:
    """Return a function that takes the piece so far and reports it at the prompt's pitch."""
    starts, unit = before.bar_starts_ticks(), prompt.vocabulary.ticks_per_quarter

    def report(piece: Piece, num_written: int) -> None:
        notes = (
            SketchNote(
                prompt.vocabulary.voice_name(note.voice),
                (start + note.offset_ticks) / unit,
                note.duration_ticks / unit,
                note.pitch - prompt.shift,
                index not in span.bars or note in context.notes,
            )
            for index, (start, context, bar) in enumerate(zip(starts, before.bars, piece.bars, strict=False))
            for note in bar.notes
        )
        on_bar(Sketch(num_written, len(span.bars), starts[-1] / unit, tuple(notes)))

    return report
