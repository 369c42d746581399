"""What every model that writes music is asked for, and what it gives back.

Units: ticks of the result's score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from symusic.core import ScoreTick

from descant_modeling.decoding.config import SamplingConfig
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering import SOUNDS

__all__ = [
    "MAX_NEW_BARS",
    "MAX_SAMPLES",
    "SOUNDS",
    "TASKS",
    "GenerationConfig",
    "GenerationResult",
    "MusicGenerator",
    "OnProgress",
    "OnSketch",
    "Sketch",
    "SketchNote",
    "UnconditionalGenerator",
    "check_style",
    "refuse_instruments",
    "without_controls",
]


@dataclass(frozen=True)
class Sample:
    """One result.

    Attributes:
        score: The prompt with what was written.
        added: The written notes as (track name, onset in the score's ticks, pitch).
        num_tokens: Tokens sampled.
        log_likelihood: Sum of ln p of those tokens under the model, in nats; None for a model without tokens.
        melody_kept: Share of the melody that a model which writes all voices had written again, 0-1.
        heard: Names of the voices or instruments that got a note, as `GenerationResult.written` names them; None where
            these are the names of their tracks.
    """

    score: ScoreTick
    added: frozenset[tuple[str, int, int]]
    num_tokens: int
    log_likelihood: float | None
    melody_kept: float | None = None
    heard: frozenset[str] | None = None

    @property
    def given(self) -> frozenset[tuple[str, int, int]]:
        """The notes that were given, as `added` has the others."""
        return frozenset((t.name, n.time, n.pitch) for t in self.score.tracks for n in t.notes) - self.added


MAX_NEW_BARS = 256
MAX_SAMPLES = 64

#: What a model that writes music may be asked for.
TASKS: tuple[str, ...] = ("harmonize", "continue", "infill")

OnProgress = Callable[[float], None]


@dataclass(frozen=True)
class Sketch:
    """The first result while it is being written; what has been written may still change.

    Attributes:
        num_written: Bars that are written.
        num_bars: Bars to be written.
        num_quarters: Length of the whole piece.
        notes: All notes so far, the given ones, too.
    """

    num_written: int
    num_bars: int
    num_quarters: float
    notes: tuple[SketchNote, ...]


class SketchNote(NamedTuple):
    """A note of a sketch.

    Attributes:
        voice: Name of its voice.
        onset_quarters: From the beginning of the piece.
        duration_quarters: How long it is.
        pitch: MIDI pitch.
        is_given: Whether it was there before.
    """

    voice: str
    onset_quarters: float
    duration_quarters: float
    pitch: int
    is_given: bool


OnSketch = Callable[[Sketch], None]


@dataclass(frozen=True)
class GenerationConfig:
    """How results are drawn.

    Args:
        sampling: Temperature and nucleus.
        num_samples: How many results, 1-64.
        seed: Same prompt, options and seed: same results. Each sample has its own stream of random numbers.
        sound: One of :data:`SOUNDS`, for voices that the prompt does not have.
        progress: Called with the share done, 0-1.
        paste_melody: Of a model that writes the melody's voice again (the GAN): whether the prompt's own notes take
            its place. Other models never write it.
        style: In whose manner, for a model that knows styles; None leaves it to the model.
        on_bar: Called whenever a bar was written, by a model that writes bar by bar in four voices.

    Raises:
        InputError: A value out of range.
    """

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    num_samples: int = 1
    seed: int = 0
    sound: str = "choir"
    progress: OnProgress | None = None
    paste_melody: bool = True
    style: str | None = None
    on_bar: OnSketch | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.num_samples <= MAX_SAMPLES:
            raise InputError(f"the number of samples is {self.num_samples}; give 1 to {MAX_SAMPLES}.")
        if self.seed < 0:
            raise InputError(f"the seed is {self.seed}; give 0 or more.")
        if self.sound not in SOUNDS:
            raise InputError(f"the sound is '{self.sound}'; give one of {', '.join(SOUNDS)}.")


@dataclass(frozen=True)
class GenerationResult:
    """All samples of one request.

    Attributes:
        samples: The results.
        remarks: What was chosen and changed on the way, a sentence each.
        given: Names of the voices that the prompt gave.
        written: Names of the voices that were written.
    """

    samples: tuple[Sample, ...]
    remarks: tuple[str, ...]
    given: tuple[str, ...]
    written: tuple[str, ...]

    @property
    def score(self) -> ScoreTick:
        """The first sample's score."""
        return self.samples[0].score

    @property
    def silences(self) -> tuple[str, ...]:
        """A sentence for each written voice or instrument that got no note; a new one is a track all the same."""
        found = []
        for number, sample in enumerate(self.samples, start=1):
            heard = {name for name, _, _ in sample.added} if sample.heard is None else sample.heard
            where = f" in version {number}" if len(self.samples) > 1 else ""
            found += [f"{voice} was written without a note{where}" for voice in self.written if voice not in heard]
        return tuple(found)


class MusicGenerator(Protocol):
    """A model that writes music: what stands behind `api.Model`, which says what the arguments mean.

    Every method returns copies of the prompt (a validated score) with notes added: what was given is kept tick for
    tick. It raises an `InputError` where the prompt does not fit, or the model cannot do what is asked for.

    Attributes:
        rewrites_melody: Whether it writes a given melody's own voice again, so that somebody may want to hear that.
        tasks: What it can be asked for, of `TASKS`; it refuses anything else.
        draws_tokens: Whether temperature and nucleus mean something to it.
        styles: In whose manner it can write; empty if it has learned no styles.
    """

    rewrites_melody: bool
    tasks: tuple[str, ...]
    draws_tokens: bool

    @property
    def styles(self) -> tuple[str, ...]:
        """See above."""

    def harmonize(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        track: int | str | None = None,
    ) -> GenerationResult:
        """Write what is missing to what is given."""

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
        """Write bars behind the one in which the prompt ends."""

    def infill(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        bars: tuple[int, int],
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
    ) -> GenerationResult:
        """Write some bars anew; everything outside them stays."""


@runtime_checkable
class UnconditionalGenerator(Protocol):
    """A model that writes music from nothing: no prompt, only chords if it takes them.

    Attributes:
        rewrites_melody: Always false: there is none.
    """

    rewrites_melody: bool

    def compose(
        self, config: GenerationConfig | None = None, *, num_bars: int | None = None, chords: Sequence[str] = ()
    ) -> GenerationResult:
        """Write music.

        Args:
            config: How results are drawn.
            num_bars: How many bars; by default the model's choice.
            chords: A major or minor triad for each bar, such as `C` or `F#m`.

        Raises:
            InputError: A chord is none, or the model takes no chords or no number of bars.
        """


def refuse_instruments(write: Sequence[str]) -> None:
    """Refuse a choice of instruments, for a model of voices.

    Raises:
        InputError: There is one.
    """
    if write:
        raise InputError("--write goes with a model of any instruments; this one writes voices: leave it out.")


def check_style(style: str | None, known: Sequence[str] = ()) -> None:
    """Refuse a style that a model does not know.

    Args:
        style: What was asked for, if anything.
        known: The styles that the model has learned.

    Raises:
        InputError: It is none of them.
    """
    if style is None or style in known:
        return
    if not known:
        raise InputError("this model knows no styles; leave --style out, or take one that does.")
    raise InputError(f"the style is '{style}'; this model knows {', '.join(known)}.")


def without_controls(score: ScoreTick) -> ScoreTick:
    """Return a copy without controllers and pitch bends, which four-part music does not carry."""
    plain = score.copy()
    for track in plain.tracks:
        track.controls = type(track.controls)()
        track.pitch_bends = type(track.pitch_bends)()
        track.pedals = type(track.pedals)()
    return plain
