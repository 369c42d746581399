"""Progress bars, and a terminal without the messages that libraries print for developers."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(label: str, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Yield a function that takes the share done, 0-1, and shows it on stderr if stderr is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        line = bar.add_task(label, total=1.0)
        yield lambda share: bar.update(line, completed=share)


def part_of(progress: Callable[[float], None] | None, done: float, share: float) -> Callable[[float], None] | None:
    """Return a function that takes the share done of a part and reports that of the whole, 0-1.

    The part begins after `done` of the whole, and makes up `share` of it.
    """
    if progress is None:
        return None
    return lambda part: progress(done + part * share)


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence progress bars, remarks and warnings of transformers, miditok and other libraries inside the block.

    Transformers is silenced if it has been imported; importing it takes a second.
    """
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        if sys.modules.get("transformers") is not None:
            from transformers.utils import logging as library

            stack.callback(library.set_verbosity, library.get_verbosity())
            library.set_verbosity(logging.ERROR)
            if library.is_progress_bar_enabled():
                stack.callback(library.enable_progress_bar)
                library.disable_progress_bar()  # type: ignore[no-untyped-call]
        yield
