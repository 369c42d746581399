"""Options shared by commands, and the checks made before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from descant_modeling.decoding.config import DEFAULT_NEW_BARS, LIMITS, GenerationConfig, check_range
from descant_tokenizers.common.files import FORMATS
from descant_tokenizers.rendering import SoundName

__all__ = [
    "AllowLeaps",
    "AllowParallels",
    "AsJson",
    "BestOf",
    "Device",
    "GenerateCommand",
    "Quiet",
    "Temperature",
    "TopP",
    "check_options",
    "check_range",
]

TaskName = Literal["harmonize", "continue", "infill", "compose"]
LayoutName = Literal["open", "closed"]

Temperature = Annotated[float, typer.Option(help="Below 1 safer, above 1 bolder; 0 takes the most likely token.")]
TopP = Annotated[float, typer.Option(help="Draw from the most likely tokens of this total probability.")]
AllowParallels = Annotated[
    bool, typer.Option("--allow-parallels", help="Allow parallel fifths, octaves and unisons between voices.")
]
AllowLeaps = Annotated[
    bool, typer.Option("--allow-leaps", help="Allow leaps by augmented intervals and over an octave.")
]
BestOf = Annotated[
    int | None,
    typer.Option(help="Particles per sample, of which the likelier ones survive; 1 is fastest. Default: auto."),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or mps; default: auto.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print neither progress nor remarks.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]

Prompt = Annotated[
    Path | None,
    typer.Option(help="MIDI, MusicXML, ABC or Humdrum file to start from; midinet and roll-gan need none."),
]
Task = Annotated[TaskName | None, typer.Option(help="What to do; by default harmonize, or compose without a prompt.")]
ModelName = Annotated[str, typer.Option(help="Embedded model, checkpoint or run folder, or Hub id.")]
Out = Annotated[
    Path | None,
    typer.Option(help="MIDI file to write, with the other formats beside it; default: out/<prompt>-<task>.mid."),
]
Formats = Annotated[
    str | None,
    typer.Option(help=f"Comma-separated: {', '.join(FORMATS)}; default: midi,musicxml,svg,png,mp3."),
]
Layout = Annotated[
    LayoutName | None,
    typer.Option(help="Sheet music with a staff for each track, or two voices to a staff (the default for four)."),
]
KeyName = Annotated[str | None, typer.Option(help="Key of the sheet music, such as 'F# minor'; default: auto.")]
Chords = Annotated[
    str | None,
    typer.Option(
        metavar="[CHORDS]",
        help="Alone: print the chords of the result, and write them into the sheet music. With chords such as "
        "'C G Am F': write a bar to each (midinet).",
    ),
]
Given = Annotated[
    str | None,
    typer.Option(help="Voices that the prompt's tracks are: soprano[,alto,tenor,bass]; or the tracks to keep."),
]
Write = Annotated[str | None, typer.Option(help="Instruments to write, such as piano,bass (multitrack models).")]
Track = Annotated[str | None, typer.Option(help="The melody's track: its number from 1, or its name.")]
Bars = Annotated[
    str | None,
    typer.Option(help=f"continue, compose: number of bars ({DEFAULT_NEW_BARS}). infill: A-B, a pickup is bar 0."),
]
NumSamples = Annotated[int, typer.Option(help="Number of samples.")]
Seed = Annotated[int | None, typer.Option(help="Same seed, same music; by default random, and printed.")]
Sound = Annotated[
    SoundName | None,
    typer.Option(help=f"Instrument of new voices ({GenerationConfig.sound}), and of all voices in sound files."),
]
PasteMelody = Annotated[
    bool, typer.Option("--paste-melody/--own-melody", help="gan: keep the prompt's melody, or use the model's own.")
]
Style = Annotated[
    str | None,
    typer.Option(help="Style to write in, for models with styles: bach, palestrina, mozart, haydn, ... folk."),
]
Picture = Annotated[bool, typer.Option("--picture/--no-picture", help="Write a piano roll (png), or leave it out.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the files at --out.")]
Silent = Annotated[bool, typer.Option("--quiet", help="Print neither progress nor summary.")]
JsonInstead = Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of the summary.")]


class GenerateCommand(TyperCommand):
    """A command whose `--chords` may be given without a value, which typer does not support: it is then empty."""

    optional_values = ("--chords",)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert an empty value after each of those options that stands alone."""
        filled: list[str] = []
        for word, following in zip(args, [*args, "--"][1:], strict=True):
            filled.append(word)
            if word in self.optional_values and following.startswith("-"):
                filled.append("")
        return super().parse_args(ctx, filled)


def check_options(**values: float | None) -> None:
    """Refuse options of generation that are out of range, under their names on the command line.

    Args:
        **values: Fields of `GenerationConfig` that `LIMITS` has; None means not given.

    Raises:
        InputError: One is out of range.
    """
    for name, value in values.items():
        check_range(f"--{name.replace('_', '-')}", value, *LIMITS[name])
