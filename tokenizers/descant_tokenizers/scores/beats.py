"""Beats of music played without a click: a file whose bars are not the player's gets bars that are.

A path of dynamic programming goes from onset to onset, each a beat or some beats later. It pays for onsets beside the
beat and its halves, quarters and thirds, for beats without an onset, for changes of the tempo, and for a tempo far from
100 a minute. The score is then written in the found beats, with a tempo for each, and sounds as before.

Units: seconds, unless a name says ticks.

Shapes: O onsets, P periods, B numbers of beats.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from symusic.core import (
    NoteTick,
    NoteTickList,
    ScoreTick,
    TempoTick,
    TempoTickList,
    TimeSignatureTick,
    TimeSignatureTickList,
)

from descant_tokenizers.scores.bars import signature_ticks
from descant_tokenizers.scores.marks import Marks, with_notes
from descant_tokenizers.scores.played import is_played
from descant_tokenizers.scores.result import ReadResult

_PERIODS_P = np.geomspace(0.27, 1.6, 72)  # a beat: 37 to 222 a minute, in steps of 2.5 %
_MAX_BEATS = 8  # between two onsets on the beat
_MAX_REACH = 20  # onsets between them, with those
_NEAR = 0.03  # onsets nearer to each other are one
# Places of onsets in a beat, and what they cost: in simple meters, and in compound ones such as 6/8.
_PLACES = np.array([0, 1, 1 / 2, 1 / 4, 3 / 4, 1 / 3, 2 / 3])
_ON_BEAT = 0.15
_SPREAD = 0.03  # of onsets around their place
_MAX_MISFIT = 6.0
_BEAT_COST, _EMPTY_COST, _USUAL_COST, _CHANGE_COST, _SKIP_COST = 0.3, 0.2, 1.1, 1 / 0.06**2, 3.0
_MIN_BEATS = 5
_MUCH_BETTER = 0.75
_MAX_ONSETS, _MAX_QUARTERS = 2_000, 20_000
_TICKS_PER_QUARTER = 1920  # at least: a tick is then shorter than a millisecond

Floats = npt.NDArray[np.float64]


def with_beats(read: ReadResult) -> ReadResult:
    """Return what was read with bars in the beats of its player, if those of the file are not.

    Bars count from the first beat, in the time signature that holds for most of the file. Notation files, music on the
    grid, music of over 2,000 onsets, and music whose beats are not clearer than those of the file stay as they are.
    """
    score = read.score
    if read.form is not None or read.has_found_beats or not is_played(score):
        return read
    clock = _Clock(score)
    onsets_O = _merged(np.array([clock.seconds(n.time) for t in score.tracks if not t.is_drum for n in t.notes]))
    last = max(note.time for track in score.tracks for note in track.notes)
    if len(onsets_O) > _MAX_ONSETS or last > _MAX_QUARTERS * score.ticks_per_quarter:
        return read
    lengths = signature_ticks(score)
    signature = max(lengths, key=lambda each: lengths[each])
    is_compound = signature[1] >= 8 and signature[0] % 3 == 0
    beat, unit = _COMPOUND if is_compound else _SIMPLE, score.ticks_per_quarter
    own = np.array([clock.seconds(time) for time in range(0, last + 4 * unit, round(unit * beat.quarters) or 1)])
    beats, cost = _beats_of(onsets_O, beat)
    if len(beats) < _MIN_BEATS or cost > _MUCH_BETTER * _cost_of(onsets_O, own, beat):
        return read
    fine = unit * -(-_TICKS_PER_QUARTER // unit)
    grid = _Grid(beats, float(onsets_O[0]), fine, round(fine * beat.quarters))
    slow, fast = (60 / max(np.diff(beats)), 60 / min(np.diff(beats)))
    remark = f"played without a click: bars follow the beats that were found, {slow:.0f} to {fast:.0f} a minute"
    moved = _moved(score, clock, grid, signature)
    marks = with_notes(_moved_marks(read.marks, score, clock, grid), moved)
    return replace(read, score=moved, marks=marks, repairs=[*read.repairs, remark], has_found_beats=True)


class _Clock:
    """The time of each tick of a score."""

    def __init__(self, score: ScoreTick) -> None:
        self._unit = score.ticks_per_quarter
        tempos = {0: 500_000} | {tempo.time: tempo.mspq for tempo in sorted(score.tempos, key=lambda each: each.time)}
        self._ticks, self._mspq = list(tempos), list(tempos.values())
        self._times = [0.0]
        for (before, after), mspq in zip(pairwise(self._ticks), self._mspq, strict=False):
            self._times.append(self._times[-1] + (after - before) * mspq / self._unit / 1e6)

    def seconds(self, tick: int) -> float:
        index = max(bisect.bisect_right(self._ticks, tick) - 1, 0)
        return self._times[index] + (tick - self._ticks[index]) * self._mspq[index] / self._unit / 1e6


@dataclass(frozen=True)
class _Beat:
    """A kind of beat: its length in quarters, its usual period, and what onsets cost at each of `_PLACES`."""

    quarters: Fraction
    usual: float
    costs: tuple[float, ...]


_SIMPLE = _Beat(Fraction(1), 0.6, (0.0, 0.0, 0.4, 0.7, 0.7, 1.0, 1.0))
_COMPOUND = _Beat(Fraction(3, 2), 1.0, (0.0, 0.0, 0.9, 1.5, 1.5, 0.3, 0.3))


@dataclass(frozen=True)
class _Grid:
    """Beats as quarters of a score; the first whole beat at or before the first onset is its beginning."""

    beats: Floats
    first_onset: float
    ticks_per_quarter: int
    ticks_per_beat: int

    def place(self, time: float) -> int:
        """Return the tick of a time; before the first beat and after the last one, the nearest period goes on."""
        return max(round((self._position(time) - self._origin) * self.ticks_per_beat), 0)

    def tempos(self) -> TempoTickList:
        """Return the tempo of each beat."""
        quarters = np.diff(self.beats) * self.ticks_per_quarter / self.ticks_per_beat
        places = [max(index - self._origin, 0) * self.ticks_per_beat for index in range(len(quarters))]
        return TempoTickList([TempoTick(at, mspq=round(1e6 * own)) for at, own in zip(places, quarters, strict=True)])

    @property
    def _origin(self) -> int:
        return int(np.floor(self._position(self.first_onset) + 0.1))

    def _position(self, time: float) -> float:
        index = int(np.clip(np.searchsorted(self.beats, time, side="right") - 1, 0, len(self.beats) - 2))
        start, end = self.beats[index], self.beats[index + 1]
        return index + float((time - start) / (end - start))


def _merged(times: Floats) -> Floats:
    """Return onsets in order; those that are played together are one."""
    ordered = np.sort(times)
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > _NEAR) + 1)
    return np.array([group.mean() for group in groups])


def _beats_of(onsets_O: Floats, beat: _Beat) -> tuple[Floats, float]:
    """Find the beats of onsets; return them and their cost."""
    number = len(onsets_O)
    costs_OP = np.full((number, len(_PERIODS_P)), np.inf)
    before: dict[tuple[int, int], tuple[int, int, int]] = {}  # onset and period: those before, and beats between
    counts_B, between_P = np.arange(1, _MAX_BEATS + 1), np.sqrt(_PERIODS_P[1:] * _PERIODS_P[:-1])
    changes_PP = _CHANGE_COST * np.log(_PERIODS_P[:, None] / _PERIODS_P) ** 2
    for start in range(number):
        arrived_P = np.full(len(_PERIODS_P), start * _SKIP_COST)
        from_P = np.full(len(_PERIODS_P), -1)
        if np.isfinite(costs_OP[start]).any():
            ways_PP = costs_OP[start][:, None] + changes_PP
            from_P = np.where(ways_PP.min(axis=0) < arrived_P, ways_PP.argmin(axis=0), -1)
            arrived_P = np.minimum(arrived_P, ways_PP.min(axis=0))
        for end in range(start + 1, min(start + _MAX_REACH, number)):
            whole = onsets_O[end] - onsets_O[start]
            if whole > _MAX_BEATS * _PERIODS_P[-1]:
                break
            periods_B = whole / counts_B
            step_costs_B = _step_costs(onsets_O[start : end + 1], periods_B, beat)
            for place, index in enumerate(np.searchsorted(between_P, periods_B).tolist()):
                if not _PERIODS_P[0] <= periods_B[place] <= _PERIODS_P[-1]:
                    continue
                cost = arrived_P[index] + step_costs_B[place]
                if cost < costs_OP[end, index]:
                    costs_OP[end, index] = cost
                    before[end, index] = (start, int(from_P[index]), place + 1)
    ends_O = costs_OP.min(axis=1) + _SKIP_COST * np.arange(number)[::-1]
    end = int(ends_O.argmin())
    if not np.isfinite(ends_O[end]):
        return np.array([]), np.inf
    index, beats = int(costs_OP[end].argmin()), [onsets_O[end]]
    cost = float(ends_O[end])
    while index >= 0:
        start, index, count = before[end, index]
        steps = np.linspace(onsets_O[start], onsets_O[end], count + 1)
        beats = [*steps[:-1], *beats]
        end = start
    return np.array(beats), cost


def _step_costs(inner_O: Floats, periods_B: Floats, beat: _Beat) -> Floats:
    """Return the cost of 1, 2, ... B beats, with their periods, from the first of some onsets to the last one."""
    positions_BO = (inner_O[1:] - inner_O[0]) / periods_B[:, None]
    return _costs(positions_BO, periods_B, np.arange(1, len(periods_B) + 1), beat)


def _costs(positions_BO: Floats, periods_B: Floats, counts_B: npt.NDArray[np.int64], beat: _Beat) -> Floats:
    """Return what numbers of beats cost: each for itself, without an onset, and onsets beside their places."""
    beats_BO = np.round(positions_BO)
    misfits = (((positions_BO % 1)[..., None] - _PLACES) * (periods_B / _SPREAD)[:, None, None]) ** 2
    fits_B = np.minimum(misfits + beat.costs, _MAX_MISFIT).min(axis=2).sum(axis=1)
    used_BO = np.sort(np.where(np.abs(positions_BO - beats_BO) < _ON_BEAT, beats_BO, -1), axis=1)
    num_empty_B = np.maximum(counts_B - (np.diff(used_BO, axis=1, prepend=-1) > 0).sum(axis=1), 0)
    each_B = _BEAT_COST + _USUAL_COST * np.log2(periods_B / beat.usual) ** 2
    return np.asarray(each_B * counts_B + _EMPTY_COST * num_empty_B + fits_B, dtype=np.float64)


def _cost_of(onsets_O: Floats, beats: Floats, beat: _Beat) -> float:
    """Return the cost of given beats."""
    index_O = np.clip(np.searchsorted(beats, onsets_O + _NEAR, side="right") - 1, 0, len(beats) - 2)
    periods_O = np.diff(beats)[index_O]
    positions_O = index_O + (onsets_O - beats[index_O]) / periods_O
    used = int(np.floor(positions_O[-1]) - np.floor(positions_O[0]))
    return float(_costs(positions_O[None], np.array([np.median(periods_O)]), np.array([used]), beat)[0])


def _moved(score: ScoreTick, clock: _Clock, grid: _Grid, signature: tuple[int, int]) -> ScoreTick:
    """Return a score in the grid, which sounds the same."""
    result = ScoreTick(grid.ticks_per_quarter)
    for track in score.tracks:
        own = track.copy()
        notes = []
        for note in track.notes:
            begin, end = (grid.place(clock.seconds(time)) for time in (note.time, note.end))
            notes.append(NoteTick(begin, max(end - begin, 1), note.pitch, note.velocity))
        own.notes = NoteTickList(notes)
        for events in (own.controls, own.pitch_bends):
            for event in events:
                event.time = grid.place(clock.seconds(event.time))
        result.tracks.append(own)
    result.tempos = grid.tempos()
    result.time_signatures = TimeSignatureTickList([TimeSignatureTick(0, *signature)])
    result.key_signatures = score.key_signatures[:1].copy()
    return result


def _moved_marks(marks: Marks, score: ScoreTick, clock: _Clock, grid: _Grid) -> Marks:
    """Return the lyrics of a MIDI file, the only marks that it has, at the new onsets."""
    lyrics = {
        (part, _moved_onset(onset, score, clock, grid), pitch): own
        for (part, onset, pitch), own in marks.lyrics.items()
    }
    return replace(marks, lyrics=lyrics)


def _moved_onset(onset: Fraction, score: ScoreTick, clock: _Clock, grid: _Grid) -> Fraction:
    return Fraction(grid.place(clock.seconds(round(onset * score.ticks_per_quarter))), grid.ticks_per_quarter)
