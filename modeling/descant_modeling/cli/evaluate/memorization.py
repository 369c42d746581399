"""``descant evaluate memorization``: runs of notes shared with the training set, compared with Bach's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from descant_modeling.cli.evaluate.common import (
    MODELS,
    MUSIC,
    Corpus,
    Limit,
    Output,
    Seed,
    Split,
    load_harmonizer,
    table,
)
from descant_modeling.cli.options import AsJson, Device, Engine, Quiet
from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.decoding.config import check_range
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from descant_modeling.evaluation.harmonizers import Harmonizer
    from descant_tokenizers.pianoroll.frames import Chorale


def memorization_command(
    model: Annotated[
        str, typer.Option(help="Embedded model, folder, Hub id, nearest or markov.", rich_help_panel=MODELS)
    ] = EMBEDDED_DEFAULT,
    corpus: Corpus = "chorales",
    split: Split = "valid",
    train: Annotated[
        str, typer.Option(help="Splits that the model was trained on, separated by commas.", rich_help_panel=MUSIC)
    ] = "chorales:train,chorales:extra",
    task: Annotated[
        Literal["harmonize", "continue"],
        typer.Option(help="Harmonize the sopranos, or continue the first two bars.", rich_help_panel=MUSIC),
    ] = "harmonize",
    samples: Annotated[
        Path | None, typer.Option(help="Measure the harmonies in this folder, not new ones.", rich_help_panel=MUSIC)
    ] = None,
    limit: Limit = None,
    seed: Seed = 0,
    device: Device = None,
    engine: Engine = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure the longest runs of notes, in any key, that samples and Bach's pieces share with the training set."""
    check_range("--limit", limit, 1)
    check_range("--seed", seed, 0, 2**63 - 1)
    if samples is not None and task == "continue":
        raise InputError("--samples are harmonies. Omit --task.")

    from descant_modeling.evaluation.corpus_stats import read_chorales, split_chorales
    from descant_modeling.evaluation.memorization import TrainingRuns, excesses, runs_facts
    from descant_tokenizers.corpora.build import split_rows
    from descant_tokenizers.pianoroll.frames import chorale_of_row

    output = Output(split, quiet=quiet, as_json=as_json)
    rows = split_rows(f"{corpus}:{split}")[:limit]
    known = TrainingRuns.of([chorale for source in train.split(",") for chorale in split_chorales(source)])
    with output.progress(f"{model}: {len(rows)} pieces") as progress:
        if samples is not None:
            read, bach = read_chorales([str(samples)]), [chorale_of_row(row) for row in rows]
            chorales = read.chorales
            output.skipped(read.skipped)
        else:
            chorales, bach = _sampled(load_harmonizer(model, device, engine), task, rows, seed, progress)
    skipped = ["Soprano"] if task == "harmonize" else []
    runs, bach_runs = (
        [{voice: n for voice, n in known.longest_runs(c).items() if voice not in skipped} for c in pieces]
        for pieces in (chorales, bach)
    )
    found, bach_found = runs_facts(runs), runs_facts(bach_runs)
    exceeding = excesses(found, bach_found)
    facts = {
        "model": model if samples is None else str(samples),
        "task": task,
        "corpus": corpus,
        "split": split,
        "train": train,
        "num_samples": len(chorales),
        "copies_more_than_bach": bool(exceeding),
        "longer_than_bach": [asdict(excess) for excess in exceeding],
        "runs": found,
        "bach": {"num_pieces": len(bach), "runs": bach_found},
        "pieces": {chorale.name: run for chorale, run in zip(chorales, runs, strict=True)},
    }
    output.finish(facts, lambda facts: [_table(facts), verdict(facts)])


def _sampled(
    harmonizer: Harmonizer,
    task: str,
    rows: Sequence[Mapping[str, Any]],
    seed: int,
    progress: Callable[[float], None],
) -> tuple[list[Chorale], list[Chorale]]:
    """Return a model's samples for the rows, and the same stretches of Bach's pieces."""
    from descant_modeling.evaluation.harmonization import harmonize_rows
    from descant_modeling.evaluation.harmonizers import causal_generator
    from descant_modeling.evaluation.memorization import continue_rows

    if task == "harmonize":
        harmonies = harmonize_rows(harmonizer, rows, seed=seed, progress=progress).harmonies
        return [harmony.chorale for harmony in harmonies], [harmony.bach for harmony in harmonies]
    generator = causal_generator(harmonizer)
    if generator is None:
        raise InputError(f"{harmonizer.name} supports only harmonization. Omit --task, or choose another --model.")
    continuations = continue_rows(generator, rows, seed=seed, progress=progress)
    if not continuations:
        raise InputError("None of these pieces is longer than two bars. Choose others.")
    return [found.sample for found in continuations], [found.bach for found in continuations]


def _table(facts: Mapping[str, Any]) -> Table:
    rows = []
    for voice, run in facts["runs"].items():
        both = (run, facts["bach"]["runs"][voice])
        cells = (f"{some['median']:g} / {some['percentile_95']:g} / {some['longest']}" for some in both)
        rows.append([f"{voice.replace('_', ' ')}, {'chords' if voice == 'all_four' else 'notes'}", *cells])
    title = f"Longest run shared with {facts['train']}: median / 95th percentile / longest of all"
    columns = ("", f"{facts['num_samples']} samples", f"{facts['bach']['num_pieces']} of Bach's")
    return table(title, columns, rows, "in any key; intervals and lengths agree")


def verdict(facts: Mapping[str, Any]) -> str:
    """Return a sentence that compares the runs shared by samples and by Bach's pieces."""
    if not facts["longer_than_bach"]:
        return "It copies no more than Bach repeats himself: no figure above is higher than his."
    figures = {"median": "median", "percentile_95": "95th percentile", "longest": "longest of all"}
    where = (
        f"{excess['voice'].replace('_', ' ')}, {figures[excess['figure']]} {excess['samples']:g} ({excess['bach']:g})"
        for excess in facts["longer_than_bach"]
    )
    return f"It copies more than Bach repeats himself (his figures in brackets): {'; '.join(where)}."
