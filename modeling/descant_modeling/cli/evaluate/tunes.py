"""``descant evaluate tunes``: melodies that are not chorales, harmonized, with Bach's chorales beside them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descant_modeling.cli.evaluate.common import MUSIC, DrawOptions, Output, table, with_draw_options, write_harmonies

if TYPE_CHECKING:
    from rich.table import Table


@with_draw_options
def tunes_command(
    options: DrawOptions,
    folder: Annotated[Path, typer.Argument(help="Folder of melodies with an index.yaml: keys, phrase ends.")],
    references: Annotated[
        list[str] | None,
        typer.Option(
            "--reference",
            help="Corpus and split to show beside (chorales:train); repeat it for more.",
            rich_help_panel=MUSIC,
        ),
    ] = None,
) -> None:
    """Harmonize tunes that are not chorales; show cadences and rules by kind of meter, beside Bach's chorales."""
    from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, split_chorales
    from descant_modeling.evaluation.tunes import harmonize_tunes, read_tunes, tunes_facts

    output = Output(quiet=options.quiet, as_json=options.as_json)
    tunes = read_tunes(folder)[: options.limit]
    sources = references or ["chorales:train"]
    corpora = {source: ReferenceCorpus(split_chorales(source)) for source in sources}
    results = {}
    for harmonizer, draws in options.draws(f"{len(tunes)} tunes", output, partial(harmonize_tunes, tunes=tunes)):
        results[harmonizer.name] = tunes_facts([harmony for draw in draws for harmony in draw], corpora[sources[0]])
        if options.out is not None:
            pieces = [[(harmony.tune.name, harmony.score) for harmony in draw] for draw in draws]
            write_harmonies(pieces, options.out / harmonizer.name)
    facts = {
        "tunes": str(folder),
        "num_tunes": len(tunes),
        **options.facts(),
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
