"""Harmonize, continue and infill music of any instruments with a checkpoint.

What was given is never generated again: the result is a copy of the prompt, with notes added to its tracks.

Units: ticks of the result's score, unless a name says grid.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from symusic.core import ScoreTick

from descant_modeling.common.console import part_of
from descant_modeling.decoding.config import SamplingConfig
from descant_modeling.decoding.infilling import Infiller, with_bars
from descant_modeling.decoding.template import Span
from descant_modeling.generation.base import (
    MAX_NEW_BARS,
    TASKS,
    GenerationConfig,
    GenerationResult,
    OnProgress,
    check_style,
)
from descant_modeling.generation.prompts import MultitrackPrompt, read_multitrack_prompt
from descant_modeling.generation.results import MultitrackPartialResult, finished, released, without_notes
from descant_modeling.generation.spans import TickSpan, bar_budget, bar_indices, rewritten_tracks
from descant_modeling.generation.spans import track_span as voice_span
from descant_modeling.models.checkpoints import Checkpoint
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import pick_melody
from descant_tokenizers.scores.tracks import find_program, program_name, track_indices
from descant_tokenizers.tokens.kinds import make_grammar
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import Task


class MultitrackGenerator:
    """A causal model of any instruments, ready to write music.

    Args:
        checkpoint: Model, tokenizer and layout.
    """

    rewrites_melody = False
    tasks: tuple[str, ...] = TASKS
    draws_tokens = True
    styles: tuple[str, ...] = ()

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.grammar = make_grammar(checkpoint.vocabulary)

    @property
    def programs(self) -> list[int]:
        """Programs that the model has heard in training (-1 for drums), and so can write."""
        ranges = self.checkpoint.meta.voice_ranges
        return [self.checkpoint.vocabulary.programs[rank] for rank, (low, high) in enumerate(ranges) if low <= high]

    def harmonize(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        track: int | str | None = None,
    ) -> GenerationResult:
        """Write one new track for each of the written instruments to the given tracks; see `Writer`."""
        config = config or GenerationConfig()
        check_style(config.style)
        kept = self._given_tracks(score, given or (), track)
        prompt = read_multitrack_prompt(self.checkpoint.vocabulary, score, kept)
        written = self._written_ranks(score, prompt, kept, write)
        drafts = _drafts(prompt.piece(), config)
        self._harmonize(prompt, drafts, written, config.sampling, config.progress)
        samples = tuple(finished(prompt, prompt.score, draft) for draft in drafts)
        return GenerationResult(samples, prompt.remarks, prompt.labels(range(len(kept))), self._names(written))

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
        """Write bars behind the prompt in all its instruments, and in further ones; see `Writer`."""
        config = config or GenerationConfig()
        check_style(config.style)
        if not 1 <= num_bars <= MAX_NEW_BARS:
            raise InputError(f"the number of bars to write is {num_bars}; give 1 to {MAX_NEW_BARS}.")
        chosen = given is not None or track is not None
        kept = self._given_tracks(score, given or (), track) if chosen else list(range(len(score.tracks)))
        prompt = read_multitrack_prompt(self.checkpoint.vocabulary, score, kept)
        joining = self._written_ranks(score, prompt, kept, write) if write else ()
        drafts = _drafts(prompt.piece(), config)
        if joining:
            self._harmonize(prompt, drafts, joining, config.sampling, part_of(config.progress, 0.0, 0.5))
        ranks = tuple(sorted({*prompt.ranks, *joining}))
        progress = part_of(config.progress, 0.5, 0.5) if joining else config.progress
        self._continue(prompt, drafts, ranks, num_bars, config.sampling, progress)
        base = released(prompt.score, prompt.bars[-1].end_ticks)
        samples = tuple(finished(prompt, base, draft) for draft in drafts)
        return GenerationResult(samples, prompt.remarks, prompt.labels(range(len(kept))), self._names(ranks))

    def infill(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        bars: tuple[int, int],
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
    ) -> GenerationResult:
        """Write some bars of some tracks anew; see `Writer`."""
        config = config or GenerationConfig()
        check_style(config.style)
        prompt = read_multitrack_prompt(self.checkpoint.vocabulary, score)
        first, last = bar_indices(prompt.bars, bars)
        tracks = rewritten_tracks(prompt, given or (), write)
        ranks = tuple(sorted({prompt.ranks[index] for index in tracks}))
        start, end = prompt.bars[first].start_ticks, prompt.bars[last].end_ticks
        piece = prompt.piece(lambda index, note: index not in tracks or not start <= note.time < end)
        drafts = _drafts(piece, config)
        gaps = {rank: voice_span(prompt, rank, start, end) for rank in ranks}
        span = self._span(prompt, prompt.piece(), Task.INFILL, gaps, first, last + 1)
        self._fill(prompt, drafts, span, gaps, config.sampling, config.progress)
        base = without_notes(prompt, tracks, start, end)
        samples = tuple(finished(prompt, base, draft, tracks) for draft in drafts)
        stay = [index for index in range(len(prompt.ranks)) if index not in tracks]
        return GenerationResult(samples, prompt.remarks, prompt.labels(stay), prompt.labels(tracks))

    def _given_tracks(self, score: ScoreTick, given: Sequence[str], track: int | str | None) -> list[int]:
        """Return the indices of the tracks that are kept."""
        if track is not None and given:
            raise InputError("--track names the one given track; leave it or --given out.")
        names = given if track is None else [str(track)]
        if names:
            return sorted({index for name in names for index in track_indices(score, name)})
        if len(score.tracks) == 1:
            return [0]
        try:
            return [pick_melody(score).index]
        except InputError as error:
            raise InputError(f"{error.problem}. Name the given tracks with --given.") from None

    def _written_ranks(
        self, score: ScoreTick, prompt: MultitrackPrompt, kept: Collection[int], write: Sequence[str]
    ) -> tuple[int, ...]:
        """Return the voices to write to given tracks."""
        vocabulary, heard = self.checkpoint.vocabulary, self.programs
        others = [index for index in range(len(score.tracks)) if index not in kept and score.tracks[index].notes]
        ranks: set[int] = set()
        for name in write:
            plain = name.strip().lower()
            named = [index for index in others if plain and score.tracks[index].name.strip().lower() == plain]
            found = {rank for index in named if (rank := vocabulary.rank_of(score.tracks[index])) is not None}
            ranks |= found or {vocabulary.programs.index(find_program(name, heard))}
        if not write:
            ranks = {rank for index in others if (rank := vocabulary.rank_of(score.tracks[index])) is not None}
            ranks = {rank for rank in ranks - set(prompt.ranks) if vocabulary.programs[rank] in heard}
        if not ranks:
            listed = ", ".join(f"{program_name(program)} ({program})" for program in heard[:24])
            raise InputError(f"name the instruments to write with --write; the model plays {listed}.")
        for rank in sorted(ranks):
            if rank in prompt.ranks:
                raise InputError(
                    f"{vocabulary.voice_name(rank)} is given and written, which the model cannot tell apart; "
                    "write another instrument, or give the given track another program."
                )
            if vocabulary.programs[rank] not in heard:
                raise InputError(f"the model has never heard {vocabulary.voice_name(rank)}; write another instrument.")
        return tuple(sorted(ranks))

    def _harmonize(
        self,
        prompt: MultitrackPrompt,
        drafts: list[MultitrackPartialResult],
        ranks: Sequence[int],
        sampling: SamplingConfig,
        progress: OnProgress | None,
    ) -> None:
        gaps = {rank: TickSpan(0, prompt.end_ticks) for rank in ranks}
        span = self._span(prompt, drafts[0].piece, Task.HARMONIZE, gaps, 0, len(prompt.bars))
        self._fill(prompt, drafts, span, gaps, sampling, progress)

    def _continue(
        self,
        prompt: MultitrackPrompt,
        drafts: list[MultitrackPartialResult],
        ranks: Sequence[int],
        num_bars: int,
        sampling: SamplingConfig,
        progress: OnProgress | None,
    ) -> None:
        last = prompt.bars[-1]
        gaps = {rank: TickSpan(last.end_ticks, last.end_ticks + num_bars * last.length_ticks) for rank in ranks}
        span = self._span(prompt, drafts[0].piece, Task.CONTINUE, gaps, len(prompt.bars), len(prompt.bars) + num_bars)
        longer = {id(draft.piece): with_bars(draft.piece, num_bars) for draft in drafts}
        for draft in drafts:
            draft.piece = longer[id(draft.piece)]
        self._fill(prompt, drafts, span, gaps, sampling, progress)

    def _span(
        self, prompt: MultitrackPrompt, piece: Piece, task: Task, gaps: Mapping[int, TickSpan], first: int, stop: int
    ) -> Span:
        """Say on the grid what is to be written; ends are rounded up to a 16th, as in four-part music."""
        vocabulary, ranges = self.checkpoint.vocabulary, list(self.checkpoint.meta.voice_ranges)
        ends = [0] * vocabulary.num_voices
        for rank, gap in gaps.items():
            ends[rank] = prompt.grid_time(gap.end)
            for index in prompt.players(rank):
                pitches = [note.pitch for note in prompt.score.tracks[index].notes]
                ranges[rank] = min(ranges[rank][0], *pitches), max(ranges[rank][1], *pitches)
        budget = bar_budget(prompt, piece, tuple(gaps), self.checkpoint.model.config.max_position_embeddings)
        return Span(task, tuple(sorted(gaps)), first, stop, tuple(ends), tuple(ranges), max_bar_tokens=budget)

    def _fill(
        self,
        prompt: MultitrackPrompt,
        drafts: list[MultitrackPartialResult],
        span: Span,
        gaps: Mapping[int, TickSpan],
        sampling: SamplingConfig,
        progress: OnProgress | None,
    ) -> None:
        filler = Infiller(self.checkpoint.model, self.checkpoint.layout, self.grammar, sampling)
        samples = filler.fill([d.piece for d in drafts], span, [d.random for d in drafts], progress)
        for draft, sample in zip(drafts, samples, strict=True):
            draft.take(prompt, sample, gaps)

    def _names(self, ranks: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.checkpoint.vocabulary.voice_name(rank) for rank in ranks)


def _drafts(piece: Piece, config: GenerationConfig) -> list[MultitrackPartialResult]:
    return [MultitrackPartialResult(piece, np.random.default_rng((config.seed, i))) for i in range(config.num_samples)]
