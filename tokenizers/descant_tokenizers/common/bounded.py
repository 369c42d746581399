"""Functions run in a child process with limits of time and memory, for input that nobody has checked."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

Value = TypeVar("Value")

_PATIENCE = 12  # times the CPU time: an overloaded machine, or one that does not limit CPU time
_READY = "ready"
_CHILD = "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
_CHILD += f"from {__name__} import serve; serve()"


class LimitExceededError(Exception):
    """A function took more time or memory than it may."""


class BoundedProcess:
    """Runs one function at a time in a child, which starts with the first call and again after one that broke it.

    The system limits CPU time and memory; on Windows only the wall clock is limited, and macOS limits no memory. The
    child does not run the caller's main module, and ends with the caller.
    """

    def __init__(self, modules: tuple[str, ...], max_extra_bytes: int) -> None:
        """Name the modules that the child imports first, and the memory that it may need beyond them."""
        self._modules, self._max_extra_bytes = modules, max_extra_bytes
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner, self._is_ready = 0, False

    def call(self, cpu_seconds: int, function: Callable[..., Value], *args: Any, **options: Any) -> Value:
        """Call a function of a module; it, its arguments and its result are pickled.

        Raises:
            LimitExceededError: It takes more than `cpu_seconds` of CPU time, or too much memory.
            Exception: What the function raises.
        """
        with self._lock:
            child = self._ready()
            answer: tuple[bool, Any] | None = None
            clock = threading.Timer(_PATIENCE * (1 + cpu_seconds), child.kill)
            clock.start()
            try:
                with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):  # it ran into a limit
                    _send(child.stdin, (cpu_seconds, pickle.dumps((function, args, options))))
                    answer = pickle.load(child.stdout)  # type: ignore[arg-type]
            finally:
                clock.cancel()
                if answer is None:  # also after an interrupt: the next answer would be that of this call
                    self._end()
        if answer is None:
            raise LimitExceededError
        is_result, value = answer
        if not is_result:
            raise value
        return value  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the child, if there is one; the next call starts another."""
        with self._lock:
            self._end()

    def start(self) -> None:
        """Start the child, unless it runs, and do not wait: it imports its modules beside other work."""
        with self._lock:
            self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._owner == os.getpid():
            if self._child.poll() is None:
                return self._child
            self._end()
        child = subprocess.Popen([sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._child, self._owner, self._is_ready = child, os.getpid(), False  # a fork has no share in its parent's
        atexit.register(child.kill)
        with contextlib.suppress(OSError):  # it is missed when it is to be ready
            _send(child.stdin, sys.path)
            _send(child.stdin, (self._modules, self._max_extra_bytes))
        return child

    def _ready(self) -> subprocess.Popen[bytes]:
        """Return the child after it has imported its modules."""
        child = self._start()
        if not self._is_ready:
            try:
                self._is_ready = pickle.load(child.stdout) == _READY  # type: ignore[arg-type]
            except EOFError as error:
                raise RuntimeError("a child process did not start") from error
            finally:
                if not self._is_ready:
                    self._end()
        return child

    def _end(self) -> None:
        if self._child is None:
            return
        child, self._child = self._child, None
        atexit.unregister(child.kill)
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):  # of what was not sent
                pipe.close()  # type: ignore[union-attr]


def _send(pipe: Any, value: Any) -> None:
    pickle.dump(value, pipe)
    pipe.flush()


def serve() -> None:
    """Answer calls until the other end is closed: the child of a `BoundedProcess`, after its search path."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller ends this process
    calls, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is not an answer
    modules, max_extra_bytes = pickle.load(calls)
    for module in modules:
        importlib.import_module(module)
    _limit_memory(max_extra_bytes)
    _send(answers, _READY)
    while True:
        try:
            cpu_seconds, call = pickle.load(calls)
        except EOFError:
            return
        _limit_time(cpu_seconds)
        _answer(call, answers)


def _answer(call: bytes, answers: BinaryIO) -> None:
    try:
        function, args, options = pickle.loads(call)
        answer = pickle.dumps((True, function(*args, **options)))
    except MemoryError:
        os._exit(1)
    except Exception as error:
        answer = pickle.dumps((False, error))
    answers.write(answer)
    answers.flush()


def _limit_memory(max_extra_bytes: int) -> None:
    if sys.platform != "linux":  # other systems do not tell how much is in use, or do not hold the limit
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + max_extra_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _limit_time(cpu_seconds: int) -> None:
    """Allow some more seconds of CPU time; the system ends the process after them."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))
