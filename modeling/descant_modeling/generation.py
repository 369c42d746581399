"""Harmonize, continue and infill scores with a checkpoint.

What was given is never generated again: the result is a copy of the prompt, tick for tick, with notes added to it.

Units: ticks of the result's score, unless a name says grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from symusic.core import ScoreTick

from descant_modeling.checkpoints import (
    EMBEDDED_DEFAULT,
    Checkpoint,
    find_checkpoint,
    load_checkpoint,
    read_meta_values,
)
from descant_modeling.decoding.fill import Filler
from descant_modeling.decoding.plan import Hole
from descant_modeling.decoding.sampler import SamplingConfig
from descant_modeling.drafts import Draft, Generated, extended, four_part
from descant_modeling.gaps import Gap, bar_indices, gap_in_voice, hole_on_grid, voices_to_rewrite
from descant_modeling.prompts import Prompt, read_prompt
from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.voices import voice_names
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.layout import Task
from descant_tokenizers.tokens.piece import GridBar, Piece

MAX_NEW_BARS = 256
MAX_SAMPLES = 64
#: General MIDI programs of the written voices.
SOUNDS = {"choir": 52, "organ": 19, "piano": 0, "strings": 48}

__all__ = [
    "MAX_NEW_BARS",
    "MAX_SAMPLES",
    "SOUNDS",
    "Generated",
    "GenerationConfig",
    "GenerationResult",
    "MusicModel",
    "Writer",
    "load",
    "load_writer",
]

Progress = Callable[[float], None]


@dataclass(frozen=True)
class GenerationConfig:
    """How results are drawn.

    Args:
        sampling: Temperature and nucleus.
        num_samples: How many results, 1-64.
        seed: Same prompt, options and seed: same results. Each sample has its own stream of random numbers.
        sound: One of :data:`SOUNDS`, for voices that the prompt does not have.
        progress: Called with the share done, 0-1.
        paste_melody: Of a model that writes the melody's voice again (the GAN): whether the prompt's own notes take
            its place. Other models never write it.

    Raises:
        InputError: A value out of range.
    """

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    num_samples: int = 1
    seed: int = 0
    sound: str = "choir"
    progress: Progress | None = None
    paste_melody: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.num_samples <= MAX_SAMPLES:
            raise InputError(f"the number of samples is {self.num_samples}; give 1 to {MAX_SAMPLES}.")
        if self.seed < 0:
            raise InputError(f"the seed is {self.seed}; give 0 or more.")
        if self.sound not in SOUNDS:
            raise InputError(f"the sound is '{self.sound}'; give one of {', '.join(SOUNDS)}.")


@dataclass(frozen=True)
class GenerationResult:
    """All samples of one request.

    Attributes:
        samples: The results.
        remarks: What was chosen and changed on the way, a sentence each.
        given: Names of the voices that the prompt gave.
        written: Names of the voices that were written.
    """

    samples: tuple[Generated, ...]
    remarks: tuple[str, ...]
    given: tuple[str, ...]
    written: tuple[str, ...]

    @property
    def score(self) -> ScoreTick:
        """The first sample's score."""
        return self.samples[0].score


class MusicModel:
    """A causal model ready to write music.

    Args:
        checkpoint: Model, tokenizer and layout.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.grammar = Grammar(checkpoint.table)

    def harmonize(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        given: Sequence[str] = ("Soprano",),
        track: int | str | None = None,
    ) -> GenerationResult:
        """Write the missing voices of four to the given ones.

        Args:
            score: The prompt, validated.
            config: How results are drawn.
            given: Which voices the prompt's tracks are.
            track: The melody's track, number from 1 or name, where one voice is given.

        Returns:
            Scores of four tracks Soprano, Alto, Tenor, Bass that end with the given voices.

        Raises:
            InputError: The prompt does not fit.
        """
        config = config or GenerationConfig()
        names = voice_names(given)
        if len(names) == len(VOICES):
            raise InputError("all four voices are given, so there is nothing to write; leave one out of --given.")
        prompt = self._read(score, names, track, alone=True)
        drafts = _drafts(prompt.piece(), config)
        self._harmonize(prompt, drafts, config.sampling, config.progress)
        samples = tuple(four_part(prompt, draft, SOUNDS[config.sound]) for draft in drafts)
        return GenerationResult(samples, prompt.remarks, prompt.voices, _missing(prompt))

    def continue_(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        num_bars: int = 8,
        given: Sequence[str] | None = None,
        track: int | str | None = None,
    ) -> GenerationResult:
        """Write bars behind the one in which the prompt ends, in all its voices.

        Args:
            score: The prompt, validated: a melody, or several voices.
            config: How results are drawn.
            num_bars: Bars to write, 1-256.
            given: Which voices the prompt's tracks are; the missing ones of four are then written too, from the
                first bar on. By default, the prompt goes on in just the voices it has.
            track: The melody's track where one voice is given.

        Returns:
            Copies of the prompt with notes added to its voices' tracks; four tracks if `given` is.

        Raises:
            InputError: The prompt does not fit.
        """
        config = config or GenerationConfig()
        if not 1 <= num_bars <= MAX_NEW_BARS:
            raise InputError(f"the number of bars to write is {num_bars}; give 1 to {MAX_NEW_BARS}.")
        harmonized = given is not None and len(voice_names(given)) < len(VOICES)
        prompt = self._read(score, given, track, alone=harmonized)
        drafts = _drafts(prompt.piece(), config)
        if not harmonized:
            self._continue(prompt, drafts, prompt.voices, num_bars, config.sampling, config.progress)
            samples = tuple(extended(prompt, draft) for draft in drafts)
            return GenerationResult(samples, prompt.remarks, prompt.voices, prompt.voices)
        self._harmonize(prompt, drafts, config.sampling, half(config.progress, 0.0))
        self._continue(prompt, drafts, VOICES, num_bars, config.sampling, half(config.progress, 0.5))
        samples = tuple(four_part(prompt, draft, SOUNDS[config.sound]) for draft in drafts)
        return GenerationResult(samples, prompt.remarks, prompt.voices, VOICES)

    def infill(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        bars: tuple[int, int],
        given: Sequence[str] = (),
    ) -> GenerationResult:
        """Write some bars anew; everything outside them stays.

        Args:
            score: The prompt, validated: a melody, or several voices.
            config: How results are drawn.
            bars: First and last bar, as counted in the score (a pickup is bar 0).
            given: Voices that stay inside the bars too.

        Returns:
            Copies of the prompt in which the notes that begin in those bars are new. They sound to the end of the last
            of these bars at most, or as long as the notes they replace.

        Raises:
            InputError: The prompt does not fit, or has no such bars.
        """
        config = config or GenerationConfig()
        prompt = self._read(score)
        first, last = bar_indices(prompt.bars, bars)
        written = voices_to_rewrite(prompt, given)
        start, end = prompt.bars[first].start_ticks, prompt.bars[last].end_ticks
        drafts = _drafts(prompt.piece(written, start, end), config)
        gaps = {voice: gap_in_voice(prompt, voice, start, end) for voice in written}
        hole = hole_on_grid(prompt, Task.INFILL, gaps, first, last + 1)
        self._fill(prompt, drafts, hole, gaps, config.sampling, config.progress)
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
        return read_prompt(self.checkpoint.table, meta.voice_ranges, score, given, track, alone=alone)

    def _harmonize(
        self, prompt: Prompt, drafts: list[Draft], sampling: SamplingConfig, progress: Progress | None
    ) -> None:
        """Write the voices that the prompt does not have, up to its end."""
        gaps = {voice: Gap(0, prompt.end_ticks()) for voice in _missing(prompt)}
        hole = hole_on_grid(prompt, Task.HARMONIZE, gaps, 0, len(prompt.bars))
        self._fill(prompt, drafts, hole, gaps, sampling, progress)

    def _continue(
        self,
        prompt: Prompt,
        drafts: list[Draft],
        voices: Sequence[str],
        num_bars: int,
        sampling: SamplingConfig,
        progress: Progress | None,
    ) -> None:
        """Write bars behind the prompt's last one, in its meter."""
        last = prompt.bars[-1]
        end = last.start_ticks + (1 + num_bars) * last.length_ticks
        longer = {id(draft.piece): with_bars(draft.piece, num_bars) for draft in drafts}
        for draft in drafts:
            draft.piece = longer[id(draft.piece)]
        gaps = {voice: Gap(prompt.end_ticks(voice), end) for voice in voices}
        hole = hole_on_grid(prompt, Task.CONTINUE, gaps, len(prompt.bars), len(prompt.bars) + num_bars)
        self._fill(prompt, drafts, hole, gaps, sampling, progress)

    def _fill(
        self,
        prompt: Prompt,
        drafts: list[Draft],
        hole: Hole,
        gaps: Mapping[str, Gap],
        sampling: SamplingConfig,
        progress: Progress | None,
    ) -> None:
        filler = Filler(self.checkpoint.model, self.checkpoint.layout, self.grammar, sampling)
        samples = filler.fill([d.piece for d in drafts], hole, [d.random for d in drafts], progress)
        for draft, sample in zip(drafts, samples, strict=True):
            draft.take(prompt, sample, gaps)


class Writer(Protocol):
    """A model that writes music; see `MusicModel` for the methods."""

    def harmonize(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        given: Sequence[str] = ("Soprano",),
        track: int | str | None = None,
    ) -> GenerationResult:
        """Write what is missing to what is given."""

    def continue_(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        num_bars: int = 8,
        given: Sequence[str] | None = None,
        track: int | str | None = None,
    ) -> GenerationResult:
        """Write bars behind the one in which the prompt ends."""

    def infill(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        bars: tuple[int, int],
        given: Sequence[str] = (),
    ) -> GenerationResult:
        """Write some bars anew."""


def load_writer(model: str = EMBEDDED_DEFAULT, device: str = "cpu") -> Writer:
    """Load a model of four voices, of any instruments, or of another objective; see `load`.

    Raises:
        InputError: There is no such model.
    """
    if read_meta_values(find_checkpoint(model)).get("objective") == "gan":
        from descant_modeling.gan.checkpoints import load_gan
        from descant_modeling.gan.writing import GanWriter

        return GanWriter(load_gan(model, device))
    from descant_modeling.ensemble.writer import EnsembleWriter

    checkpoint = load_checkpoint(model, device)
    return MusicModel(checkpoint) if checkpoint.table.is_four_part else EnsembleWriter(checkpoint)


def load(model: str = EMBEDDED_DEFAULT, device: str = "cpu") -> MusicModel:
    """Load a model of four voices.

    Args:
        model: An embedded model's name, a checkpoint or run folder, or a Hub id, tried in this order.
        device: ``cpu``, ``cuda`` or ``mps``.

    Raises:
        InputError: There is no such model, or it is one of any instruments.
    """
    writer = load_writer(model, device)
    if not isinstance(writer, MusicModel):
        raise InputError(f"{model} writes any instruments, not four voices; load it with load_writer.")
    return writer


def without_controls(score: ScoreTick) -> ScoreTick:
    """Return a copy without controllers and pitch bends, which four-part music does not carry."""
    plain = score.copy()
    for track in plain.tracks:
        track.controls = type(track.controls)()
        track.pitch_bends = type(track.pitch_bends)()
        track.pedals = type(track.pedals)()
    return plain


def _drafts(piece: Piece, config: GenerationConfig) -> list[Draft]:
    return [Draft(piece, np.random.default_rng((config.seed, index))) for index in range(config.num_samples)]


def _missing(prompt: Prompt) -> tuple[str, ...]:
    return tuple(voice for voice in VOICES if voice not in prompt.voices)


def with_bars(piece: Piece, num_bars: int) -> Piece:
    """Return a piece with empty bars behind its last one, in its meter."""
    return Piece(piece.bars + (GridBar(piece.bars[-1].meter),) * num_bars)


def half(progress: Progress | None, done: float) -> Progress | None:
    """Turn the share of a half into the share of the whole, of which a part was done before."""
    return None if progress is None else lambda share: progress(done + share / 2)
