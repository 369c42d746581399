"""A melody in, four tracks out: the GAN behind `generate.py`.

A melody of any length and meter in the GAN's windows: two halves of 16 sixteenths, bars of 4/4 in training.

Each bar gets a half of its own, from its first step on: a bar of 3/4 fills 12 of the 16 steps, and what is written
behind it is dropped; a longer bar than 4/4 is split into pieces of at most four beats. A pickup stands at the end of
the second half of a window of its own, so that bars 1 and 2 share the next one. Windows do not overlap. Their rolls are
laid end to end before notes are read from them: what sounds on both sides of a seam is one note.

Music from noise: MidiNet and the unconditional roll GAN behind `generate.py`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from symusic.core import NoteTick, NoteTickList, ScoreTick, TimeSignatureTick, TrackTick, TrackTickList

from descant_modeling.decoding.config import SamplingConfig
from descant_modeling.gan.checkpoints import GanCheckpoint, load_gan
from descant_modeling.gan.data import vectors_of
from descant_modeling.gan.midinet import MidinetGenerator, compose_bars
from descant_modeling.gan.networks import NUM_PITCHES, NUM_STEPS, RollGenerator, draw_noise
from descant_modeling.generation.base import (
    MAX_NEW_BARS,
    SOUNDS,
    TASKS,
    GenerationConfig,
    GenerationResult,
    Sample,
    UnconditionalGenerator,
    check_style,
    refuse_instruments,
    without_controls,
)
from descant_modeling.generation.prompts import refined
from descant_modeling.models.checkpoints import ModelSource
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll import STEPS_PER_BEAT, even_edges, notes_of_roll, parse_chord, roll_of_notes
from descant_tokenizers.scores import VOICES, Bar, bars_of
from descant_tokenizers.scores.voices import VoiceChoice, pick_voices, voice_names

HALF_STEPS = NUM_STEPS // 2

Roll = NDArray[np.bool_]


@dataclass(frozen=True)
class RollPiece:
    """A bar, or a part of a long one, and where it lies.

    Attributes:
        start_ticks: Its onset in the score.
        num_steps: Its length, 1-16.
        half: Which half of which window, counted from 0 over all windows.
        offset: Steps of that half before it.
    """

    start_ticks: int
    num_steps: int
    half: int
    offset: int


@dataclass(frozen=True)
class Windows:
    """How a score lies in windows.

    Attributes:
        pieces: Consecutive pieces.
        edges_ticks: Onset of each step of all pieces in the score, and the end of the last one.
    """

    pieces: tuple[RollPiece, ...]
    edges_ticks: tuple[int, ...]

    @property
    def number(self) -> int:
        """Number of windows."""
        return self.pieces[-1].half // 2 + 1

    def cut(self, roll: Roll) -> Roll:
        """(steps of all pieces, P) -> (windows, 32, P); nothing sounds where no piece lies."""
        halves = np.zeros((2 * self.number, HALF_STEPS, NUM_PITCHES), dtype=np.bool_)
        for piece, (first, last) in zip(self.pieces, self._spans(), strict=True):
            halves[piece.half, piece.offset : piece.offset + piece.num_steps] = roll[first:last]
        return halves.reshape(self.number, NUM_STEPS, NUM_PITCHES)

    def join(self, rolls: Roll) -> Roll:
        """(windows, 32, P, tracks) -> (steps of all pieces, P, tracks)."""
        halves = rolls.reshape(2 * self.number, HALF_STEPS, *rolls.shape[2:])
        return np.concatenate([halves[p.half, p.offset : p.offset + p.num_steps] for p in self.pieces])

    def _spans(self) -> Iterator[tuple[int, int]]:
        first = 0
        for piece in self.pieces:
            yield first, first + piece.num_steps
            first += piece.num_steps


def windows_of(bars: Sequence[Bar], ticks_per_quarter: int) -> Windows:
    """Lay bars into windows.

    Args:
        bars: At least one; they follow each other.
        ticks_per_quarter: Resolution of the score, at least 4.
    """
    step = Fraction(ticks_per_quarter, STEPS_PER_BEAT)
    pieces: list[RollPiece] = []
    for bar in bars:
        num_steps = ceil(bar.length_ticks / step)
        for first in range(0, num_steps, HALF_STEPS):
            length = min(HALF_STEPS, num_steps - first)
            is_pickup = bar.number == 0
            half = 1 if is_pickup and not pieces else (pieces[-1].half + 1 if pieces else 0)
            offset = HALF_STEPS - length if is_pickup else 0
            pieces.append(RollPiece(bar.start_ticks + round(first * step), length, half, offset))
    edges = [piece.start_ticks + round(index * step) for piece in pieces for index in range(piece.num_steps)]
    return Windows(tuple(pieces), (*edges, bars[-1].end_ticks))


#: Windows that go through the generator at once.
BATCH_WINDOWS = 64
MELODY = VOICES[:1]

Rolls = NDArray[np.bool_]


class GanMusicGenerator:
    """A generator ready to harmonize.

    Args:
        checkpoint: The model.
    """

    rewrites_melody = True
    tasks: tuple[str, ...] = TASKS[:1]
    draws_tokens = False
    styles: tuple[str, ...] = ()

    def __init__(self, checkpoint: GanCheckpoint) -> None:
        self.checkpoint = checkpoint

    def harmonize(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        track: int | str | None = None,
    ) -> GenerationResult:
        """Write four tracks to a melody, up to its end; see `Writer`.

        A sample's noise is the same in all its windows. The first track is the prompt's own melody unless
        `config.paste_melody` is off.
        """
        refuse_instruments(write)
        config = config or GenerationConfig()
        check_style(config.style)
        if given and voice_names(given) != MELODY:
            raise InputError("this model hears one melody as its soprano and writes the rest; leave --given out.")
        refuse_sampling(config)
        fine = refined(without_controls(score), STEPS_PER_BEAT)
        choice = pick_voices(fine, MELODY, track)
        melody = choice.tracks[MELODY[0]]
        fine.tracks = TrackTickList([fine.tracks[choice.indices[MELODY[0]]]])
        windows = windows_of(bars_of(fine), fine.ticks_per_quarter)
        heard = roll_of_notes(melody.notes, windows.edges_ticks)
        samples = []
        for index in range(config.num_samples):
            rolls = self._write(windows, heard, noise_rng(config.seed, index))
            samples.append(_four_tracks(fine, windows, rolls, heard, config))
            if config.progress is not None:
                config.progress((index + 1) / config.num_samples)
        remarks = (*self._remarks(choice, melody), _kept_remark(samples))
        written = VOICES[1:] if config.paste_melody else VOICES
        return GenerationResult(tuple(samples), remarks, MELODY, written)

    def continue_(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        num_bars: int = 8,
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        track: int | str | None = None,
    ) -> GenerationResult:
        """Refuse: see `harmonize`."""
        raise _only_harmonizes()

    def infill(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        bars: tuple[int, int],
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
    ) -> GenerationResult:
        """Refuse: see `harmonize`."""
        raise _only_harmonizes()

    @torch.no_grad()
    def _write(self, windows: Windows, heard: Rolls, rng: torch.Generator) -> Rolls:
        """(steps, P) -> (steps, P, 4): what the generator writes; where nothing is heard in a window, nothing."""
        noise = draw_noise(1, rng)
        device = next(self.checkpoint.generator.parameters()).device
        melodies = windows.cut(heard)
        rolls = np.zeros((*melodies.shape, len(VOICES)), dtype=np.bool_)
        sounding = np.flatnonzero(melodies.any((1, 2)))
        for first in range(0, len(sounding), BATCH_WINDOWS):
            chosen = sounding[first : first + BATCH_WINDOWS]
            inputs = torch.from_numpy(np.where(melodies[chosen], 1.0, -1.0).astype(np.float32)).unsqueeze(1)
            z = noise.expand(len(chosen), -1, -1, -1)
            outputs = self.checkpoint.generator(inputs.to(device), z.to(device))
            rolls[chosen] = (outputs > 0).permute(0, 2, 3, 1).cpu().numpy()
        return windows.join(rolls)

    def _remarks(self, choice: VoiceChoice, melody: TrackTick) -> list[str]:
        remarks = [choice.reason]
        pitches = [note.pitch for note in melody.notes]
        low, high = self.checkpoint.meta.voice_ranges[0] if self.checkpoint.meta.voice_ranges else (0, NUM_PITCHES - 1)
        outside = sum(not low <= pitch <= high for pitch in pitches)
        if outside:
            remarks.append(
                f"{outside} of {len(pitches)} notes are outside {low}-{high}, where the model learned melodies"
            )
        return remarks


def noise_rng(seed: int, index: int) -> torch.Generator:
    """Return the random numbers that a sample's noise is drawn from.

    Args:
        seed: The user's.
        index: Which sample, from 0.
    """
    state = np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> 1))


def refuse_sampling(config: GenerationConfig) -> None:
    """Refuse what shapes the draw of tokens.

    Raises:
        InputError: Something was set.
    """
    if config.sampling != SamplingConfig():
        raise InputError("this model draws no tokens; leave --temperature, --top-p and --allow-parallels out.")


def _four_tracks(prompt: ScoreTick, windows: Windows, rolls: Rolls, heard: Rolls, config: GenerationConfig) -> Sample:
    """Return the written tracks, with the melody's own notes in the first one if it is pasted."""
    own = prompt.tracks[0]
    velocity = round(statistics.fmean(note.velocity for note in own.notes))
    end = max(note.end for note in own.notes)
    score = prompt.copy()
    tracks = TrackTickList()
    added = set()
    for index, voice in enumerate(VOICES):
        track = TrackTick(voice, SOUNDS[config.sound], False)
        if index == 0 and config.paste_melody:
            track = own.copy()
            track.name = voice
        else:
            notes = notes_of_roll(rolls[..., index], windows.edges_ticks, velocity)
            track.notes = NoteTickList(_until(notes, end))
            added |= {(voice, note.time, note.pitch) for note in track.notes}
        tracks.append(track)
    score.tracks = tracks
    kept = float((rolls[..., 0] & heard).sum() / max(int(heard.sum()), 1))
    return Sample(score, frozenset(added), num_tokens=0, log_likelihood=None, melody_kept=kept)


def _until(notes: list[NoteTick], end: int) -> list[NoteTick]:
    """Return what of some notes sounds before a tick."""
    return [
        NoteTick(note.time, min(note.end, end) - note.time, note.pitch, note.velocity)
        for note in notes
        if note.time < end
    ]


def _kept_remark(samples: Sequence[Sample]) -> str:
    shares = ", ".join(f"{sample.melody_kept:.0%}" for sample in samples)
    return f"of the melody, the model's own first track had kept {shares}"


def _only_harmonizes() -> InputError:
    return InputError("this model only harmonizes a melody; leave --task out, or choose another --model.")


TICKS_PER_QUARTER = 480
DEFAULT_BARS = 8
#: Given to the bars in turn where the user names no chords.
DEFAULT_CHORDS = ("C", "G", "Am", "F", "C", "F", "G", "C")
MELODY_TRACK = "Melody"


class MidinetMusicGenerator:
    """MidiNet, ready to write melodies.

    Args:
        generator: In eval mode.
    """

    rewrites_melody = False

    def __init__(self, generator: MidinetGenerator) -> None:
        self.generator = generator

    def compose(
        self, config: GenerationConfig | None = None, *, num_bars: int | None = None, chords: Sequence[str] = ()
    ) -> GenerationResult:
        """Write a melody bar by bar, each bar given its chord and the bar before; see `UnconditionalGenerator`.

        Chords go round where there are fewer of them than bars; with chords and no number of bars, there is a bar for
        each chord.
        """
        config = config or GenerationConfig()
        refuse_sampling(config)
        names = [str(parse_chord(name)) for name in chords] or list(DEFAULT_CHORDS)
        number = (len(names) if chords else DEFAULT_BARS) if num_bars is None else num_bars
        if not 1 <= number <= MAX_NEW_BARS:
            raise InputError(f"the number of bars to write is {number}; give 1 to {MAX_NEW_BARS}.")
        played = [names[bar % len(names)] for bar in range(number)]
        conditions = vectors_of([parse_chord(name) for name in played])
        samples = []
        for index in _each_sample(config):
            roll = compose_bars(self.generator, conditions, noise_rng(config.seed, index))
            samples.append(_generated(roll[..., None], (MELODY_TRACK,), config))
        return GenerationResult(tuple(samples), (f"over the chords {' '.join(played)}",), (), (MELODY_TRACK,))


class RollGanMusicGenerator:
    """The unconditional roll GAN, ready to write four bars in four tracks.

    Args:
        generator: In eval mode.
    """

    rewrites_melody = False

    def __init__(self, generator: RollGenerator) -> None:
        self.generator = generator

    @torch.no_grad()
    def compose(
        self, config: GenerationConfig | None = None, *, num_bars: int | None = None, chords: Sequence[str] = ()
    ) -> GenerationResult:
        """Write four bars; see `UnconditionalGenerator`."""
        config = config or GenerationConfig()
        refuse_sampling(config)
        if chords:
            raise InputError("this model takes no chords; leave what follows --chords out, or choose --model midinet.")
        if num_bars is not None:
            raise InputError("this model writes four bars at a time; leave --bars out.")
        device = next(self.generator.parameters()).device
        samples = []
        for index in _each_sample(config):
            noise = self.generator.draw_noise(1, noise_rng(config.seed, index))
            rolls = (self.generator(noise.to(device))[0] > 0).permute(1, 2, 0).cpu().numpy()
            samples.append(_generated(rolls, VOICES, config))
        return GenerationResult(tuple(samples), (), (), VOICES)


def load_unconditional_generator(model: ModelSource, device: str = "cpu") -> UnconditionalGenerator:
    """Load a model that writes without a prompt.

    Raises:
        InputError: There is no such model, or it needs a prompt.
    """
    return unconditional_generator_of(load_gan(model, device))


def unconditional_generator_of(checkpoint: GanCheckpoint) -> UnconditionalGenerator:
    """Return what writes with a generator.

    Raises:
        InputError: It needs a prompt.
    """
    generator = checkpoint.generator
    if isinstance(generator, MidinetGenerator):
        return MidinetMusicGenerator(generator)
    if isinstance(generator, RollGenerator):
        return RollGanMusicGenerator(generator)
    raise InputError(f"{checkpoint.folder} writes to a prompt; give one.")


def _each_sample(config: GenerationConfig) -> Iterator[int]:
    """Count the samples, and tell how many are done."""
    for index in range(config.num_samples):
        yield index
        if config.progress is not None:
            config.progress((index + 1) / config.num_samples)


def _generated(rolls: Rolls, names: Sequence[str], config: GenerationConfig) -> Sample:
    """Turn (steps, P, tracks) into a score in 4/4.

    Raises:
        InputError: Nothing sounds in it.
    """
    if not rolls.any():
        raise InputError("the model wrote nothing but silence: choose another --seed, or train it longer.")
    score = ScoreTick(TICKS_PER_QUARTER)
    score.time_signatures.append(TimeSignatureTick(0, 4, 4))
    edges = even_edges(len(rolls), TICKS_PER_QUARTER // STEPS_PER_BEAT)
    added = set()
    for index, name in enumerate(names):
        track = TrackTick(name, SOUNDS[config.sound], False)
        track.notes = NoteTickList(notes_of_roll(rolls[..., index], edges))
        score.tracks.append(track)
        added |= {(name, note.time, note.pitch) for note in track.notes}
    return Sample(score, frozenset(added), num_tokens=0, log_likelihood=None)
