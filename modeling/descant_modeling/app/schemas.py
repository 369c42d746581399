"""Bodies of the HTTP API's requests and answers.

Every default of generation is that of `GenerationConfig`.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from descant_modeling.app.requests import PageRequest
from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.decoding.config import DEFAULT_NEW_BARS, DEFAULT_SOUND, GenerationConfig, LastChord
from descant_modeling.evaluation.check import Level
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import FORMATS, parse_formats
from descant_tokenizers.rendering import Layout, PracticeOptions

HarmonicRhythm = Literal["note", "beat", "half-bar", "bar"]
State = Literal["waiting", "running", "done", "failed", "canceled"]
_MAX_SEED = 2**31 - 1


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ScoreFile(_Body):
    """A MIDI, MusicXML, ABC or Humdrum file: its name, and either its text or its bytes in Base64."""

    name: str = Field(description="File name; its suffix tells the format of a text.", examples=["tune.abc"])
    text: str | None = Field(None, description="Contents of a text file.", examples=["X:1\nM:4/4\nL:1/4\nK:G\nGABG|"])
    base64: str | None = Field(None, description="Contents of any file.")

    _data: bytes = PrivateAttr(b"")

    @model_validator(mode="after")
    def _decode(self) -> ScoreFile:
        if (self.text is None) == (self.base64 is None):
            raise InputError("The file needs either text or base64. Give one of the two.")
        try:
            self._data = base64.b64decode(self.base64 or "", validate=True)
        except (binascii.Error, ValueError):
            raise InputError("The contents of the file are not Base64. Encode them, or give text.") from None
        if self.text is not None:
            self._data = self.text.encode("utf-8", "replace")
        return self

    @property
    def data(self) -> bytes:
        """Its contents."""
        return self._data


class FileRequest(_Body):
    """What every task takes: a file, how to read it, and the formats of the result."""

    default_formats: ClassVar[tuple[str, ...]] = ("midi", "musicxml")

    file: ScoreFile
    tune: int | None = Field(None, description="Tune of an ABC file that holds several: its X: field, or its place.")
    no_repeats: bool = Field(False, description="Play a notation file as written, without repeats and jumps.")
    formats: list[str] | None = Field(
        None,
        description="Formats of the result; `[]` for no files.",
        json_schema_extra={"items": {"type": "string", "enum": list(FORMATS)}},
    )
    layout: Layout | None = Field(None, description="A staff for each voice, or two voices to a staff.")
    colors: bool = Field(True, description="Show added notes in blue in sheet music.")
    chord_symbols: bool = Field(False, description="Write chord symbols and Roman numerals in sheet music.")
    own_voice_db: float = Field(PracticeOptions.own_voice_db, description="Own voice in practice tracks: louder by dB.")
    practice_tempo: float = Field(PracticeOptions.tempo_percent, description="Tempo of practice tracks, in percent.")
    count_in: bool = Field(PracticeOptions.counts_in, description="Begin practice tracks with a bar of clicks.")
    key: str | None = Field(None, description="Key of the music, such as `F# minor`; by default found in it.")
    sound: str | dict[str, str] | None = Field(
        None, description="choir, organ, piano or strings, or one for each of some voices."
    )

    @property
    def practice(self) -> PracticeOptions:
        """How practice tracks are made."""
        return PracticeOptions(self.own_voice_db, self.practice_tempo, self.count_in)

    @property
    def chosen_formats(self) -> tuple[str, ...]:
        """The formats of the result, each once.

        Raises:
            InputError: There is no such format.
        """
        if self.formats is None:
            return self.default_formats
        return parse_formats(",".join(self.formats)) if self.formats else ()


class GenerationRequest(FileRequest):
    """What all tasks of generation take."""

    task: ClassVar[str]

    model: str = Field(EMBEDDED_DEFAULT, description="One of the models of `/info`.")
    num_samples: int = Field(GenerationConfig.num_samples, description="Number of samples.")
    seed: Annotated[int, Field(ge=0)] | None = Field(None, description="The same seed gives the same music.")
    temperature: float = Field(GenerationConfig.temperature, description="Below 1 safer, above 1 bolder.")
    top_p: float = Field(
        GenerationConfig.top_p, description="Nucleus sampling: probability of the tokens to draw from."
    )
    allow_parallels: bool = Field(GenerationConfig.allow_parallels, description="Allow parallel fifths and octaves.")
    allow_leaps: bool = Field(GenerationConfig.allow_leaps, description="Allow augmented and very wide leaps.")
    allow_unresolved: bool = Field(
        GenerationConfig.allow_unresolved, description="Allow unresolved sevenths, and chords without a third."
    )
    allow_rests: bool = Field(
        GenerationConfig.allow_rests, description="Allow rests under the melody, and movement where phrases end."
    )
    style: str | None = Field(GenerationConfig.style, description="Style, for models with styles.")
    given: list[str] | None = Field(None, description="Voices of the file's tracks; to infill, the voices to keep.")

    def request(self) -> PageRequest:
        """Return the request, without its score.

        Raises:
            InputError: An option is out of range.
        """
        config = GenerationConfig(
            num_samples=self.num_samples,
            seed=secrets.randbelow(_MAX_SEED) if self.seed is None else self.seed,
            temperature=self.temperature,
            top_p=self.top_p,
            allow_parallels=self.allow_parallels,
            allow_leaps=self.allow_leaps,
            allow_unresolved=self.allow_unresolved,
            allow_rests=self.allow_rests,
            style=self.style,
            sound=DEFAULT_SOUND if self.sound is None else self.sound,
        )
        given = None if self.given is None else tuple(self.given)
        return PageRequest(self.task, model=self.model, config=config, given=given, key=self.key)


class DirectedRequest(GenerationRequest):
    """What tasks take that harmonize: phrases, chords and their rhythm."""

    phrases: list[int] | None = Field(
        None, description="Bars in which phrases end; `[]` for none; by default found in the file."
    )
    chords: list[str] = Field(
        [], description="Chords of each bar from bar 1 on, such as `F G7`; empty for the model's."
    )
    harmonic_rhythm: HarmonicRhythm | None = Field(None, description="How often the harmony changes.")
    last_chord: LastChord = Field(
        GenerationConfig.last_chord, description="`tonic` to end on it; `auto`: if the melody does."
    )

    def request(self) -> PageRequest:
        """Return the request, without its score."""
        phrases = None if self.phrases is None else tuple(self.phrases)
        wanted = super().request().configured(last_chord=self.last_chord)
        return replace(wanted, phrases=phrases, chords=tuple(self.chords), harmonic_rhythm=self.harmonic_rhythm)


class HarmonizeRequest(DirectedRequest):
    """Add the missing voices to a melody, or to several given voices."""

    task = "harmonize"
    track: int | str | None = Field(None, description="Track of the melody: its number, from 1, or its name.")
    quantize: bool | None = Field(None, description="For a tune played by hand; by default found out.")

    def request(self) -> PageRequest:
        """Return the request, without its score."""
        return replace(super().request(), track=self.track, quantize=self.quantize)


class ContinueRequest(GenerationRequest):
    """Write bars after the end of a piece."""

    task = "continue"
    track: int | str | None = Field(None, description="Track of the melody: its number, from 1, or its name.")
    num_bars: int = Field(DEFAULT_NEW_BARS, description="Number of bars to add.")

    def request(self) -> PageRequest:
        """Return the request, without its score."""
        return replace(super().request(), track=self.track, num_bars=self.num_bars)


class InfillRequest(DirectedRequest):
    """Write some bars again; everything else stays."""

    task = "infill"
    bars: tuple[int, int] = Field(description="First and last bar to write again; a pickup is bar 0.")

    def request(self) -> PageRequest:
        """Return the request, without its score."""
        return replace(super().request(), bars=self.bars)


class CheckRequest(FileRequest):
    """Find the faults of voice leading in four-part music, and mend them if asked."""

    default_formats = ()
    rules: list[str] = Field([], description="Rules to check, such as `parallel_fifths`; all by default.")
    repair: bool = Field(False, description="Rewrite the fewest notes until no fault of the level is left.")
    level: Level = Field("error", description="Faults to mend: errors, or warnings as well.")
    voices: list[str] = Field(["alto", "tenor"], description="Voices that may be rewritten.")
    model: str = Field(EMBEDDED_DEFAULT, description="Model that mends.")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="The same seed gives the same repair.")


class RenderRequest(FileRequest):
    """Engrave, draw or play any score."""

    default_formats = ("svg",)


class Note(BaseModel):
    """A note of a sample."""

    voice: str
    onset_ticks: int
    duration_ticks: int
    pitch: int = Field(description="MIDI pitch.")
    is_new: bool


class SampleFacts(BaseModel):
    """A piece that a model generated."""

    ticks_per_quarter: int
    notes: list[Note]
    key: str
    chords: list[str] = Field(description="Chords of each bar from bar 1 on, if any were planned.")
    files: dict[str, list[str]] = Field(description="Names of its files by format.")


class BarsFacts(BaseModel):
    """How far the first sample is."""

    written: int
    total: int


class JobFacts(BaseModel):
    """A job: its state and, at the end, its result or error."""

    id: str
    task: str
    state: State
    ahead: int = Field(description="Jobs that come first.")
    share: float = Field(description="Share done, 0-1.")
    bars: BarsFacts | None = Field(None, description="For models that write bar by bar.")
    error: str | None = Field(None, description="Why it failed: what is wrong, and what to do.")
    result: dict[str, Any] | None = Field(
        None,
        description="Of a generation: `seed`, `given`, `written`, `remarks`, `phrases`, `samples` (see SampleFacts). "
        "Of a check: `num_faults`, `faults`, and `repair` if asked for. Always: `files`, the names of all files by "
        "format, and `left_out`, the formats that could not be made.",
    )


class ModelFacts(BaseModel):
    """A model."""

    name: str
    tasks: list[str]
    styles: list[str]
    has_hints: bool = Field(description="True if it takes phrases, chords and a harmonic rhythm.")


class ServerFacts(BaseModel):
    """What this server offers."""

    version: str
    models: list[ModelFacts]
    limits: dict[str, int | float]


class ErrorFacts(BaseModel):
    """An error: what is wrong, and what to do."""

    error: str
