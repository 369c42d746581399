"""The options of ``generate.py`` and ``descant generate``, less those that other commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from descant_tokenizers.outputs import FORMATS

TaskName = Literal["harmonize", "continue", "infill", "compose"]
SoundName = Literal["choir", "organ", "piano", "strings"]
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
    typer.Option(help=f"Comma-separated: {', '.join(FORMATS)}; midi,musicxml,svg,png,flac if not given."),
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
