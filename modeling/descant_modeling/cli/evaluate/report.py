"""``descant evaluate report``: one page about several models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descant_modeling.cli.evaluate.common import (
    MODELS,
    MUSIC,
    Corpus,
    Limit,
    Output,
    Reference,
    Seed,
    Split,
    load_harmonizer,
)
from descant_modeling.cli.options import Device, Engine, Quiet
from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.decoding.config import check_range
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from descant_modeling.evaluation.harmonizers import Harmonizer


def report_command(
    more: Annotated[list[str] | None, typer.Argument(help="More models.")] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models", help="Models, as in harmonization; several, separated by spaces.", rich_help_panel=MODELS
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="HTML file to write.", rich_help_panel="Files")] = Path("report.html"),
    corpus: Corpus = "chorales",
    split: Split = "valid",
    reference: Reference = "chorales:train",
    limit: Limit = None,
    num_shown: Annotated[int, typer.Option("--shown", help="Pieces of each model to show.", rich_help_panel=MUSIC)] = 3,
    seed: Seed = 0,
    device: Device = None,
    engine: Engine = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace the file at --out.", rich_help_panel="Files")] = False,
    quiet: Quiet = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all figures as one line of JSON.", rich_help_panel="Run")
    ] = False,
) -> None:
    """Write one self-contained page: likelihood, harmonization compared with Bach, plots and piano rolls."""
    check_range("--limit", limit, 1)
    check_range("--shown", num_shown, 0)
    if os.path.lexists(out) and not force:
        raise InputError(f"{out} already exists. Add --force to replace it, or choose another --out.")

    from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, measure, split_chorales
    from descant_modeling.evaluation.harmonization import harmonize_rows, measure_harmonies
    from descant_modeling.evaluation.harmonizers import BASELINES, named_harmonizers
    from descant_modeling.evaluation.report import ReportModel, ReportSample, report_html
    from descant_tokenizers.common.files import atomic_write, check_writable
    from descant_tokenizers.corpora import row_to_score
    from descant_tokenizers.corpora.build import split_rows
    from descant_tokenizers.pianoroll.frames import chorale_of_row

    check_writable(out)
    output = Output(split, quiet=quiet, as_json=as_json)
    names = named_harmonizers([*(models or []), *(more or [])]) or [EMBEDDED_DEFAULT, *BASELINES]
    rows = split_rows(f"{corpus}:{split}")[:limit]
    bach = ReferenceCorpus(split_chorales(reference))
    titles = [row["title"] for row in rows[:num_shown]]
    reports = []
    for name in names:
        with output.progress(f"{name}: {len(rows)} sopranos") as progress:
            harmonizer = load_harmonizer(name, device, engine)
            draw = harmonize_rows(harmonizer, rows, seed=seed, progress=progress)
            found = measure_harmonies([draw], bach)
            likelihood = _likelihood(harmonizer, corpus, split, {row["id"] for row in rows})
        samples = [ReportSample(title, harmony.score) for title, harmony in zip(titles, draw.harmonies, strict=False)]
        reports.append(ReportModel(harmonizer.name, found.facts(), found.measured.grades, likelihood, samples))
    measured = measure([chorale_of_row(row) for row in rows], bach)
    originals = [ReportSample(title, row_to_score(row)) for title, row in zip(titles, rows, strict=False)]
    page = report_html(f"Models on {corpus}, {split}", reports, measured.facts(), measured.grades, originals)
    with atomic_write(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    facts = {
        "out": str(out),
        "models": {one.name: {"harmonization": one.harmonization, "likelihood": one.likelihood} for one in reports},
        "bach": measured.facts(),
    }
    output.finish(facts, lambda _: [f"{out}: {', '.join(names)} on {len(rows)} pieces of {corpus}, split {split}"])


def _likelihood(harmonizer: Harmonizer, corpus: str, split: str, ids: set[str]) -> dict[str, Any]:
    """Return the facts of both tasks over the pieces with these ids; nothing for models that are not causal."""
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.evaluation.harmonizers import causal_generator
    from descant_modeling.evaluation.likelihood import likelihood_facts
    from descant_modeling.models.likelihood import score_pieces
    from descant_modeling.training.data import load_named_pieces
    from descant_tokenizers.tokens.tasks import Task

    generator = causal_generator(harmonizer)
    if generator is None:
        return {}
    model, layout = generator.checkpoint.model, generator.checkpoint.layout
    with quiet_libraries():
        pieces = [(name, piece) for name, piece in load_named_pieces(corpus, split, layout) if name in ids]
    tasks = (Task.CONTINUE, Task.HARMONIZE)
    return {task: likelihood_facts(score_pieces(model, layout, pieces, task)) for task in tasks}
