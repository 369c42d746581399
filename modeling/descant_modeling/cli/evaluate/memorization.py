"""``descant evaluate memorization``: how much of the training set a model writes down again, beside Bach."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from descant_modeling.cli.options import AsJson, Device, Quiet, check_range
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from descant_tokenizers.pianoroll.frames import Chorale

TaskName = Literal["harmonize", "continue"]
Rows = Sequence[Mapping[str, Any]]


def memorization_command(
    model: Annotated[str, typer.Option(help="Embedded model, folder, Hub id, nearest or markov.")] = "chorales",
    corpus: Annotated[str, typer.Option(help="Corpus name, or folder of a built dataset.")] = "chorales",
    split: Annotated[str, typer.Option(help="Held-out pieces to start from; test is for releases only.")] = "valid",
    train: Annotated[str, typer.Option(help="Corpus and split that the model learned from.")] = "chorales:train",
    task: Annotated[TaskName, typer.Option(help="Harmonize the sopranos, or go on after two bars.")] = "harmonize",
    samples: Annotated[Path | None, typer.Option(help="Harmonies in files instead of new ones; any folder.")] = None,
    limit: Annotated[int | None, typer.Option(help="Take the first pieces only.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same music.")] = 0,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Longest runs of notes, in any key, that samples share with the training set; Bach's held-out pieces beside."""
    check_range("--limit", limit, 1)
    check_range("--seed", seed, 0, 2**63 - 1)
    if samples is not None and task == "continue":
        raise InputError("--samples are harmonies; leave --task out.")

    from descant_modeling.cli.evaluate.tables import remark, show, write_json
    from descant_modeling.common.console import progress_bar
    from descant_modeling.evaluation.data import release_remark
    from descant_modeling.evaluation.memorization import Memory, excesses, runs_facts
    from descant_tokenizers.corpora.build import split_rows
    from descant_tokenizers.pianoroll.frames import chorale_of_row

    started = time.monotonic()
    remark(release_remark(split), quiet=quiet)
    rows = split_rows(f"{corpus}:{split}")[:limit]
    memory = Memory.of([chorale_of_row(row) for row in split_rows(train)])
    with progress_bar(f"{model}: {len(rows)} pieces", quiet=quiet or as_json) as progress:
        if samples is not None:
            written, bach = _read(samples, rows)
        elif task == "continue":
            written, bach = _continued(model, rows, seed, device, progress)
        else:
            written, bach = _harmonized(model, rows, seed, device, progress)
    given = ["Soprano"] if task == "harmonize" else []
    runs = [_without(memory.longest_runs(chorale), given) for chorale in written]
    found, his = (runs_facts(some) for some in (runs, [_without(memory.longest_runs(c), given) for c in bach]))
    more = excesses(found, his)
    facts = {
        "model": model if samples is None else str(samples),
        "task": task,
        "corpus": corpus,
        "split": split,
        "train": train,
        "num_samples": len(written),
        "copies_more_than_bach": bool(more),
        "longer_than_bach": [asdict(excess) for excess in more],
        "runs": found,
        "bach": {"num_pieces": len(bach), "runs": his},
        "pieces": {chorale.name: run for chorale, run in zip(written, runs, strict=True)},
        "seconds": round(time.monotonic() - started, 1),
    }
    if as_json:
        write_json(facts)
    else:
        show(memorization_table(facts))
        typer.echo(verdict(facts))


def memorization_table(facts: Mapping[str, Any]) -> Table:
    """Set the longest shared runs of samples beside Bach's."""
    from descant_modeling.cli.evaluate.tables import table

    rows = []
    for voice, run in facts["runs"].items():
        his = facts["bach"]["runs"][voice]
        cells = (f"{both['median']:g} / {both['percentile_95']:g} / {both['longest']}" for both in (run, his))
        rows.append([f"{voice.replace('_', ' ')}, {'chords' if voice == 'all_four' else 'notes'}", *cells])
    title = f"Longest run shared with {facts['train']}: median / 95th percentile / longest of all"
    columns = ("", f"{facts['num_samples']} samples", f"{facts['bach']['num_pieces']} of Bach's")
    return table(title, columns, rows, "in any key; intervals and lengths agree")


def verdict(facts: Mapping[str, Any]) -> str:
    """Say whether samples share no longer runs with the training set than Bach does."""
    more = facts["longer_than_bach"]
    if not more:
        return "It copies no more than Bach repeats himself: no figure above is higher than his."
    figures = {"median": "median", "percentile_95": "95th percentile", "longest": "longest of all"}
    where = (
        f"{excess['voice'].replace('_', ' ')}, {figures[excess['figure']]} {excess['samples']:g} ({excess['bach']:g})"
        for excess in more
    )
    return f"It copies more than Bach repeats himself (his figures in brackets): {'; '.join(where)}."


def _read(folder: Path, rows: Rows) -> tuple[list[Chorale], list[Chorale]]:
    from descant_modeling.evaluation.data import read_chorales
    from descant_tokenizers.pianoroll.frames import chorale_of_row

    return read_chorales([str(folder)]).chorales, [chorale_of_row(row) for row in rows]


def _harmonized(
    model: str, rows: Rows, seed: int, device: str | None, progress: Any
) -> tuple[list[Chorale], list[Chorale]]:
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.common.devices import pick_device
    from descant_modeling.evaluation.harmonization import harmonize_rows
    from descant_modeling.evaluation.harmonizers import open_harmonizer

    with quiet_libraries():
        harmonizer = open_harmonizer(model, pick_device(device))
    done = harmonize_rows(harmonizer, rows, seed=seed, progress=progress).harmonies
    return [harmony.chorale for harmony in done], [harmony.bach for harmony in done]


def _continued(
    model: str, rows: Rows, seed: int, device: str | None, progress: Any
) -> tuple[list[Chorale], list[Chorale]]:
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.common.devices import pick_device
    from descant_modeling.evaluation.harmonizers import ModelHarmonizer, open_harmonizer
    from descant_modeling.evaluation.memorization import continue_rows
    from descant_modeling.generation.satb import FourPartGenerator

    with quiet_libraries():
        opened = open_harmonizer(model, pick_device(device))
    if not isinstance(opened, ModelHarmonizer) or not isinstance(opened.writer, FourPartGenerator):
        raise InputError(f"{model} harmonizes and does nothing else; leave --task out, or choose another --model.")
    pairs = continue_rows(opened.writer, rows, seed=seed, progress=progress)
    if not pairs:
        raise InputError("none of these pieces is long enough to go on with; take others.")
    return [pair.written for pair in pairs], [pair.bach for pair in pairs]


def _without(runs: dict[str, int], voices: Sequence[str]) -> dict[str, int]:
    return {voice: length for voice, length in runs.items() if voice not in voices}
