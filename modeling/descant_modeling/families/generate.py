"""Prompts of the families on the grid: from a score to pitches at every 16th, some of them free, and back.

The grid cannot tell a repeated pitch from a held one. A new voice that keeps its pitch is struck again on each beat on
which a given voice begins a note, as syllables are.

Shapes: V = 4 voices from high to low, T 16ths.
"""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, inf
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from symusic.core import NoteTick, NoteTickList, ScoreTick, TrackTick, TrackTickList

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.families.networks import GridNetwork
from descant_modeling.generation.base import GenerationResult, Request, Sample, refuse_hints, refuse_instruments
from descant_modeling.generation.networks import NetworkGenerator, refuse_token_options, rng_of_each_sample
from descant_modeling.generation.prompts import (
    Ranges,
    bar_indices,
    pitch_extent,
    refined,
    shift_into,
    without_controls,
)
from descant_modeling.generation.results import without_notes
from descant_modeling.jsb_grid.data import transposed
from descant_modeling.models.checkpoints import FoundCheckpoint
from descant_modeling.models.networks import LoadedNetwork, load_network
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import SILENT, Flags, Ints, chorale_of_harmony
from descant_tokenizers.pianoroll.rolls import STEPS_PER_BEAT, VELOCITY
from descant_tokenizers.scores import VOICES, Bar, bars_of
from descant_tokenizers.scores.names import voice_names
from descant_tokenizers.scores.voices import pick_voices

#: Pitch of a 16th that the model writes.
FREE = -2
LOWEST_TEMPERATURE = 1e-3
#: Tasks that write a prompt again.
VARIED = ("vary", "morph")

NetworkT = TypeVar("NetworkT", bound=GridNetwork[Any])


@dataclass(frozen=True)
class GridPrompt:
    """A prompt on the grid.

    Attributes:
        score: The prompt at a resolution that holds 16ths, with a track for each given voice, from high to low.
        pitches_VT: Its pitches as the model sees them, `SILENT` for rests and `FREE` for what is to be written.
        edges_ticks: Onset of each 16th, and the end of the last one.
        struck_T: True where a new voice that keeps its pitch is struck again.
        shift: Semitones by which the model sees the prompt moved up.
        given: Voices of the prompt.
        written: Voices that get new notes.
        remarks: Choices and changes, a phrase each.
    """

    score: ScoreTick
    pitches_VT: Ints
    edges_ticks: Sequence[int]
    struck_T: Flags
    shift: int
    given: tuple[str, ...]
    written: tuple[str, ...]
    remarks: tuple[str, ...]

    def result(self, samples: Iterable[Ints], config: GenerationConfig) -> GenerationResult:
        """Add the new notes of each sample, pitches (V, T) as the model writes them, to a copy of the prompt."""
        made = tuple(self._sample(pitches_VT, config) for pitches_VT in samples)
        return GenerationResult(made, self.remarks, self.given, self.written)

    def _sample(self, pitches_VT: Ints, config: GenerationConfig) -> Sample:
        own = {track.name: track for track in self.score.tracks}
        velocities = [note.velocity for track in own.values() for note in track.notes]
        velocity = round(statistics.fmean(velocities)) if velocities else VELOCITY
        score, added, tracks = self.score.copy(), set(), TrackTickList()
        for place, voice in enumerate(VOICES):
            if voice not in own and voice not in self.written:
                continue
            track = own[voice].copy() if voice in own else TrackTick(voice, config.program_of(voice), False)
            free_T = self.pitches_VT[place] == FREE
            new_T = np.where(free_T & (pitches_VT[place] != SILENT), pitches_VT[place] - self.shift, SILENT)
            notes = notes_of_line(new_T, self.struck_T, self.edges_ticks, velocity)
            track.notes = NoteTickList(sorted([*track.notes, *notes], key=lambda note: (note.time, note.pitch)))
            added |= {(voice, note.time, note.pitch) for note in notes}
            tracks.append(track)
        score.tracks = tracks
        return Sample(score, frozenset(added), num_tokens=0, log_likelihood=None)


def notes_of_line(pitches_T: Ints, struck_T: Flags, edges_ticks: Sequence[int], velocity: int) -> list[NoteTick]:
    """Turn a voice into notes: a note ends where the pitch changes, or where it is struck again."""
    begins_T = np.diff(pitches_T, prepend=SILENT) != 0
    firsts = np.flatnonzero(begins_T | struck_T)
    ends = [*firsts[1:].tolist(), len(pitches_T)]
    return [
        NoteTick(edges_ticks[first], edges_ticks[end] - edges_ticks[first], int(pitches_T[first]), velocity)
        for first, end in zip(firsts.tolist(), ends, strict=True)
        if pitches_T[first] != SILENT
    ]


class GridGenerator(NetworkGenerator, ABC, Generic[NetworkT]):
    """A family as a `MusicGenerator`: it writes the free cells of a prompt.

    Args:
        checkpoint: Network, ranges and facts.
    """

    network_type: ClassVar[type[GridNetwork[Any]]]
    #: Options of token sampling that it takes.
    sampling: tuple[str, ...] = ("temperature",)

    def __init__(self, checkpoint: LoadedNetwork[NetworkT]) -> None:
        self.checkpoint, self.network = checkpoint, checkpoint.network
        self.ranges = checkpoint.meta.voice_ranges

    @classmethod
    def load(cls, found: FoundCheckpoint, device: str = "cpu") -> Self:
        """Load a model, ready to generate music.

        Raises:
            InputError: Its folder is incomplete or damaged.
        """
        network: Any = load_network(found, cls.network_type.build, device)
        return cls(network)

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Write what is free in a prompt; see `MusicGenerator`."""
        self.check(request, config)
        prompt = read_grid_prompt(request, self.ranges)
        samples = (self.write(prompt.pitches_VT, config, rng) for rng in rng_of_each_sample(config))
        return prompt.result(samples, config)

    def check(self, request: Request, config: GenerationConfig) -> None:
        """Raise an `InputError` if a request or its options ask for what the family does not have."""
        refuse_instruments(request.write)
        refuse_hints(request, config)
        refuse_token_options(config, self.sampling)

    @abstractmethod
    def write(self, pitches_VT: Ints, config: GenerationConfig, rng: torch.Generator) -> Ints:
        """Return pitches with all `FREE` ones written."""

    def legal(self) -> torch.Tensor:
        """Return for each voice whether it may rest, as it may, and which pitches it has in training, (V, 1 + K)."""
        vocabulary = self.network.vocabulary
        pitches = torch.arange(vocabulary.lowest, vocabulary.highest + 1)
        rows = [(pitches >= low) & (pitches <= high) for low, high in self.ranges]
        return torch.cat([torch.ones(len(rows), 1, dtype=torch.bool), torch.stack(rows)], dim=1)


def read_grid_prompt(request: Request, ranges: Ranges) -> GridPrompt:
    """Put the prompt of a request on the grid.

    To harmonize, the voices that are not given are free, up to the end of the given ones. To continue, so are all
    voices after the prompt's last bar. To infill, the bars of the voices that are not given are.

    Args:
        request: A request; to vary and to morph, nothing is free.
        ranges: Lowest and highest pitch of each voice in training.

    Raises:
        InputError: The voices cannot be determined, do not fit the model, or leave nothing to write.
    """
    given = voice_names(request.given) if request.given else None
    if request.task == "harmonize":
        given = given or VOICES[:1]
    fine = refined(without_controls(request.prompt), STEPS_PER_BEAT)
    choice = pick_voices(fine, None if request.task == "infill" else given, request.track)
    voices = {voice: choice.tracks[voice] for voice in VOICES if voice in choice.tracks}
    for voice, track in voices.items():
        track.name = voice
    fine.tracks = TrackTickList(list(voices.values()))
    bars = bars_of(fine)
    shift = shift_into(
        {VOICES.index(voice): pitch_extent(track) for voice, track in voices.items()},
        ranges,
        min(low for low, _ in ranges),
        max(high for _, high in ranges),
    )
    remarks = [choice.reason, *([f"transposed by {shift:+d} semitones for the model, and back"] if shift else [])]
    given_notes = chorale_of_harmony(fine, "the prompt")
    num_16ths, step = given_notes.num_frames, Fraction(fine.ticks_per_quarter, STEPS_PER_BEAT)
    if request.task == "continue":
        num_16ths = ceil((bars[-1].end_ticks + request.new_bars() * bars[-1].length_ticks) / step)
    sounding_VT = transposed(given_notes.pitches_VT[:, :num_16ths], shift)
    sounding_VT = np.pad(sounding_VT, ((0, 0), (0, num_16ths - sounding_VT.shape[1])), constant_values=SILENT)
    onsets = np.intersect1d(
        np.concatenate([line.onsets_16ths for line in given_notes.lines]), given_notes.beats.onsets_16ths
    )
    prompt = GridPrompt(
        fine,
        sounding_VT,
        [round(index * step) for index in range(num_16ths + 1)],
        np.isin(np.arange(num_16ths), onsets),
        shift,
        tuple(voices),
        (),
        tuple(remarks),
    )
    return _freed(prompt, request, bars)


def _freed(prompt: GridPrompt, request: Request, bars: Sequence[Bar]) -> GridPrompt:
    """Mark what is to be written."""
    if request.task in VARIED:
        return prompt
    onsets, given = np.array(prompt.edges_ticks[:-1]), np.isin(VOICES, prompt.given)[:, None]
    if request.task == "infill":
        prompt, free_VT = _span(prompt, request, bars, onsets)
        free_VT &= given
    else:
        begin = bars[-1].end_ticks if request.task == "continue" else inf
        free_VT = ~given | (onsets >= begin)
    written = tuple(voice for voice, free_T in zip(VOICES, free_VT, strict=True) if free_T.any())
    if not written:
        raise InputError("All voices are given, so that nothing is left to write. Leave one out of --given.")
    return replace(prompt, pitches_VT=np.where(free_VT, FREE, prompt.pitches_VT), written=written)


def _span(prompt: GridPrompt, request: Request, bars: Sequence[Bar], onsets: Ints) -> tuple[GridPrompt, Flags]:
    """Take the notes that begin in some bars out of the voices that are not kept; return also what is free then.

    A note that began before goes on into them.
    """
    assert request.bars is not None
    first, last = bar_indices(bars, request.bars)
    begin, end = bars[first].start_ticks, bars[last].end_ticks
    kept = voice_names(request.given) if request.given else ()
    held = {t.name: max((n.end for n in t.notes if n.time < begin), default=0) for t in prompt.score.tracks}
    free_VT = np.stack(
        [(onsets >= max(begin, held.get(voice, 0))) & (onsets < end) & (voice not in kept) for voice in VOICES]
    )
    indices = [index for index, track in enumerate(prompt.score.tracks) if track.name not in kept]
    return replace(prompt, score=without_notes(prompt.score, indices, begin, end)), free_VT
