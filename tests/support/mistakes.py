"""The table of mistakes, and what must hold for each: one line of text, little time, little memory."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_CPU_SECONDS = 2.0

MAX_WORK_CPU_SECONDS = 4.0  # of a command that fails at its last step: a second on a free core, two on a busy one

MAX_WALL_SECONDS = 60.0  # nothing waits, but a busy machine may be slow

MAX_EXTRA_BYTES = 800 * 2**20

TABLE: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).resolve().parents[1] / "data" / "bad_input.yaml").read_text(encoding="utf-8")
)


@dataclass
class Cost:
    """Time and memory used by a block."""

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    extra_bytes: int = 0


@contextlib.contextmanager
def measured() -> Iterator[Cost]:
    """Measure CPU and wall time, and on Linux the peak of memory beyond what was in use."""
    cost = Cost()
    knows_memory = Path("/proc/self/clear_refs").exists()
    if knows_memory:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _memory("VmRSS") if knows_memory else 0
    cpu, wall = time.process_time(), time.monotonic()
    yield cost
    cost.cpu_seconds, cost.wall_seconds = time.process_time() - cpu, time.monotonic() - wall
    cost.extra_bytes = _memory("VmHWM") - before if knows_memory else 0


def _memory(what: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{what}:"))
    return int(line.split()[1]) * 1024


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def pattern(text: str) -> str:
    return ".*".join(map(re.escape, text.split("...")))


def sentence(entry: dict[str, Any]) -> str:
    """Return the pattern of an error: what is wrong, and what to do as a sentence of its own."""
    assert entry["do"][0].isupper(), entry["do"]
    return pattern(entry["says"]) + r"\. " + pattern(entry["do"])


def assert_one_sentence(status: int, out: str, err: str, words: str) -> None:
    """Assert that a command ended with the sentence that begins with `words`, a regular expression."""
    assert status == 2, err
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert re.search(words, err), err


def assert_cheap(cost: Cost, max_cpu_seconds: float = MAX_CPU_SECONDS) -> None:
    assert cost.cpu_seconds <= max_cpu_seconds
    assert cost.wall_seconds <= MAX_WALL_SECONDS
    assert cost.extra_bytes <= MAX_EXTRA_BYTES
