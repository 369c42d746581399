"""``descant evaluate harmonization``: every soprano of a split, harmonized and compared with Bach's own harmony."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from descant_modeling.cli.evaluate.common import (
    Corpus,
    DrawOptions,
    Output,
    Reference,
    Split,
    table,
    with_draw_options,
    write_harmonies,
)

if TYPE_CHECKING:
    from rich.table import Table


@with_draw_options
def harmonization_command(
    options: DrawOptions,
    corpus: Corpus = "chorales",
    split: Split = "valid",
    reference: Reference = "chorales:train",
) -> None:
    """Harmonize every soprano of a split; compare cadences, rules, grade and accuracy with Bach's own harmonies."""
    from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, measure, split_chorales
    from descant_modeling.evaluation.harmonization import harmonize_rows, measure_harmonies
    from descant_tokenizers.corpora.build import split_rows
    from descant_tokenizers.pianoroll.frames import chorale_of_row

    output = Output(split, quiet=options.quiet, as_json=options.as_json)
    rows = split_rows(f"{corpus}:{split}")[: options.limit]
    bach = ReferenceCorpus(split_chorales(reference))
    results = {}
    for harmonizer, draws in options.draws(f"{len(rows)} sopranos", output, partial(harmonize_rows, rows=rows)):
        results[harmonizer.name] = measure_harmonies(draws, bach).facts()
        if options.out is not None:
            pieces = [[(harmony.chorale.name, harmony.score) for harmony in draw.harmonies] for draw in draws]
            write_harmonies(pieces, options.out / harmonizer.name)
    facts = {
        "corpus": corpus,
        "split": split,
        "reference": reference,
        "num_sopranos": len(rows),
        **options.facts(),
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
