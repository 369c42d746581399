"""Files of others, read in a process of its own with limits of time and memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from descant_tokenizers.common.bounded import BoundedProcess, LimitExceededError
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Limits, ReadResult
from descant_tokenizers.scores.reading import parse_score

MAX_CPU_SECONDS = 5
"""CPU time in which a file must be read."""
MAX_EXTRA_BYTES = 500 * 2**20
"""Memory that reading a file may need beyond that of the program."""


class FileReader:
    """Reads one file at a time in a child process, which starts with the first file."""

    def __init__(self) -> None:
        self._process = BoundedProcess((parse_score.__module__,), MAX_EXTRA_BYTES)

    def parse(self, path: Path, data: bytes, limits: Limits, **options: Any) -> ReadResult:
        """Parse the bytes of a file; see `parse_score`.

        Raises:
            InputError: As for `parse_score`, or it takes too much time or memory.
        """
        try:
            return self._process.call(MAX_CPU_SECONDS, parse_score, path, data, limits, **options)
        except LimitExceededError:
            raise InputError(
                f"{path} takes too much time or memory to read. Simplify it, or cut it into shorter files."
            ) from None

    def close(self) -> None:
        """End the child, if there is one; the next file starts another."""
        self._process.close()
