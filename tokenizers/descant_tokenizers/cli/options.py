"""Options that commands share, each under its heading of the help."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

# Headings of the help.
MUSIC, TOKENIZER, OWN_FILES = "Music", "Tokenizer", "Your files"
FILES, HUB, MACHINES, RUN = "Files", "Hub", "Many machines (datatrove)", "Run"

SourceArgument = Annotated[str, typer.Argument(help="Name of a corpus, folder of a dataset, or folder of score files.")]
RepoArgument = Annotated[str, typer.Argument(help="Hub id: user/name.")]

NoRepeatsOption = Annotated[
    bool,
    typer.Option(
        "--no-repeats",
        help="Read notation files as they are written, without repeats and jumps.",
        rich_help_panel=OWN_FILES,
    ),
]
PresetOption = Annotated[
    str,
    typer.Option(
        "--preset",
        "--tokenizer",
        help="Tokenizer preset, folder of a trained tokenizer, or Hub id.",
        rich_help_panel=TOKENIZER,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(help="Checkpoint folder or Hub id; its tokenizer is used instead.", rich_help_panel=TOKENIZER),
]
FormatOption = Annotated[
    Literal["arrow", "parquet"], typer.Option("--format", help="Format on disk.", rich_help_panel=FILES)
]
ReplaceOption = Annotated[bool, typer.Option("--force", help="Replace the dataset at --out.", rich_help_panel=FILES)]
PrivateOption = Annotated[bool, typer.Option("--private", help="Make a new repository private.", rich_help_panel=HUB)]
UpdateOption = Annotated[
    bool, typer.Option("--update", help="Add a new version to an existing repository.", rich_help_panel=HUB)
]
NumProcOption = Annotated[
    int | None, typer.Option(help="Worker processes; default: one per core.", rich_help_panel=RUN)
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print neither progress nor summary.", rich_help_panel=RUN)]
NoSummaryOption = Annotated[bool, typer.Option("--quiet", help="Print no summary.", rich_help_panel=RUN)]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print everything as one line of JSON instead.", rich_help_panel=RUN)
]
