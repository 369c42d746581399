"""Requests to a model that generates music, and its results.

Units: ticks of the result's score.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import NamedTuple, Protocol

from symusic.core import ScoreTick

from descant_modeling.decoding.config import DEFAULT_NEW_BARS, FAMILY_OPTIONS, MAX_NEW_BARS, GenerationConfig
from descant_tokenizers.common.errors import InputError

#: Tasks that start from a prompt; `compose` does not.
TASKS: tuple[str, ...] = ("harmonize", "continue", "infill")


class FixedPlace(NamedTuple):
    """A note that a voice to write must have.

    Attributes:
        voice: Name of its voice.
        onset_ticks: Onset in the ticks of the prompt.
        duration_ticks: Length in the same ticks.
        pitches: The MIDI pitches to choose from; a note to keep has one.
        is_kept: True for a note to keep, which is no new note of the result.
        velocity: MIDI velocity of a note to keep.
    """

    voice: str
    onset_ticks: int
    duration_ticks: int
    pitches: tuple[int, ...]
    is_kept: bool = True
    velocity: int = 80

    def scaled(self, times: int) -> FixedPlace:
        """Return the note at a resolution some times higher."""
        return self._replace(onset_ticks=self.onset_ticks * times, duration_ticks=self.duration_ticks * times)


@dataclass(frozen=True)
class Request:
    """A request to generate music.

    Attributes:
        task: `harmonize`, `continue`, `infill`, `vary`, `morph` or `compose`.
        score: The prompt, a validated score; None to compose.
        morph: To morph, the score that the prompt turns into.
        given: For a four-part model, the voices of the prompt's tracks (to infill: the voices to keep); otherwise the
            tracks to keep, by name, number from 1 or instrument. None leaves the choice to the generator.
        write: Instruments to write, for multitrack models; to infill, tracks.
        track: The melody's track, number from 1 or name, where one is given.
        bars: To infill, the first and last bar as counted in the score (a pickup is bar 0).
        num_bars: Bars to continue or compose, 1-256; None for the default.
        chords: The chords of each bar but a pickup, separated by spaces: `C`, `F#m G7`, `C/E`, `N.C.` for no chord;
            empty for the model's choice. To compose, a major or minor triad for each bar.
        key: The key in which the music ends, such as `G major`; None leaves it to the melody.
        phrases: Numbers of the bars in which phrases end; empty for no phrases, None to use `phrase_ends`.
        phrase_ends: Onsets of the last notes of phrases, in the score's ticks (from fermatas); empty to guess them.
        quantize: Show the model the notes of the prompt on 16ths and triplets; None does so if they are played by hand.
        harmonic_rhythm: How often the harmony changes: `note`, `beat`, `half-bar`, `bar`; None for the model's choice.
        fixed: Notes that the voices to write must have, for four-part models; others are written around them.
        free: First tick of the prompt at which others may begin, and the tick after the last; None for no limit.
        copies: To harmonize, stretches of the prompt that get the same new notes as earlier ones, in the score's ticks:
            where each begins and ends, and where the earlier one begins.
    """

    task: str
    score: ScoreTick | None = None
    morph: ScoreTick | None = None
    given: Sequence[str] | None = None
    write: Sequence[str] = ()
    track: int | str | None = None
    bars: tuple[int, int] | None = None
    num_bars: int | None = None
    chords: Sequence[str] = ()
    key: str | None = None
    phrases: Sequence[int] | None = None
    phrase_ends: Sequence[int] = ()
    harmonic_rhythm: str | None = None
    quantize: bool | None = None
    fixed: tuple[FixedPlace, ...] = ()
    free: tuple[int, int] | None = None
    copies: Sequence[tuple[int, int, int]] = ()

    @property
    def prompt(self) -> ScoreTick:
        """The prompt of a task that has one."""
        assert self.score is not None, f"{self.task} needs a prompt"
        return self.score

    def new_bars(self, default: int = DEFAULT_NEW_BARS) -> int:
        """Return the number of bars to continue or compose.

        Raises:
            InputError: It is out of range.
        """
        number = default if self.num_bars is None else self.num_bars
        if not 1 <= number <= MAX_NEW_BARS:
            raise InputError(f"The number of bars to write is {number}. Give 1 to {MAX_NEW_BARS}.")
        return number


@dataclass(frozen=True, repr=False)
class Sample:
    """One generated piece.

    Attributes:
        score: The prompt with the new notes.
        added: The new notes as (track name, onset in the score's ticks, pitch).
        num_tokens: Number of sampled tokens.
        log_likelihood: Sum of ln p of those tokens under the model, in nats; None for a model without tokens.
        melody_kept: Share of the melody that a model which generates all voices reproduced, 0-1.
        heard: Names of the voices or instruments with new notes, as in `GenerationResult.written`; None if these are
            the names of their tracks.
        chords: The chords of each bar, a pickup left out, requested or written by a model with hints, in the form of
            `Request.chords`: `F G7`, or empty for a bar without any. Empty if no chord was requested or written.
    """

    score: ScoreTick
    added: frozenset[tuple[str, int, int]]
    num_tokens: int
    log_likelihood: float | None
    melody_kept: float | None = None
    heard: frozenset[str] | None = None
    chords: tuple[str, ...] = ()

    @property
    def given(self) -> frozenset[tuple[str, int, int]]:
        """The notes of the prompt, in the form of `added`."""
        return frozenset((t.name, n.time, n.pitch) for t in self.score.tracks for n in t.notes) - self.added

    def save(self, path: str | PathLike[str], *, force: bool = False) -> list[Path]:
        """Write the sample to a file and return its paths; the suffix names the format.

        Args:
            path: A name that ends in `.mid`, `.musicxml`, `.svg`, `.pdf`, `.png`, `.wav`, `.flac` or `.mp3`.
            force: Replace an existing file.

        Raises:
            InputError: There is no such format, the file exists, or it cannot be written.
        """
        from descant_modeling.generation.display import save  # engraving and sound, which few calls need

        return save(self.score, self.added, Path(path), force=force)

    def __repr__(self) -> str:
        voices = ", ".join(track.name for track in self.score.tracks)
        likelihood = "" if self.log_likelihood is None else f", log likelihood {self.log_likelihood:.1f}"
        return f"Sample({len(self.added)} new notes beside {len(self.given)} given; tracks {voices}{likelihood})"

    def _repr_html_(self) -> str:
        """Show the score and a player for its sound in a notebook."""
        from descant_modeling.generation.display import html_of  # see `save`

        return html_of(self.score, self.added)


@dataclass(frozen=True, repr=False)
class GenerationResult:
    """All samples of one request.

    Attributes:
        samples: The samples.
        remarks: Choices and changes made during generation, one phrase each.
        given: Names of the prompt's voices.
        written: Names of the voices that were written.
        phrases: Numbers of the bars in which phrases end, for a model with hints.
        phrase_source: Where these are from: `as requested`, `fermatas` or `guessed`; empty if there are none.
    """

    samples: tuple[Sample, ...]
    remarks: tuple[str, ...]
    given: tuple[str, ...]
    written: tuple[str, ...]
    phrases: tuple[int, ...] = ()
    phrase_source: str = ""

    @property
    def score(self) -> ScoreTick:
        """The first sample's score."""
        return self.samples[0].score

    def save(self, path: str | PathLike[str], *, force: bool = False) -> list[Path]:
        """Write the first sample to a file; see `Sample.save`."""
        return self.samples[0].save(path, force=force)

    def __repr__(self) -> str:
        given, written = ", ".join(self.given) or "nothing", ", ".join(self.written)
        lines = [f"GenerationResult(given {given}; written {written})", *map(repr, self.samples)]
        return "\n  ".join([*lines, *self.remarks])

    def _repr_html_(self) -> str:
        """Show the score and a player for the sound of each sample in a notebook."""
        return "\n".join(sample._repr_html_() for sample in self.samples)

    @property
    def silences(self) -> tuple[str, ...]:
        """One phrase for each voice or instrument to write that has no new note."""
        found = []
        for number, sample in enumerate(self.samples, start=1):
            heard = {name for name, _, _ in sample.added} if sample.heard is None else sample.heard
            where = f" in sample {number}" if len(self.samples) > 1 else ""
            found += [f"{voice} has no new note{where}" for voice in self.written if voice not in heard]
        return tuple(found)


class MusicGenerator(Protocol):
    """A model that generates music.

    Attributes:
        tasks: Its tasks: some of `TASKS`, or `compose`.
        rewrites_melody: True if it also generates the voice of a given melody, which `paste_melody` then replaces.
        draws_tokens: True if it samples tokens, so that temperature and nucleus apply.
        styles: Styles that it can write in; empty if it was trained without styles.
        has_hints: True if it takes phrases, a key, chords and a harmonic rhythm.
        own_options: The ones of `FAMILY_OPTIONS` that it takes.
    """

    tasks: tuple[str, ...]
    rewrites_melody: bool
    draws_tokens: bool
    own_options: tuple[str, ...]

    @property
    def styles(self) -> tuple[str, ...]:
        """See above."""

    @property
    def has_hints(self) -> bool:
        """See above."""

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Generate music: copies of the prompt, kept tick for tick, with new notes.

        Args:
            request: What to generate, with a task of `tasks`.
            config: Options.

        Raises:
            InputError: The prompt does not fit, or the model cannot do what the request asks for.
        """


def parse_chords(text: str, *, one_a_bar: bool = False) -> tuple[str, ...]:
    """Read chords in the form of `Request.chords`: a bar's chords between bar lines, or one chord a bar without these.

    Args:
        text: `C | F G7 | C/E`, or `C G C`.
        one_a_bar: True if bar lines mean nothing.
    """
    if one_a_bar or "|" not in text:
        return tuple(text.replace(",", " ").replace("|", " ").split())
    return tuple(bar.replace(",", " ").strip() for bar in text.strip().strip("|").split("|"))


def parse_phrases(text: str) -> tuple[int, ...] | None:
    """Read `auto` (None), `none` (empty) or the numbers of bars in which phrases end.

    Raises:
        InputError: It is none of these.
    """
    if text in ("auto", "none"):
        return None if text == "auto" else ()
    numbers = [number.strip() for number in text.split(",")]
    if not all(number.isascii() and number.isdecimal() and len(number) < 5 for number in numbers):
        raise InputError(f"--phrases is '{text}'. Give bars in which phrases end, such as 4,8,12, or auto, or none.")
    return tuple(map(int, numbers))


def check_not_silent(samples: Iterable[Sample]) -> None:
    """Raise an `InputError` if a sample has no pitched notes: its file would not be read again."""
    if not all(any(track.notes and not track.is_drum for track in sample.score.tracks) for sample in samples):
        raise InputError("The model wrote nothing but rests. Give another seed, or keep some bars or a voice.")


def check_task(generator: MusicGenerator, task: str) -> None:
    """Raise an `InputError` if a model does not have a task."""
    if task in generator.tasks:
        return
    if task == "compose":
        raise InputError("This model needs a prompt. Give one, or choose a model that generates without.")
    if "compose" in generator.tasks:
        raise InputError("This model generates without a prompt. Leave --prompt out, or choose another --model.")
    if generator.tasks == TASKS[:1]:
        raise InputError("This model only harmonizes a melody. Leave --task out, or choose another --model.")
    *others, last = generator.tasks
    can = f"{', '.join(others)} and {last}" if others else last
    raise InputError(f"This model does not {task}, but it can {can}. Choose another --task or --model.")


def check_own_options(generator: MusicGenerator, config: GenerationConfig) -> None:
    """Raise an `InputError` if an option is set that only other families take."""
    for name in FAMILY_OPTIONS:
        if getattr(config, name) is not None and name not in generator.own_options:
            raise InputError(f"This model has no use for --{name}. Leave it out, or choose another --model.")


def refuse_instruments(write: Sequence[str]) -> None:
    """Raise an `InputError` if instruments are chosen for a model of four voices."""
    if write:
        raise InputError("--write is for multitrack models, and this one writes four voices. Leave it out.")


def refuse_hints(request: Request, config: GenerationConfig, *, but_chords: bool = False) -> None:
    """Raise an `InputError` if a request or its options say something that only models with hints take.

    Args:
        request: The request.
        config: Its options.
        but_chords: True for a model that takes chords all the same.
    """
    chords = () if but_chords else request.chords
    hints = {
        "--phrases": request.phrases,
        "--chords": chords,
        "--harmonic-rhythm": request.harmonic_rhythm,
        "--last-chord": config.last_chord == "tonic",
    }
    for option, value in hints.items():
        if value:
            raise InputError(f"This model has no use for {option}. Leave it out, or choose another --model.")


def check_style(style: str | None, known: Sequence[str] = ()) -> None:
    """Raise an `InputError` if a style is not one that the model was trained with."""
    if style is None or style in known:
        return
    if not known:
        raise InputError("This model was trained without styles. Leave --style out, or choose a model with styles.")
    raise InputError(f"The style is '{style}'. Choose from {', '.join(known)}.")
