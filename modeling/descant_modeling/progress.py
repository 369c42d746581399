"""Progress as a share done, and the bar that shows it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["part_of", "progress_bar"]


@contextlib.contextmanager
def progress_bar(label: str, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Yield a function that takes the share done, 0-1, and shows it on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        line = bar.add_task(label, total=1.0)
        yield lambda share: bar.update(line, completed=share)


def part_of(progress: Callable[[float], None] | None, done: float, share: float) -> Callable[[float], None] | None:
    """Return what takes the share of a part and reports that of the whole.

    Args:
        progress: Takes the share of the whole, 0-1, if anybody wants to know.
        done: What of the whole was done before the part.
        share: What of the whole the part is.
    """
    if progress is None:
        return None
    return lambda part: progress(done + part * share)
