"""Options that commands share, and checks made before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer
from typer.core import TyperCommand

from descant_modeling.decoding.config import (
    DEFAULT_NEW_BARS,
    DEFAULT_SOUND,
    LIMITS,
    EngineName,
    LastChord,
    check_range,
)
from descant_tokenizers.common.files import FORMATS
from descant_tokenizers.rendering import SOUNDS

TaskName = Literal["harmonize", "continue", "infill", "vary", "morph", "compose"]
LayoutName = Literal["open", "closed"]

Temperature = Annotated[
    float,
    typer.Option(help="Below 1 safer, above 1 bolder; 0 always takes the likeliest token.", rich_help_panel="Sampling"),
]
TopP = Annotated[
    float,
    typer.Option(
        help="Draw from the likeliest tokens that together have this probability.", rich_help_panel="Sampling"
    ),
]
AllowParallels = Annotated[
    bool,
    typer.Option(
        "--allow-parallels", help="Allow parallel and hidden fifths, octaves and unisons.", rich_help_panel="Sampling"
    ),
]
AllowLeaps = Annotated[
    bool,
    typer.Option(
        "--allow-leaps", help="Allow leaps by augmented intervals and over an octave.", rich_help_panel="Sampling"
    ),
]
AllowUnresolved = Annotated[
    bool,
    typer.Option(
        "--allow-unresolved",
        help="Allow sevenths that do not resolve, and chords without a third.",
        rich_help_panel="Sampling",
    ),
]
AllowRests = Annotated[
    bool,
    typer.Option(
        "--allow-rests",
        help="Allow new voices to rest under the melody, and to move where phrases end.",
        rich_help_panel="Sampling",
    ),
]
BestOf = Annotated[
    int | None,
    typer.Option(
        help="Try this many candidates for each sample and keep the best; 1 is fastest. Default: auto.",
        rich_help_panel="Sampling",
    ),
]
Morph = Annotated[Path | None, typer.Option(help="For vae: turn the prompt into this file, two bars at a time.")]
Amount = Annotated[float | None, typer.Option(help="For vae and --task vary: how far to vary, 0-1 (default 0.3).")]
Steps = Annotated[
    int | None,
    typer.Option(help="For cnn: Gibbs steps (default 32), better and slower. For --morph: pieces, both ends included."),
]
LastChordName = Annotated[
    LastChord,
    typer.Option(
        "--last-chord",
        help="Hold the last chord to the tonic where the given notes allow it (tonic), or where a melody to harmonize "
        "ends on the tonic (auto).",
        rich_help_panel="Harmony",
    ),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or mps. Default: auto.", rich_help_panel="Run")]
Engine = Annotated[
    EngineName,
    typer.Option(
        help="What runs a Transformer: onnx (CPU only) or torch (extra train). auto: onnx on the CPU, torch on a GPU.",
        rich_help_panel="Run",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print neither progress nor remarks.", rich_help_panel="Run")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.", rich_help_panel="Run")]

PromptFile = Annotated[
    Path | None, typer.Argument(metavar="PROMPT", help="Your tune, as --prompt gives it.", show_default=False)
]
Prompt = Annotated[
    Path | None,
    typer.Option(help="Your tune: a MIDI, MusicXML, ABC or Humdrum file. midinet and roll-gan need none."),
]
Task = Annotated[
    TaskName | None,
    typer.Option(
        metavar="TASK", help=f"{', '.join(get_args(TaskName))}. Default: harmonize, or compose without a prompt."
    ),
]
ModelName = Annotated[str, typer.Option(help="Embedded model, checkpoint folder, run folder or Hub id.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="MIDI file to write, with the other formats beside it. Default: out/<prompt>-<task>.mid.",
        rich_help_panel="Files",
    ),
]
Formats = Annotated[
    str | None,
    typer.Option(
        help=f"Comma-separated: {', '.join(FORMATS)}. Default: midi,musicxml,svg,png,mp3.", rich_help_panel="Files"
    ),
]
Layout = Annotated[
    LayoutName | None,
    typer.Option(
        help="Sheet music with one voice per staff (open) or two (closed, the default for four voices).",
        rich_help_panel="Files",
    ),
]
Colors = Annotated[
    bool,
    typer.Option(
        "--colors/--no-colors",
        help="Sheet music in two colors: black for given notes, blue for added.",
        rich_help_panel="Files",
    ),
]
HarmonicRhythmName = Literal["auto", "note", "beat", "half-bar", "bar"]
KeyName = Annotated[
    str | None,
    typer.Option(
        help="Key in which the music ends, such as 'F# minor', also for the sheet music. Default: auto.",
        rich_help_panel="Harmony",
    ),
]
Phrases = Annotated[
    str,
    typer.Option(
        help="Bars in which phrases end, such as 4,8,12; auto for fermatas, else guessed; or none.",
        rich_help_panel="Harmony",
    ),
]
HarmonicRhythm = Annotated[
    HarmonicRhythmName, typer.Option(help="How often the harmony changes.", rich_help_panel="Harmony")
]
Chords = Annotated[
    str | None,
    typer.Option(
        metavar="[CHORDS]",
        help="Without a value: print the chords of the result and add them to the sheet music. With chords such as "
        "'C | F G7 | C/E': the chords of each bar, which the summary's plan shows in the same form. "
        "midinet: one triad a bar, such as 'C G Am F'.",
        rich_help_panel="Harmony",
    ),
]
Given = Annotated[
    str | None,
    typer.Option(
        help="Voices in the prompt, such as soprano,bass; for multitrack models and infill, what to keep.",
        rich_help_panel="Prompt",
    ),
]
Keep = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Score with notes of the voices to write, in tracks named after them: these stay, the others are written "
        "around them.",
        rich_help_panel="Prompt",
    ),
]
Write = Annotated[str | None, typer.Option(help="Instruments to write, such as piano,bass (multitrack models only).")]
Track = Annotated[
    str | None, typer.Option(help="Track of the melody: its number, from 1, or its name.", rich_help_panel="Prompt")
]
Tune = Annotated[
    int | None,
    typer.Option(
        help="Tune of an ABC file that holds several: the number in its X: field, or its place.",
        rich_help_panel="Prompt",
    ),
]
Quantize = Annotated[
    bool | None,
    typer.Option(
        "--quantize/--no-quantize",
        help="For a tune played by hand: the model sees 16ths and triplets, you keep your timing. Default: auto.",
        rich_help_panel="Prompt",
    ),
]
NoRepeats = Annotated[
    bool,
    typer.Option(
        "--no-repeats",
        help="Play a notation file as it is written, without its repeats and jumps.",
        rich_help_panel="Prompt",
    ),
]
Pickup = Annotated[
    str | None,
    typer.Option(
        metavar="BEATS",
        help="Length of a pickup with which the prompt begins, if its file does not say so.",
        rich_help_panel="Prompt",
    ),
]
Bars = Annotated[
    str | None,
    typer.Option(
        help=f"To continue or compose: number of bars ({DEFAULT_NEW_BARS}). To infill: such as 5-8; a pickup is bar 0."
    ),
]
NumSamples = Annotated[int, typer.Option(help="Number of samples.", rich_help_panel="Sampling")]
Seed = Annotated[
    int | None,
    typer.Option(help="The same seed gives the same music. Default: random, and printed.", rich_help_panel="Sampling"),
]
Sound = Annotated[
    str | None,
    typer.Option(
        help=f"Instrument of new voices ({DEFAULT_SOUND}) and of all voices in sound files: {', '.join(SOUNDS)}; or of "
        "single voices, such as soprano=piano,bass=organ.",
        rich_help_panel="Files",
    ),
]
PasteMelody = Annotated[
    bool,
    typer.Option(
        "--paste-melody/--own-melody",
        help="For the GAN: keep your melody, or use the model's own.",
        rich_help_panel="Sampling",
    ),
]
Style = Annotated[
    str | None,
    typer.Option(
        help="Style, for models with styles: bach, palestrina, mozart, haydn, ... folk.", rich_help_panel="Sampling"
    ),
]
Picture = Annotated[
    bool, typer.Option("--picture/--no-picture", help="Also write a piano-roll picture (png).", rich_help_panel="Files")
]
Force = Annotated[bool, typer.Option("--force", help="Replace existing files at --out.", rich_help_panel="Files")]
Silent = Annotated[bool, typer.Option("--quiet", help="Print neither progress nor summary.", rich_help_panel="Run")]
JsonInstead = Annotated[
    bool, typer.Option("--json", help="Print one line of JSON instead of the summary.", rich_help_panel="Run")
]


class GenerateCommand(TyperCommand):
    """A command whose `--chords` may be given without a value, which typer does not support: it is then empty."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert an empty value after `--chords` where it has none."""
        filled: list[str] = []
        for word, following in zip(args, [*args, "--"][1:], strict=True):
            filled += [word, ""] if word == "--chords" and following.startswith("-") else [word]
        return super().parse_args(ctx, filled)


def check_options(**values: float | None) -> None:
    """Raise an `InputError` if one of `LIMITS` does not hold; it names the option of the command line."""
    for name, value in values.items():
        check_range(f"--{name.replace('_', '-')}", value, *LIMITS[name])
