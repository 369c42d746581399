"""``descant evaluate harmonization``: every soprano of a split, harmonized and compared with Bach's own harmony."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from descant_modeling.cli.evaluate.common import (
    Corpus,
    DrawSeed,
    Fermatas,
    HarmoniesFolder,
    Limit,
    Models,
    NumDraws,
    Output,
    Reference,
    Split,
    check_new_folder,
    draw_each,
    load_harmonizer,
    table,
    write_harmonies,
)
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

if TYPE_CHECKING:
    from rich.table import Table


def harmonization_command(
    models: Models = None,
    corpus: Corpus = "chorales",
    split: Split = "valid",
    reference: Reference = "chorales:train",
    num_draws: NumDraws = 1,
    limit: Limit = None,
    fermatas: Fermatas = True,
    seed: DrawSeed = 0,
    temperature: Temperature = GenerationConfig.temperature,
    top_p: TopP = GenerationConfig.top_p,
    allow_parallels: AllowParallels = GenerationConfig.allow_parallels,
    allow_leaps: AllowLeaps = GenerationConfig.allow_leaps,
    best_of: BestOf = GenerationConfig.best_of,
    out: HarmoniesFolder = None,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Harmonize every soprano of a split; compare cadences, rules, grade and accuracy with Bach's own harmonies."""
    check_range("--num-draws", num_draws, 1, 1000)
    check_range("--limit", limit, 1)
    check_options(seed=seed, temperature=temperature, top_p=top_p, best_of=best_of)
    check_new_folder(out)

    from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, measure, split_chorales
    from descant_modeling.evaluation.harmonization import harmonize_rows, measure_harmonies
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
        draws = draw_each(
            f"{harmonizer.name}: {len(rows)} sopranos",
            range(seed, seed + num_draws),
            output,
            partial(harmonize_rows, harmonizer, rows, fermatas=fermatas),
        )
        results[harmonizer.name] = measure_harmonies(draws, bach).facts()
        if out is not None:
            pieces = [[(harmony.chorale.name, harmony.score) for harmony in draw.harmonies] for draw in draws]
            write_harmonies(pieces, out / harmonizer.name)
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


def _table(facts: Mapping[str, Any]) -> Table:
    from descant_modeling.evaluation.harmonization import harmonization_rows

    note = "/1,000: per 1,000 pitch changes; %: of 16ths. In brackets 95 % intervals; for the grade, quartiles."
    title = f"{facts['num_sopranos']} sopranos of {facts['corpus']}, {facts['split']}"
    if facts["num_draws"] > 1:
        title += f", {facts['num_draws']} draws of each"
        note += " Means over draws; intervals cover draws and pieces."
    rows = harmonization_rows(facts["models"], facts["bach"])
    return table(title, ("", *facts["models"], "Bach"), rows, note)
