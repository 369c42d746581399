"""The GANs as generators of music: four tracks for a melody, four bars from noise, and MidiNet's melodies.

The conditional GAN takes a melody of any length and meter in windows of two halves of 16 sixteenths, which are bars of
4/4 in training. Each bar begins a new half: a bar of 3/4 fills 12 of the 16 steps, and the output for the other 4 is
dropped; a bar longer than 4/4 is split into parts of at most four beats. A pickup is put at the end of the second half
of a window, so that bars 1 and 2 share the next one. Windows do not overlap. Their rolls are laid end to end before
notes are read from them, so a pitch that sounds on both sides of a seam is one note.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTickList

from descant_modeling.decoding.config import DEFAULT_NEW_BARS, GenerationConfig
from descant_modeling.gan.checkpoints import AnyGenerator, load_gan
from descant_modeling.gan.data import sounding, vectors_of
from descant_modeling.gan.midinet import MidinetGenerator, compose_bars
from descant_modeling.gan.networks import NUM_STEPS, RollGenerator, draw_noise
from descant_modeling.generation.base import (
    TASKS,
    GenerationResult,
    MusicGenerator,
    Request,
    Sample,
    refuse_hints,
    refuse_instruments,
)
from descant_modeling.generation.networks import (
    NetworkGenerator,
    add_voices,
    refuse_token_options,
    rng_of_each_sample,
)
from descant_modeling.generation.prompts import refined, without_controls
from descant_modeling.models.checkpoints import ModelSource
from descant_modeling.models.networks import LoadedNetwork
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.chords import parse_chord
from descant_tokenizers.pianoroll.rolls import (
    NUM_PITCHES,
    STEPS_PER_BEAT,
    Rolls,
    even_edges,
    notes_of_roll,
    roll_of_notes,
)
from descant_tokenizers.scores import VOICES, Bar, bars_of
from descant_tokenizers.scores.names import voice_names
from descant_tokenizers.scores.voices import pick_voices

HALF_STEPS = NUM_STEPS // 2
#: Windows in one batch of the generator.
BATCH_WINDOWS = 64
MELODY = VOICES[:1]
TICKS_PER_QUARTER = 480
#: Chords of a melody without `--chords`, repeated.
DEFAULT_CHORDS = ("C", "G", "Am", "F", "C", "F", "G", "C")
MELODY_TRACK = "Melody"


@dataclass(frozen=True)
class WindowLayout:
    """The places of a score's steps in the GAN's windows.

    Attributes:
        slots: (steps,), the window's number times 32 plus the step in it; increasing.
        edges_ticks: Onset of each step in the score, and the end of the last one.
    """

    slots: NDArray[np.int64]
    edges_ticks: tuple[int, ...]

    @property
    def number(self) -> int:
        """Number of windows."""
        return int(self.slots[-1]) // NUM_STEPS + 1

    def cut(self, roll: Rolls) -> Rolls:
        """(steps, P) -> (windows, 32, P), silent outside the score's steps."""
        rolls = np.zeros((self.number * NUM_STEPS, NUM_PITCHES), dtype=np.bool_)
        rolls[self.slots] = roll
        return rolls.reshape(self.number, NUM_STEPS, NUM_PITCHES)

    def join(self, rolls: Rolls) -> Rolls:
        """(windows, 32, P, tracks) -> (steps, P, tracks)."""
        return rolls.reshape(-1, *rolls.shape[2:])[self.slots]


def layout_of(bars: Sequence[Bar], ticks_per_quarter: int) -> WindowLayout:
    """Lay successive bars, at least one, into windows; a quarter has at least 4 ticks."""
    step = Fraction(ticks_per_quarter, STEPS_PER_BEAT)
    slots: list[int] = []
    edges: list[int] = []
    half = int(bars[0].number == 0)  # over all windows
    for bar in bars:
        num_steps = ceil(bar.length_ticks / step)
        edges += [bar.start_ticks + round(index * step) for index in range(num_steps)]
        for first in range(0, num_steps, HALF_STEPS):
            length = min(HALF_STEPS, num_steps - first)
            start = half * HALF_STEPS + (HALF_STEPS - length if bar.number == 0 else 0)
            slots += range(start, start + length)
            half += 1
    return WindowLayout(np.array(slots), (*edges, bars[-1].end_ticks))


def load_gan_generator(model: ModelSource, device: str = "cpu") -> MusicGenerator:
    """Load a GAN, ready to generate music.

    Raises:
        InputError: The model does not exist or is not a GAN.
    """
    checkpoint = load_gan(model, device)
    generator = checkpoint.network
    if isinstance(generator, MidinetGenerator):
        return MidinetMusicGenerator(generator)
    if isinstance(generator, RollGenerator):
        return RollGanMusicGenerator(generator)
    return GanMusicGenerator(checkpoint)


class GanMusicGenerator(NetworkGenerator):
    """The conditional GAN as a `MusicGenerator`, which only harmonizes."""

    rewrites_melody = True
    tasks = TASKS[:1]

    def __init__(self, checkpoint: LoadedNetwork[AnyGenerator]) -> None:
        self.checkpoint = checkpoint

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Generate four tracks for a melody, up to its end; see `MusicGenerator`.

        A sample has the same noise in all its windows. Its first track is the prompt's own melody unless
        `config.paste_melody` is off.
        """
        refuse_instruments(request.write)
        refuse_hints(request, config)
        refuse_token_options(config)
        if request.given and voice_names(request.given) != MELODY:
            raise InputError("This model takes one melody as its soprano and writes the rest. Leave --given out.")
        fine = refined(without_controls(request.prompt), STEPS_PER_BEAT)
        choice = pick_voices(fine, MELODY, request.track)
        melody = choice.tracks[MELODY[0]]
        fine.tracks = TrackTickList([fine.tracks[choice.indices[MELODY[0]]]])
        layout = layout_of(bars_of(fine), fine.ticks_per_quarter)
        roll = roll_of_notes(melody.notes, layout.edges_ticks)
        samples = [
            _harmony(fine, layout, self._generate(layout, roll, rng), roll, config)
            for rng in rng_of_each_sample(config)
        ]
        remarks = [choice.reason]
        ranges = self.checkpoint.meta.voice_ranges
        low, high = ranges[0] if ranges else (0, NUM_PITCHES - 1)
        if outside := sum(not low <= note.pitch <= high for note in melody.notes):
            of_all = f"{outside} of {len(melody.notes)} notes"
            remarks.append(f"{of_all} are outside {low}-{high}, where the model learned melodies")
        kept = ", ".join(f"{sample.melody_kept:.0%}" for sample in samples)
        remarks.append(f"the model itself reproduced {kept} of the melody")
        return GenerationResult(tuple(samples), tuple(remarks), MELODY, VOICES[1:] if config.paste_melody else VOICES)

    @torch.no_grad()
    def _generate(self, layout: WindowLayout, melody: Rolls, rng: torch.Generator) -> Rolls:
        """(steps, P) -> (steps, P, 4): the generator's tracks; silence in windows without melody."""
        noise = draw_noise(1, rng)
        device = next(self.checkpoint.network.parameters()).device
        melodies = layout.cut(melody)
        rolls = np.zeros((*melodies.shape, len(VOICES)), dtype=np.bool_)
        with_melody = np.flatnonzero(melodies.any((1, 2)))
        for first in range(0, len(with_melody), BATCH_WINDOWS):
            chosen = with_melody[first : first + BATCH_WINDOWS]
            inputs = torch.from_numpy(np.where(melodies[chosen], 1.0, -1.0).astype(np.float32)).unsqueeze(1)
            z = noise.expand(len(chosen), -1, -1, -1)
            rolls[chosen] = sounding(self.checkpoint.network(inputs.to(device), z.to(device)))
        return layout.join(rolls)


class MidinetMusicGenerator(NetworkGenerator):
    """MidiNet as a `MusicGenerator`, which composes melodies; `generator` is in eval mode."""

    def __init__(self, generator: MidinetGenerator) -> None:
        self.generator = generator

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Generate a melody bar by bar, each from its chord and the bar before; see `MusicGenerator`.

        Chords repeat if there are fewer of them than bars. With chords and no number of bars, each chord gets a bar.
        """
        refuse_token_options(config)
        refuse_hints(request, config, but_chords=True)
        chords = [parse_chord(name) for name in request.chords or DEFAULT_CHORDS]
        number = request.new_bars(len(chords) if request.chords else DEFAULT_NEW_BARS)
        played = [chords[bar % len(chords)] for bar in range(number)]
        conditions = vectors_of(played)
        samples = tuple(
            _composition(compose_bars(self.generator, conditions, rng)[..., None], (MELODY_TRACK,), config)
            for rng in rng_of_each_sample(config)
        )
        return GenerationResult(samples, (f"over the chords {' '.join(map(str, played))}",), (), (MELODY_TRACK,))


class RollGanMusicGenerator(NetworkGenerator):
    """The unconditional GAN as a `MusicGenerator`, which composes four bars in four tracks; it is in eval mode."""

    def __init__(self, generator: RollGenerator) -> None:
        self.generator = generator

    @torch.no_grad()
    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Generate four bars; see `MusicGenerator`."""
        refuse_token_options(config)
        if request.chords:
            raise InputError("This model takes no chords. Leave --chords out, or choose --model midinet.")
        refuse_hints(request, config)
        if request.num_bars is not None:
            raise InputError("This model writes four bars at a time. Leave --bars out.")
        device = next(self.generator.parameters()).device
        rolls = (self.generator(self.generator.draw_noise(1, rng).to(device)) for rng in rng_of_each_sample(config))
        samples = tuple(_composition(sounding(roll)[0], VOICES, config) for roll in rolls)
        return GenerationResult(samples, (), (), VOICES)


def _harmony(prompt: ScoreTick, layout: WindowLayout, rolls: Rolls, melody: Rolls, config: GenerationConfig) -> Sample:
    """Return the four tracks; the first has the melody's own notes if they are pasted."""
    own = prompt.tracks[0]
    velocity = round(statistics.fmean(note.velocity for note in own.notes))
    end = max(note.end for note in own.notes)
    score = prompt.copy()
    score.tracks = TrackTickList()
    names: Sequence[str] = VOICES
    if config.paste_melody:
        track = own.copy()
        track.name, *names = VOICES
        score.tracks.append(track)
    voices = [
        [
            NoteTick(note.time, min(note.end, end) - note.time, note.pitch, note.velocity)
            for note in notes_of_roll(rolls[..., VOICES.index(name)], layout.edges_ticks, velocity)
            if note.time < end
        ]
        for name in names
    ]
    kept = float((rolls[..., 0] & melody).sum() / max(int(melody.sum()), 1))
    return add_voices(score, names, voices, config, melody_kept=kept)


def _composition(rolls: Rolls, names: Sequence[str], config: GenerationConfig) -> Sample:
    """Turn rolls (steps, P, tracks) into a score in 4/4; raise `InputError` if they are silent."""
    if not rolls.any():
        raise InputError("The model wrote only silence. Choose another --seed, or train it longer.")
    score = ScoreTick(TICKS_PER_QUARTER)
    score.time_signatures.append(TimeSignatureTick(0, 4, 4))
    edges = even_edges(len(rolls), TICKS_PER_QUARTER // STEPS_PER_BEAT)
    return add_voices(score, names, [notes_of_roll(rolls[..., i], edges) for i in range(len(names))], config)
