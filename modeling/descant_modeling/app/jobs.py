"""Jobs: they wait for their turn, compute, report progress, and end normally, by cancel or by the time limit.

Gradio's queue cannot do this: it shows a handler no position, refuses with a fixed sentence, stops listening to a
handler but not what the handler computes, and limits only the time of streaming events.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from descant_tokenizers.common.errors import InputError

__all__ = ["Check", "Job", "JobQueue", "QueueFullError", "StoppedError", "no_check", "within"]

Result = TypeVar("Result")
Check = Callable[[], None]
"""Called between the steps of a computation; raises to end it."""

_POLL_SECONDS = 0.15
_GRACE_SECONDS = 5.0  # after its time limit, a job that never reports is abandoned
_log = logging.getLogger(__name__)


def no_check() -> None:
    """Never cancel (the default check)."""


class QueueFullError(InputError):
    """Too many jobs wait."""


class StoppedError(Exception):
    """The session canceled its job."""


class JobQueue:
    """First come, first served: one job computes, at most `max_waiting` jobs wait."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._jobs: list[Job[Any]] = []  # the first one computes

    def join(self, job: Job[Any]) -> None:
        """Add a job at the end.

        Raises:
            QueueFullError: The queue is full.
        """
        with self._lock:
            if len(self._jobs) > self._max_waiting:
                waiting = "one" if self._max_waiting == 1 else self._max_waiting
                raise QueueFullError(
                    f"The queue is full (one request is being written and {waiting} waiting). Try again in a minute."
                )
            self._jobs.append(job)

    def leave(self, job: Job[Any]) -> None:
        """Remove a job from any position."""
        with self._lock:
            self._jobs.remove(job)

    def stop(self) -> None:
        """Stop every job, because the server ends."""
        with self._lock:
            for job in self._jobs:
                job.stop()

    def position(self, job: Job[Any]) -> int:
        """Return the number of jobs ahead of a job; 0 if it computes or has left."""
        with self._lock:
            return self._jobs.index(job) if job in self._jobs else 0


class Job(Generic[Result]):
    """A computation in a thread that reports progress and can be stopped.

    Args:
        work: The computation. It takes a function and calls it often with the share done, 0-1: that is where it stops.
        max_seconds: Time limit, counted from its turn.
        queue: Where it waits for its turn; by default it starts immediately.
        remedy: What to do if it takes longer.
    """

    def __init__(
        self,
        work: Callable[[Callable[[float], None]], Result],
        max_seconds: float,
        queue: JobQueue | None = None,
        remedy: str = "Ask for fewer bars or takes.",
    ) -> None:
        self.share = 0.0
        self._work, self._max_seconds, self._remedy = work, max_seconds, remedy
        self._queue = queue or JobQueue(0)
        self._stop = threading.Event()
        self._deadline = float("inf")
        self._outcome: Future[Result] = Future()
        self._thread = threading.Thread(target=self._compute, daemon=True)

    @property
    def is_running(self) -> bool:
        """True while it waits or computes."""
        return self._thread.is_alive()

    @property
    def has_ended(self) -> bool:
        """True once `result` answers: it ended, or is abandoned because it is long overdue."""
        is_overdue = time.monotonic() > self._deadline + _GRACE_SECONDS
        return is_overdue or not self._thread.is_alive()

    @property
    def is_stopping(self) -> bool:
        """True once it was asked to stop."""
        return self._stop.is_set()

    @property
    def position(self) -> int:
        """Number of jobs ahead; 0 once it computes."""
        return self._queue.position(self)

    def start(self) -> None:
        """Join the queue.

        Raises:
            InputError: The queue is full.
        """
        self._queue.join(self)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to stop: while it waits, or at its next report."""
        self._stop.set()

    def run(self) -> Iterator[float]:
        """Start and yield the share done until it ends or is overdue; closing the iterator stops the job.

        Raises:
            InputError: The queue is full.
        """
        self.start()
        try:
            while not (self.wait(_POLL_SECONDS) or self.has_ended):
                yield self.share
        finally:
            self.stop()

    def report(self, share: float) -> None:
        """Record the share done.

        Raises:
            StoppedError: It was asked to stop.
            InputError: It exceeded its time limit.
        """
        self.share = share
        if self._stop.is_set():
            raise StoppedError
        if time.monotonic() > self._deadline:
            raise self._timeout()

    def wait(self, seconds: float) -> bool:
        """Wait up to some seconds for its end; return True if it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Result:
        """Return the result of the computation, or raise its error."""
        if self._thread.is_alive():  # abandoned, see `run`
            raise self._timeout()
        return self._outcome.result(timeout=0)

    def _timeout(self) -> InputError:
        return InputError(f"This took longer than {self._max_seconds:g} seconds and was stopped. {self._remedy}")

    def _compute(self) -> None:
        try:
            while self.position and not self._stop.wait(_POLL_SECONDS):
                pass
            self._deadline = time.monotonic() + self._max_seconds
            self.report(0.0)
            self._outcome.set_result(self._work(self.report))
        except Exception as error:
            if not isinstance(error, InputError | StoppedError) and not self.is_stopping:
                _log.exception("a request failed")
            self._outcome.set_exception(error)
        finally:
            self._queue.leave(self)


def within(max_seconds: float, work: Callable[[Check], Result]) -> Result:
    """Return the result of a computation; after its time limit it stops where it calls the check.

    Raises:
        InputError: The time is over, or the computation raised it.
    """
    remedy = "Take a shorter piece, or try again later."
    job = Job(lambda report: work(lambda: report(0.0)), max_seconds, remedy=remedy)
    job.start()
    job.wait(max_seconds)
    return job.result()
