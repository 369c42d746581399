"""Prompts of the families on the grid: from a score to pitches at every 16th, some of them free, and back.

The grid cannot tell a repeated pitch from a held one. A new voice that keeps its pitch is struck again on each beat on
which a given voice begins a note, as syllables are.

Shapes: V = 4 voices from high to low, T 16ths.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

import numpy as np
from symusic.core import NoteTick, NoteTickList, ScoreTick, TrackTick, TrackTickList

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.generation.base import GenerationResult, Request, Sample, refuse_hints, refuse_instruments
from descant_modeling.generation.networks import refuse_token_options
from descant_modeling.generation.prompts import (
    Ranges,
    bar_indices,
    pitch_extent,
    refined,
    shift_into,
    without_controls,
)
from descant_modeling.generation.results import without_notes
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import SILENT, Flags, Ints
from descant_tokenizers.pianoroll.rolls import STEPS_PER_BEAT, VELOCITY
from descant_tokenizers.scores import NUM_VOICES, VOICES, Bar, bars_of
from descant_tokenizers.scores.names import voice_names
from descant_tokenizers.scores.voices import pick_voices

#: Pitch of a 16th that the model writes.
FREE = -2


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


def check_request(request: Request, config: GenerationConfig, *allowed: str) -> None:
    """Raise an `InputError` if a request or its options ask for what a family does not have.

    Args:
        request: The request.
        config: Its options.
        *allowed: Options of token sampling that the family takes.
    """
    refuse_instruments(request.write)
    refuse_hints(request, config)
    refuse_token_options(config, allowed)


def read_grid_prompt(request: Request, ranges: Ranges) -> GridPrompt:
    """Put the prompt of a request on the grid.

    To harmonize, the voices that are not given are free, up to the end of the given ones. To continue, so are all
    voices after the prompt's last bar. To infill, the bars of the voices that are not given are.

    Args:
        request: A request to harmonize, continue or infill.
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
    step = Fraction(fine.ticks_per_quarter, STEPS_PER_BEAT)
    shift = shift_into(
        {VOICES.index(voice): pitch_extent(track) for voice, track in voices.items()},
        ranges,
        min(low for low, _ in ranges),
        max(high for _, high in ranges),
    )
    remarks = [choice.reason, *([f"transposed by {shift:+d} semitones for the model, and back"] if shift else [])]
    end = max(note.end for track in voices.values() for note in track.notes)
    if request.task == "continue":
        end = bars[-1].end_ticks + request.new_bars() * bars[-1].length_ticks
    edges = [round(index * step) for index in range(ceil(end / step) + 1)]
    sounding_VT = np.stack([_line(voices.get(voice), edges, shift) for voice in VOICES])
    prompt = GridPrompt(
        fine, sounding_VT, edges, _struck(voices.values(), bars, edges), shift, tuple(voices), (), tuple(remarks)
    )
    return _freed(prompt, request, bars)


def _freed(prompt: GridPrompt, request: Request, bars: Sequence[Bar]) -> GridPrompt:
    """Mark what is to be written."""
    onsets = np.array(prompt.edges_ticks[:-1])
    free_VT = np.zeros(prompt.pitches_VT.shape, dtype=bool)
    if request.task == "infill":
        return _with_span(prompt, request, bars)
    free_VT[[VOICES.index(voice) for voice in VOICES if voice not in prompt.given]] = True
    if request.task == "continue":
        free_VT[:, onsets >= bars[-1].end_ticks] = True
    return _with_free(prompt, free_VT)


def _with_span(prompt: GridPrompt, request: Request, bars: Sequence[Bar]) -> GridPrompt:
    """Free some bars of the voices that are not kept; a note that began before goes on into them."""
    assert request.bars is not None
    first, last = bar_indices(bars, request.bars)
    begin, end = bars[first].start_ticks, bars[last].end_ticks
    kept = voice_names(request.given) if request.given else ()
    indices = [index for index, track in enumerate(prompt.score.tracks) if track.name not in kept]
    held = {
        track.name: max((note.end for note in track.notes if note.time < begin), default=0)
        for track in prompt.score.tracks
    }
    onsets = np.array(prompt.edges_ticks[:-1])
    free_VT = np.stack(
        [(onsets >= max(begin, held.get(voice, 0))) & (onsets < end) & (voice not in kept) for voice in VOICES]
    )
    missing = [VOICES.index(voice) for voice in VOICES if voice not in prompt.given]
    free_VT[missing] = False
    without = without_notes(prompt.score, indices, begin, end)
    return _with_free(replace(prompt, score=without), free_VT)


def _with_free(prompt: GridPrompt, free_VT: Flags) -> GridPrompt:
    written = tuple(voice for voice, free_T in zip(VOICES, free_VT, strict=True) if free_T.any())
    if not written:
        raise InputError("All voices are given, so that nothing is left to write. Leave one out of --given.")
    return replace(prompt, pitches_VT=np.where(free_VT, FREE, prompt.pitches_VT), written=written)


def _line(track: TrackTick | None, edges: Sequence[int], shift: int) -> Ints:
    """Return what a voice sounds as each 16th begins, moved; the highest of several pitches."""
    line_T = np.full(len(edges) - 1, SILENT, dtype=np.int64)
    if track is not None:
        for note in sorted(track.notes, key=lambda note: note.pitch):
            first, last = np.searchsorted(edges, (note.time, note.end))
            line_T[first:last] = note.pitch + shift
    return line_T


def _struck(tracks: Iterable[TrackTick], bars: Sequence[Bar], edges: Sequence[int]) -> Flags:
    """Mark the beats, quarters of their bar, on which a given voice begins a note."""
    onsets = {note.time for track in tracks for note in track.notes}
    quarter = STEPS_PER_BEAT * Fraction(edges[-1], len(edges) - 1)
    struck = set()
    for bar in bars:
        origin = bar.end_ticks if bar.number == 0 else bar.start_ticks
        struck |= {time for time in onsets if bar.start_ticks <= time < bar.end_ticks and not (time - origin) % quarter}
    return np.isin(np.array(edges[:-1]), sorted(struck))


def in_ranges(ranges: Ranges, lowest: int, highest: int) -> Flags:
    """Return for each voice which pitches from `lowest` to `highest` it has in training: (V, pitches)."""
    pitches = np.arange(lowest, highest + 1)
    found = [(pitches >= low) & (pitches <= high) for low, high in ranges]
    assert len(found) == NUM_VOICES
    return np.stack(found)
