"""``descant evaluate report``: one page about some models."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descant_modeling.cli.options import Device, Quiet, check_range
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from descant_modeling.evaluation.corpus_stats import Reference
    from descant_modeling.evaluation.report import ReportModel


def report_command(
    more: Annotated[list[str] | None, typer.Argument(help="More models.")] = None,
    models: Annotated[
        list[str] | None, typer.Option("--models", help="Models, as in harmonization; several with blanks between.")
    ] = None,
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    corpus: Annotated[str, typer.Option(help="Corpus name, or folder of a built dataset.")] = "chorales",
    split: Annotated[str, typer.Option(help="Split to measure on; test is for releases only.")] = "valid",
    reference: Annotated[str, typer.Option(help="Corpus and split to measure by.")] = "chorales:train",
    limit: Annotated[int | None, typer.Option(help="Take the first pieces only.")] = None,
    num_shown: Annotated[int, typer.Option("--shown", help="Pieces of each model to look at.")] = 3,
    seed: Annotated[int, typer.Option(help="Same seed, same music.")] = 0,
    device: Device = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file at --out.")] = False,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON, with all the page tells.")] = False,
) -> None:
    """Write one self-contained page: likelihood, harmonization beside Bach, plots and piano rolls."""
    check_range("--limit", limit, 1)
    check_range("--shown", num_shown, 0)
    if os.path.lexists(out) and not force:
        raise InputError(f"{out} exists already; add --force to replace it, or choose another --out.")

    from descant_modeling.cli.evaluate.tables import remark, write_json
    from descant_modeling.common.console import progress_bar
    from descant_modeling.evaluation.corpus_stats import Reference, measure
    from descant_modeling.evaluation.data import release_remark
    from descant_modeling.evaluation.harmonizers import BASELINES, named_harmonizers
    from descant_modeling.evaluation.report import ReportSample, report_html
    from descant_tokenizers.common.files import atomic_write, check_writable
    from descant_tokenizers.corpora import row_to_score, silence_datasets
    from descant_tokenizers.corpora.build import split_rows
    from descant_tokenizers.pianoroll.frames import chorale_of_row

    started = time.monotonic()
    check_writable(out)
    remark(release_remark(split), quiet=quiet)
    silence_datasets(quiet=quiet or as_json)
    names = named_harmonizers([*(models or []), *(more or [])]) or ["chorales", *BASELINES]
    rows = split_rows(f"{corpus}:{split}")[:limit]
    bach = Reference([chorale_of_row(row) for row in split_rows(reference)])
    measured = []
    for name in names:
        with progress_bar(f"{name}: {len(rows)} sopranos", quiet=quiet or as_json) as progress:
            measured.append(_measured(name, rows, bach, (corpus, split), num_shown, seed, device, progress))
    his = measure([chorale_of_row(row) for row in rows], bach)
    own = [ReportSample(row["title"], row_to_score(row)) for row in rows[:num_shown]]
    page = report_html(f"Models on {corpus}, {split}", measured, his.facts(), his.grades, own)
    with atomic_write(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    facts = {
        "out": str(out),
        "models": {m.name: {"harmonization": m.harmonization, "likelihood": m.likelihood} for m in measured},
        "bach": his.facts(),
        "seconds": round(time.monotonic() - started, 1),
    }
    if as_json:
        write_json(facts)
    else:
        typer.echo(f"{out}: {', '.join(names)} on {len(rows)} pieces of {corpus}, split {split}")


def _measured(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    bach: Reference,
    source: tuple[str, str],
    num_shown: int,
    seed: int,
    device: str | None,
    progress: Callable[[float], None],
) -> ReportModel:
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.common.devices import pick_device
    from descant_modeling.evaluation.harmonization import harmonize_rows, measure_harmonies
    from descant_modeling.evaluation.harmonizers import ModelHarmonizer, open_harmonizer
    from descant_modeling.evaluation.report import ReportModel, ReportSample

    with quiet_libraries():
        harmonizer = open_harmonizer(name, pick_device(device))
    draw = harmonize_rows(harmonizer, rows, seed=seed, progress=progress)
    found = measure_harmonies([draw], bach)
    samples = [
        ReportSample(row["title"], done.score) for row, done in zip(rows[:num_shown], draw.harmonies, strict=False)
    ]
    is_causal = isinstance(harmonizer, ModelHarmonizer) and harmonizer.is_causal
    likelihood = _likelihood(name, {row["id"] for row in rows}, source, device) if is_causal else {}
    return ReportModel(harmonizer.name, found.facts(), found.measured.grades, likelihood, samples)


def _likelihood(name: str, wanted: set[str], source: tuple[str, str], device: str | None) -> dict[str, Any]:
    """Facts of both tasks."""
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.common.devices import pick_device
    from descant_modeling.evaluation.likelihood import score_facts, score_pieces
    from descant_modeling.models.checkpoints import load_checkpoint
    from descant_modeling.training.data import load_named_pieces
    from descant_tokenizers.tokens.tasks import Task

    with quiet_libraries():
        checkpoint = load_checkpoint(name, pick_device(device))
        pieces = [(piece, music) for piece, music in load_named_pieces(*source, checkpoint.layout) if piece in wanted]
    tasks = (Task.CONTINUE, Task.HARMONIZE)
    return {task: score_facts(score_pieces(checkpoint.model, checkpoint.layout, pieces, task)) for task in tasks}
