"""Files of others, read in a process of its own with limits of time and memory."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Limits, ReadResult
from descant_tokenizers.scores.reading import parse_score

MAX_CPU_SECONDS = 5
"""CPU time in which a file must be read."""
MAX_EXTRA_BYTES = 500 * 2**20
"""Memory that reading a file may need beyond that of the program."""

_PATIENCE_SECONDS = 60.0  # on an overloaded machine, or one that does not limit CPU time
_START_SECONDS = 120.0


class FileReader:
    """Reads one file at a time in a child process, which starts with the first file and again after one that broke it.

    Time and memory are limited by the system, except on Windows, where only the wall clock is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: tuple[multiprocessing.process.BaseProcess, Connection] | None = None

    def parse(self, path: Path, data: bytes, limits: Limits, **options: Any) -> ReadResult:
        """Parse the bytes of a file; see `parse_score`.

        Raises:
            InputError: As for `parse_score`, or it takes too much time or memory.
        """
        with self._lock:
            _, answers = self._child = self._child or _start()
            answer: Any = None
            try:
                answers.send((path, data, limits, options))
                if answers.poll(_PATIENCE_SECONDS):
                    answer = answers.recv()
            except (OSError, EOFError):
                pass  # it ran into a limit
            finally:
                if answer is None:  # also after an interrupt: the next answer would be that of this file
                    self.close()
        if answer is None:
            raise InputError(
                f"{path} takes too much time or memory to read. Simplify it, or cut it into shorter files."
            )
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, ReadResult)
        return answer

    def close(self) -> None:
        """End the child, if there is one; the next file starts another."""
        if self._child is not None:
            process, answers = self._child
            self._child = None
            process.kill()
            process.join()
            answers.close()


def _start() -> tuple[multiprocessing.process.BaseProcess, Connection]:
    """Start a child, and wait until it has imported what it needs."""
    context = multiprocessing.get_context("spawn")  # a fork would copy the models, and the locks of their threads
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    if not ours.poll(_START_SECONDS):
        raise RuntimeError("the process that reads files did not start")
    ours.recv()
    return process, ours


def _work(requests: Connection) -> None:
    """Answer requests with results or errors until the other end is closed."""
    _limit_memory()
    requests.send("ready")
    while True:
        try:
            path, data, limits, options = requests.recv()
        except EOFError:
            return
        _limit_time()
        answer: ReadResult | Exception | None
        try:
            answer = parse_score(path, data, limits, **options)
        except MemoryError:
            answer = None
        except Exception as error:
            answer = error
        requests.send(answer)


def _limit_memory() -> None:
    if sys.platform != "linux":  # other systems do not tell how much is in use, or do not hold the limit
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + MAX_EXTRA_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _limit_time() -> None:
    """Allow some more seconds of CPU time; the system ends the process after them."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + MAX_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
