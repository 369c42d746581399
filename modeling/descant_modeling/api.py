"""The Python API: what the commands call, for scripts and notebooks.

>>> from descant_modeling import load
>>> model = load()
>>> result = model.harmonize("examples/au-clair-de-la-lune.musicxml", seed=1)
>>> [track.name for track in result.score.tracks]
['Soprano', 'Alto', 'Tenor', 'Bass']
>>> len(result.samples[0].given), len(result.samples[0].added) > 20
(44, True)
>>> result.samples[0].log_likelihood < 0
True

The same seed gives the same music, as long as model, prompt and options are the same:

>>> again = model.infill(result.score, bars=(2, 2), given=["Soprano"], seed=3)
>>> again.written
('Alto', 'Tenor', 'Bass')
>>> again.score.dumps_midi() == model.infill(result.score, bars=(2, 2), given=["Soprano"], seed=3).score.dumps_midi()
True
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from os import PathLike
from typing import Any, TypedDict, Unpack

from symusic.core import ScoreTick

from descant_modeling.common.console import quiet_libraries
from descant_modeling.common.devices import pick_device
from descant_modeling.decoding.config import SamplingConfig
from descant_modeling.generation.base import (
    GenerationConfig,
    GenerationResult,
    MusicGenerator,
    OnProgress,
    OnSketch,
    UnconditionalGenerator,
)
from descant_modeling.generation.satb import FourPartGenerator
from descant_modeling.models.checkpoints import (
    EMBEDDED_DEFAULT,
    ModelSource,
    find_checkpoint,
    load_checkpoint,
)
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import read_score_report


def load_generator(model: ModelSource = EMBEDDED_DEFAULT, device: str = "cpu") -> MusicGenerator:
    """Load a model of four voices, of any instruments, or of another objective; see `load`.

    Raises:
        InputError: There is no such model.
    """
    found = find_checkpoint(model)
    if found.is_unconditional:
        raise InputError("this model writes without a prompt; leave --prompt out, or choose another --model.")
    if found.objective == "gan":
        from descant_modeling.gan.checkpoints import load_gan
        from descant_modeling.gan.generate import GanMusicGenerator

        return GanMusicGenerator(load_gan(found, device))
    from descant_modeling.generation.multitrack import MultitrackGenerator

    checkpoint = load_checkpoint(found, device)
    return FourPartGenerator(checkpoint) if checkpoint.vocabulary.is_four_part else MultitrackGenerator(checkpoint)


def load_four_part_generator(model: ModelSource = EMBEDDED_DEFAULT, device: str = "cpu") -> FourPartGenerator:
    """Load a model of four voices.

    Args:
        model: An embedded model's name, a checkpoint or run folder, or a Hub id, tried in this order.
        device: ``cpu``, ``cuda`` or ``mps``.

    Raises:
        InputError: There is no such model, or it is one of any instruments.
    """
    writer = load_generator(model, device)
    if not isinstance(writer, FourPartGenerator):
        raise InputError("this model writes any instruments, not four voices; load it with load_generator.")
    return writer


Music = ScoreTick | str | PathLike[str]
"""A score in ticks, or the path of a MIDI, MusicXML, ABC or Humdrum file."""

SAMPLING_OPTIONS = tuple(field.name for field in fields(SamplingConfig))


class Options(TypedDict, total=False):
    """How results are drawn; every key may be left out.

    Attributes:
        seed: Same seed, same music; 0 by default.
        num_samples: Versions to write, 1-64; 1 by default.
        temperature: Below 1 safer, above 1 bolder, 0 takes the likeliest; 0.95 by default.
        top_p: Draw from the likeliest tokens that together have this probability; 0.98 by default.
        allow_parallels: Whether a voice may move in parallel fifths, octaves and unisons with another one; only asked
            of a model of four voices, where it is false by default.
        allow_leaps: Likewise whether a voice may leap by an augmented interval or over an octave.
        best_of: Versions of each sample that are written side by side, the likelier ones going on at every quarter;
            8 by default where such rules are kept, else 1.
        sound: `choir`, `organ`, `piano` or `strings`, for voices that the prompt does not have.
        progress: Called with the share done, 0-1.
        paste_melody: Of a model that writes the melody's voice again (the GAN): whether the prompt's own notes take
            its place; they do by default.
        style: `bach`, `palestrina`, `mozart`, `haydn`, `beethoven` or `folk`, of a model that has learned it.
        on_bar: Called with a `writing.Sketch` whenever a bar was written, by a causal model of four voices.
    """

    seed: int
    num_samples: int
    temperature: float
    top_p: float
    allow_parallels: bool
    allow_leaps: bool
    best_of: int | None
    sound: str
    progress: OnProgress | None
    paste_melody: bool
    style: str | None
    on_bar: OnSketch | None


class Model:
    """A model that writes music.

    Every method returns a copy of the prompt with notes added to it: what was given is kept tick for tick.

    Args:
        writer: Of four voices, of any instruments, or one that needs no prompt.
    """

    def __init__(self, writer: MusicGenerator | UnconditionalGenerator) -> None:
        self.writer = writer

    def harmonize(
        self,
        music: Music,
        *,
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        track: int | str | None = None,
        **options: Unpack[Options],
    ) -> GenerationResult:
        """Write what is missing to what is given.

        Args:
            music: The prompt.
            given: In four voices, which of them the prompt's tracks are (the soprano by default); else the tracks that
                are given, by name, number from 1 or instrument.
            write: The instruments to write, for a model of any instruments.
            track: The melody's track, number from 1 or name, where one is given.
            **options: See `Options`.

        Raises:
            InputError: The prompt does not fit, or an option is out of range.
        """
        score, repairs = _read(music)
        config = self._config(options)
        result = self._with_prompt().harmonize(score, config, given=given, write=write, track=track)
        return _with_remarks(result, repairs)

    def continue_(
        self,
        music: Music,
        *,
        bars: int = 8,
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        track: int | str | None = None,
        **options: Unpack[Options],
    ) -> GenerationResult:
        """Write bars behind the one in which the prompt ends.

        Args:
            music: The prompt.
            bars: How many, 1-256.
            given: In four voices, which of them the prompt's tracks are: the missing ones are then written, too, from
                the first bar on. Else the tracks that are kept and go on; all by default.
            write: Further instruments, for a model of any instruments.
            track: The melody's track, number from 1 or name, where one is given.
            **options: See `Options`.

        Raises:
            InputError: The prompt does not fit, or an option is out of range.
        """
        score, repairs = _read(music)
        config = self._config(options)
        writer = self._with_prompt()
        result = writer.continue_(score, config, num_bars=bars, given=given, write=write, track=track)
        return _with_remarks(result, repairs)

    def infill(
        self,
        music: Music,
        *,
        bars: tuple[int, int],
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        **options: Unpack[Options],
    ) -> GenerationResult:
        """Write some bars anew; everything outside them stays.

        Args:
            music: The prompt.
            bars: First and last bar, as counted in the score (a pickup is bar 0).
            given: Voices, or tracks, that stay inside the bars, too.
            write: Tracks that are written anew there, for a model of any instruments; by default all but the given.
            **options: See `Options`.

        Raises:
            InputError: The prompt does not fit, has no such bars, or an option is out of range.
        """
        score, repairs = _read(music)
        config = self._config(options)
        result = self._with_prompt().infill(score, config, bars=bars, given=given, write=write)
        return _with_remarks(result, repairs)

    def compose(
        self, *, bars: int | None = None, chords: Sequence[str] = (), **options: Unpack[Options]
    ) -> GenerationResult:
        """Write music from nothing, with a model that needs no prompt.

        Args:
            bars: How many, 1-256, of a model that writes as many as are wanted; 8, or one for each chord, by default.
            chords: Of a model that takes them, a triad for each bar, such as `C` or `F#m`; they go round.
            **options: See `Options`.

        Raises:
            InputError: The model needs a prompt, or an option is out of range.
        """
        if not isinstance(self.writer, UnconditionalGenerator):
            raise InputError("this model writes to a prompt; give one, or choose a model that needs none.")
        return self.writer.compose(self._config(options), num_bars=bars, chords=chords)

    def _with_prompt(self) -> MusicGenerator:
        if isinstance(self.writer, UnconditionalGenerator):
            raise InputError("this model writes without a prompt; leave --prompt out, or choose another --model.")
        return self.writer

    def _config(self, options: Options) -> GenerationConfig:
        rest: dict[str, Any] = dict(options)
        sampling = {name: rest.pop(name) for name in SAMPLING_OPTIONS if name in rest}
        try:
            config = GenerationConfig(SamplingConfig(**sampling), **rest)
        except ValueError as error:  # an InputError is one, too
            raise InputError(str(error)) from None
        if not (config.paste_melody or self.writer.rewrites_melody):
            raise InputError("this model never writes a given melody again; leave --own-melody out.")
        return config


def load(model: ModelSource = EMBEDDED_DEFAULT, device: str | None = None) -> Model:
    """Load a model.

    Args:
        model: An embedded model's name, a checkpoint or run folder, or a Hub id, tried in this order.
        device: `cpu`, `cuda` or `mps`; chosen by itself if not given.

    Raises:
        InputError: There is no such model or device.
    """
    with quiet_libraries():
        found = find_checkpoint(model)
        if found.is_unconditional:
            from descant_modeling.gan.generate import load_unconditional_generator

            return Model(load_unconditional_generator(found, pick_device(device)))
        return Model(load_generator(found, pick_device(device)))


def _read(music: Music) -> tuple[ScoreTick, Sequence[str]]:
    """Return the score, and what was repaired in it."""
    if isinstance(music, ScoreTick):
        return music, ()
    read = read_score_report(music, controls=True)
    return read.score, read.repairs


def _with_remarks(result: GenerationResult, repairs: Sequence[str]) -> GenerationResult:
    return replace(result, remarks=(*repairs, *result.remarks)) if repairs else result
