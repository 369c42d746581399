"""Measure memory and time on corpora of 1,000 to 300,000 files: training merged tokens, and training a model.

    python benchmarks/large_corpus.py files big 300000        # make the files: chorales, cut and varied (1.2 GB)
    python benchmarks/large_corpus.py tokenizer big --sizes 1000 30000 300000
    python benchmarks/large_corpus.py train big --sizes 1000 10000 100000

Each file is four measures of a chorale of music21's corpus with a third of its notes moved by one or two semitones, so
that nearly all of them differ. The first N files make a corpus of N. `tokenizer` runs `descant tokenizer train` on
them; `train` runs `descant dataset build` and twice a hundred steps of a tiny model (width 64, two layers), of which
the first run tokenizes and the second finds the tokens in the cache.

Memory is read ten times a second and its highest values are printed, in MB. "own" is the memory that a process has to
itself: what the system cannot take back. "resident" adds the pages of mapped files (libraries, the dataset) that happen
to be in memory, which the system drops when another program needs the room. "workers" is the own memory of all
processes that it started. CPU time is that of the first process. Pieces are cached by content in BIG/cache, so that a
size does not read those of the size before again; remove that folder to start afresh.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from symusic.core import ScoreTick

from descant_tokenizers.common.files import write_json
from descant_tokenizers.corpora import load_corpus, row_to_score

ROOT = Path(__file__).resolve().parent.parent
DESCANT = (sys.executable, "-m", "descant_modeling.cli.main")
FILES_IN_FOLDER = 1000
NUM_QUARTERS = 16
TINY = ("model.width=64", "model.num_layers=2", "model.num_heads=2", "data.batch_tokens=2000", "compile=false")
STEPS = 100


def varied(source: ScoreTick, rng: np.random.Generator) -> ScoreTick | None:
    """Return four measures of a score, a third of its notes moved; None if a voice rests in all of them."""
    quarter = source.ticks_per_quarter
    start = 4 * quarter * int(rng.integers(0, max(1, source.end() // (4 * quarter) - 3)))
    score = source.clip(start, start + NUM_QUARTERS * quarter, clip_end=True).shift_time(-start)
    if not all(track.notes for track in score.tracks):
        return None
    for track in score.tracks:
        notes = track.notes.numpy()
        steps_N = rng.choice([-2, -1, 1, 2], len(notes["pitch"])) * (rng.random(len(notes["pitch"])) < 1 / 3)
        notes["pitch"] = (notes["pitch"] + steps_N).astype(notes["pitch"].dtype)
        track.notes = type(track.notes).from_numpy(*notes.values())
    return score


def make_files(folder: Path, number: int) -> None:
    """Make the files that are not there yet, a thousand in a folder; a file depends on its number alone."""
    sources = [row_to_score(row) for split in load_corpus("chorales").values() for row in split]
    for first in range(0, number, FILES_IN_FOLDER):
        into = folder / "files" / f"{first // FILES_IN_FOLDER:04}"
        if into.exists():
            continue
        unfinished = into.with_suffix(".part")
        unfinished.mkdir(parents=True, exist_ok=True)
        for index in range(first, first + FILES_IN_FOLDER):
            rng = np.random.default_rng(index)
            score = None
            while score is None:
                score = varied(sources[int(rng.integers(len(sources)))], rng)
            (unfinished / f"{index:06}.mid").write_bytes(score.dumps_midi())
        unfinished.rename(into)


def first_files(folder: Path, number: int) -> Path:
    """Return a folder that leads to the first files."""
    chosen = folder / f"first-{number}"
    chosen.mkdir(exist_ok=True)
    for first in range(0, number, FILES_IN_FOLDER):
        name = f"{first // FILES_IN_FOLDER:04}"
        if not (folder / "files" / name).is_dir():
            sys.exit(f"error: {folder} holds fewer than {number} files. Make them with the command files.")
        if not (chosen / name).exists():
            (chosen / name).symlink_to(folder.resolve() / "files" / name)
    return chosen


@dataclass
class Watch:
    """Highest memory of a command so far, in bytes, and the seconds of CPU time that it took.

    Attributes:
        own: Memory of the command's first process, without mapped files.
        resident: The same with mapped files.
        workers: Memory of all processes that it started, without mapped files.
        cpu: CPU time of the first process.
    """

    own: int = 0
    resident: int = 0
    workers: int = 0
    cpu: float = 0.0

    def look(self, process: psutil.Process) -> None:
        """Read memory and time of a running process."""
        try:
            memory, times = process.memory_info(), process.cpu_times()
            others = [child.memory_info() for child in process.children(recursive=True)]
        except psutil.Error:  # one of them has ended
            return
        self.own = max(self.own, memory.rss - memory.shared)
        self.resident = max(self.resident, memory.rss)
        self.workers = max(self.workers, sum(other.rss - other.shared for other in others))
        self.cpu = times.user + times.system


def watch(command: Sequence[str], folder: Path, until: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    """Run a command; return its time and memory, and the times when a condition held."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder.resolve() / "cache"), "ACCELERATE_USE_CPU": "true"}
    start, found = time.monotonic(), Watch()
    first: dict[str, float] = {}
    with (folder / "log.txt").open("a") as log:
        running = psutil.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        while running.poll() is None:
            found.look(running)
            if not first and until():
                first = {"first_step_seconds": time.monotonic() - start, "first_step_cpu_seconds": found.cpu}
            time.sleep(0.1)
    if running.returncode:
        sys.exit(f"error: {' '.join(command)} failed. Read {folder / 'log.txt'}.")
    times = {"seconds": time.monotonic() - start, "cpu_seconds": found.cpu, **first}
    memory = {"own_mb": found.own, "resident_mb": found.resident, "workers_mb": found.workers}
    return {name: round(value, 1) for name, value in times.items()} | {n: round(m / 1e6) for n, m in memory.items()}


def watch_tokenizer(folder: Path, number: int, num_proc: int) -> dict[str, dict[str, Any]]:
    """Train merged tokens on the first files."""
    out = folder / f"tokenizer-{number}"
    command = (*DESCANT, "tokenizer", "train", str(first_files(folder, number)), "--vocab-size", "1024")
    return {"tokenizer train": watch((*command, "--out", str(out), "--num-proc", str(num_proc), "--force"), folder)}


def watch_training(folder: Path, number: int, num_proc: int) -> dict[str, dict[str, Any]]:
    """Build a dataset of the first files, and train on it twice."""
    dataset, runs = folder / f"dataset-{number}", folder / f"runs-{number}"
    shutil.rmtree(runs, ignore_errors=True)
    build = (*DESCANT, "dataset", "build", str(first_files(folder, number)), "--out", str(dataset), "--force")
    results = {"dataset build": watch((*build, "--num-proc", str(num_proc)), folder)}
    often = (f"eval_every={STEPS}", f"save_every={STEPS}", "log_every=1", f"max_steps={STEPS}")
    train = (*DESCANT, "train", "--config", "configs/smoke.yaml", "--quiet", *TINY, *often, f"out_dir={runs}")
    for number_of_run, name in enumerate(("train, tokenizing", "train"), start=1):
        log = runs / ("smoke" if number_of_run == 1 else "smoke-2") / "log.jsonl"
        results[name] = watch((*train, f"data.corpora=[{dataset}]"), folder, until=_has_lines(log))
    return results


def _has_lines(log: Path) -> Callable[[], bool]:
    return lambda: log.is_file() and log.stat().st_size > 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one row for each command and size, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["files", "tokenizer", "train"], help="what to do")
    parser.add_argument("folder", type=Path, help="folder of the files and of everything made from them")
    parser.add_argument("number", type=int, nargs="?", default=300_000, help="files to make, in thousands")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000], help="sizes to measure")
    parser.add_argument("--num-proc", type=int, default=1, help="worker processes that read files")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args(arguments)
    sizes = [options.number] if options.command == "files" else options.sizes
    if any(size < 1 or size % FILES_IN_FOLDER for size in sizes):
        parser.error(f"A size is not a multiple of {FILES_IN_FOLDER}. Give one that is.")
    if options.command == "files":
        make_files(options.folder, options.number)
        return
    rows = []
    measure = watch_tokenizer if options.command == "tokenizer" else watch_training
    for size in sizes:
        for name, figures in measure(options.folder, size, options.num_proc).items():
            rows.append({"files": size, "command": name, **figures})
            print(f"{size:>7}  {name:<18}", *(f"{key} {value}" for key, value in figures.items()), sep="  ", flush=True)
            if options.json is not None:
                write_json(options.json, {"rows": rows})


if __name__ == "__main__":
    main()
