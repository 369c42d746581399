"""How much of its training set a model writes down again: the longest runs of notes that both have.

A run is a stretch of notes that agree in all their lengths and in all intervals from one to the next, so in any key.
*In one voice* the notes are that voice's; *in all four* they are chords, one whenever any voice begins a note, that
agree in every voice. Bach repeats himself too: his held-out pieces are measured against the same training set, and a
model should not share longer runs with it than he does.

Music that a model writes, cut so that it can be set beside the same stretch of Bach.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from symusic.core import NoteTickList, ScoreTick

from descant_modeling.evaluation.bootstrap import quantile_interval
from descant_modeling.generation.base import GenerationConfig
from descant_modeling.generation.satb import FourPartGenerator
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.pianoroll.frames import SILENT, Chorale, Line, chorale_of_harmony
from descant_tokenizers.scores import VOICES, bars_of

__all__ = [
    "ALL_VOICES",
    "Excess",
    "Memory",
    "Pair",
    "SuffixAutomaton",
    "chord_steps",
    "continue_rows",
    "excerpt",
    "excesses",
    "line_steps",
    "runs_facts",
]

ALL_VOICES = "all four"
COMPARED = ("median", "percentile_95", "longest")
Step = Hashable


class SuffixAutomaton:
    """All runs of some sequences, to be searched in time proportional to what is searched for (Blumer et al. 1985)."""

    def __init__(self, sequences: Iterable[Sequence[Step]]) -> None:
        self._next: list[dict[Step, int]] = [{}]
        self._link = [-1]
        self._length = [0]
        for sequence in sequences:
            last = 0
            for step in sequence:
                last = self._extend(last, step)

    def longest_run(self, sequence: Sequence[Step]) -> int:
        """Return the length of the longest run of a sequence that one of the automaton's has too."""
        state = length = best = 0
        for step in sequence:
            while state and step not in self._next[state]:
                state = self._link[state]
                length = self._length[state]
            if step in self._next[state]:
                state, length = self._next[state][step], length + 1
            best = max(best, length)
        return best

    def _extend(self, last: int, step: Step) -> int:
        """Append a step behind the state `last`; return the state of what was read so far."""
        if step in self._next[last]:
            known = self._next[last][step]
            return known if self._length[known] == self._length[last] + 1 else self._clone(last, step, known)
        new = self._add({}, self._length[last] + 1)
        state = last
        while state >= 0 and step not in self._next[state]:
            self._next[state][step] = new
            state = self._link[state]
        if state < 0:
            self._link[new] = 0
            return new
        known = self._next[state][step]
        is_next = self._length[known] == self._length[state] + 1
        self._link[new] = known if is_next else self._clone(state, step, known)
        return new

    def _clone(self, state: int, step: Step, known: int) -> int:
        copy = self._add(dict(self._next[known]), self._length[state] + 1)
        self._link[copy] = self._link[known]
        self._link[known] = copy
        while state >= 0 and self._next[state].get(step) == known:
            self._next[state][step] = copy
            state = self._link[state]
        return copy

    def _add(self, transitions: dict[Step, int], length: int) -> int:
        self._next.append(transitions)
        self._link.append(-1)
        self._length.append(length)
        return len(self._next) - 1


@dataclass(frozen=True)
class Excess:
    """A length of shared runs at which samples exceed Bach.

    Attributes:
        voice: Whose runs, as `runs_facts` calls it.
        figure: Which of `COMPARED`.
        samples: The samples' figure.
        bach: His.
    """

    voice: str
    figure: str
    samples: float
    bach: float


@dataclass(frozen=True)
class Memory:
    """A training set, to be searched.

    Attributes:
        lines: The runs of each voice, by rank.
        chords: The runs of all four together.
    """

    lines: tuple[SuffixAutomaton, ...]
    chords: SuffixAutomaton

    @classmethod
    def of(cls, chorales: Sequence[Chorale]) -> Memory:
        """Take in the training pieces."""
        lines = tuple(SuffixAutomaton(line_steps(c.lines[rank]) for c in chorales) for rank in range(len(VOICES)))
        return cls(lines, SuffixAutomaton(chord_steps(c) for c in chorales))

    def longest_runs(self, chorale: Chorale) -> dict[str, int]:
        """Return the longest run, in notes, that each voice of a piece shares with the same voice in training.

        Under `ALL_VOICES` stands the longest run of chords.
        """
        runs = {
            voice: _notes(automaton.longest_run(line_steps(line)))
            for voice, automaton, line in zip(VOICES, self.lines, chorale.lines, strict=True)
        }
        return runs | {ALL_VOICES: _notes(self.chords.longest_run(chord_steps(chorale)))}


def line_steps(line: Line) -> list[Step]:
    """Return what leads from each note of a voice to the next: (interval, distance of onsets, length of both)."""
    waits = np.round(np.diff(line.onsets_16ths), 2).tolist()
    lengths = np.round(line.lengths_16ths, 2).tolist()
    return list(zip(np.diff(line.pitches).tolist(), waits, lengths[:-1], lengths[1:], strict=True))


def chord_steps(chorale: Chorale) -> list[Step]:
    """Return what leads from chord to chord: (intervals of all voices, chord's build, how long it lasts)."""
    onsets = np.unique(np.concatenate([np.ceil(line.onsets_16ths) for line in chorale.lines])).astype(int)
    onsets = onsets[onsets < chorale.num_frames]
    chords = chorale.pitches_VT[:, onsets]
    waits = np.diff(np.append(onsets, chorale.num_frames)).tolist()
    steps: list[Step] = []
    for index in range(1, len(onsets)):
        before, now = chords[:, index - 1], chords[:, index]
        sounding = (before != SILENT) & (now != SILENT)
        moves = tuple(np.where(sounding, now - before, 128).tolist())
        build = tuple(np.where(before == SILENT, 128, before - before.max()).tolist())
        steps.append((moves, build, waits[index - 1], waits[index]))
    return steps


def runs_facts(runs: Sequence[dict[str, int]]) -> dict[str, Any]:
    """Return median, 95th percentile and longest of each kind of run, for JSON."""
    facts: dict[str, Any] = {}
    for voice in runs[0]:
        lengths = [run[voice] for run in runs]
        facts[voice.lower().replace(" ", "_")] = {
            "median": float(np.median(lengths)),
            "median_interval": quantile_interval(lengths).rounded(),
            "percentile_95": float(np.percentile(lengths, 95)),
            "longest": max(lengths),
        }
    return facts


def excesses(samples: Mapping[str, Any], bach: Mapping[str, Any]) -> list[Excess]:
    """Return where samples share longer runs with the training set than Bach's held-out pieces do.

    A model that copies no more than Bach repeats himself has none: in each voice and in all four neither the median nor
    the 95th percentile nor the longest of all shared runs is longer than his.

    Args:
        samples: What `runs_facts` says of them.
        bach: The same of his pieces.
    """
    return [
        Excess(voice, figure, runs[figure], bach[voice][figure])
        for voice, runs in samples.items()
        for figure in COMPARED
        if runs[figure] > bach[voice][figure]
    ]


def _notes(steps: int) -> int:
    """Notes of a run of steps; a single note is no run."""
    return steps + 1 if steps else 0


PROMPT_BARS = 2
MAX_BARS = 16


class Pair(NamedTuple):
    """A stretch that a model wrote, and the same stretch of Bach's piece."""

    written: Chorale
    bach: Chorale


def excerpt(score: ScoreTick, start: int, end: int) -> ScoreTick:
    """Return the notes that begin in a stretch, in ticks, moved to the beginning."""
    part = score.copy()
    for track in part.tracks:
        track.notes = NoteTickList([note for note in track.notes if start <= note.time < end])
        for note in track.notes:
            note.time -= start
    return part


def continue_rows(
    model: FourPartGenerator,
    rows: Sequence[Mapping[str, Any]],
    *,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> list[Pair]:
    """Let a model go on after the first two bars of each piece, for as long as the piece is (16 bars at most).

    Args:
        model: A causal model.
        rows: Four-part pieces of a dataset; those of no more than two bars are left out.
        seed: Same seed, same music.
        progress: Called with the share done, 0-1.
    """
    pairs = []
    for index, row in enumerate(rows):
        score = row_to_score(row)
        bars = [bar for bar in bars_of(score) if bar.number > PROMPT_BARS][:MAX_BARS]
        if bars:
            start, end = bars[0].start_ticks, bars[-1].end_ticks
            prompt = excerpt(score, 0, start)
            result = model.continue_(prompt, GenerationConfig(seed=seed + index), num_bars=len(bars))
            written = result.samples[0].score
            factor = written.ticks_per_quarter // score.ticks_per_quarter
            stretches = excerpt(written, factor * start, factor * end), excerpt(score, start, end)
            if all(any(track.notes for track in stretch.tracks) for stretch in stretches):
                pairs.append(Pair(*(chorale_of_harmony(stretch, row["id"]) for stretch in stretches)))
        if progress is not None:
            progress((index + 1) / len(rows))
    return pairs
