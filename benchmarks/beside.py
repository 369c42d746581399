"""Compare the time that harmonizing a tune takes beside other programs with that of one thread on an idle machine.

    python benchmarks/beside.py
    python benchmarks/beside.py --repeats 9 --prompt examples/greensleeves.mid

"Beside" means that one program for each core computes without a pause, so that at best half of the machine is left;
ours then uses all cores, as by default. "One thread" means that ours is bound to one core while the others are idle.
The model is loaded, and one harmony written, before the clock starts. The two take turns, and the medians are printed.
Linux only: other systems bind no process to a core.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from descant_modeling import load
from descant_modeling.common.devices import available_cores
from descant_tokenizers.scores import read_score

TUNE = Path(__file__).resolve().parent.parent / "examples" / "ode-to-joy.mid"


@contextmanager
def busy_cores(number: int) -> Iterator[None]:
    """Run programs that only compute."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    time.sleep(0.5)
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


@contextmanager
def one_core() -> Iterator[None]:
    """Bind this thread, and those it starts, to one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def seconds(prompt: Path) -> float:
    """Return the time of one harmony, on the cores that the calling thread may use."""
    model, score = load(), read_score(prompt)
    model.harmonize(score, seed=0)
    start = time.perf_counter()
    model.harmonize(score, seed=1)
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompt", type=Path, default=TUNE, help="melody")
    parser.add_argument("--repeats", type=int, default=5, help="turns")
    options = parser.parse_args(arguments)
    cores = available_cores()
    alone, beside = [], []
    for _ in range(options.repeats):
        with one_core():
            alone.append(seconds(options.prompt))
        with busy_cores(cores):
            beside.append(seconds(options.prompt))
    print(f"{options.prompt.name}, {cores} cores")
    print(f"one thread, idle machine     {statistics.median(alone):5.2f} s  1.00x")
    ratio = statistics.median(beside) / statistics.median(alone)
    print(f"beside one program per core  {statistics.median(beside):5.2f} s  {ratio:4.2f}x")


if __name__ == "__main__":
    main()
