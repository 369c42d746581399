"""`descant tokenizer compare` and `descant tokenizer inspect`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from descant_tokenizers.cli.options import (
    FILES,
    MUSIC,
    OWN_FILES,
    RUN,
    TOKENIZER,
    JsonOption,
    ModelOption,
    NoRepeatsOption,
    PresetOption,
)
from descant_tokenizers.common.files import check_output

DEFAULT_LIMIT = 500


def compare_command(
    source: Annotated[list[str], typer.Argument(help="A corpus, a built dataset, a folder of scores, or files.")],
    schemes: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated names or folders; default: all that fit the music.", rich_help_panel=TOKENIZER
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(help="Most pieces to take, drawn at random with --seed; 0 for all.", rich_help_panel=MUSIC),
    ] = DEFAULT_LIMIT,
    seed: Annotated[int, typer.Option(help="Seed of the draw.", rich_help_panel=MUSIC)] = 0,
    plot: Annotated[Path | None, typer.Option(help="Draw the table to this PNG file.", rich_help_panel=FILES)] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing --plot file.", rich_help_panel=FILES)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print only the table, and no progress.", rich_help_panel=RUN)
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare tokenization schemes on music: length, vocabulary, round-trip fidelity, and speed."""
    check_output(plot, "--plot", (".png",), force=force)
    from descant_tokenizers.comparison.compare import compare, kind_of_all, load_source
    from descant_tokenizers.comparison.compare import plot as draw
    from descant_tokenizers.comparison.schemes import default_schemes, load_scheme
    from descant_tokenizers.corpora.workers import reading_bar
    from descant_tokenizers.tokens.kinds import FOUR_PART

    start = time.monotonic()
    silent = quiet or as_json
    chosen = [name.strip() for name in (schemes or "").split(",") if name.strip()]
    for name in chosen:
        load_scheme(name, FOUR_PART)  # a wrong name is an error before anything is read
    label = source[0] if len(source) == 1 else f"{len(source)} files"
    with reading_bar(label, quiet=silent) as progress:
        found = load_source(source, limit, seed, progress)
    kind = kind_of_all(found.scores)
    loaded = [load_scheme(name, kind) for name in chosen or default_schemes(kind)]
    with reading_bar(f"{label} back from tokens", quiet=silent) as progress:
        compared = compare(found.scores, loaded, kind, progress)
    figures = {"source": found.name, "num_found": found.num_found, "skipped": dict(found.skipped), **compared}
    if plot is not None:
        draw(figures, plot, f"{found.name}: {figures['num_pieces']:,} pieces, {figures['num_notes']:,} notes")
    if as_json:
        typer.echo(json.dumps(figures, ensure_ascii=False))
        return
    _print_table(figures)
    if not quiet:
        for line in _summary(figures, kind.label, time.monotonic() - start):
            typer.echo(line)
        if plot is not None:
            typer.echo(f"Wrote {plot}")


def inspect_command(
    file: Annotated[Path, typer.Argument(help="A score: MIDI, MusicXML, ABC or Humdrum.")],
    preset: PresetOption = "satb",
    model: ModelOption = None,
    track: Annotated[
        str | None,
        typer.Option(help="Use only this track: its number from 1, or its name.", rich_help_panel=OWN_FILES),
    ] = None,
    tune: Annotated[
        int | None,
        typer.Option(
            help="Tune of an ABC file that holds several: the number in its X: field, or its place.",
            rich_help_panel=OWN_FILES,
        ),
    ] = None,
    no_repeats: NoRepeatsOption = False,
    scheme: Annotated[
        str | None,
        typer.Option(
            help="Use a scheme instead (tsd, octuple, ...; see `compare`), or a tokenizer's folder.",
            rich_help_panel=TOKENIZER,
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page to open in a browser instead.", rich_help_panel=FILES)
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing --html file.", rich_help_panel=FILES)
    ] = False,
) -> None:
    """Print the tokens of a score bar by bar, coloured by type."""
    check_output(html, "--html", (".html", ".htm"), force=force)
    from rich.console import Console

    from descant_tokenizers.comparison.sheet import make_token_sheet, render_token_sheet, write_page

    sheet = make_token_sheet(file, model or preset, track, scheme, tune, unfold=not no_repeats)
    if html is None:
        console = Console(highlight=False)
        for line in render_token_sheet(sheet):
            console.print(line, soft_wrap=True)
        return
    write_page(sheet, html)
    for text in (*sheet.totals(), f"Wrote {html}"):
        typer.echo(text)


def _print_table(figures: dict[str, Any]) -> None:
    from rich.console import Console

    from descant_tokenizers.comparison.compare import rich_table

    table = rich_table(figures)
    width = Console(width=1000).measure(table).maximum
    console = Console(highlight=False)
    console.width = max(console.width, width)  # neither a pipe nor a narrow window cuts columns
    console.print(table)


def _summary(figures: dict[str, Any], music: str, seconds: float) -> Iterator[str]:
    skipped, schemes = figures["skipped"], figures["schemes"]
    is_drawn = figures["num_pieces"] + len(skipped) < figures["num_found"]
    of_all = f" (of {figures['num_found']:,}, drawn at random)" * is_drawn
    yield ""
    yield (
        f"{figures['source']}: {figures['num_pieces']:,} pieces{of_all}, {figures['num_notes']:,} notes, "
        f"{figures['num_bars']:,} bars, vocabularies for {music}, {seconds:.1f} s"
    )
    yield from listing("skipped", len(skipped), [f"{name}: {reason}" for name, reason in skipped.items()])
    for scheme in schemes:
        reasons = [f"{count} x {reason}" for reason, count in scheme["refusals"].most_common()]
        yield from listing(f"refused by {scheme['name']}", scheme["num_refused"], reasons)
    yield from (f"limits of {scheme['name']}: {'; '.join(scheme['limits'])}" for scheme in schemes if scheme["limits"])


def listing(what: str, count: int, lines: list[str], most: int = 5) -> Iterator[str]:
    """Yield a heading with a count, at most `most` lines, and the number of the others; nothing for no lines."""
    if lines:
        yield f"{what}: {count}"
        yield from (f"  {line}" for line in lines[:most])
        if len(lines) > most:
            yield f"  ... and {len(lines) - most} more"
