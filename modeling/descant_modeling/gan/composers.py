"""Music from noise: MidiNet and the unconditional roll GAN behind `generate.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from symusic.core import NoteTickList, ScoreTick, TimeSignatureTick, TrackTick

from descant_modeling.drafts import Generated
from descant_modeling.gan.checkpoints import GanCheckpoint, load_gan
from descant_modeling.gan.melody_data import vectors_of
from descant_modeling.gan.melody_writing import compose_bars
from descant_modeling.gan.metrics import Rolls
from descant_modeling.gan.midinet_networks import MidinetGenerator
from descant_modeling.gan.roll_networks import RollGenerator
from descant_modeling.gan.writing import noise_rng, refuse_sampling
from descant_modeling.writing import MAX_NEW_BARS, SOUNDS, Composer, GenerationConfig, GenerationResult
from descant_tokenizers.errors import InputError
from descant_tokenizers.rolls import STEPS_PER_BEAT, even_edges, notes_of_roll, parse_chord
from descant_tokenizers.scores import VOICES

TICKS_PER_QUARTER = 480
DEFAULT_BARS = 8
#: Given to the bars in turn where the user names no chords.
DEFAULT_CHORDS = ("C", "G", "Am", "F", "C", "F", "G", "C")
MELODY_TRACK = "Melody"


class MidinetComposer:
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
        """Write a melody bar by bar, each bar given its chord and the bar before; see `Composer`.

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


class RollGanComposer:
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
        """Write four bars; see `Composer`."""
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


def load_composer(model: str, device: str = "cpu") -> Composer:
    """Load a model that writes without a prompt.

    Raises:
        InputError: There is no such model, or it needs a prompt.
    """
    return composer_of(load_gan(model, device))


def composer_of(checkpoint: GanCheckpoint) -> Composer:
    """Return what writes with a generator.

    Raises:
        InputError: It needs a prompt.
    """
    generator = checkpoint.generator
    if isinstance(generator, MidinetGenerator):
        return MidinetComposer(generator)
    if isinstance(generator, RollGenerator):
        return RollGanComposer(generator)
    raise InputError(f"{checkpoint.folder} writes to a prompt; give one.")


def _each_sample(config: GenerationConfig) -> Iterator[int]:
    """Count the samples, and tell how many are done."""
    for index in range(config.num_samples):
        yield index
        if config.progress is not None:
            config.progress((index + 1) / config.num_samples)


def _generated(rolls: Rolls, names: Sequence[str], config: GenerationConfig) -> Generated:
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
    return Generated(score, frozenset(added), num_tokens=0, log_likelihood=None)
