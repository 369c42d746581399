"""Reading many files in parallel: a bad file is an entry in the result, never the end of the run."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from descant_tokenizers.corpora.cache import cache_path, load_piece, save_piece
from descant_tokenizers.corpora.rows import Corpus, Piece, make_piece
from descant_tokenizers.errors import InputError, printable

Progress = Callable[[int, int], None]
"""Called with the number of files done and the number of all files."""

Outcome = Piece | str
"""A piece, or the reason why the file was skipped."""

SMALL_JOB = 8  # starting worker processes takes longer than reading a handful of files


def read_all(corpus: Corpus, num_proc: int | None = None, progress: Progress | None = None) -> dict[Path, Outcome]:
    """Read every file of a corpus, from the cache where it has been read before.

    Each piece is cached as soon as it is read: an interrupted run goes on where it stopped.

    Args:
        corpus: The corpus.
        num_proc: Worker processes; by default one for each core.
        progress: Told how far the run is.

    Returns:
        A piece or a reason for each file, in the order of `corpus.paths` whatever `num_proc` is.

    Raises:
        InputError: `num_proc` is less than 1, or no worker process can be started.
    """
    if num_proc is not None and num_proc < 1:
        raise InputError(f"num_proc is {num_proc}; give 1 or more worker processes.")
    outcomes, unread = _look_up(corpus)
    for path, outcome in _read_unread(corpus, unread, num_proc or os.cpu_count() or 1):
        outcomes[path] = outcome
        if progress is not None:
            progress(len(outcomes), len(corpus.paths))
    return {path: outcomes[path] for path in corpus.paths}


def read_one(corpus: Corpus, path: Path, cached: Path) -> Outcome:
    """Read one file and cache the piece.

    Args:
        corpus: Knows how to read the file.
        path: The file.
        cached: Where the cache keeps the piece.

    Returns:
        The piece, or in one sentence why there is none.
    """
    try:
        piece = make_piece(corpus.read(path))
    except InputError as error:
        return str(error)
    except Exception as error:  # parsers raise anything on broken files; the reason goes into the report
        return f"{path} cannot be read ({type(error).__name__}: {printable(str(error), 200)})."
    save_piece(cached, piece)
    return piece


def _look_up(corpus: Corpus) -> tuple[dict[Path, Outcome], dict[Path, Path]]:
    """Return what is known already, and for each file still to be read its place in the cache."""
    known: dict[Path, Outcome] = {}
    unread: dict[Path, Path] = {}
    for path in corpus.paths:
        try:
            cached = cache_path(path, corpus.reader)
        except OSError as error:
            known[path] = f"{path} cannot be read ({error.strerror})."
            continue
        piece = load_piece(cached)
        if piece is None:
            unread[path] = cached
        else:
            known[path] = piece
    return known, unread


def _read_unread(corpus: Corpus, unread: Mapping[Path, Path], num_proc: int) -> Iterator[tuple[Path, Outcome]]:
    if num_proc == 1 or len(unread) < SMALL_JOB:
        for path, cached in unread.items():
            yield path, read_one(corpus, path, cached)
        return
    left = dict(unread)
    while left:
        for path, outcome in _in_processes(corpus, dict(left), min(num_proc, len(left))):
            del left[path]
            yield path, outcome
        # Some are left if a file took its process down: it is among those that the pool had begun with.
        for path in list(left)[: 2 * num_proc + 1]:
            alone = dict(_in_processes(corpus, {path: left.pop(path)}, 1))
            yield path, alone.get(path, f"{path} crashed the reader.")


def _in_processes(corpus: Corpus, unread: Mapping[Path, Path], num_proc: int) -> Iterator[tuple[Path, Outcome]]:
    """Yield outcomes as they come; end early if a process dies."""
    # spawn: the caller may hold threads (torch, progress bars), which do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_proc, context, initializer=_ignore_interrupt) as pool:
        _check_start(pool)
        futures: dict[Future[Outcome], Path] = {
            pool.submit(read_one, corpus, path, cached): path for path, cached in unread.items()
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            return
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C: finish only the files being read


def _check_start(pool: ProcessPoolExecutor) -> None:
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise InputError(
            "worker processes cannot be started: put the code of your script under "
            '`if __name__ == "__main__":`, or read with num_proc=1.'
        ) from error


def _ignore_interrupt() -> None:
    """Leave Ctrl-C to the parent process, which then stops the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
