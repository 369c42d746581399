"""`descant check`: the faults of voice leading in a file, each at its place, and their repair."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from descant_tokenizers.common.errors import shown
from descant_tokenizers.common.files import FORMATS, check_outputs, parse_formats, rendering_name

if TYPE_CHECKING:
    from rich.table import Table

    from descant_modeling.evaluation.check import CheckedScore

LevelName = Literal["error", "warning", "none"]
EXIT_FAULTS = 1


def check_command(
    file: Annotated[Path, typer.Argument(help="Four-part music: MIDI, MusicXML, ABC or Humdrum.")],
    rules: Annotated[
        str | None, typer.Option(help="Rules to check, such as parallel-fifths,parallel-octaves. Default: all.")
    ] = None,
    level: Annotated[
        LevelName,
        typer.Option(help="Exit with status 1 for errors, for warnings as well, or never (none)."),
    ] = "error",
    out: Annotated[
        Path | None, typer.Option(help="Name of the score to write, with its faults marked. Default: no score.")
    ] = None,
    formats: Annotated[str, typer.Option(help=f"Formats of --out: {', '.join(FORMATS)}.")] = "musicxml,svg",
    tune: Annotated[
        int | None,
        typer.Option(help="Tune of an ABC file that holds several: the number in its X: field, or its place."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files at --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of the table.")] = False,
) -> None:
    """List the faults of voice leading in four-part music: bar, beat, voices, notes, and how often Bach does it."""
    started = time.monotonic()
    forms = parse_formats(formats)
    if out is not None:
        out = rendering_name(out, forms, file)
        check_outputs(out, 1, forms, force=force)
    from descant_modeling.evaluation.check import check_facts, check_score, rules_named
    from descant_tokenizers.scores import read_score_report

    keys = rules_named(rules.split(",")) if rules is not None else ()
    read = read_score_report(file, marks=True, unfold=False, tune=tune)
    checked = check_score(read, str(file), keys)
    files = [] if out is None else _write(checked, out, forms, force=force)
    if as_json:
        facts = {"file": str(file), "level": level, **check_facts(checked), "files": [str(path) for path in files]}
        typer.echo(json.dumps(facts | {"seconds": round(time.monotonic() - started, 3)}, ensure_ascii=False))
    elif not quiet:
        _print(shown(str(file)), checked)
        for path in files:
            typer.echo(f"Wrote {path}")
    if level != "none" and checked.worst(level):
        raise typer.Exit(EXIT_FAULTS)


def _write(checked: CheckedScore, out: Path, forms: tuple[str, ...], *, force: bool) -> list[Path]:
    from descant_tokenizers.rendering.write import write_renderings

    (written,) = write_renderings({out: checked.rendering(out.stem)}, forms, force=force)
    return written.paths


def _print(name: str, checked: CheckedScore) -> None:
    """Print the faults as a table, and the rules that are broken."""
    from rich.console import Console

    from descant_modeling.evaluation.check import LEVELS, level_of
    from descant_modeling.evaluation.rules import RULES, reference_rates

    counts = {level: sum(place.level == level for place in checked.faults) for level in LEVELS}
    typer.echo(f"{name}: {', '.join(f'{n} {level}' + 's' * (n != 1) for level, n in counts.items())}")
    if not checked.faults:
        return
    Console(markup=False, emoji=False, highlight=False).print(fault_table(checked))
    broken = {place.fault.rule for place in checked.faults}
    for rule in RULES:
        if rule.key in broken:
            rate = reference_rates().rates[rule.key].value
            unit = rule.unit if rule.sign != "%" else "of 100 16ths"
            typer.echo(f"{rule.name} ({level_of(rule)}): {rule.statement} Bach: {rate:.2f} {unit}.")


def fault_table(checked: CheckedScore) -> Table:
    """Return a table of faults: place, fault, voices and notes."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    columns: tuple[tuple[str, Any], ...] = (
        ("bar", "right"), ("beat", "left"), ("fault", "left"), ("notes", "left"), ("level", "left"),
    )  # fmt: skip
    for title, side in columns:
        table.add_column(title, justify=side, overflow="fold")
    for place in checked.faults:
        notes = (f"{voice.lower()} {'-'.join(names)}" for voice, names in zip(place.voices, place.notes, strict=True))
        beat = f"{float(place.start.beat):.4g}"
        table.add_row(str(place.start.bar), beat, place.rule.name, ", ".join(notes), place.level)
    return table
