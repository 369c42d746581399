"""Options, remarks, progress, tables and JSON, shared by the evaluation commands."""

from __future__ import annotations

import functools
import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer
from rich.console import Console
from rich.table import Table

from descant_modeling.cli.options import (
    AllowLeaps,
    AllowParallels,
    AllowRests,
    AllowUnresolved,
    AsJson,
    BestOf,
    Device,
    Engine,
    LastChordName,
    Quiet,
    Temperature,
    TopP,
    check_options,
)
from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.decoding.config import TOKEN_OPTIONS, EngineName, GenerationConfig, check_engine, check_range
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from symusic.core import ScoreTick

    from descant_modeling.evaluation.harmonizers import Harmonizer

# Headings of the help; those of `descant generate` are the others.
MUSIC, MODELS = "Music", "Models"

Corpus = Annotated[str, typer.Option(help="Corpus name, or folder of a built dataset.", rich_help_panel=MUSIC)]
Split = Annotated[str, typer.Option(help="Split to measure on; test is for releases only.", rich_help_panel=MUSIC)]
Reference = Annotated[str, typer.Option(help="Corpus and split to compare with.", rich_help_panel=MUSIC)]
Limit = Annotated[int | None, typer.Option(help="Use only the first pieces.", rich_help_panel=MUSIC)]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Embedded model, folder, Hub id, nearest, markov, or baseline for these two; repeat it for more.",
        rich_help_panel=MODELS,
    ),
]
HarmoniesFolder = Annotated[
    Path | None,
    typer.Option("--out", help="New folder for the MIDI files, one subfolder per model.", rich_help_panel="Files"),
]
Fermatas = Annotated[
    bool,
    typer.Option(
        "--fermatas/--no-fermatas", help="Tell the model where phrases end, or not.", rich_help_panel="Harmony"
    ),
]
NumDraws = Annotated[int, typer.Option(help="Number of harmonies of each melody.", rich_help_panel="Sampling")]
DrawSeed = Annotated[
    int, typer.Option("--seed", help="Same seed, same music; each further draw adds 1.", rich_help_panel="Sampling")
]
Seed = Annotated[int, typer.Option(help="Same seed, same music.", rich_help_panel="Sampling")]

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


@dataclass(frozen=True)
class DrawOptions:
    """Options of the commands that harmonize melodies several times: which models, how often, and how they sample."""

    models: Models = None
    num_draws: NumDraws = 1
    limit: Limit = None
    fermatas: Fermatas = True
    seed: DrawSeed = 0
    temperature: Temperature = GenerationConfig.temperature
    top_p: TopP = GenerationConfig.top_p
    allow_parallels: AllowParallels = GenerationConfig.allow_parallels
    allow_leaps: AllowLeaps = GenerationConfig.allow_leaps
    allow_unresolved: AllowUnresolved = GenerationConfig.allow_unresolved
    allow_rests: AllowRests = GenerationConfig.allow_rests
    best_of: BestOf = GenerationConfig.best_of
    last_chord: LastChordName = "any"  # what the model has learned
    out: HarmoniesFolder = None
    device: Device = None
    engine: Engine = "auto"
    quiet: Quiet = False
    as_json: AsJson = False

    def check(self) -> None:
        """Check everything that can be checked before a model is loaded.

        Raises:
            InputError: A value is out of range, the engine does not run on the device, or the folder at `out` holds
                something.
        """
        check_range("--num-draws", self.num_draws, 1, 1000)
        check_range("--limit", self.limit, 1)
        check_options(seed=self.seed, temperature=self.temperature, top_p=self.top_p, best_of=self.best_of)
        check_engine(self.engine, self.device)
        if self.out is not None and self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise InputError(f"{self.out} already exists and is not empty. Choose a new folder for --out.")

    def facts(self) -> dict[str, Any]:
        """Return what decides on the harmonies, for JSON."""
        drawing = {"num_draws": self.num_draws, "seed": self.seed, "fermatas": self.fermatas}
        return drawing | self._sampling()

    def draws(
        self, what: str, output: Output, harmonize: Callable[..., DrawT]
    ) -> Iterator[tuple[Harmonizer, list[DrawT]]]:
        """Yield each model, and its draws: what `harmonize` returns for the model, `fermatas`, `seed` and `progress`.

        Args:
            what: What is harmonized, for progress.
            output: Where progress is shown.
            harmonize: Called once for each draw.
        """
        from descant_modeling.evaluation.harmonizers import named_harmonizers

        seeds = range(self.seed, self.seed + self.num_draws)
        for name in named_harmonizers(self.models or [EMBEDDED_DEFAULT]):
            harmonizer = load_harmonizer(name, self.device, self.engine, GenerationConfig(**self._sampling()))
            draw = functools.partial(harmonize, harmonizer, fermatas=self.fermatas)
            yield harmonizer, draw_each(f"{harmonizer.name}: {what}", seeds, output, draw)

    def _sampling(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in TOKEN_OPTIONS}


def with_draw_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `DrawOptions` behind its own; it receives them, checked, as `options`."""
    hints = get_type_hints(DrawOptions, include_extras=True)
    own = inspect.signature(command, eval_str=True).parameters.values()
    shared = [
        inspect.Parameter(
            each.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=each.default, annotation=hints[each.name]
        )
        for each in fields(DrawOptions)
    ]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        options = DrawOptions(**{each.name: values.pop(each.name) for each in fields(DrawOptions)})
        options.check()
        command(options, **values)

    signature = inspect.Signature([*(each for each in own if each.name != "options"), *shared])
    setattr(run, "__signature__", signature)  # noqa: B010 (mypy knows no such attribute)
    return run


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


def load_harmonizer(
    name: str, device: str | None, engine: EngineName = "auto", config: GenerationConfig | None = None
) -> Harmonizer:
    """Load a model that harmonizes, or a baseline.

    Raises:
        InputError: No such model, device or engine, or a model that does not harmonize melodies.
    """
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.common.devices import pick_device
    from descant_modeling.evaluation.harmonizers import open_harmonizer

    check_engine(engine, device)
    with quiet_libraries():
        return open_harmonizer(name, pick_device("cpu" if engine == "onnx" else device), config, engine)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> Table:
    """Return a table whose first column is text and whose other columns are figures."""
    made = Table(title=title, title_justify="left", caption=note, caption_justify="left", show_edge=False)
    for index, name in enumerate(columns):
        made.add_column(name, justify="right" if index else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made
