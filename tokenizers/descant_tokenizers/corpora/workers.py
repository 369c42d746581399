"""Reading many pieces in parallel: a bad file is an entry in the result, never the end of the run.

Memory does not grow with the number of pieces: a few chunks are under way at a time, and results leave in order.

A progress bar for reading many files.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import multiprocessing
import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from typing import Any

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

_worker: tuple[Event, WorkerPool] | None = None  # in a worker process: whether the parent wants no more, and what to do
SMALL_JOB = 8  # starting worker processes takes longer than reading a handful of files
CHUNK = 4  # pieces that a worker is handed at once
CHUNKS_AHEAD = 4  # for each worker, so that none waits while a slow one holds up the order


@dataclass(frozen=True)
class Outcome:
    """What became of a piece.

    Attributes:
        key: Which piece of the corpus.
        piece: What was read, None if it was skipped.
        reason: Why it was skipped, one sentence.
        is_cached: Whether an earlier run had read it.
        columns: What a step made of it, for columns of its row.
    """

    key: str
    piece: CorpusPiece | None = None
    reason: str = ""
    is_cached: bool = False
    columns: Mapping[str, Any] = field(default_factory=dict)


Step = Callable[[Outcome], Outcome]
"""What is done with each piece after it was read, in the worker process; it is pickled."""


def read_all(
    corpus: Corpus, num_proc: int | None = None, progress: OnPieces | None = None, step: Step | None = None
) -> Generator[Outcome, None, None]:
    """Read every piece of a corpus, from the cache where it has been read before.

    Each piece is cached as soon as it is read: an interrupted run goes on where it stopped.

    Args:
        corpus: The corpus.
        num_proc: Worker processes; by default one for each core.
        progress: Told how far the run is.
        step: Done with each piece after it was read.

    Yields:
        What became of each piece, in the order of `corpus.keys` whatever `num_proc` is.

    Raises:
        InputError: `num_proc` is less than 1, or no worker process can be started.
    """
    if num_proc is not None and num_proc < 1:
        raise InputError(f"num_proc is {num_proc}; give 1 or more worker processes.")
    num_proc = num_proc or os.cpu_count() or 1
    in_processes = num_proc > 1 and len(corpus.keys) >= SMALL_JOB
    keys, reader = corpus.keys, corpus.reader
    make_cache_folder(piece_folder(reader.name))
    prune_cache()
    job = WorkerPool(reader, step)
    outcomes = _in_processes(job, keys, num_proc) if in_processes else (job.run(key) for key in keys)
    with contextlib.closing(outcomes):  # else an exception in the caller leaves the processes running
        for num_done, outcome in enumerate(outcomes, start=1):
            yield outcome
            if progress is not None:
                progress(num_done, len(keys))


def read_one(reader: Reader, key: str) -> Outcome:
    """Read one piece, or find it in the cache: the step that every engine runs for every piece.

    Args:
        reader: Knows how to read it.
        key: Which piece.

    Returns:
        The piece, or in one sentence why there is none.
    """
    try:
        data = reader.load(key)
        cached = cache_path(data, reader.name)
        piece = load_piece(cached)
        if piece is not None:
            return Outcome(key, piece, is_cached=True)
        piece = make_piece(reader.read(key, data))
    except InputError as error:
        return Outcome(key, reason=str(error))
    except Exception as error:  # parsers raise anything on broken files; the reason goes into the report
        return Outcome(key, reason=f"{key} cannot be read ({type(error).__name__}: {printable(str(error), 200)}).")
    save_piece(cached, piece)
    return Outcome(key, piece)


@dataclass(frozen=True)
class WorkerPool:
    """What a worker process does with each piece."""

    reader: Reader
    step: Step | None = None

    def run(self, key: str) -> Outcome:
        """Read a piece and take the step."""
        outcome = read_one(self.reader, key)
        return outcome if self.step is None or outcome.piece is None else self.step(outcome)


def _in_processes(job: WorkerPool, keys: Sequence[str], num_proc: int) -> Generator[Outcome, None, None]:
    """Read in worker processes; a chunk whose process dies is read again, piece by piece."""
    left = deque(keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))
    while left:
        with contextlib.closing(_pooled(job, tuple(left), num_proc)) as chunks:
            for outcomes in chunks:
                left.popleft()
                yield from outcomes
        if left:
            yield from _one_by_one(job, deque(left.popleft()))


def _one_by_one(job: WorkerPool, keys: deque[str]) -> Iterator[Outcome]:
    while keys:
        with contextlib.closing(_pooled(job, [(key,) for key in keys], 1)) as chunks:
            for (outcome,) in chunks:
                keys.popleft()
                yield outcome
        if keys:
            key = keys.popleft()
            yield Outcome(key, reason=f"{key} crashed the reader.")


def _pooled(job: WorkerPool, chunks: Sequence[Sequence[str]], num_proc: int) -> Generator[list[Outcome], None, None]:
    """Yield the outcomes of each chunk in order; end early if a process dies."""
    # spawn: the caller may hold threads (torch, progress bars), which do not survive a fork.
    context = multiprocessing.get_context("spawn")
    stopped = context.Event()
    with ProcessPoolExecutor(
        num_proc, context, initializer=_start_worker, initargs=(stopped, pickle.dumps(job))
    ) as pool:
        _check_start(pool)
        waiting = iter(chunks)
        futures: deque[Future[list[Outcome]]] = deque()
        try:
            while True:
                for keys in itertools.islice(waiting, CHUNKS_AHEAD * num_proc - len(futures)):
                    futures.append(pool.submit(_work, keys))
                if not futures:
                    return
                yield futures.popleft().result()
        except BrokenProcessPool:
            return
        finally:
            stopped.set()  # Ctrl-C: finish only the pieces being read
            pool.shutdown(cancel_futures=True)


def _start_worker(stopped: Event, pickled_job: bytes) -> None:
    """Leave Ctrl-C to the parent process, which then stops the pool."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # miditok imports torch where it finds it (seconds, and 150 MB), for data loaders that no worker needs.
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]  # as Python's own documentation says
    _worker = (stopped, pickle.loads(pickled_job))
    gc.freeze()  # what is imported stays, and pieces go by their reference counts: looking for cycles at every
    gc.set_threshold(50_000)  # 700 new objects, as Python does, finds none and takes time


def _work(keys: Sequence[str]) -> list[Outcome]:
    assert _worker is not None
    stopped, job = _worker
    return [job.run(key) for key in keys if not stopped.is_set()]


def _check_start(pool: ProcessPoolExecutor) -> None:
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise InputError(
            "worker processes cannot be started: put the code of your script under "
            '`if __name__ == "__main__":`, or read with num_proc=1.'
        ) from error


@contextlib.contextmanager
def reading_bar(label: str, *, quiet: bool = False) -> Iterator[OnPieces | None]:
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
