"""``descant evaluate harmonization``: every soprano of a split, harmonized and measured beside Bach's own harmony."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from descant_modeling.cli.options import (
    AllowLeaps,
    AllowParallels,
    AsJson,
    BestOf,
    Device,
    Quiet,
    Temperature,
    TopP,
    check_drawing,
    check_range,
)
from descant_modeling.decoding.config import TEMPERATURE, TOP_P
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from descant_modeling.decoding.config import SamplingConfig
    from descant_modeling.evaluation.harmonization import Draw
    from descant_modeling.evaluation.harmonizers import Harmonizer

_SAMPLING = ("temperature", "top_p", "allow_parallels", "allow_leaps", "best_of")


def harmonization_command(
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Embedded model, folder, Hub id, nearest, markov, or baseline for these two; give it again for more.",
        ),
    ] = None,
    corpus: Annotated[str, typer.Option(help="Corpus name, or folder of a built dataset.")] = "chorales",
    split: Annotated[str, typer.Option(help="Split whose sopranos are taken; test is for releases only.")] = "valid",
    reference: Annotated[str, typer.Option(help="Corpus and split to measure by.")] = "chorales:train",
    num_draws: Annotated[int, typer.Option(help="How often every soprano is harmonized, each time anew.")] = 1,
    limit: Annotated[int | None, typer.Option(help="Take the first sopranos only.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same music; the second draw has the next.")] = 0,
    temperature: Temperature = TEMPERATURE,
    top_p: TopP = TOP_P,
    allow_parallels: AllowParallels = False,
    allow_leaps: AllowLeaps = False,
    best_of: BestOf = None,
    out: Annotated[Path | None, typer.Option(help="New folder for the harmonies as MIDI, one folder a model.")] = None,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Harmonize every soprano of a split; rules, grade and accuracy beside Bach's own harmonies."""
    check_range("--num-draws", num_draws, 1, 1000)
    check_range("--limit", limit, 1)
    check_drawing(seed, temperature, top_p, best_of)
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists already and is not empty; choose a new folder for --out.")

    from descant_modeling.cli.evaluate.tables import remark, show, write_json
    from descant_modeling.common.devices import pick_device
    from descant_modeling.decoding.config import SamplingConfig
    from descant_modeling.evaluation.data import release_remark

    remark(release_remark(split), quiet=quiet)
    sampling = SamplingConfig(temperature, top_p, allow_parallels, allow_leaps, best_of)
    source = _Source(corpus, split, reference, limit)
    how = _How(sampling, num_draws, seed, pick_device(device), out, quiet or as_json)
    facts = _measure_models(models or ["chorales"], source, how)
    if as_json:
        write_json(facts)
    else:
        show(harmonization_table(facts))


class _Source(NamedTuple):
    """Whose sopranos are harmonized, and what they are measured by."""

    corpus: str
    split: str
    reference: str
    limit: int | None


class _How(NamedTuple):
    """How the models write."""

    sampling: SamplingConfig
    num_draws: int
    seed: int
    device: str
    out: Path | None
    quiet: bool


def _measure_models(models: Sequence[str], source: _Source, how: _How) -> dict[str, Any]:
    """Let each model harmonize all sopranos; return what goes into JSON."""
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.evaluation.corpus_stats import Reference, measure
    from descant_modeling.evaluation.harmonization import measure_harmonies
    from descant_modeling.evaluation.harmonizers import named_harmonizers, open_harmonizer
    from descant_tokenizers.corpora.build import split_rows
    from descant_tokenizers.pianoroll.frames import chorale_of_row

    started = time.monotonic()
    rows = split_rows(f"{source.corpus}:{source.split}")[: source.limit]
    bach = Reference([chorale_of_row(row) for row in split_rows(source.reference)])
    results = {}
    for name in named_harmonizers(models):
        with quiet_libraries():
            harmonizer = open_harmonizer(name, how.device, how.sampling)
            draws = _draws(harmonizer, rows, how)
        results[harmonizer.name] = measure_harmonies(draws, bach).facts()
        if how.out is not None:
            _write(draws, how.out / harmonizer.name)
    return {
        "corpus": source.corpus,
        "split": source.split,
        "reference": source.reference,
        "num_sopranos": len(rows),
        "num_draws": how.num_draws,
        "seed": how.seed,
        **{key: getattr(how.sampling, key) for key in _SAMPLING},
        "models": results,
        "bach": measure([chorale_of_row(row) for row in rows], bach).facts(),
        "seconds": round(time.monotonic() - started, 1),
    }


def _draws(harmonizer: Harmonizer, rows: Sequence[Mapping[str, Any]], how: _How) -> list[Draw]:
    """Let a model harmonize all sopranos as often as asked, and say how long each time took."""
    from descant_modeling.cli.evaluate.tables import remark
    from descant_modeling.common.console import part_of, progress_bar
    from descant_modeling.evaluation.harmonization import harmonize_rows

    draws: list[Draw] = []
    label = f"{harmonizer.name}: {len(rows)} sopranos"
    with progress_bar(label, quiet=how.quiet) as progress:
        for number in range(how.num_draws):
            part = part_of(progress, number / how.num_draws, 1 / how.num_draws)
            draws.append(harmonize_rows(harmonizer, rows, seed=how.seed + number, progress=part))
            if how.num_draws > 1:
                done = f"{label}, draw {number + 1} of {how.num_draws}"
                remark(f"{done}: {draws[-1].seconds:.0f} s", quiet=how.quiet)
    return draws


def harmonization_table(facts: Mapping[str, Any]) -> Table:
    """Set models side by side, Bach last."""
    from descant_modeling.cli.evaluate.tables import table
    from descant_modeling.evaluation.rules import FRAMES, RULES

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
    rows.append(row("grade, 95 %", [_interval_of_median(m["grade"]) for m in (*models.values(), bach)]))
    rows.append(row("Bach outgrades, % of pairs", [_with_interval(m["bach_outgrades"]) for m in models.values()], "50"))
    if facts["num_draws"] > 1:
        rows.append(row("grade, best and worst draw", [_ends(_draw_grades(m)) for m in models.values()]))
        rows.append(row("pairs, best and worst draw", [_ends(_draw_pairs(m)) for m in models.values()]))
    for voice in ("alto", "tenor", "bass"):
        cells = [_with_interval(m["accuracy"][voice]) for m in models.values()]
        rows.append(row(f"{voice} sounds what Bach's does, %", cells, "100"))
    rows.append(
        row(
            "seconds to write, all draws" if facts["num_draws"] > 1 else "seconds to write",
            [f"{m['writing_seconds']:.0f}" for m in models.values()],
        )
    )
    note = "/1,000: per 1,000 pitch changes; %: of 16ths. In brackets 95 % intervals; of the grade, quartiles."
    title = f"{facts['num_sopranos']} sopranos of {facts['corpus']}, {facts['split']}"
    if facts["num_draws"] > 1:
        title += f", {facts['num_draws']} draws of each"
        note += " Means over draws; intervals cover draws and pieces."
    return table(title, ("", *models, "Bach"), rows, note)


def _with_interval(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


def _grade(grade: Mapping[str, Any]) -> str:
    return f"{grade['median']:.2f} [{grade['quartiles']['low']:.2f}, {grade['quartiles']['high']:.2f}]"


def _interval_of_median(grade: Mapping[str, Any]) -> str:
    return f"[{grade['median_interval']['low']:.2f}, {grade['median_interval']['high']:.2f}]"


def _draw_grades(model: Mapping[str, Any]) -> list[float]:
    return [draw["grade"]["median"] for draw in model["draws"]]


def _draw_pairs(model: Mapping[str, Any]) -> list[float]:
    return [draw["bach_outgrades"] for draw in model["draws"]]


def _ends(values: Sequence[float]) -> str:
    return f"{min(values):.2f}, {max(values):.2f}"


def _write(draws: Sequence[Draw], folder: Path) -> None:
    """Write the harmonies of the first draw as NAME.mid, those of the second as NAME-2.mid, and so on."""
    from descant_tokenizers.scores import write_midi

    folder.mkdir(parents=True, exist_ok=True)
    for number, draw in enumerate(draws, start=1):
        for harmony in draw.harmonies:
            suffix = f"-{number}" if number > 1 else ""
            write_midi(harmony.score, folder / f"{harmony.chorale.name}{suffix}.mid")
