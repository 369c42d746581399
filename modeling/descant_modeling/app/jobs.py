"""One request at a time: its progress, its end by itself, by cancel or by the clock."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from descant_tokenizers.errors import InputError

__all__ = ["Job", "StoppedError", "run_job"]

Result = TypeVar("Result")

_POLL_SECONDS = 0.15
_one_at_a_time = threading.Lock()
_log = logging.getLogger(__name__)


class StoppedError(Exception):
    """The visitor cancelled."""


class Job(Generic[Result]):
    """Work that says how far it is and stops when it is asked to.

    Args:
        work: What to do. It takes a function that wants to hear the share done, 0-1, often:
            that is where it is stopped.
        max_seconds: Time it may take.
    """

    def __init__(self, work: Callable[[Callable[[float], None]], Result], max_seconds: float) -> None:
        self.share = 0.0
        self._work, self._max_seconds = work, max_seconds
        self._stop = threading.Event()
        self._deadline = float("inf")
        self._result: Result | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def is_running(self) -> bool:
        """Whether it computes."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin, as soon as no other job computes."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to stop; it does at its next step."""
        self._stop.set()

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
            raise InputError(
                f"this took longer than {self._max_seconds:g} seconds and was stopped; ask for fewer bars or versions."
            )

    def wait(self, seconds: float) -> bool:
        """Wait for its end, at most for some seconds; say whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Result:
        """Return what the work returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        assert self._result is not None, "the job has not ended"
        return self._result

    def _run(self) -> None:
        with _one_at_a_time:
            self._deadline = time.monotonic() + self._max_seconds
            try:
                self.report(0.0)
                self._result = self._work(self.report)
            except (InputError, StoppedError) as error:
                self._error = error
            except Exception as error:
                _log.exception("a request failed")
                self._error = error


def run_job(job: Job[Result]) -> Iterator[float]:
    """Start a job and yield its share until it ends; a caller that goes away stops it."""
    job.start()
    try:
        while not job.wait(_POLL_SECONDS):
            yield job.share
    finally:
        job.stop()
