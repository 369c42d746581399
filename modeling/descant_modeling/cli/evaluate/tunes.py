"""``descant evaluate tunes``: melodies that are not chorales, harmonized, with Bach's chorales beside them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descant_modeling.cli.evaluate.common import (
    DrawSeed,
    Fermatas,
    HarmoniesFolder,
    Limit,
    Models,
    NumDraws,
    Output,
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


def tunes_command(
    folder: Annotated[Path, typer.Argument(help="Folder of melodies with an index.yaml: keys, phrase ends.")],
    models: Models = None,
    references: Annotated[
        list[str] | None,
        typer.Option("--reference", help="Corpus and split to show beside (chorales:train); repeat it for more."),
    ] = None,
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
    """Harmonize tunes that are not chorales; show cadences and rules by kind of meter, beside Bach's chorales."""
    check_range("--num-draws", num_draws, 1, 1000)
    check_range("--limit", limit, 1)
    check_options(seed=seed, temperature=temperature, top_p=top_p, best_of=best_of)
    check_new_folder(out)

    from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, split_chorales
    from descant_modeling.evaluation.harmonizers import named_harmonizers
    from descant_modeling.evaluation.tunes import harmonize_tunes, read_tunes, tunes_facts

    output = Output(quiet=quiet, as_json=as_json)
    tunes = read_tunes(folder)[:limit]
    sources = references or ["chorales:train"]
    corpora = {source: ReferenceCorpus(split_chorales(source)) for source in sources}
    sampling: dict[str, Any] = {
        "temperature": temperature,
        "top_p": top_p,
        "allow_parallels": allow_parallels,
        "allow_leaps": allow_leaps,
        "best_of": best_of,
    }
    results = {}
    for name in named_harmonizers(models or [EMBEDDED_DEFAULT]):
        harmonizer = load_harmonizer(name, device, GenerationConfig(**sampling))
        draws = draw_each(
            f"{harmonizer.name}: {len(tunes)} tunes",
            range(seed, seed + num_draws),
            output,
            partial(harmonize_tunes, harmonizer, tunes, fermatas=fermatas),
        )
        results[harmonizer.name] = tunes_facts([harmony for draw in draws for harmony in draw], corpora[sources[0]])
        if out is not None:
            write_harmonies([[(h.tune.name, h.score) for h in draw] for draw in draws], out / harmonizer.name)
    facts = {
        "tunes": str(folder),
        "num_tunes": len(tunes),
        "num_draws": num_draws,
        "seed": seed,
        "fermatas": fermatas,
        **sampling,
        "models": results,
        "references": {
            source: {key: corpus.measure().facts()[key] for key in ("num_pieces", "cadences", "rules")}
            for source, corpus in corpora.items()
        },
    }
    output.finish(facts, _tables)


def _tables(facts: dict[str, Any]) -> list[Table]:
    from descant_modeling.evaluation.tunes import tunes_rows

    note = "/1,000: per 1,000 pitch changes. In brackets 95 % intervals. The range of the melody does not count."
    tables = []
    for name, model in facts["models"].items():
        groups = [group for group in ("simple", "compound") if group in model]
        title = f"{name}: tunes of {facts['tunes']}, draws of each: {facts['num_draws']}"
        columns = ("", "all", *groups, *facts["references"])
        tables.append(table(title, columns, tunes_rows(model, facts["references"]), note))
    return tables
