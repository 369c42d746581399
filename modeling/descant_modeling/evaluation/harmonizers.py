"""Harmonizers: models, and two trivial baselines for every model to beat, behind one Protocol.

`NearestSoprano` copies the harmony of the most similar training soprano, transposed. `MarkovVoices` draws one note per
voice under every soprano note from first-order Markov chains.

Units: 16ths; pitches of the chains are relative to the tonic of the key that the soprano alone suggests.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from symusic.core import NoteTick, ScoreTick, TrackTick, TrackTickList

from descant_modeling.api import load_generator
from descant_modeling.decoding.config import EngineName, GenerationConfig
from descant_modeling.evaluation.corpus_stats import split_chorales
from descant_modeling.generation.base import MusicGenerator, Request
from descant_modeling.generation.multitrack import MultitrackGenerator
from descant_modeling.generation.satb import FourPartGenerator
from descant_modeling.models.checkpoints import find_checkpoint
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import SILENT, Chorale, Ints, Line
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.key import estimate_key, tonic_and_mode
from descant_tokenizers.tokens.harmony import PieceKey

BASELINES = ("nearest", "markov")
_ALL_BASELINES = "baseline"
_VELOCITY = 80

VoiceNote = tuple[float, float, int]
"""Onset and length in 16ths, MIDI pitch."""


class Harmonizer(Protocol):
    """Writes three voices to a soprano."""

    @property
    def name(self) -> str:
        """Name in tables."""

    def harmonize(self, melody: ScoreTick, seed: int, phrase_ends: Sequence[int] = ()) -> ScoreTick:
        """Return four tracks named Soprano, Alto, Tenor and Bass.

        Args:
            melody: One track, Soprano, and the time signatures of the piece.
            seed: Same seed, same music.
            phrase_ends: Onsets of the notes that end a phrase, in ticks of the melody; empty if withheld or unknown.
        """


def open_harmonizer(
    name: str, device: str = "cpu", config: GenerationConfig | None = None, engine: EngineName = "auto"
) -> Harmonizer:
    """Return a harmonizer: `nearest`, `markov`, or a model (embedded, checkpoint or run folder, Hub id).

    Raises:
        InputError: No such model, the name of both baselines, or a model that does not harmonize melodies.
    """
    if name in BASELINES:
        return _baselines()[name]
    if name == _ALL_BASELINES:
        raise InputError(f"{name} is two models, {' and '.join(BASELINES)}. Give one of them.")
    found = find_checkpoint(name)
    if found.is_unconditional:
        raise InputError(f"{name} writes without a melody. Give a model that harmonizes, such as chorales or gan.")
    generator = load_generator(found, device, engine)
    if "harmonize" not in generator.tasks:
        raise InputError(f"{name} does not harmonize. Give a model that does, such as chorales or rnn.")
    if isinstance(generator, MultitrackGenerator):
        raise InputError(f"{name} does not write four voices. Give a model of four voices, such as chorales.")
    return ModelHarmonizer(Path(name).name, generator, config)


def named_harmonizers(names: Iterable[str]) -> list[str]:
    """Return the names of models without repetition; `baseline` means both baselines.

    Raises:
        InputError: Two models would have the same name in tables.
    """
    known = (BASELINES if name == _ALL_BASELINES else (name,) for name in names)
    unique = list(dict.fromkeys(name for group in known for name in group))
    shown: dict[str, str] = {}
    for name in unique:
        if (other := shown.setdefault(Path(name).name, name)) != name:
            raise InputError(f"{other} and {name} are both named {Path(name).name}. Rename or copy one of the folders.")
    return unique


@cache
def _baselines() -> dict[str, Harmonizer]:
    chorales = split_chorales("chorales:train")
    return {baseline.name: baseline for baseline in (NearestSoprano(chorales), MarkovVoices(chorales))}


class ModelHarmonizer:
    """A model, called as `descant generate` calls it, by default without `last_chord`; the seed is replaced."""

    def __init__(self, name: str, generator: MusicGenerator, config: GenerationConfig | None = None) -> None:
        self.name, self.generator = name, generator
        self.config = config or GenerationConfig(last_chord="any")

    def harmonize(self, melody: ScoreTick, seed: int, phrase_ends: Sequence[int] = ()) -> ScoreTick:
        """See `Harmonizer`."""
        request = Request("harmonize", melody, phrase_ends=tuple(phrase_ends))
        return self.generator.generate(request, replace(self.config, seed=seed)).score


def causal_generator(harmonizer: Harmonizer) -> FourPartGenerator | None:
    """Return the causal model of a harmonizer; None for baselines and GANs."""
    generator = harmonizer.generator if isinstance(harmonizer, ModelHarmonizer) else None
    return generator if isinstance(generator, FourPartGenerator) else None


class NearestSoprano:
    """A baseline that copies one training piece; it does not depend on the seed.

    Where the melody agrees with the soprano of that piece (intervals and lengths), its lower voices are copied with all
    their notes, transposed like the soprano. Under any other note of the melody, the chord at the corresponding place
    is held for the length of the note, transposed as at the last note that agreed, even if it does not fit.
    """

    name = "nearest"

    def __init__(self, chorales: Sequence[Chorale]) -> None:
        self._chorales = list(chorales)
        self._contours = [_contour(chorale.lines[0]) for chorale in self._chorales]

    def harmonize(self, melody: ScoreTick, seed: int, phrase_ends: Sequence[int] = ()) -> ScoreTick:
        """See `Harmonizer`."""
        soprano = _soprano_line(melody)
        source, origin = self._nearest(_contour(soprano))
        shifts = {index: int(soprano.pitches[index] - source.lines[0].pitches[origin[index]]) for index in origin}
        shift = shifts[min(shifts)] if shifts else _key(melody).tonic - source.tonic
        voices: list[list[VoiceNote]] = [[] for _ in VOICES[1:]]
        for index, place in enumerate(_places(origin, len(soprano.pitches), len(source.lines[0].pitches))):
            onset, length = float(soprano.onsets_16ths[index]), float(soprano.lengths_16ths[index])
            shift = shifts.get(index, shift)
            for voice, notes in enumerate(voices, start=1):
                found = _copied(source, voice, place, onset, shift)
                if index not in origin:
                    found = [(onset, length, found[0][2])] if found else []
                notes += found
        return _with_voices(melody, voices)

    def _nearest(self, contour: list[Hashable]) -> tuple[Chorale, dict[int, int]]:
        """Return the training piece with the most similar soprano, and the notes that agree: melody's to training's."""
        matcher = SequenceMatcher[Hashable](None, (), (), autojunk=False)
        matcher.set_seq2(contour)
        best, best_ratio = 0, -1.0
        for index, other in enumerate(self._contours):
            matcher.set_seq1(other)
            if matcher.real_quick_ratio() > best_ratio and matcher.quick_ratio() > best_ratio:
                ratio = matcher.ratio()
                if ratio > best_ratio:
                    best, best_ratio = index, ratio
        matcher.set_seq1(self._contours[best])
        origin = {b + k: a + k for a, b, size in matcher.get_matching_blocks() for k in range(size)}
        return self._chorales[best], origin


class MarkovVoices:
    """A baseline that draws each voice from first-order Markov chains, counted where the soprano begins a note.

    The next pitch of a voice depends on its last pitch and the scale degree of the soprano.
    """

    name = "markov"

    def __init__(self, chorales: Sequence[Chorale]) -> None:
        self._counts: dict[Hashable, Counter[int]] = {}
        for chorale in chorales:
            onsets = np.ceil(chorale.lines[0].onsets_16ths).astype(int)
            columns = chorale.pitches_VT[:, onsets[onsets < chorale.num_frames]]
            for voice in (1, 2, 3):
                self._count(voice, PieceKey(chorale.tonic, chorale.is_major), columns[0], columns[voice])

    def harmonize(self, melody: ScoreTick, seed: int, phrase_ends: Sequence[int] = ()) -> ScoreTick:
        """See `Harmonizer`."""
        key, rng = _key(melody), np.random.default_rng(seed)
        voices: list[list[VoiceNote]] = [[] for _ in VOICES[1:]]
        for onset, length, pitch in zip(*(values.tolist() for values in _soprano_line(melody)), strict=True):
            for voice, notes in enumerate(voices, start=1):
                last = notes[-1][2] if notes else None
                notes.append((onset, length, self._draw(voice, last, pitch, key, rng)))
        return _with_voices(melody, voices)

    def _count(self, voice: int, key: PieceKey, sopranos: Ints, pitches: Ints) -> None:
        last = None
        for soprano, pitch in zip(sopranos.tolist(), pitches.tolist(), strict=True):
            if SILENT not in (soprano, pitch):
                for state in _states(voice, last, soprano, key):
                    self._counts.setdefault(state, Counter())[pitch - key.tonic] += 1
                last = pitch

    def _draw(self, voice: int, last: int | None, soprano: int, key: PieceKey, rng: np.random.Generator) -> int:
        counts = next(self._counts[state] for state in _states(voice, last, soprano, key) if state in self._counts)
        return key.tonic + int(rng.choice(list(counts), p=np.array(list(counts.values())) / counts.total()))


def _states(voice: int, last: int | None, soprano: int, key: PieceKey) -> tuple[Hashable, ...]:
    """Return the states of a chain, the most specific first; one not seen in training falls back on the next."""
    degree = (soprano - key.tonic) % 12
    above = None if last is None else last - key.tonic
    return (voice, key.is_major, above, degree), (voice, key.is_major, degree), voice


def melody_of(score: ScoreTick) -> ScoreTick:
    """Return a copy of a four-part score with its soprano only."""
    melody = score.copy()
    melody.tracks = TrackTickList([track for track in melody.tracks if track.name == VOICES[0]])
    return melody


def phrase_ends_of(melody: ScoreTick, fermatas: Sequence[int]) -> tuple[int, ...]:
    """Return the onsets of the melody's notes under fermatas, given as onsets in any voice; all in ticks."""
    onsets = sorted(note.time for note in melody.tracks[0].notes)
    places = (bisect.bisect_right(onsets, fermata) - 1 for fermata in fermatas)
    return tuple(dict.fromkeys(onsets[place] for place in sorted(places) if place >= 0))


def soprano_is_kept(melody: ScoreTick, harmony: ScoreTick) -> bool:
    """Return True if a harmony has the melody's notes, tick for tick (at its own, possibly finer, resolution)."""
    factor = harmony.ticks_per_quarter / melody.ticks_per_quarter
    expected = [(n.time * factor, n.duration * factor, n.pitch) for n in melody.tracks[0].notes]
    found = [(n.time, n.duration, n.pitch) for track in harmony.tracks if track.name == VOICES[0] for n in track.notes]
    return sorted(expected) == sorted(found)


def _contour(line: Line) -> list[Hashable]:
    """Return a melody up to transposition: for each note the interval to the next, and its length."""
    steps = np.append(np.diff(line.pitches), 0)
    return list(zip(steps.tolist(), np.round(line.lengths_16ths, 2).tolist(), strict=True))


def _places(origin: dict[int, int], num_notes: int, num_places: int) -> list[int]:
    """Return the place in the copied piece of each note of a melody, interpolated between those that agree."""
    known = sorted(origin)
    found = np.interp(range(num_notes), [-1, *known, num_notes], [-1, *(origin[i] for i in known), num_places])
    places: list[int] = np.clip(np.round(found), 0, num_places - 1).astype(int).tolist()
    return places


def _copied(source: Chorale, voice: int, index: int, onset: float, shift: int) -> list[VoiceNote]:
    """Return the notes of a voice under one soprano note of a training piece, moved to the place of the melody."""
    soprano, line = source.lines[0], source.lines[voice]
    begin = soprano.onsets_16ths[index]
    end = begin + soprano.lengths_16ths[index]
    starts = np.maximum(line.onsets_16ths, begin)
    stops = np.minimum(line.onsets_16ths + line.lengths_16ths, end)
    kept = np.flatnonzero(starts < stops)
    return [(onset + starts[k] - begin, stops[k] - starts[k], int(line.pitches[k]) + shift) for k in kept]


def _soprano_line(melody: ScoreTick) -> Line:
    notes = melody.tracks[0].notes.numpy()
    order = np.argsort(notes["time"], kind="stable")
    onsets, lengths = (notes[key][order] / (melody.ticks_per_quarter / 4) for key in ("time", "duration"))
    return Line(onsets, lengths, notes["pitch"][order].astype(np.int64))


def _key(melody: ScoreTick) -> PieceKey:
    return PieceKey(*tonic_and_mode(estimate_key(melody)))


def _with_voices(melody: ScoreTick, voices: Sequence[Sequence[VoiceNote]]) -> ScoreTick:
    score = melody.copy()
    ticks_per_16th = melody.ticks_per_quarter / 4
    for name, notes in zip(VOICES[1:], voices, strict=True):
        track = TrackTick(name, score.tracks[0].program, False)
        for onset, length, pitch in notes:
            time, duration = round(ticks_per_16th * onset), max(round(ticks_per_16th * length), 1)
            track.notes.append(NoteTick(time, duration, min(max(pitch, 0), 127), _VELOCITY))
        score.tracks.append(track)
    return score
