"""``descant evaluate harmonization``: every soprano of a split, harmonized and compared with Bach's own harmony."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descant_modeling.cli.evaluate.common import Corpus, Limit, Output, Reference, Split, load_harmonizer, table
from descant_modeling.cli.options import (
    AllowLeaps,
    AllowParallels,
    AsJson,
    BestOf,
    Device,
    Quiet,
    Temperature,
    TopP,
    check_options,
)
from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.decoding.config import GenerationConfig, check_range
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from descant_modeling.evaluation.harmonization import Draw
    from descant_modeling.evaluation.harmonizers import Harmonizer


def harmonization_command(
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Embedded model, folder, Hub id, nearest, markov, or baseline for these two; repeat it for more.",
        ),
    ] = None,
    corpus: Corpus = "chorales",
    split: Split = "valid",
    reference: Reference = "chorales:train",
    num_draws: Annotated[int, typer.Option(help="Number of harmonies of each soprano.")] = 1,
    limit: Limit = None,
    fermatas: Annotated[
        bool, typer.Option("--fermatas/--no-fermatas", help="Tell the model where Bach's phrases end, or not.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Same seed, same music; each further draw adds 1.")] = 0,
    temperature: Temperature = GenerationConfig.temperature,
    top_p: TopP = GenerationConfig.top_p,
    allow_parallels: AllowParallels = GenerationConfig.allow_parallels,
    allow_leaps: AllowLeaps = GenerationConfig.allow_leaps,
    best_of: BestOf = GenerationConfig.best_of,
    out: Annotated[Path | None, typer.Option(help="New folder for the MIDI files, one subfolder per model.")] = None,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Harmonize every soprano of a split; compare cadences, rules, grade and accuracy with Bach's own harmonies."""
    check_range("--num-draws", num_draws, 1, 1000)
    check_range("--limit", limit, 1)
    check_options(seed=seed, temperature=temperature, top_p=top_p, best_of=best_of)
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} already exists and is not empty. Choose a new folder for --out.")

    from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, measure, split_chorales
    from descant_modeling.evaluation.harmonization import measure_harmonies
    from descant_modeling.evaluation.harmonizers import named_harmonizers
    from descant_tokenizers.corpora.build import split_rows
    from descant_tokenizers.pianoroll.frames import chorale_of_row

    output = Output(split, quiet=quiet, as_json=as_json)
    sampling: dict[str, Any] = {
        "temperature": temperature,
        "top_p": top_p,
        "allow_parallels": allow_parallels,
        "allow_leaps": allow_leaps,
        "best_of": best_of,
    }
    rows = split_rows(f"{corpus}:{split}")[:limit]
    bach = ReferenceCorpus(split_chorales(reference))
    results = {}
    for name in named_harmonizers(models or [EMBEDDED_DEFAULT]):
        harmonizer = load_harmonizer(name, device, GenerationConfig(**sampling))
        draws = _draw(harmonizer, rows, range(seed, seed + num_draws), output, fermatas=fermatas)
        results[harmonizer.name] = measure_harmonies(draws, bach).facts()
        if out is not None:
            _write(draws, out / harmonizer.name)
    facts = {
        "corpus": corpus,
        "split": split,
        "reference": reference,
        "num_sopranos": len(rows),
        "num_draws": num_draws,
        "seed": seed,
        "fermatas": fermatas,
        **sampling,
        "models": results,
        "bach": measure([chorale_of_row(row) for row in rows], bach).facts(),
    }
    output.finish(facts, lambda facts: [_table(facts)])


def _draw(
    harmonizer: Harmonizer, rows: Sequence[Mapping[str, Any]], seeds: range, output: Output, *, fermatas: bool
) -> list[Draw]:
    """Harmonize all sopranos once per seed."""
    from descant_modeling.common.console import part_of
    from descant_modeling.evaluation.harmonization import harmonize_rows

    draws: list[Draw] = []
    label = f"{harmonizer.name}: {len(rows)} sopranos"
    with output.progress(label) as progress:
        for number, seed in enumerate(seeds):
            part = part_of(progress, number / len(seeds), 1 / len(seeds))
            draws.append(harmonize_rows(harmonizer, rows, seed=seed, fermatas=fermatas, progress=part))
            if len(seeds) > 1:
                output.remark(f"{label}, draw {number + 1} of {len(seeds)}: {draws[-1].seconds:.0f} s")
    return draws


def _write(draws: Sequence[Draw], folder: Path) -> None:
    """Write the harmonies of the first draw as NAME.mid, those of the second as NAME-2.mid, and so on."""
    from descant_tokenizers.scores import write_midi

    folder.mkdir(parents=True, exist_ok=True)
    for number, draw in enumerate(draws, start=1):
        suffix = f"-{number}" if number > 1 else ""
        for harmony in draw.harmonies:
            write_midi(harmony.score, folder / f"{harmony.chorale.name}{suffix}.mid")


def _table(facts: Mapping[str, Any]) -> Table:
    from descant_modeling.evaluation.harmonization import harmonization_rows

    note = "/1,000: per 1,000 pitch changes; %: of 16ths. In brackets 95 % intervals; for the grade, quartiles."
    title = f"{facts['num_sopranos']} sopranos of {facts['corpus']}, {facts['split']}"
    if facts["num_draws"] > 1:
        title += f", {facts['num_draws']} draws of each"
        note += " Means over draws; intervals cover draws and pieces."
    rows = harmonization_rows(facts["models"], facts["bach"])
    return table(title, ("", *facts["models"], "Bach"), rows, note)
