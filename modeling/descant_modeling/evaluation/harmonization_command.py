"""``descant evaluate harmonization``: every soprano of a split, harmonized and measured beside Bach's own harmony."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descant_tokenizers.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from descant_modeling.evaluation.harmonization import Harmonized


def harmonization_command(
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="Embedded model, folder, Hub id, or baseline; give it again for one more column."),
    ] = None,
    corpus: Annotated[str, typer.Option(help="Corpus name, or folder of a built dataset.")] = "chorales",
    split: Annotated[str, typer.Option(help="Split whose sopranos are taken; test is for releases only.")] = "valid",
    reference: Annotated[str, typer.Option(help="Corpus and split to measure by.")] = "chorales:train",
    num_samples: Annotated[int, typer.Option(help="Harmonies of each soprano.")] = 1,
    limit: Annotated[int | None, typer.Option(help="Take the first sopranos only.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same music.")] = 0,
    temperature: Annotated[float, typer.Option(help="Below 1 safer, above 1 bolder; 0 takes the likeliest.")] = 0.9,
    top_p: Annotated[float, typer.Option(help="Draw from the likeliest tokens of this total probability.")] = 0.95,
    allow_parallels: Annotated[
        bool, typer.Option("--allow-parallels", help="Voices may move in parallel fifths, octaves and unisons.")
    ] = False,
    allow_leaps: Annotated[
        bool, typer.Option("--allow-leaps", help="Voices may leap by augmented intervals and over an octave.")
    ] = False,
    best_of: Annotated[
        int | None, typer.Option(help="Write so many versions of each and keep the likelier ones; 1 is fastest.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="New folder for the harmonies as MIDI, one folder a model.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; chosen by itself if not given.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Neither progress nor remarks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Harmonize every soprano of a split; rules, grade and accuracy beside Bach's own harmonies."""
    _check_range("--num-samples", num_samples, 1, 64)
    _check_range("--limit", 1 if limit is None else limit, 1, 1_000_000)
    _check_range("--seed", seed, 0, 2**63 - 1)
    _check_range("--temperature", temperature, 0, 10)
    _check_range("--top-p", top_p, 1e-6, 1)
    _check_range("--best-of", 1 if best_of is None else best_of, 1, 64)
    names = list(dict.fromkeys(models or ["chorales"]))
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists already and is not empty; choose a new folder for --out.")

    from descant_modeling.decoding.sampler import SamplingConfig
    from descant_modeling.devices import pick_device
    from descant_modeling.evaluation.chorales import Reference, measure
    from descant_modeling.evaluation.grid import chorale_of_row
    from descant_modeling.evaluation.harmonization import harmonize_rows, measure_harmonies
    from descant_modeling.evaluation.harmonizers import open_harmonizer
    from descant_modeling.evaluation.screen import remark, show, write_json
    from descant_modeling.evaluation.sources import release_remark, split_rows
    from descant_modeling.progress import progress_bar
    from descant_modeling.quiet import quiet_libraries

    started = time.monotonic()
    remark(release_remark(split), quiet=quiet)
    rows = split_rows(f"{corpus}:{split}")[:limit]
    bach = Reference([chorale_of_row(row) for row in split_rows(reference)])
    sampling = SamplingConfig(temperature, top_p, allow_parallels, allow_leaps, best_of)
    chosen = pick_device(device)
    results = {}
    for name in names:
        with quiet_libraries(), progress_bar(f"{name}: {len(rows)} sopranos", quiet=quiet or as_json) as progress:
            harmonizer = open_harmonizer(name, chosen, sampling)
            done, seconds = harmonize_rows(harmonizer, rows, seed=seed, num_samples=num_samples, progress=progress)
        results[harmonizer.name] = measure_harmonies(done, bach, seconds).facts()
        if out is not None:
            _write(done, out / harmonizer.name)
    facts = {
        "corpus": corpus,
        "split": split,
        "reference": reference,
        "num_sopranos": len(rows),
        "seed": seed,
        "temperature": temperature,
        "top_p": top_p,
        "allow_parallels": allow_parallels,
        "allow_leaps": allow_leaps,
        "best_of": best_of,
        "models": results,
        "bach": measure([chorale_of_row(row) for row in rows], bach).facts(),
        "seconds": round(time.monotonic() - started, 1),
    }
    if as_json:
        write_json(facts)
    else:
        show(harmonization_table(facts))


def harmonization_table(facts: Mapping[str, Any]) -> Table:
    """Set models side by side, Bach last."""
    from descant_modeling.evaluation.rules import FRAMES, RULES
    from descant_modeling.evaluation.screen import table

    models: dict[str, Any] = facts["models"]
    bach = facts["bach"]

    def row(label: str, cells: Sequence[str], his: str = "") -> list[str]:
        return [label, *cells, his]

    rows = [row("soprano kept, %", [f"{m['soprano_kept']:.1f}" for m in models.values()], "100.0")]
    for rule in RULES:
        cells = [_with_interval(m["rules"][rule.key]) for m in models.values()]
        unit = "%" if rule.unit == FRAMES else "/1,000"
        rows.append(row(f"{rule.label}, {unit}", cells, _with_interval(bach["rules"][rule.key])))
    rows.append(row("grade, median", [_grade(m["grade"]) for m in models.values()], _grade(bach["grade"])))
    rows.append(row("Bach outgrades, % of pairs", [_with_interval(m["bach_outgrades"]) for m in models.values()], "50"))
    for voice in ("alto", "tenor", "bass"):
        cells = [_with_interval(m["accuracy"][voice]) for m in models.values()]
        rows.append(row(f"{voice} sounds what Bach's does, %", cells, "100"))
    rows.append(row("seconds to write", [f"{m['writing_seconds']:.0f}" for m in models.values()]))
    note = "/1,000: per 1,000 pitch changes; %: of 16ths. In brackets 95 % intervals; of the grade, quartiles."
    title = f"{facts['num_sopranos']} sopranos of {facts['corpus']}, {facts['split']}"
    return table(title, ("", *models, "Bach"), rows, note)


def _with_interval(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


def _grade(grade: Mapping[str, Any]) -> str:
    return f"{grade['median']:.2f} [{grade['quartiles']['low']:.2f}, {grade['quartiles']['high']:.2f}]"


def _write(done: Sequence[Harmonized], folder: Path) -> None:
    from descant_tokenizers.scores import write_midi

    folder.mkdir(parents=True, exist_ok=True)
    count: dict[str, int] = {}
    for harmony in done:
        name = harmony.chorale.name
        count[name] = count.get(name, 0) + 1
        write_midi(harmony.score, folder / f"{name}{f'-{count[name]}' if count[name] > 1 else ''}.mid")


def _check_range(option: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{option} is {value}; give {low:g} to {high:g}.")
