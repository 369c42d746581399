"""Options, remarks, progress, tables and JSON, shared by the evaluation commands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from symusic.core import ScoreTick

    from descant_modeling.decoding.config import GenerationConfig
    from descant_modeling.evaluation.harmonizers import Harmonizer

Corpus = Annotated[str, typer.Option(help="Corpus name, or folder of a built dataset.")]
Split = Annotated[str, typer.Option(help="Split to measure on; test is for releases only.")]
Reference = Annotated[str, typer.Option(help="Corpus and split to compare with.")]
Limit = Annotated[int | None, typer.Option(help="Use only the first pieces.")]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Embedded model, folder, Hub id, nearest, markov, or baseline for these two; repeat it for more.",
    ),
]
HarmoniesFolder = Annotated[
    Path | None, typer.Option("--out", help="New folder for the MIDI files, one subfolder per model.")
]
Fermatas = Annotated[bool, typer.Option("--fermatas/--no-fermatas", help="Tell the model where phrases end, or not.")]
NumDraws = Annotated[int, typer.Option(help="Number of harmonies of each melody.")]
DrawSeed = Annotated[int, typer.Option("--seed", help="Same seed, same music; each further draw adds 1.")]
Seed = Annotated[int, typer.Option(help="Same seed, same music.")]

DrawT = TypeVar("DrawT")

RELEASE_SPLIT = "test"
_MAX_NAMED = 5


class Output:
    """Remarks, progress and results of one command.

    Args:
        splits: Splits that the command measures on; the release split is announced.
        quiet: Print no remarks and no progress.
        as_json: Print one line of JSON instead of tables.
    """

    def __init__(self, *splits: str, quiet: bool, as_json: bool = False) -> None:
        from descant_tokenizers.corpora import silence_datasets

        self._started = time.monotonic()
        self._quiet, self._as_json = quiet or as_json, as_json
        silence_datasets(quiet=self._quiet)
        if RELEASE_SPLIT in splits and not quiet:
            typer.echo("The test split is measured once, for a release. Base no choice on these figures.", err=True)

    def remark(self, text: str) -> None:
        """Print a sentence on stderr."""
        if not self._quiet:
            typer.echo(text, err=True)

    def skipped(self, reasons: Mapping[str, str]) -> None:
        """Print which files were skipped and why, the first few by name."""
        for path, reason in list(reasons.items())[:_MAX_NAMED]:
            self.remark(f"Skipped: {reason if path in reason else f'{path}: {reason}'}")
        if len(reasons) > _MAX_NAMED:
            self.remark(f"Skipped {len(reasons) - _MAX_NAMED} more files.")

    def progress(self, label: str) -> AbstractContextManager[Callable[[float], None]]:
        """Show a progress bar on stderr; yields a function that takes the share done, 0-1."""
        from descant_modeling.common.console import progress_bar

        return progress_bar(label, quiet=self._quiet)

    def finish(self, facts: dict[str, Any], show: Callable[[dict[str, Any]], Sequence[Table | str]]) -> None:
        """Print the results and the seconds they took as JSON, or as the tables and text that `show` makes of them."""
        facts["seconds"] = round(time.monotonic() - self._started, 2)
        if self._as_json:
            typer.echo(json.dumps(facts, ensure_ascii=False))
            return
        console = Console(markup=False, emoji=False, highlight=False)
        for part in show(facts):
            if isinstance(part, str):
                typer.echo(part)
            else:
                console.print(part)
                console.print()


def check_new_folder(out: Path | None) -> None:
    """Check that a folder for harmonies is new or empty.

    Raises:
        InputError: It holds something, or is not a folder.
    """
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} already exists and is not empty. Choose a new folder for --out.")


def write_harmonies(draws: Sequence[Sequence[tuple[str, ScoreTick]]], folder: Path) -> None:
    """Write harmonies, each with its name: the first draw as NAME.mid, the second as NAME-2.mid, and so on."""
    from descant_tokenizers.scores import write_midi

    folder.mkdir(parents=True, exist_ok=True)
    for number, draw in enumerate(draws, start=1):
        suffix = f"-{number}" if number > 1 else ""
        for name, score in draw:
            write_midi(score, folder / f"{name}{suffix}.mid")


def draw_each(label: str, seeds: range, output: Output, draw: Callable[..., DrawT]) -> list[DrawT]:
    """Call `draw` with `seed` and `progress` for each seed; show the progress of all and the time of each."""
    from descant_modeling.common.console import part_of

    draws = []
    with output.progress(label) as progress:
        for number, seed in enumerate(seeds):
            started = time.monotonic()
            draws.append(draw(seed=seed, progress=part_of(progress, number / len(seeds), 1 / len(seeds))))
            if len(seeds) > 1:
                output.remark(f"{label}, draw {number + 1} of {len(seeds)}: {time.monotonic() - started:.0f} s")
    return draws


def load_harmonizer(name: str, device: str | None, config: GenerationConfig | None = None) -> Harmonizer:
    """Load a model that harmonizes, or a baseline.

    Raises:
        InputError: No such model or device, or a model that does not harmonize melodies.
    """
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.common.devices import pick_device
    from descant_modeling.evaluation.harmonizers import open_harmonizer

    with quiet_libraries():
        return open_harmonizer(name, pick_device(device), config)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> Table:
    """Return a table whose first column is text and whose other columns are figures."""
    made = Table(title=title, title_justify="left", caption=note, caption_justify="left", show_edge=False)
    for index, name in enumerate(columns):
        made.add_column(name, justify="right" if index else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made
