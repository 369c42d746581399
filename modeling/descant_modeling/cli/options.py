"""Options that several commands have, and what is checked of them before anything is loaded.

The options of ``generate.py`` and ``descant generate``, less those that other commands share.

Options whose value may be left out, which typer does not know.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from descant_tokenizers.common.errors import InputError
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
    "check_drawing",
    "check_range",
]

Temperature = Annotated[float, typer.Option(help="Below 1 safer, above 1 bolder; 0 takes the likeliest.")]
TopP = Annotated[float, typer.Option(help="Draw from the likeliest tokens of this total probability.")]
AllowParallels = Annotated[
    bool, typer.Option("--allow-parallels", help="Voices may move in parallel fifths, octaves and unisons.")
]
AllowLeaps = Annotated[
    bool, typer.Option("--allow-leaps", help="Voices may leap by augmented intervals and over an octave.")
]
BestOf = Annotated[
    int | None, typer.Option(help="Write so many versions of each and keep the likelier ones; 1 is fastest.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or mps; chosen by itself if not given.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Neither progress nor remarks.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


def check_drawing(seed: int, temperature: float, top_p: float, best_of: int | None) -> None:
    """Refuse options of drawing that are out of range.

    Raises:
        InputError: One is.
    """
    check_range("--seed", seed, 0, 2**63 - 1)
    check_range("--temperature", temperature, 0, 10)
    check_range("--top-p", top_p, 1e-6, 1)
    check_range("--best-of", best_of, 1, 64)


def check_range(option: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Refuse a number outside a range; None was not given.

    Raises:
        InputError: It is outside.
    """
    if value is not None and not low <= value <= high:
        allowed = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
        raise InputError(f"{option} is {value}; give {allowed}.")


TaskName = Literal["harmonize", "continue", "infill", "compose"]
LayoutName = Literal["open", "closed"]

Prompt = Annotated[
    Path | None,
    typer.Option(help="MIDI, MusicXML, ABC or Humdrum file to start from; midinet and roll-gan need none."),
]
Task = Annotated[TaskName | None, typer.Option(help="What to write: harmonize if not given, without a prompt compose.")]
ModelName = Annotated[str, typer.Option(help="Embedded model, checkpoint or run folder, or Hub id.")]
Out = Annotated[
    Path | None, typer.Option(help="MIDI file to write, the others beside it; out/<prompt>-<task>.mid if not given.")
]
Formats = Annotated[
    str | None,
    typer.Option(help=f"Comma-separated: {', '.join(FORMATS)}; midi,musicxml,svg,png,mp3 if not given."),
]
Layout = Annotated[
    LayoutName | None,
    typer.Option(help="Sheet music with a staff for each track, or two voices to a staff (the default for four)."),
]
KeyName = Annotated[
    str | None, typer.Option(help="Key of the sheet music, such as 'F# minor'; found by itself if not given.")
]
Chords = Annotated[
    str | None,
    typer.Option(
        metavar="[CHORDS]",
        help="Alone: print the chords of what was written, and put them into the sheet music. With chords such as "
        "'C G Am F': write to them, a bar each (midinet).",
    ),
]
Given = Annotated[
    str | None, typer.Option(help="Voices of the prompt's tracks: soprano[,alto,tenor,bass]; or its given tracks.")
]
Write = Annotated[
    str | None, typer.Option(help="Instruments to write, such as piano,bass (a model of any instruments).")
]
Track = Annotated[str | None, typer.Option(help="The melody's track: its number from 1, or its name.")]
Bars = Annotated[str | None, typer.Option(help="continue, compose: how many (8). infill: A-B, a pickup is bar 0.")]
NumSamples = Annotated[int, typer.Option(help="Versions to write.")]
Seed = Annotated[int | None, typer.Option(help="Same seed, same music; drawn and printed if not given.")]
Sound = Annotated[
    SoundName | None,
    typer.Option(help="Instrument of the written voices (choir if not given), and of all in sound files."),
]
PasteMelody = Annotated[
    bool, typer.Option("--paste-melody/--own-melody", help="gan: keep the prompt's melody, or let the model write it.")
]
Style = Annotated[
    str | None, typer.Option(help="In whose manner (a model of styles): bach, palestrina, mozart, haydn, ... folk.")
]
Picture = Annotated[bool, typer.Option("--picture/--no-picture", help="Draw a piano roll (png), or leave it.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the files at --out.")]
Silent = Annotated[bool, typer.Option("--quiet", help="Print neither progress nor summary.")]
JsonInstead = Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of the summary.")]


class GenerateCommand(TyperCommand):
    """A command whose `--chords` stands alone or before a value: alone, its value is the empty string."""

    optional_values = ("--chords",)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put an empty value behind each of those options that stands alone."""
        filled: list[str] = []
        for word, following in zip(args, [*args, "--"][1:], strict=True):
            filled.append(word)
            if word in self.optional_values and following.startswith("-"):
                filled.append("")
        return super().parse_args(ctx, filled)
