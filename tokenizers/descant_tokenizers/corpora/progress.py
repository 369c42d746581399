"""A progress bar for reading many files."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from descant_tokenizers.corpora.harvest import Progress


@contextlib.contextmanager
def reading_bar(label: str, *, quiet: bool = False) -> Iterator[Progress | None]:
    """Show on stderr, if that is a terminal, how far a run is; pass what this yields as `progress`.

    Args:
        label: What is read.
        quiet: Show nothing, and yield None.
    """
    if quiet:
        yield None
        return
    from rich.console import Console  # worker processes import this package, and show nothing
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"Reading {label}", total=None)
        yield lambda num_done, num_files: bar.update(task, completed=num_done, total=num_files)


def silence_datasets(*, quiet: bool) -> None:
    """Keep the bars of `datasets` off stderr for the rest of the process, where nobody would watch them.

    Args:
        quiet: Also in a terminal.
    """
    import datasets

    if quiet or not sys.stderr.isatty():
        datasets.disable_progress_bars()
