"""Jobs of the HTTP API: started by one request, followed, fetched or canceled by others."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from typing import Any

from descant_modeling.app.jobs import Job, JobQueue, StoppedError
from descant_modeling.app.requests import AppLimits
from descant_modeling.app.schemas import BarsFacts, JobFacts, State
from descant_modeling.app.tasks import TaskResult, Work
from descant_modeling.app.words import for_api
from descant_modeling.decoding.config import Sketch
from descant_tokenizers.common.errors import InputError, printable

__all__ = ["Submission", "Submissions", "UnknownNameError"]


class UnknownNameError(InputError):
    """There is no such job or file (any more)."""


class Submission:
    """A job under a name that cannot be guessed.

    Args:
        task: Its task.
        work: What to do.
        limits: Limits of the server.
        queue: Where it waits for its turn.
    """

    def __init__(self, task: str, work: Work, limits: AppLimits, queue: JobQueue) -> None:
        self.id, self.task = secrets.token_urlsafe(12), task
        self._sketch: Sketch | None = None
        remedy = "Ask for fewer bars, samples or formats."
        self.job: Job[TaskResult] = Job(
            lambda progress: work(progress, self._show), limits.request_seconds, queue, remedy
        )

    def _show(self, sketch: Sketch) -> None:
        self._sketch = sketch

    @property
    def num_bytes(self) -> int:
        """Size of its files, once it is done."""
        result, _, _ = self._outcome()
        return 0 if result is None else sum(map(len, result.files.values()))

    def _outcome(self) -> tuple[TaskResult | None, State, str | None]:
        """Return the result, the state and the error."""
        if not self.job.has_ended:
            return None, "waiting" if self.job.position else "running", None
        try:
            return self.job.result(), "done", None
        except StoppedError:
            return None, "canceled", None
        except InputError as error:
            return None, "failed", for_api(error)
        except Exception:  # the job has logged it
            return None, "failed", "An internal error occurred. The server's terminal has the details."

    def facts(self) -> JobFacts:
        """Return its state, and its result or error."""
        result, state, error = self._outcome()
        sketch = self._sketch
        return JobFacts(
            id=self.id,
            task=self.task,
            state=state,
            ahead=self.job.position,
            share=1.0 if state == "done" else round(self.job.share, 2),
            bars=None if sketch is None else BarsFacts(written=sketch.num_written, total=sketch.num_bars),
            error=error,
            result=None if result is None else result.facts,
        )

    def file(self, name: str) -> bytes:
        """Return a file of the result.

        Raises:
            UnknownNameError: It has no such file.
        """
        result, _, _ = self._outcome()
        files: dict[str, Any] = {} if result is None else result.files
        if name not in files:
            raise UnknownNameError(f"There is no file '{printable(name, 60)}' here. The result of the job names them.")
        return bytes(files[name])


class Submissions:
    """All jobs of the API; the oldest ended ones are dropped where there are too many, or their files too large."""

    def __init__(self, limits: AppLimits) -> None:
        self._limits = limits
        self._jobs: OrderedDict[str, Submission] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, task: str, work: Work, queue: JobQueue) -> Submission:
        """Start a job.

        Raises:
            QueueFullError: Too many jobs wait.
        """
        submission = Submission(task, work, self._limits, queue)
        submission.job.start()
        with self._lock:
            self._jobs[submission.id] = submission
            self._make_room()
        return submission

    def _make_room(self) -> None:
        """Drop the oldest ended jobs beyond the limits; the lock is held."""
        ended = [job for job in self._jobs.values() if job.job.has_ended]
        sizes = [job.num_bytes for job in ended]
        while ended and (len(ended) > self._limits.kept_jobs or sum(sizes) > self._limits.kept_bytes):
            del self._jobs[ended.pop(0).id]
            sizes.pop(0)

    def find(self, name: str) -> Submission:
        """Return a job.

        Raises:
            UnknownNameError: There is none of this name.
        """
        with self._lock:
            found = self._jobs.get(name)
        if found is None:
            raise UnknownNameError(f"There is no job '{printable(name, 60)}' here. Start one.")
        return found

    def remove(self, name: str) -> Submission:
        """Stop a job and forget it; raise an `UnknownNameError` if there is none of this name."""
        found = self.find(name)
        found.job.stop()
        with self._lock:
            self._jobs.pop(name, None)
        return found
