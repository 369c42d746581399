"""Two trivial harmonizers, for every model to beat: copying, and counting.

`NearestSoprano` takes what stands under the most similar training soprano, transposed. `MarkovVoices` draws one note a
voice under every soprano note from first-order Markov chains: given the voice's last pitch and the soprano's scale
degree.

Units: 16ths; pitches of the chains are above the tonic of the key that the soprano alone suggests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher
from functools import cache

import numpy as np
from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_modeling.evaluation.grid import SILENT, Chorale, Line, chorale_of_row
from descant_modeling.evaluation.sources import split_rows
from descant_tokenizers.corpora.analysis import MAJOR_TONICS, MINOR_TONICS, estimate_key
from descant_tokenizers.scores import VOICES

__all__ = ["MarkovVoices", "NearestSoprano", "training_chorales"]

Note = tuple[float, float, int]
"""Onset, length, pitch."""


@cache
def training_chorales() -> tuple[Chorale, ...]:
    """Return what the baselines learn from: the training split."""
    return tuple(chorale_of_row(row) for row in split_rows("chorales:train"))


class NearestSoprano:
    """A `descant_modeling.evaluation.harmonizers.Harmonizer` that copies one training piece; it knows no chance.

    Where the melody agrees with that piece's soprano (steps and lengths), its lower voices are copied with all they do
    meanwhile, transposed as the soprano is. Under any other note its chord at the place that corresponds is held for as
    long as the note lasts, transposed as at the last note that agreed, whether it fits the note or not.

    Args:
        chorales: Training pieces.
    """

    name = "nearest"

    def __init__(self, chorales: Sequence[Chorale]) -> None:
        self._chorales = list(chorales)
        self._tunes = [_tune(chorale.lines[0]) for chorale in self._chorales]

    def harmonize(self, melody: ScoreTick, seed: int) -> ScoreTick:
        """See `Harmonizer`; the seed makes no difference."""
        soprano, ticks_per_16th = _line(melody)
        source, origin = self._nearest(_tune(soprano))
        shifts = {index: int(soprano.pitches[index] - source.lines[0].pitches[origin[index]]) for index in origin}
        shift = shifts[min(shifts)] if shifts else _key(melody)[0] - source.tonic
        voices: list[list[Note]] = [[] for _ in VOICES[1:]]
        for index, place in enumerate(_places(origin, len(soprano.pitches), len(source.lines[0].pitches))):
            onset, length = float(soprano.onsets_16ths[index]), float(soprano.lengths_16ths[index])
            shift = shifts.get(index, shift)
            for voice, notes in enumerate(voices, start=1):
                found = _copied(source, voice, place, onset, shift)
                if index not in origin:
                    found = [(onset, length, found[0][2])] if found else []
                notes += found
        return _score(melody, voices, ticks_per_16th)

    def _nearest(self, tune: list[Hashable]) -> tuple[Chorale, dict[int, int]]:
        """Return the training piece with the most similar soprano, and its note for each of the tune's that agrees."""
        matcher = SequenceMatcher[Hashable](None, (), (), autojunk=False)
        matcher.set_seq2(tune)
        best, best_ratio = 0, -1.0
        for index, other in enumerate(self._tunes):
            matcher.set_seq1(other)
            if matcher.real_quick_ratio() > best_ratio and matcher.quick_ratio() > best_ratio:
                ratio = matcher.ratio()
                if ratio > best_ratio:
                    best, best_ratio = index, ratio
        matcher.set_seq1(self._tunes[best])
        origin = {b + k: a + k for a, b, size in matcher.get_matching_blocks() for k in range(size)}
        return self._chorales[best], origin


class MarkovVoices:
    """A `descant_modeling.evaluation.harmonizers.Harmonizer` that draws each voice from what it did in training.

    Args:
        chorales: Training pieces.
    """

    name = "markov"

    def __init__(self, chorales: Sequence[Chorale]) -> None:
        self._chain = _Chain(chorales)

    def harmonize(self, melody: ScoreTick, seed: int) -> ScoreTick:
        """See `Harmonizer`."""
        soprano, ticks_per_16th = _line(melody)
        key, rng = _key(melody), np.random.default_rng(seed)
        voices: list[list[Note]] = [[] for _ in VOICES[1:]]
        for onset, length, pitch in zip(*(values.tolist() for values in soprano), strict=True):
            for voice, notes in enumerate(voices, start=1):
                last = notes[-1][2] if notes else None
                notes.append((onset, length, self._chain.draw(voice, last, pitch, key, rng)))
        return _score(melody, voices, ticks_per_16th)


class _Chain:
    """First-order Markov chains of the lower voices, counted where the soprano begins a note."""

    def __init__(self, chorales: Sequence[Chorale]) -> None:
        self._counts: dict[Hashable, Counter[int]] = {}
        for chorale in chorales:
            onsets = np.ceil(chorale.lines[0].onsets_16ths).astype(int)
            columns = chorale.pitches_VT[:, onsets[onsets < chorale.num_frames]]
            for voice in (1, 2, 3):
                self._count(chorale, voice, columns)

    def _count(self, chorale: Chorale, voice: int, columns: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
        last = None
        for soprano, pitch in zip(columns[0].tolist(), columns[voice].tolist(), strict=True):
            if SILENT in (soprano, pitch):
                continue
            degree, above = (soprano - chorale.tonic) % 12, pitch - chorale.tonic
            for state in ((voice, chorale.is_major, last, degree), (voice, chorale.is_major, degree), voice):
                self._counts.setdefault(state, Counter())[above] += 1
            last = above

    def draw(self, voice: int, last: int | None, soprano: int, key: tuple[int, bool], rng: np.random.Generator) -> int:
        """Draw a voice's next pitch; states that were never seen fall back on fewer facts."""
        tonic, is_major = key
        degree = (soprano - tonic) % 12
        above = None if last is None else last - tonic
        states: tuple[Hashable, ...] = ((voice, is_major, above, degree), (voice, is_major, degree), voice)
        counts = next(self._counts[state] for state in states if state in self._counts)
        pitches = list(counts)
        return tonic + int(rng.choice(pitches, p=np.array(list(counts.values())) / counts.total()))


def _tune(line: Line) -> list[Hashable]:
    """A melody up to transposition: for each note its length and the step to the next."""
    steps = np.append(np.diff(line.pitches), 0)
    return list(zip(steps.tolist(), np.round(line.lengths_16ths, 2).tolist(), strict=True))


def _places(origin: dict[int, int], num_notes: int, num_places: int) -> list[int]:
    """Return a place in the copied piece for each note of a tune, in equal steps between those that agree."""
    known = sorted(origin)
    found = np.interp(range(num_notes), [-1, *known, num_notes], [-1, *(origin[i] for i in known), num_places])
    places: list[int] = np.clip(np.round(found), 0, num_places - 1).astype(int).tolist()
    return places


def _copied(source: Chorale, voice: int, index: int, onset: float, shift: int) -> list[Note]:
    """What a training piece has in a voice under one of its soprano notes, moved to where the melody is."""
    soprano, line = source.lines[0], source.lines[voice]
    begin = soprano.onsets_16ths[index]
    end = begin + soprano.lengths_16ths[index]
    starts = np.maximum(line.onsets_16ths, begin)
    stops = np.minimum(line.onsets_16ths + line.lengths_16ths, end)
    kept = np.flatnonzero(starts < stops)
    return [(onset + starts[k] - begin, stops[k] - starts[k], int(line.pitches[k]) + shift) for k in kept]


def _line(melody: ScoreTick) -> tuple[Line, float]:
    notes = melody.tracks[0].notes.numpy()
    ticks_per_16th = melody.ticks_per_quarter / 4
    order = np.argsort(notes["time"], kind="stable")
    onsets, lengths = (notes[key][order] / ticks_per_16th for key in ("time", "duration"))
    return Line(onsets, lengths, notes["pitch"][order].astype(np.int64)), ticks_per_16th


def _key(melody: ScoreTick) -> tuple[int, bool]:
    tonic, mode = estimate_key(melody).split()
    return (MAJOR_TONICS if mode == "major" else MINOR_TONICS).index(tonic), mode == "major"


def _score(melody: ScoreTick, voices: Sequence[Sequence[Note]], ticks_per_16th: float) -> ScoreTick:
    score = melody.copy()
    for name, notes in zip(VOICES[1:], voices, strict=True):
        track = TrackTick(name, score.tracks[0].program, False)
        for onset, length, pitch in notes:
            ticks = [round(ticks_per_16th * value) for value in (onset, length)]
            track.notes.append(NoteTick(ticks[0], max(ticks[1], 1), min(max(pitch, 0), 127), 80))
        score.tracks.append(track)
    return score
