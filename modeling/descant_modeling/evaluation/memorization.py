"""Memorization: the longest runs of notes that samples share with the training set.

A run is a stretch of notes with equal lengths and equal intervals from one note to the next, in any key. *In one voice*
the notes are that voice's; *in all four* they are chords, one whenever any voice begins a note, equal in every voice.
Bach also repeats himself: his held-out pieces are measured against the same training set, and a model should not share
longer runs with it than they do.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from symusic.core import NoteTickList, ScoreTick

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.evaluation.bootstrap import median_interval
from descant_modeling.generation.base import Request
from descant_modeling.generation.satb import FourPartGenerator
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.pianoroll.frames import SILENT, Chorale, Line, chorale_of_harmony
from descant_tokenizers.scores import VOICES, bars_of

ALL_VOICES = "all four"
PROMPT_BARS = 2
MAX_BARS = 16
_COMPARED = ("median", "percentile_95", "longest")
_REST = 128


class RunIndex:
    """All runs of some sequences, to search for the longest one that another sequence shares."""

    def __init__(self, sequences: Iterable[Sequence[Hashable]]) -> None:
        self._ids: dict[Hashable, int] = {}
        ids: list[int] = []
        for sequence in sequences:
            ids += [self._ids.setdefault(step, len(self._ids)) for step in sequence]
            ids.append(-1)  # no run crosses into the next sequence
        self._ids_M = np.array(ids, dtype=np.int64)

    def longest_run(self, sequence: Sequence[Hashable]) -> int:
        """Return the length of the longest run that a sequence shares with one of the known ones."""
        longest, runs_M = 0, np.zeros(len(self._ids_M) + 1, dtype=np.int64)  # of runs that end at each known step
        for step in sequence:
            runs_M[1:] = np.where(self._ids_M == self._ids.get(step, -2), runs_M[:-1] + 1, 0)
            longest = max(longest, int(runs_M.max()))
        return longest


@dataclass(frozen=True)
class TrainingRuns:
    """The runs of a training set: of each voice from high to low, and of all four together."""

    voices: tuple[RunIndex, ...]
    chords: RunIndex

    @classmethod
    def of(cls, chorales: Sequence[Chorale]) -> TrainingRuns:
        """Collect the runs of the training pieces."""
        voices = tuple(RunIndex(_line_steps(c.lines[rank]) for c in chorales) for rank in range(len(VOICES)))
        return cls(voices, RunIndex(_chord_steps(c) for c in chorales))

    def longest_runs(self, chorale: Chorale) -> dict[str, int]:
        """Return the longest run, in notes, that each voice of a piece shares with the same voice in training.

        The entry `ALL_VOICES` is the longest run of chords.
        """
        runs = {
            voice: index.longest_run(_line_steps(line))
            for voice, index, line in zip(VOICES, self.voices, chorale.lines, strict=True)
        }
        runs[ALL_VOICES] = self.chords.longest_run(_chord_steps(chorale))
        return {voice: steps + 1 if steps else 0 for voice, steps in runs.items()}  # a single note is not a run


def _line_steps(line: Line) -> list[Hashable]:
    """Return the step from each note of a voice to the next: (interval, distance of onsets, both lengths)."""
    distances = np.round(np.diff(line.onsets_16ths), 2).tolist()
    lengths = np.round(line.lengths_16ths, 2).tolist()
    return list(zip(np.diff(line.pitches).tolist(), distances, lengths[:-1], lengths[1:], strict=True))


def _chord_steps(chorale: Chorale) -> list[Hashable]:
    """Return the step from each chord to the next: (intervals of all voices, structure of the chord, both lengths)."""
    onsets = np.unique(np.concatenate([np.ceil(line.onsets_16ths) for line in chorale.lines])).astype(int)
    onsets = onsets[onsets < chorale.num_frames]
    chords = chorale.pitches_VT[:, onsets]
    lengths = np.diff(np.append(onsets, chorale.num_frames)).tolist()
    steps: list[Hashable] = []
    for index in range(1, len(onsets)):
        before, now = chords[:, index - 1], chords[:, index]
        sounding = (before != SILENT) & (now != SILENT)
        intervals = tuple(np.where(sounding, now - before, _REST).tolist())
        structure = tuple(np.where(before == SILENT, _REST, before - before.max()).tolist())
        steps.append((intervals, structure, lengths[index - 1], lengths[index]))
    return steps


def runs_facts(runs: Sequence[dict[str, int]]) -> dict[str, Any]:
    """Return median, 95th percentile and longest of each kind of run, for JSON."""
    facts: dict[str, Any] = {}
    for voice in runs[0]:
        lengths = [run[voice] for run in runs]
        facts[voice.lower().replace(" ", "_")] = {
            "median": float(np.median(lengths)),
            "median_interval": median_interval(lengths).rounded(),
            "percentile_95": float(np.percentile(lengths, 95)),
            "longest": max(lengths),
        }
    return facts


@dataclass(frozen=True)
class Excess:
    """A figure of shared runs in which samples exceed Bach.

    Attributes:
        voice: Kind of run, a key of `runs_facts`.
        figure: `median`, `percentile_95` or `longest`.
        samples: The samples' figure, in notes or chords.
        bach: Bach's figure.
    """

    voice: str
    figure: str
    samples: float
    bach: float


def excesses(samples: Mapping[str, Any], bach: Mapping[str, Any]) -> list[Excess]:
    """Return the figures in which samples share longer runs with the training set than Bach's held-out pieces do.

    The figures are the median, the 95th percentile and the longest run, in each voice and in all four together.

    Args:
        samples: `runs_facts` of the samples.
        bach: `runs_facts` of Bach's pieces.
    """
    return [
        Excess(voice, figure, runs[figure], bach[voice][figure])
        for voice, runs in samples.items()
        for figure in _COMPARED
        if runs[figure] > bach[voice][figure]
    ]


class Continuation(NamedTuple):
    """Bars generated by a model, and the same bars of Bach's piece."""

    sample: Chorale
    bach: Chorale


def continue_rows(
    model: FourPartGenerator,
    rows: Sequence[Mapping[str, Any]],
    *,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> list[Continuation]:
    """Continue the first two bars of each piece to its full length (16 bars at most).

    Args:
        model: A causal model.
        rows: Four-part pieces of a dataset; those of two bars or fewer are skipped.
        seed: Same seed, same music.
        progress: Called with the share done, 0-1.
    """
    found = []
    for index, row in enumerate(rows):
        score = row_to_score(row)
        bars = [bar for bar in bars_of(score) if bar.number > PROMPT_BARS][:MAX_BARS]
        if bars:
            start, end = bars[0].start_ticks, bars[-1].end_ticks
            config = GenerationConfig(seed=seed + index)
            request = Request("continue", _excerpt(score, 0, start), num_bars=len(bars))
            result = model.generate(request, config)
            sample = result.samples[0].score
            factor = sample.ticks_per_quarter // score.ticks_per_quarter
            excerpts = _excerpt(sample, factor * start, factor * end), _excerpt(score, start, end)
            if all(any(track.notes for track in excerpt.tracks) for excerpt in excerpts):
                found.append(Continuation(*(chorale_of_harmony(excerpt, row["id"]) for excerpt in excerpts)))
        if progress is not None:
            progress((index + 1) / len(rows))
    return found


def _excerpt(score: ScoreTick, start: int, end: int) -> ScoreTick:
    """Return the notes that begin between two ticks, moved to the beginning."""
    part = score.copy()
    for track in part.tracks:
        track.notes = NoteTickList([note for note in track.notes if start <= note.time < end])
        for note in track.notes:
            note.time -= start
    return part
