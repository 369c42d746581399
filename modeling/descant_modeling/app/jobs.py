"""One request at a time: who waits, how far it is, its end by itself, by cancel or by the clock."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from descant_tokenizers.common.errors import InputError

__all__ = ["Check", "Job", "JobQueue", "StoppedError", "no_check", "run_job", "within"]

Result = TypeVar("Result")
Check = Callable[[], None]
"""Raises an `InputError` once there is no time left; called between the steps of a longer work."""

_POLL_SECONDS = 0.15
_GRACE_SECONDS = 5.0  # work that does not look at the clock is left behind so long after its time
_log = logging.getLogger(__name__)


def no_check() -> None:
    """Have all the time in the world."""


class StoppedError(Exception):
    """The visitor cancelled."""


class JobQueue:
    """First come, first served: one computes, some wait.

    Args:
        max_waiting: How many may wait.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._changed = threading.Condition()
        self._inside: deque[object] = deque()  # the first one computes

    def join(self, who: object) -> None:
        """Stand at the end.

        Raises:
            InputError: So many wait already.
        """
        with self._changed:
            if len(self._inside) > self._max_waiting:
                waiting = "one waits" if self._max_waiting == 1 else f"{self._max_waiting} wait"
                raise InputError(f"the queue is full: one request is being written, {waiting}; try again in a minute.")
            self._inside.append(who)

    def leave(self, who: object) -> None:
        """Make room, from whatever place."""
        with self._changed:
            self._inside.remove(who)
            self._changed.notify_all()

    def place(self, who: object) -> int:
        """Return how many are before somebody: 0 for the one whose turn it is, and for whoever has left."""
        with self._changed:
            return self._inside.index(who) if who in self._inside else 0

    def wait_for_turn(self, who: object, gives_up: Callable[[], bool]) -> None:
        """Wait until nobody is before somebody, or they give up: see `wake`."""
        with self._changed:
            self._changed.wait_for(lambda: self._inside[0] is who or gives_up())

    def wake(self) -> None:
        """Have everybody who waits look whether they give up."""
        with self._changed:
            self._changed.notify_all()


class Job(Generic[Result]):
    """Work that says how far it is and stops when it is asked to.

    Args:
        work: What to do. It takes a function that wants to hear the share done, 0-1, often:
            that is where it is stopped.
        max_seconds: Time it may take, from its turn on.
        line: Where it waits for its turn; nowhere if None.
        remedy: What helps if it takes longer.
    """

    def __init__(
        self,
        work: Callable[[Callable[[float], None]], Result],
        max_seconds: float,
        line: JobQueue | None = None,
        remedy: str = "ask for fewer bars or versions",
    ) -> None:
        self.share = 0.0
        self._work, self._max_seconds, self._line, self._remedy = work, max_seconds, line, remedy
        self._stop = threading.Event()
        self._deadline = float("inf")
        self._result: Result | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def is_running(self) -> bool:
        """Whether it waits or computes."""
        return self._thread.is_alive()

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    @property
    def place(self) -> int:
        """How many are before it; 0 once it computes."""
        return self._line.place(self) if self._line is not None else 0

    @property
    def is_overdue(self) -> bool:
        """Whether its time is over and it has not noticed for a while."""
        return time.monotonic() > self._deadline + _GRACE_SECONDS

    def start(self) -> None:
        """Begin, as soon as it is its turn.

        Raises:
            InputError: Too many wait already.
        """
        if self._line is not None:
            self._line.join(self)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to stop: at once if it waits, else at its next step."""
        self._stop.set()
        if self._line is not None:
            self._line.wake()

    def report(self, share: float) -> None:
        """Take the share done.

        Raises:
            StoppedError: It was asked to stop.
            InputError: It has taken too long.
        """
        self.share = share
        if self._stop.is_set():
            raise StoppedError
        if time.monotonic() > self._deadline:
            raise self._took_too_long()

    def wait(self, seconds: float) -> bool:
        """Wait for its end, at most for some seconds; say whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Result:
        """Return what the work returned, or raise what it raised."""
        if self._thread.is_alive():  # left behind: see `run_job`
            raise self._took_too_long()
        if self._error is not None:
            raise self._error
        assert self._result is not None, "the job was never started"
        return self._result

    def _took_too_long(self) -> InputError:
        return InputError(f"this took longer than {self._max_seconds:g} seconds and was stopped; {self._remedy}.")

    def _run(self) -> None:
        try:
            if self._line is not None:
                self._line.wait_for_turn(self, self._stop.is_set)
            self._deadline = time.monotonic() + self._max_seconds
            self.report(0.0)
            self._result = self._work(self.report)
        except (InputError, StoppedError) as error:
            self._error = error
        except Exception as error:
            _log.exception("a request failed")
            self._error = error
        finally:
            if self._line is not None:
                self._line.leave(self)


def run_job(job: Job[Result]) -> Iterator[float]:
    """Start a job and yield its share until it ends or its time is over; a caller that goes away stops it.

    Raises:
        InputError: Too many wait already.
    """
    job.start()
    try:
        while not job.wait(_POLL_SECONDS) and not job.is_overdue:
            yield job.share
    finally:
        job.stop()


def within(max_seconds: float, work: Callable[[Check], Result]) -> Result:
    """Return what some work returns, if it does so in time.

    Args:
        max_seconds: How long a caller waits at most.
        work: Takes a function to call between its steps: that is where it ends once its time is over.

    Raises:
        InputError: Its time was over, or the work raised it.
    """
    job = Job(lambda report: work(lambda: report(0.0)), max_seconds, remedy="take a shorter piece, or try again later")
    job.start()
    job.wait(max_seconds)
    return job.result()
