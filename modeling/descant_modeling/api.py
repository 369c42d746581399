"""The Python API: the calls behind the commands, for scripts and notebooks.

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
from typing import Any

from symusic.core import ScoreTick

from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.common.console import quiet_libraries
from descant_modeling.common.devices import pick_device
from descant_modeling.decoding.config import EngineName, GenerationConfig, check_engine
from descant_modeling.generation.base import GenerationResult, MusicGenerator, Request, check_own_options, check_task
from descant_modeling.generation.causal import CausalGenerator, open_model
from descant_modeling.generation.ensembles import EnsembleGenerator
from descant_modeling.generation.forms import PlayedPrompt, unfolded_result
from descant_modeling.generation.lead_sheets import with_written_chords
from descant_modeling.generation.multitrack import MultitrackGenerator
from descant_modeling.generation.satb import FourPartGenerator
from descant_modeling.models.checkpoints import FoundCheckpoint, ModelSource, find_checkpoint, load_checkpoint
from descant_tokenizers.common.errors import InputError, missing_extra, with_field_names
from descant_tokenizers.scores import ReadResult, read_score_report
from descant_tokenizers.scores.beats import with_beats
from descant_tokenizers.scores.played import is_played, quantize
from descant_tokenizers.tokens.kinds import FOUR_PART, MULTITRACK, MusicKind, kind_of

Music = ScoreTick | ReadResult | str | PathLike[str]
"""A score in ticks, a score that was read, or the path of a MIDI, MusicXML, ABC or Humdrum file."""

_GENERATORS: dict[MusicKind, type[CausalGenerator]] = {FOUR_PART: FourPartGenerator, MULTITRACK: MultitrackGenerator}


def load_generator(
    model: ModelSource = EMBEDDED_DEFAULT, device: str | None = None, engine: EngineName = "auto"
) -> MusicGenerator:
    """Load the generator of a model; see `load`.

    Raises:
        InputError: There is no such model, device or engine, or the extra that it needs is missing.
    """
    check_engine(engine, device)
    found = find_checkpoint(model)
    if found.objective != "causal":
        if engine == "onnx":
            raise InputError("The engine onnx runs Transformers only, and this model is none. Leave the engine out.")
        try:
            return _load_network_generator(found, pick_device(device))
        except ModuleNotFoundError as error:
            raise missing_extra(error) from None
    checkpoint = load_checkpoint(found, pick_device(device) if engine == "torch" else device or "cpu")
    kind = _GENERATORS[kind_of(checkpoint.vocabulary)]
    if checkpoint.vocabulary.ensemble is not None:
        kind = EnsembleGenerator
    return kind(checkpoint, open_model(checkpoint, engine))


def _load_network_generator(found: FoundCheckpoint, device: str) -> MusicGenerator:
    """Load the generator of a network without tokens, all of which need torch.

    Raises:
        InputError: The model does not generate, or its folder is damaged.
    """
    if found.objective == "rnn":
        from descant_modeling.rnn.generate import RnnMusicGenerator

        return RnnMusicGenerator(found, device)
    if found.objective == "cnn":
        from descant_modeling.cnn.generate import CnnMusicGenerator

        return CnnMusicGenerator(found, device)
    if found.objective == "vae":
        from descant_modeling.vae.generate import VaeMusicGenerator

        return VaeMusicGenerator(found, device)
    if found.objective == "grid":
        raise InputError(f"{found.folder} is a grid model, which only scores. Give another --model.")
    from descant_modeling.gan.generate import load_gan_generator

    return load_gan_generator(found, device)


class Model:
    """A model that generates music.

    `harmonize`, `continue_` and `infill` return copies of the prompt with new notes: its own notes are kept tick for
    tick. Every method takes options as a `GenerationConfig`, as keywords named like its fields, or both; a keyword
    overrides the field. Without a `seed` it is 0, so that a call that is repeated gives the same music.

    Args:
        generator: The generator.
        name: What it was loaded from.
    """

    def __init__(self, generator: MusicGenerator, name: str = "") -> None:
        self.generator = generator
        self.name = name

    @classmethod
    def from_pretrained(
        cls, model: ModelSource = EMBEDDED_DEFAULT, device: str | None = None, engine: EngineName = "auto"
    ) -> Model:
        """Load a model: the same as `load`, under the name it has in other libraries."""
        return load(model, device, engine)

    def __repr__(self) -> str:
        return f"Model({self.name!r}: {', '.join(self.generator.tasks)})"

    def harmonize(
        self,
        music: Music,
        config: GenerationConfig | None = None,
        *,
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        track: int | str | None = None,
        key: str | None = None,
        phrases: Sequence[int] | None = None,
        chords: Sequence[str] = (),
        harmonic_rhythm: str | None = None,
        **options: Any,
    ) -> GenerationResult:
        """Write the missing voices, or the named instruments, to a prompt.

        Args:
            music: The prompt.
            config: Options.
            given: For a four-part model, the voices of the prompt's tracks (the soprano by default); otherwise the
                tracks to keep, by name, number from 1 or instrument.
            write: The instruments to write, for a multitrack model.
            track: The melody's track, number from 1 or name, where one is given.
            key: Key in which the music ends, such as `G major`; by default read from the prompt.
            phrases: Numbers of the bars in which phrases end (a pickup is bar 0); empty for none. By default where
                fermatas are, else guessed.
            chords: The chords of each bar from bar 1 on, such as `C`, `F G7`, `C/E`; the chords of a bar share its
                beats, and an empty one is left to the model. By default the model writes all.
            harmonic_rhythm: How often the harmony changes: `note`, `beat`, `half-bar` or `bar`; None for the model's
                choice.
            **options: Fields of `GenerationConfig`.

        Raises:
            InputError: The prompt does not fit, or an option is unknown or out of range.
        """
        request = Request(
            "harmonize",
            given=given,
            write=write,
            track=track,
            key=key,
            phrases=phrases,
            chords=chords,
            harmonic_rhythm=harmonic_rhythm,
        )
        return self._call(music, request, config, **options)

    def continue_(
        self,
        music: Music,
        config: GenerationConfig | None = None,
        *,
        bars: int | None = None,
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        track: int | str | None = None,
        key: str | None = None,
        **options: Any,
    ) -> GenerationResult:
        """Write bars after the one in which the prompt ends.

        Args:
            music: The prompt.
            config: Options.
            bars: Number of bars, 1-256; 8 by default.
            given: For a four-part model, the voices of the prompt's tracks; the missing ones are then also written,
                from the first bar on. Otherwise the tracks to keep and continue; all by default.
            write: Further instruments, for a multitrack model.
            track: The melody's track, number from 1 or name, where one is given.
            key: Key of the prompt, such as `G major`; by default read from it.
            **options: Fields of `GenerationConfig`.

        Raises:
            InputError: The prompt does not fit, or an option is unknown or out of range.
        """
        request = Request("continue", given=given, write=write, track=track, num_bars=bars, key=key)
        return self._call(music, request, config, **options)

    def infill(
        self,
        music: Music,
        config: GenerationConfig | None = None,
        *,
        bars: tuple[int, int],
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        key: str | None = None,
        phrases: Sequence[int] | None = None,
        chords: Sequence[str] = (),
        harmonic_rhythm: str | None = None,
        **options: Any,
    ) -> GenerationResult:
        """Write some bars again; everything outside them stays.

        Args:
            music: The prompt.
            config: Options.
            bars: First and last bar, as counted in the score (a pickup is bar 0).
            given: Voices or tracks that stay inside the bars too.
            write: Tracks to write again, for a multitrack model; all but the given ones by default.
            key: As in `harmonize`.
            phrases: As in `harmonize`, if a voice is given.
            chords: As in `harmonize`: of each bar of the whole score, of which those of the bars to write are used.
            harmonic_rhythm: As in `harmonize`.
            **options: Fields of `GenerationConfig`.

        Raises:
            InputError: The prompt does not fit or has no such bars, or an option is unknown or out of range.
        """
        request = Request(
            "infill",
            given=given,
            write=write,
            bars=bars,
            key=key,
            phrases=phrases,
            chords=chords,
            harmonic_rhythm=harmonic_rhythm,
        )
        return self._call(music, request, config, **options)

    def vary(
        self, music: Music, config: GenerationConfig | None = None, *, track: int | str | None = None, **options: Any
    ) -> GenerationResult:
        """Write a prompt again, changed, with a variational autoencoder; how much is `amount`, 0-1.

        Args:
            music: The prompt.
            config: Options.
            track: The melody's track, number from 1 or name.
            **options: Fields of `GenerationConfig`.

        Raises:
            InputError: The prompt does not fit, or an option is unknown or out of range.
        """
        return self._call(music, Request("vary", track=track), config, **options)

    def morph(
        self, music: Music, other: Music, config: GenerationConfig | None = None, **options: Any
    ) -> GenerationResult:
        """Write pieces of two bars on the way from one prompt to another, with a variational autoencoder.

        Args:
            music: The first prompt.
            other: The second prompt.
            config: Options; `steps` is the number of pieces.
            **options: Fields of `GenerationConfig`.

        Raises:
            InputError: A prompt does not fit, or an option is unknown or out of range.
        """
        score = other if isinstance(other, ScoreTick) else _read(other).score
        return self._call(music, Request("morph", morph=score), config, **options)

    def compose(
        self,
        config: GenerationConfig | None = None,
        *,
        bars: int | None = None,
        chords: Sequence[str] = (),
        **options: Any,
    ) -> GenerationResult:
        """Generate music from noise, with a model that needs no prompt.

        Args:
            config: Options.
            bars: Number of bars, 1-256, for a model that writes any number; 8, or one for each chord, by default.
            chords: For a model that takes chords, a triad for each bar, such as `C` or `F#m`; repeated as needed.
            **options: Fields of `GenerationConfig`.

        Raises:
            InputError: The model needs a prompt, or an option is unknown or out of range.
        """
        return self._call(None, Request("compose", num_bars=bars, chords=chords), config, **options)

    def generate(
        self, music: Music | None, request: Request, config: GenerationConfig | None = None, **options: Any
    ) -> GenerationResult:
        """Carry out a request; the other methods call this one.

        Messages of errors name options of the command line.

        Args:
            music: The prompt; None to compose.
            request: What to generate; its score is replaced by the prompt.
            config: Options.
            **options: Fields of `GenerationConfig`.

        Raises:
            InputError: The model does not have the task, the prompt does not fit, or an option is unknown or out of
                range.
        """
        config = override(config or GenerationConfig(), options)
        check_task(self.generator, request.task)
        check_own_options(self.generator, config)
        if not (config.paste_melody or self.generator.rewrites_melody):
            raise InputError("This model never generates the given melody. Leave --own-melody out.")
        if request.fixed and not self.generator.draws_tokens:
            raise InputError("This model keeps no single notes. Leave --keep out, or choose another --model.")
        if music is None:
            return self.generator.generate(request, config)
        if not isinstance(music, ScoreTick):
            music = _read(music)
        if isinstance(music, ScoreTick):
            return self.generator.generate(replace(request, score=music), config)
        if request.task in ("vary", "morph"):
            result = self.generator.generate(replace(request, score=music.score), config)
            return replace(result, remarks=(*music.repairs, *result.remarks))
        music = music if request.quantize is False or request.fixed else with_beats(music)
        remarks: tuple[str, ...] = ()
        if isinstance(self.generator, EnsembleGenerator):
            request, remarks = with_written_chords(request, music)
        result = self._generate_in_form(music, request, config)
        return replace(result, remarks=(*music.repairs, *remarks, *result.remarks))

    def _call(
        self, music: Music | None, request: Request, config: GenerationConfig | None, **options: Any
    ) -> GenerationResult:
        """Carry out a request from Python: messages name arguments, not options of the command line."""
        try:
            return self.generate(music, request, config, **options)
        except InputError as error:
            raise type(error)(with_field_names(str(error))) from None

    def _generate_in_form(self, music: ReadResult, request: Request, config: GenerationConfig) -> GenerationResult:
        """Generate music for a file; new notes of a repeated section are the same each time.

        To harmonize, a causal model sees the music as it is played. What is added after the end belongs to no form, so
        that continued music is written out.
        """
        if request.fixed and music.form is not None:
            raise InputError("Notes are kept in music without repeats. Add --no-repeats.")
        is_by_hand = music.has_found_beats or is_played(music.score)
        by_hand = is_by_hand if request.quantize is None else request.quantize
        if music.form is None and not request.fixed and by_hand:
            return self._generate_quantized(music, request, config)
        is_played_out = self.generator.draws_tokens and config.last_chord != "tonic"  # the last bar may be a copy
        if music.form is not None and request.task == "harmonize" and is_played_out:
            prompt = PlayedPrompt(music, music.form)
            return prompt.result(self.generator.generate(prompt.request(request), config))
        form = None if request.task == "continue" else music.form
        score = music.score if form is None else form.fold(music.score).score
        fermatas = music.fermatas_ticks if form is None else form.written.fermatas_ticks
        request = replace(request, score=score, phrase_ends=request.phrase_ends or fermatas)
        result = self.generator.generate(request, config)
        return result if form is None else unfolded_result(result, form, music.score)

    def _generate_quantized(self, music: ReadResult, request: Request, config: GenerationConfig) -> GenerationResult:
        """Generate music for a prompt that was played by hand, in the player's timing."""
        quantized = quantize(music.score)
        result = self.generator.generate(replace(request, score=quantized.score, phrase_ends=()), config)
        samples = []
        for sample in result.samples:
            score, added = quantized.restored(sample.score, sample.added)
            samples.append(replace(sample, score=score, added=frozenset(added)))
        remark = "played by hand: the model sees 16ths and triplets, and the result keeps the timing"
        return replace(result, samples=tuple(samples), remarks=(*result.remarks, remark))


def _read(music: ReadResult | str | PathLike[str]) -> ReadResult:
    """Read music that is not a score yet."""
    return music if isinstance(music, ReadResult) else read_score_report(music, controls=True)


def override(config: GenerationConfig, options: dict[str, Any]) -> GenerationConfig:
    """Return options with some of them replaced.

    Raises:
        InputError: An option is unknown or out of range.
    """
    known = [field.name for field in fields(GenerationConfig)]
    for name in options:
        if name not in known:
            raise InputError(f"There is no option '{name}'. Choose from {', '.join(known)}.")
    return replace(config, **options)


def load(model: ModelSource = EMBEDDED_DEFAULT, device: str | None = None, engine: EngineName = "auto") -> Model:
    """Load a model.

    Args:
        model: An embedded model's name, a checkpoint or run folder, or a Hub id, tried in this order.
        device: `cpu`, `cuda` or `mps`. Default: `cpu` for causal models, which need no torch there; the best one
            available for the GANs and for the engine `torch`.
        engine: What runs a causal model: `onnx` (ONNX Runtime in 8 bits, CPU only), `torch` (transformers in 32 bits,
            any device, extra `train`), or `auto`: `onnx` on the CPU and `torch` on a GPU. The same seed gives the same
            music on the same engine.

    Raises:
        InputError: There is no such model, device or engine, or the extra that it needs is missing.
    """
    with quiet_libraries():
        name = model if isinstance(model, str) else str(model.folder)
        return Model(load_generator(model, device, engine), name)
