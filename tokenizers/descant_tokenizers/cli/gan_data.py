"""`descant dataset build` for the training data of the GANs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import typer

from descant_tokenizers.corpora import reading_bar
from descant_tokenizers.corpora.store import FileFormat
from descant_tokenizers.pianoroll.melodies import MelodyReport
from descant_tokenizers.pianoroll.stored import SOURCES, build_corpus
from descant_tokenizers.pianoroll.windows import ROLL_CORPORA, RollReport


def build_for_gans(
    corpus: str,
    out: Path,
    num_proc: int | None,
    file_format: FileFormat,
    *,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Build one of the corpora of rolls, or `melody-bars`, and summarize it; the options are those of the command."""
    with reading_bar(", ".join(SOURCES[corpus]), quiet=quiet or as_json) as progress:
        _, report = build_corpus(
            corpus, out, num_proc=num_proc, force=force, file_format=file_format, progress=progress
        )
    if as_json:
        typer.echo(json.dumps({"out": str(out), **asdict(report)}))
    elif not quiet:
        typer.echo(f"{out}: {_summary(report, ROLL_CORPORA.get(corpus, 1))}")


def _summary(report: RollReport | MelodyReport, num_bars: int) -> str:
    if isinstance(report, RollReport):
        return (
            f"windows of {num_bars} bars: {_counts(report.splits)}; {report.second_windows} of train are not a "
            f"chorale's first\nof {report.num_notes} notes a roll joins {report.merged} to the same pitch before, and "
            f"{report.off_grid} are not on sixteenths"
        )
    splits = "; ".join(f"{split} {_counts(counts)}" for split, counts in report.splits.items())
    inside = ", ".join(f"{share:.0%} in {corpus}" for corpus, share in report.in_chord.items())
    return (
        f"bars of melody: {splits}\nof their sixteenths {report.filled:.1%} were rests, and the pitch belongs to the "
        f"bar's chord at {inside}"
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
