"""Read many pieces in parallel worker processes; a bad file is an entry in the result and does not end the run.

Memory does not grow with the number of pieces: a few chunks are in progress at a time, and results leave in order.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import multiprocessing
import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from typing import Any, TypeVar

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.corpora.cache import (
    cache_path,
    load_piece,
    make_cache_folder,
    piece_folder,
    prune_cache,
    save_piece,
)
from descant_tokenizers.corpora.rows import Corpus, CorpusPiece, Reader, make_piece

OnPieces = Callable[[int, int], None]
"""Called with the number of pieces done and the number of all pieces."""

SMALL_JOB = 8  # below it, starting worker processes takes longer than reading the files
CHUNK = 4  # pieces per request to a worker
CHUNKS_AHEAD = 4  # per worker, so that none waits while a slow one holds up the order


@dataclass(frozen=True)
class ReadOutcome:
    """Result of reading one piece.

    Attributes:
        key: The piece.
        piece: The piece; None if it was skipped.
        reason: Why it was skipped.
        is_cached: True if it came from the cache.
        columns: Further columns of its row, from a `PostRead`.
    """

    key: str
    piece: CorpusPiece | None = None
    reason: str = ""
    is_cached: bool = False
    columns: Mapping[str, Any] = field(default_factory=dict)


PostRead = Callable[[ReadOutcome], ReadOutcome]
"""Called with each piece that was read, in the worker process; it is pickled."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_all(
    corpus: Corpus, num_proc: int | None = None, progress: OnPieces | None = None, post_read: PostRead | None = None
) -> Generator[ReadOutcome, None, None]:
    """Read every piece of a corpus, from the cache if an earlier run has read it; call `post_read` with each.

    Each piece is cached as soon as it is read: an interrupted run continues where it stopped.

    Yields:
        The outcome of each piece, in the order of `corpus.keys` whatever `num_proc` is (default: one per core).

    Raises:
        InputError: `num_proc` is less than 1, or no worker process can be started.
    """
    if num_proc is not None and num_proc < 1:
        raise InputError(f"num_proc is {num_proc}. Give 1 or more worker processes.")
    num_proc = num_proc or os.cpu_count() or 1
    keys, reader = corpus.keys, corpus.reader
    job = functools.partial(_run, reader, post_read)
    make_cache_folder(piece_folder(reader.name))
    prune_cache()
    in_processes = num_proc > 1 and len(keys) >= SMALL_JOB
    outcomes = _in_processes(job, keys, num_proc) if in_processes else (job(key) for key in keys)
    with contextlib.closing(outcomes):  # else an exception in the caller leaves the processes running
        for num_done, outcome in enumerate(outcomes, start=1):
            yield outcome
            if progress is not None:
                progress(num_done, len(keys))


def _run(reader: Reader, post_read: PostRead | None, key: str) -> ReadOutcome:
    outcome = read_one(reader, key)
    return outcome if post_read is None or outcome.piece is None else post_read(outcome)


def read_one(reader: Reader, key: str) -> ReadOutcome:
    """Read one piece, or find it in the cache; every backend calls this for every piece."""
    try:
        data = reader.load(key)
        cached = cache_path(data, reader.name)
        piece = load_piece(cached)
        if piece is not None:
            return ReadOutcome(key, piece, is_cached=True)
        piece = make_piece(reader.read(key, data))
    except InputError as error:
        return ReadOutcome(key, reason=str(error))
    except Exception as error:  # parsers raise anything on broken files; the reason goes into the report
        reason = f"{type(error).__name__}: {printable(str(error), 200)}"
        return ReadOutcome(key, reason=f"{key} cannot be read ({reason}). Export it again.")
    save_piece(cached, piece)
    return ReadOutcome(key, piece)


def _in_processes(
    job: Callable[[str], ReadOutcome], keys: Sequence[str], num_proc: int, chunk: int = CHUNK
) -> Generator[ReadOutcome, None, None]:
    """Read in worker processes; if one of them dies, its chunk is read again piece by piece."""
    start = 0
    while start < len(keys):
        left = (keys[first : first + chunk] for first in range(start, len(keys), chunk))
        with contextlib.closing(in_pool(job, left, num_proc)) as chunks:
            for outcomes in chunks:
                start += len(outcomes)
                yield from outcomes
        if start < len(keys):  # the process that had this chunk died
            if chunk > 1:
                yield from _in_processes(job, keys[start : start + chunk], 1, chunk=1)
            else:
                yield ReadOutcome(keys[start], reason=f"{keys[start]} crashed the reader. Export it again.")
            start += chunk


def in_pool(
    job: Callable[[Item], Result], chunks: Iterable[Sequence[Item]], num_proc: int
) -> Generator[list[Result], None, None]:
    """Do a job, which is pickled, for every item in worker processes.

    Yields:
        The results of each chunk, in order; fewer if a process dies.
    """
    # spawn: the caller may hold threads (torch, progress bars), which do not survive a fork.
    context = multiprocessing.get_context("spawn")
    stopped = context.Event()
    with ProcessPoolExecutor(
        num_proc, context, initializer=_start_worker, initargs=(stopped, pickle.dumps(job))
    ) as pool:
        _check_start(pool)
        waiting = iter(chunks)
        futures: deque[Future[list[Result]]] = deque()
        try:
            while True:
                for items in itertools.islice(waiting, CHUNKS_AHEAD * num_proc - len(futures)):
                    futures.append(pool.submit(_work, items))
                if not futures:
                    return
                yield futures.popleft().result()
        except BrokenProcessPool:
            return
        finally:
            stopped.set()  # Ctrl-C: finish only the pieces being read
            pool.shutdown(cancel_futures=True)


_worker: tuple[Event, Callable[[Any], Any]] | None = None  # in a worker process: the parent's stop signal, and the job


def _start_worker(stopped: Event, pickled_job: bytes) -> None:
    """Leave Ctrl-C to the parent process, which then stops the pool."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # miditok imports torch if it is installed (seconds, and 150 MB), for data loaders that no worker needs.
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]  # as Python's own documentation says
    _worker = (stopped, pickle.loads(pickled_job))
    # Reference counts free the pieces; searching for cycles every 700 new objects, Python's default, finds none.
    gc.freeze()
    gc.set_threshold(50_000)


def _work(items: Sequence[Any]) -> list[Any]:
    assert _worker is not None
    stopped, job = _worker
    return [job(item) for item in items if not stopped.is_set()]


def _check_start(pool: ProcessPoolExecutor) -> None:
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise InputError(
            'Worker processes cannot be started. Put the code of your script under `if __name__ == "__main__":`, or '
            "read with num_proc=1."
        ) from error


@contextlib.contextmanager
def reading_bar(label: str, *, quiet: bool = False) -> Iterator[OnPieces | None]:
    """Show the progress of reading `label` on stderr if that is a terminal; yield the callback, None if `quiet`."""
    if quiet:
        yield None
        return
    from rich.console import Console  # worker processes import this module, and show nothing
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"Reading {label}", total=None)
        yield lambda num_done, num_files: bar.update(task, completed=num_done, total=num_files)


def silence_datasets(*, quiet: bool) -> None:
    """Disable the progress bars of `datasets` for the rest of the process if `quiet` or stderr is not a terminal."""
    import datasets

    if quiet or not sys.stderr.isatty():
        datasets.disable_progress_bars()
