"""Whoever can write three voices to a soprano, behind one Protocol.

Two trivial harmonizers, for every model to beat: copying, and counting.

`NearestSoprano` takes what stands under the most similar training soprano, transposed. `MarkovVoices` draws one note a
voice under every soprano note from first-order Markov chains: given the voice's last pitch and the soprano's scale
degree.

Units: 16ths; pitches of the chains are above the tonic of the key that the soprano alone suggests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from symusic.core import NoteTick, ScoreTick, TrackTick, TrackTickList

from descant_modeling.api import load_generator
from descant_modeling.decoding.config import SamplingConfig
from descant_modeling.generation.base import GenerationConfig, MusicGenerator
from descant_modeling.generation.multitrack import MultitrackGenerator
from descant_modeling.generation.satb import FourPartGenerator
from descant_modeling.models.checkpoints import find_checkpoint
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.build import split_rows
from descant_tokenizers.pianoroll.frames import SILENT, Chorale, Line, chorale_of_row
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.key import MAJOR_TONICS, MINOR_TONICS, estimate_key

__all__ = [
    "BASELINE",
    "BASELINES",
    "Harmonizer",
    "MarkovVoices",
    "ModelHarmonizer",
    "NearestSoprano",
    "melody_of",
    "named_harmonizers",
    "open_harmonizer",
    "soprano_is_kept",
    "training_chorales",
]

NEAREST = "nearest"
BASELINES = (NEAREST, "markov")
BASELINE = "baseline"
"""Both of them."""


class Harmonizer(Protocol):
    """Writes three voices to a soprano."""

    @property
    def name(self) -> str:
        """What to call it in a table."""

    def harmonize(self, melody: ScoreTick, seed: int) -> ScoreTick:
        """Write four tracks named Soprano, Alto, Tenor and Bass.

        Args:
            melody: One track, Soprano, and the piece's time signatures.
            seed: Same seed, same music.
        """


class ModelHarmonizer:
    """A causal model or a GAN, through the very code behind `generate.py`.

    Args:
        name: What to call it.
        writer: The model.
        sampling: Temperature and nucleus.
    """

    def __init__(self, name: str, writer: MusicGenerator, sampling: SamplingConfig | None = None) -> None:
        self.name, self.writer = name, writer
        self.sampling = sampling or SamplingConfig()

    @property
    def is_causal(self) -> bool:
        """Whether it has a likelihood."""
        return isinstance(self.writer, FourPartGenerator)

    def harmonize(self, melody: ScoreTick, seed: int) -> ScoreTick:
        """See `Harmonizer`."""
        return self.writer.harmonize(melody, GenerationConfig(self.sampling, seed=seed)).samples[0].score


def open_harmonizer(name: str, device: str = "cpu", sampling: SamplingConfig | None = None) -> Harmonizer:
    """Find a harmonizer: `nearest` or `markov`, or a model as everywhere (embedded, folder, Hub id).

    Raises:
        InputError: There is none of this name, it is the name of both baselines, or it does not harmonize melodies.
    """
    if name in BASELINES:
        chorales = training_chorales()
        return NearestSoprano(chorales) if name == NEAREST else MarkovVoices(chorales)
    if name == BASELINE:
        raise InputError(f"{BASELINE} is two models, {' and '.join(BASELINES)}: give one of them.")
    found = find_checkpoint(name)
    if found.is_unconditional:
        raise InputError(f"{name} writes without a melody; give a model that harmonizes, such as chorales or gan.")
    writer = load_generator(found, device)
    if isinstance(writer, MultitrackGenerator):
        raise InputError(
            f"{name} writes any instruments, not four voices; give a model of four voices, such as chorales."
        )
    return ModelHarmonizer(Path(name).name, writer, sampling)


def named_harmonizers(names: Iterable[str]) -> list[str]:
    """Return the names of models without repetition; `baseline` stands for both baselines."""
    known = (BASELINES if name == BASELINE else (name,) for name in names)
    return list(dict.fromkeys(name for several in known for name in several))


def melody_of(score: ScoreTick) -> ScoreTick:
    """Return a copy of a four-part score with nothing but its soprano."""
    melody = score.copy()
    melody.tracks = TrackTickList([track for track in melody.tracks if track.name == VOICES[0]])
    return melody


def soprano_is_kept(melody: ScoreTick, harmony: ScoreTick) -> bool:
    """Whether a harmony has the melody's notes, tick for tick (at its own, maybe finer, resolution)."""
    factor = harmony.ticks_per_quarter / melody.ticks_per_quarter
    given = [(n.time * factor, n.duration * factor, n.pitch) for n in melody.tracks[0].notes]
    found = [(n.time, n.duration, n.pitch) for track in harmony.tracks if track.name == VOICES[0] for n in track.notes]
    return sorted(given) == sorted(found)


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
