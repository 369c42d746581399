"""`descant check`: the faults of voice leading in a file, each at its place, and their repair."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from descant_modeling.cli.options import Force, ModelName, Tune, check_options
from descant_modeling.common import EMBEDDED_DEFAULT
from descant_tokenizers.common.errors import InputError, shown
from descant_tokenizers.common.files import (
    FORMATS,
    OUT_FOLDER,
    check_outputs,
    free_outputs,
    parse_formats,
    rendering_name,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from descant_modeling.evaluation.check import CheckedScore, Level
    from descant_modeling.evaluation.repair import Repair

LevelName = Literal["error", "warning", "none"]
EXIT_FAULTS = 1


RulesOption = Annotated[
    str | None, typer.Option(help="Rules to check, such as parallel-fifths,parallel-octaves. Default: all.")
]
LevelOption = Annotated[
    LevelName, typer.Option(help="Exit with status 1 for errors, for warnings as well, or never (none).")
]
OutOption = Annotated[
    Path | None,
    typer.Option(help="Score to write, with its faults marked. Default: none; for --repair out/<file>-repaired."),
]
FormatsOption = Annotated[
    str | None,
    typer.Option(help=f"Formats of --out: {', '.join(FORMATS)}. Default: musicxml,svg; for --repair also midi."),
]


def check_command(
    file: Annotated[Path, typer.Argument(help="Four-part music: MIDI, MusicXML, ABC or Humdrum.")],
    rules: RulesOption = None,
    level: LevelOption = "error",
    out: OutOption = None,
    formats: FormatsOption = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Rewrite the fewest notes until no fault of the --level is left.")
    ] = False,
    voices: Annotated[str, typer.Option(help="Voices that --repair may rewrite.")] = "alto,tenor",
    model: ModelName = EMBEDDED_DEFAULT,
    seed: Annotated[int, typer.Option(help="The same seed gives the same repair.")] = 0,
    tune: Tune = None,
    force: Force = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of the table.")] = False,
) -> None:
    """List the faults of voice leading in four-part music: bar, beat, voices, notes, and how often Bach makes them."""
    started = time.monotonic()
    check_options(seed=seed)
    if repair and level == "none":
        raise InputError("--repair mends faults of a level, and --level is none. Give error or warning.")
    if formats is not None and out is None and not repair:
        raise InputError("--formats is for the score that --out names. Give --out as well.")
    forms = parse_formats(formats or ("midi,musicxml,svg" if repair else "musicxml,svg"))
    is_named = out is not None
    out = out or (OUT_FOLDER / f"{file.stem}-repaired" if repair else None)
    if out is not None:
        out = rendering_name(out, forms, file)
        check_outputs(out, 1, forms, force=force or not is_named)
    from descant_modeling.evaluation.check import check_facts, check_score, rules_named
    from descant_tokenizers.scores import VOICES, read_score_report
    from descant_tokenizers.scores.names import voice_names

    keys = rules_named(rules.split(",")) if rules is not None else ()
    read = read_score_report(file, marks=True, unfold=False, tune=tune)
    checked = check_score(read, str(file), keys)
    facts: dict[str, Any] = {"file": str(file), "level": level, **check_facts(checked)}
    if not (quiet or as_json):
        _print(shown(str(file)), checked)
    options: dict[str, Any] = {}
    if repair and level != "none":
        names = voice_names([voice.strip() for voice in voices.split(",")])
        mended = _repair(checked, level, names, (model, seed), quiet=quiet or as_json)
        checked, added = mended.checked, mended.rewritten
        options["is_given"] = lambda track, note: (track, note.time, note.pitch) not in added
        facts["repair"] = mended.facts()
        if not (quiet or as_json):
            typer.echo(mended.summary())
            broken = {voice for place in mended.left for voice in place.voices}
            if others := [voice.lower() for voice in VOICES[1:] if voice in broken.difference(names)]:
                typer.echo(f"To mend more, add {' and '.join(others)} to --voices.")
    files: list[Path] = []
    if out is not None:
        from descant_tokenizers.rendering.write import write_renderings

        name = out if is_named else free_outputs(out, 1)[0]
        files = write_renderings({name: checked.rendering(out.stem, **options)}, forms, force=force)[0].paths
    if as_json:
        facts |= {"files": [str(path) for path in files], "seconds": round(time.monotonic() - started, 3)}
        typer.echo(json.dumps(facts, ensure_ascii=False))
    elif not quiet:
        for path in files:
            typer.echo(f"Wrote {path}")
    if level != "none" and checked.worst(level):
        raise typer.Exit(EXIT_FAULTS)


def _repair(
    checked: CheckedScore, level: Level, voices: Sequence[str], model: tuple[str, int], *, quiet: bool
) -> Repair:
    from descant_modeling.api import load
    from descant_modeling.common.console import progress_bar, quiet_libraries
    from descant_modeling.decoding.config import GenerationConfig
    from descant_modeling.evaluation.repair import repair_score

    name, seed = model
    with quiet_libraries(), progress_bar("repair", quiet=quiet) as progress:
        config = GenerationConfig(seed=seed)
        return repair_score(load(name), checked, checked.worst(level), voices, config, progress)


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
