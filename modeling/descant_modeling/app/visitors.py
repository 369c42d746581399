"""Who is on the page: what each visitor uploaded and had written, kept in memory for as long as there is room."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from symusic.core import ScoreTick

from descant_modeling.app.jobs import Job
from descant_modeling.app.versions import Version
from descant_tokenizers.errors import InputError

__all__ = ["Visitor", "Visitors"]


@dataclass
class Visitor:
    """One open page.

    Attributes:
        token: Names the visitor in addresses; nobody can guess it.
        num_kept: Versions that are kept.
        source: The uploaded score, and the id that the editor knows it by.
        versions: What was written, oldest first.
        num_written: How many versions ever were.
        job: What is being written.
    """

    token: str
    num_kept: int
    source: tuple[str, ScoreTick] | None = None
    versions: list[Version] = field(default_factory=list)
    num_written: int = 0
    job: Job[Any] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take_source(self, score: ScoreTick) -> str:
        """Keep an uploaded score in place of the last one; return its id."""
        name = secrets.token_hex(6)
        self.source = (name, score)
        return name

    def score_of(self, name: str) -> ScoreTick:
        """Return the uploaded score.

        Raises:
            InputError: It is not there any more.
        """
        if self.source is None or self.source[0] != name:
            raise InputError("the file is not here any more; upload it again.")
        return self.source[1]

    def next_number(self) -> int:
        """Return the number of the next version."""
        with self._lock:
            self.num_written += 1
            return self.num_written

    def keep(self, versions: Sequence[Version]) -> None:
        """Add versions; the oldest ones go if there are too many."""
        with self._lock:
            self.versions = [*self.versions, *versions][-self.num_kept :]

    def version(self, number: int) -> Version:
        """Return a version.

        Raises:
            InputError: It is not there any more.
        """
        found = next((version for version in self.versions if version.number == number), None)
        if found is None:
            raise InputError(f"version {number} is not here any more; write another one.")
        return found

    def stop(self) -> None:
        """Stop what is being written."""
        if self.job is not None:
            self.job.stop()


class Visitors:
    """All visitors, by the key that their page sends and by their token.

    Args:
        max_visitors: How many are kept; those who have been quiet for longest go.
        num_kept: Versions of each that are kept.
    """

    def __init__(self, max_visitors: int, num_kept: int) -> None:
        self._max_visitors, self._num_kept = max_visitors, num_kept
        self._by_key: OrderedDict[str, Visitor] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, key: str) -> Visitor:
        """Return the visitor of a page, a new one if nobody has come from it yet."""
        with self._lock:
            visitor = self._by_key.pop(key, None) or Visitor(secrets.token_urlsafe(16), self._num_kept)
            self._by_key[key] = visitor
            while len(self._by_key) > self._max_visitors:
                self._by_key.popitem(last=False)[1].stop()
            return visitor

    def find(self, token: str) -> Visitor:
        """Return the visitor with a token.

        Raises:
            InputError: There is none.
        """
        with self._lock:
            for visitor in self._by_key.values():
                if secrets.compare_digest(visitor.token.encode(), token.encode()):
                    return visitor
        raise InputError("this page has been closed; reload it.")

    def leave(self, key: str) -> None:
        """Stop what a visitor was waiting for; the versions stay, because a page that slept may come back."""
        with self._lock:
            visitor = self._by_key.get(key)
        if visitor is not None:
            visitor.stop()
