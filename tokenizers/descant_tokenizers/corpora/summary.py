"""A build report as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from descant_tokenizers.corpora.build import BuildReport

MAX_LISTED = 8


def summary(report: BuildReport, out: Path, seconds: float) -> str:
    """Say in a few lines what was built.

    Args:
        report: What became of every file.
        out: Where the dataset lies.
        seconds: How long the build took.

    Returns:
        Text without a final line break.
    """
    lines = [f"{report.corpus}: {report.num_rows} pieces from {report.num_files} files in {seconds:.1f} s"]
    if report.num_found > report.num_files:
        lines.append(f"  {report.num_found} were found, each tune of a tune book counted")
    if report.num_cached:
        lines.append(f"  {report.num_cached} of them {'was' if report.num_cached == 1 else 'were'} read before")
    lines.append(f"  {'split':<10}{'pieces':>8}{'of four parts':>16}")
    lines += [f"  {split:<10}{count:>8}{report.four_part[split]:>16}" for split, count in report.splits.items()]
    lines += _listed("skipped", report.skipped)
    same = {name: f"{name} has the notes of {kept}" for name, kept in report.duplicates.items()}
    lines += _listed("left out, equal to another", same)
    lines += _listed("repaired", {name: f"{name}: {'; '.join(said)}" for name, said in report.remarks.items()})
    lines.append(f"Wrote {out} ({out / 'report.json'} has the details)")
    return "\n".join(lines)


def _listed(what: str, said: Mapping[str, str]) -> Iterator[str]:
    if said:
        yield f"  {what}: {len(said)}"
        yield from (f"    {text}" for text in list(said.values())[:MAX_LISTED])
        if len(said) > MAX_LISTED:
            yield f"    ... and {len(said) - MAX_LISTED} more"
