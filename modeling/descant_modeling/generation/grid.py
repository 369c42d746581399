"""Prompts on the sounding-pitch grid: from a score to pitches at every 16th, some of them free, and back.

The grid cannot tell a repeated pitch from a held one. A new voice that keeps its pitch is struck again on each beat on
which a given voice begins a note, as syllables are.

Shapes: V = 4 voices from high to low, T 16ths.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, inf

import numpy as np
from symusic.core import NoteTick, NoteTickList, ScoreTick, TrackTick, TrackTickList

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.generation.base import TASKS, GenerationResult, Request, Sample, check_not_silent
from descant_modeling.generation.prompts import (
    Ranges,
    bar_indices,
    given_voices,
    pitch_extent,
    refined,
    shift_into,
    shift_remark,
    without_controls,
)
from descant_modeling.generation.results import without_notes
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import SILENT, Flags, Ints, chorale_of_harmony
from descant_tokenizers.pianoroll.rolls import STEPS_PER_BEAT, VELOCITY
from descant_tokenizers.scores import NUM_VOICES, VOICES, Bar, bars_of
from descant_tokenizers.scores.names import voice_names
from descant_tokenizers.scores.voices import pick_voices

#: Pitch of a 16th that the model writes.
FREE = -2
#: Tasks that write a prompt again.
VARIED = ("vary", "morph")


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
        """Add the new notes of each sample, pitches (V, T) as the model writes them, to a copy of the prompt.

        Raises:
            InputError: A sample has no notes at all.
        """
        made = tuple(self._sample(pitches_VT, config) for pitches_VT in samples)
        check_not_silent(made)
        return GenerationResult(made, self.remarks, self.given, self.written)

    def _sample(self, pitches_VT: Ints, config: GenerationConfig) -> Sample:
        score, added = self.score.copy(), set()
        tracks = {track.name: track for track in score.tracks}
        velocity = round(statistics.fmean([n.velocity for t in tracks.values() for n in t.notes] or [VELOCITY]))
        is_new_VT = (self.pitches_VT == FREE) & (pitches_VT != SILENT)
        for voice, new_T in zip(VOICES, np.where(is_new_VT, pitches_VT - self.shift, SILENT), strict=True):
            if voice in self.written:
                notes = notes_of_line(new_T, self.struck_T, self.edges_ticks, velocity)
                track = tracks.setdefault(voice, TrackTick(voice, config.program_of(voice), False))
                track.notes = NoteTickList(sorted([*track.notes, *notes], key=lambda note: (note.time, note.pitch)))
                added |= {(voice, note.time, note.pitch) for note in notes}
        score.tracks = TrackTickList([tracks[voice] for voice in VOICES if voice in tracks])
        return Sample(score, frozenset(added), num_tokens=0, log_likelihood=None)


def notes_of_line(pitches_T: Ints, struck_T: Flags, edges_ticks: Sequence[int], velocity: int) -> list[NoteTick]:
    """Turn a voice into notes: a note ends where the pitch changes, or where it is struck again."""
    begins_T = np.diff(pitches_T, prepend=SILENT) != 0
    firsts = np.flatnonzero(begins_T | struck_T).tolist()
    return [
        NoteTick(edges_ticks[first], edges_ticks[end] - edges_ticks[first], int(pitches_T[first]), velocity)
        for first, end in itertools.pairwise([*firsts, len(pitches_T)])
        if pitches_T[first] != SILENT
    ]


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
    named = given_voices(request)
    fine = refined(without_controls(request.prompt), STEPS_PER_BEAT)
    choice = pick_voices(fine, None if request.task == "infill" else named, request.track)
    given = tuple(voice for voice in VOICES if voice in choice.tracks)
    for voice in given:
        choice.tracks[voice].name = voice
    fine.tracks = TrackTickList([choice.tracks[voice] for voice in given])
    bars, notes = bars_of(fine), chorale_of_harmony(fine, "the prompt")
    num_16ths, step = notes.num_frames, Fraction(fine.ticks_per_quarter, STEPS_PER_BEAT)
    if request.task == "continue":
        num_16ths = ceil((bars[-1].end_ticks + request.new_bars() * bars[-1].length_ticks) / step)
    edges_ticks = [round(index * step) for index in range(num_16ths + 1)]
    extents = {VOICES.index(voice): pitch_extent(choice.tracks[voice]) for voice in given}
    shift = shift_into(extents, ranges, min(low for low, _ in ranges), max(high for _, high in ranges))
    pitches_VT = notes.pitches_VT[:, :num_16ths]
    sounding_VT = np.where(pitches_VT == SILENT, SILENT, pitches_VT + shift)
    after = num_16ths - sounding_VT.shape[1]
    onsets = np.intersect1d(np.concatenate([line.onsets_16ths for line in notes.lines]), notes.beats.onsets_16ths)
    score, free_VT = _free_cells(request, fine, bars, np.array(edges_ticks[:-1]))
    written = tuple(voice for voice, free_T in zip(VOICES, free_VT, strict=True) if free_T.any())
    if not written and request.task not in VARIED:
        raise InputError("All voices are given, so that nothing is left to write. Leave one out of --given.")
    return GridPrompt(
        score,
        np.where(free_VT, FREE, np.pad(sounding_VT, ((0, 0), (0, after)), constant_values=SILENT)),
        edges_ticks,
        np.isin(np.arange(num_16ths), onsets),
        shift,
        given,
        written,
        (choice.reason, *([shift_remark(shift)] if shift else [])),
    )


def free_from(track: TrackTick, begin: int) -> int:
    """Return the first tick from `begin` on into which no note that began before is held."""
    return max([begin, *(note.end for note in track.notes if note.time < begin)])


def _free_cells(request: Request, score: ScoreTick, bars: Sequence[Bar], onsets_ticks: Ints) -> tuple[ScoreTick, Flags]:
    """Return the notes that are kept, and which cells are to be written, (V, T).

    To infill, these are the bars of the voices that are not kept, but for notes that began before and go on into them.
    """
    free_VT = np.zeros((NUM_VOICES, len(onsets_ticks)), dtype=bool)
    if request.task in TASKS[:2]:
        free_VT[np.isin(VOICES, [track.name for track in score.tracks], invert=True)] = True
        free_VT[:, onsets_ticks >= (bars[-1].end_ticks if request.task == "continue" else inf)] = True
    elif request.task == "infill":
        assert request.bars is not None
        first, last = bar_indices(bars, request.bars)
        begin, end = bars[first].start_ticks, bars[last].end_ticks
        kept = voice_names(request.given) if request.given else ()
        indices = [index for index, track in enumerate(score.tracks) if track.name not in kept]
        for track in (score.tracks[index] for index in indices):
            free_VT[VOICES.index(track.name)] = (onsets_ticks >= free_from(track, begin)) & (onsets_ticks < end)
        score = without_notes(score, indices, begin, end)
    return score, free_VT
