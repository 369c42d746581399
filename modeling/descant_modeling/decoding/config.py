"""Options of generation, from the command line to the sampler.

Every default is a field of `GenerationConfig`, and nowhere else. Nothing heavy is imported, so that a command's help
answers at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering import SOUNDS, check_sounds, sound_of

DEFAULT_NEW_BARS = 8
MAX_NEW_BARS = 256
DEFAULT_SOUND = "choir"
#: Smallest and largest value of each number.
LIMITS: dict[str, tuple[float, float]] = {
    "num_samples": (1, 64),
    "seed": (0, 2**63 - 1),
    "temperature": (0, 10),
    "top_p": (1e-6, 1),
    "best_of": (1, 64),
    "steps": (1, 1024),
    "amount": (0, 1),
}
#: Options of some families' models only; others refuse them.
FAMILY_OPTIONS = ("steps", "amount")
#: Options of models that sample tokens; others refuse them.
TOKEN_OPTIONS = (
    "temperature",
    "top_p",
    "allow_parallels",
    "allow_leaps",
    "allow_unresolved",
    "allow_rests",
    "best_of",
    "last_chord",
)

EngineName = Literal["auto", "onnx", "torch"]
"""What runs a causal model: ONNX Runtime (CPU), transformers (any device, extra `train`), or the one that suits the
device."""

LastChord = Literal["auto", "any", "tonic"]
"""What the last chord of a harmony is held to."""

OnProgress = Callable[[float], None]
"""Takes the share done, 0-1."""


class SketchNote(NamedTuple):
    """A note of a sketch.

    Attributes:
        voice: Name of its voice.
        onset_quarters: Onset from the beginning of the piece.
        duration_quarters: Duration.
        pitch: MIDI pitch.
        is_given: True for a note of the prompt.
    """

    voice: str
    onset_quarters: float
    duration_quarters: float
    pitch: int
    is_given: bool


@dataclass(frozen=True)
class Sketch:
    """The first sample while it is being generated; what it holds may still change.

    Attributes:
        num_written: Bars generated so far.
        num_bars: Bars to generate.
        num_quarters: Length of the whole piece.
        notes: All notes so far, those of the prompt included.
    """

    num_written: int
    num_bars: int
    num_quarters: float
    notes: tuple[SketchNote, ...]


OnSketch = Callable[[Sketch], None]


@dataclass(frozen=True)
class GenerationConfig:
    """Options of generation. The defaults were chosen on the valid split (see records/LOG.md).

    Args:
        num_samples: Number of samples, 1-64.
        seed: The same prompt, options and seed give the same music. Each sample has its own random stream.
        temperature: Divides the logits, 0-10; below 1 is safer, above 1 bolder, 0 takes the most likely token.
        top_p: Nucleus (Holtzman et al. 2020): draw from the most likely tokens that together have this probability.
        allow_parallels: Allow parallel fifths, octaves and unisons between two voices. Applies to four-part music
            without BPE.
        allow_leaps: Allow leaps by an augmented interval or over an octave. Applies to the same music.
        allow_unresolved: Allow sevenths that do not fall by step, and chords on beats without their third (see
            `chord_rules`). Applies to the same music, for models with hints.
        allow_rests: Allow new voices to rest while a given one sounds, to be held into the last note of a phrase, and
            to move under it (see `texture`). For models with hints.
        best_of: Particles of each sample, 1-64, resampled at every quarter by likelihood (see `smc`); None for
            `smc.NUM_PARTICLES` where rules of voice leading are kept, otherwise 1.
        last_chord: `tonic` to hold the last chord of a harmony to a tonic triad in root position, from the onset of the
            last given note on and where the given notes allow it (see `ending`); `any` for the model's choice; `auto`
            for `tonic` if a melody to harmonize ends on the tonic and no chord is requested there, otherwise `any`.
            For models with hints.
        steps: Gibbs steps of Coconet, or pieces of a morph, its two ends included; None for the model's default.
        amount: How far the VAE varies a prompt, from 0 to 1; None for its default.
        sound: One of `SOUNDS`, for voices that the prompt does not have, or one for each of some voices by name; the
            others are a choir.
        style: Style to write in, for a model trained with styles; None leaves the choice to the model.
        paste_melody: Keep the prompt's melody where the model generates that voice too (the GAN). Other models never
            generate it.
        progress: Called with the share done, 0-1.
        on_bar: Called with a `Sketch` after each bar, by models that generate bar by bar.

    Raises:
        InputError: A value is out of range.
    """

    num_samples: int = 1
    seed: int = 0
    temperature: float = 0.95
    top_p: float = 0.98
    allow_parallels: bool = False
    allow_leaps: bool = False
    allow_unresolved: bool = False
    allow_rests: bool = False
    best_of: int | None = None
    last_chord: LastChord = "auto"
    steps: int | None = None
    amount: float | None = None
    sound: str | Mapping[str, str] = DEFAULT_SOUND
    style: str | None = None
    paste_melody: bool = True
    progress: OnProgress | None = None
    on_bar: OnSketch | None = None

    def __post_init__(self) -> None:
        for name, limits in LIMITS.items():
            check_range(name, getattr(self, name), *limits)
        if self.last_chord not in get_args(LastChord):
            raise InputError(f"The last chord is '{self.last_chord}'. Give auto, any or tonic.")
        check_sounds(self.sound)

    def program_of(self, voice: str) -> int:
        """Return the General MIDI program of a new voice."""
        return SOUNDS[sound_of(self.sound, voice) or DEFAULT_SOUND]


def check_engine(name: str, device: str | None) -> None:
    """Raise an `InputError` if there is no such engine, or it does not run on a device."""
    if name not in get_args(EngineName):
        raise InputError(f"The engine is {name!r}. Give auto, onnx or torch.")
    if name == "onnx" and device not in (None, "cpu"):
        raise InputError(f"The engine onnx runs on the CPU, not on {device}. Leave the engine or the device out.")


def check_range(name: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Raise an `InputError` if a number, where one is given, is outside a range."""
    if value is not None and not low <= value <= high:
        least, most = (f"{limit:,}" if isinstance(limit, int) else f"{limit:g}" for limit in (low, high))
        allowed = f"{least} or more" if high == math.inf else f"{least} to {most}"
        raise InputError(f"{name} is {value}. Give {allowed}.")
