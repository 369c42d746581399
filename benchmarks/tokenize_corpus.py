"""Compare our tokenization of a folder of MIDI files, on two cores, with miditok's own loop.

    python benchmarks/tokenize_corpus.py                              # 1,000 files of 16 bars, three turns each
    python benchmarks/tokenize_corpus.py --files 40 --repeats 1       # seconds
    python benchmarks/tokenize_corpus.py --memory 400 40000           # also peak memory for each number of files

Both sides read the same files with the same tokenizer (preset `satb`) and write the same ids, which is checked for
every file. Theirs is the loop of miditok's documentation, `tokenizer.save_tokens(tokenizer(path), ...)` for each file,
and miditok's `tokenize_dataset` with as many processes as ours. Ours is `descant dataset tokenize FOLDER`: it also
checks each score, leaves out repeated music, estimates keys, chooses splits, caches what it read, and stores the music
with the ids. Its cache is empty at each turn, and starting its processes counts. All sides take turns, and the ratios
printed are medians over the turns. Milliseconds per file are those of all cores together, starting and ending the
processes included: they vary less than the clock on a busy machine.

Memory is the resident set (RSS) of the process and all its children together, sampled 50 times a second; pages that
processes share count in each.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_tokenizers.corpora.files import FolderCorpus
from descant_tokenizers.scores import VOICES

if TYPE_CHECKING:  # worker processes import this file too, and need neither
    import psutil
    from miditok import REMI

LOWEST = (62, 57, 50, 42)
TPQ = 480


def make_files(folder: Path, num_files: int, num_bars: int) -> None:
    """Write four-part pieces of random quarters, eighths and halves, no two alike."""
    from descant_tokenizers.tokens.presets import VOICE_PROGRAMS

    folder.mkdir(parents=True)
    for seed in range(num_files):
        rng = random.Random(seed)
        score = ScoreTick(TPQ)
        score.time_signatures.append(TimeSignatureTick(0, 4, 4))
        for voice, lowest in zip(VOICES, LOWEST, strict=True):
            track = TrackTick(voice, VOICE_PROGRAMS[voice], False)  # miditok drops notes of programs it does not know
            time_ticks = 0
            while time_ticks < 4 * num_bars * TPQ:
                duration = rng.choice((TPQ // 2, TPQ, TPQ, TPQ, 2 * TPQ))
                track.notes.append(NoteTick(time_ticks, duration, lowest + rng.randrange(12), 80))
                time_ticks += duration
            score.tracks.append(track)
        score.dump_midi(folder / f"{seed:06}.mid")


def ours(files: Path, out: Path, num_proc: int) -> None:
    """Read, check and tokenize all files, with an empty cache."""
    from descant_tokenizers.tokens.dataset import tokenize_files
    from descant_tokenizers.tokens.presets import build_tokenizer

    os.environ["XDG_CACHE_HOME"] = str(out.with_name(f"{out.name}-cache"))
    tokenize_files(FolderCorpus.of(files), build_tokenizer(), out, num_proc=num_proc)


def their_loop(files: Path, out: Path, tokenizer: REMI) -> None:
    """Run the loop of miditok's documentation."""
    out.mkdir()
    for path in sorted(files.iterdir()):
        tokenizer.save_tokens(tokenizer(path), out / f"{path.stem}.json")


def their_pool(files: Path, out: Path, tokenizer: REMI, num_proc: int) -> None:
    """Run miditok's own function for many files."""
    paths = sorted(files.iterdir())
    tokenizer.tokenize_dataset(paths, out, verbose=False, parallel_workers_size=num_proc)


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    """Time some work: wall-clock seconds, and core seconds of this process and its children."""
    start, busy = time.perf_counter(), _busy_seconds()
    work()
    return time.perf_counter() - start, _busy_seconds() - busy


def _busy_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def check_equal(ours_at: Path, theirs_at: Path) -> int:
    """Compare the ids of both sides, file by file; ours are between the prefix and EOS."""
    import datasets

    num_pieces = 0
    for split in datasets.load_from_disk(str(ours_at)).values():
        for row in split.select_columns(["id", "voices", "input_ids"]):
            theirs = json.loads((theirs_at / f"{row['id']}.json").read_text())["ids"]
            assert row["input_ids"][2 + len(row["voices"]) : -1] == theirs, row["id"]
            num_pieces += 1
    return num_pieces


def compare(scratch: Path, num_files: int, num_bars: int, repeats: int, num_proc: int) -> dict[str, float]:
    """Let all sides take turns on the same files; return the files per second of each, and the median ratios."""
    from descant_tokenizers.tokens.presets import build_tokenizer

    files, tokenizer = scratch / "files", build_tokenizer()
    make_files(files, num_files, num_bars)
    turns: dict[str, list[tuple[float, float]]] = {"descant": [], "loop": [], "pool": []}
    for turn in range(repeats):
        at = {side: scratch / f"{side}{turn}" for side in turns}
        turns["descant"].append(seconds(partial(ours, files, at["descant"], num_proc)))
        turns["loop"].append(seconds(partial(their_loop, files, at["loop"], tokenizer)))
        turns["pool"].append(seconds(partial(their_pool, files, at["pool"], tokenizer, num_proc)))
        assert check_equal(at["descant"], at["loop"]) == num_files
        for folder in scratch.glob(f"*{turn}*"):
            shutil.rmtree(folder)
    result = {}
    for side, times in turns.items():
        result[f"{side}_files_per_second"] = num_files / statistics.median(clock for clock, _ in times)
        result[f"{side}_core_ms_per_file"] = 1000 * statistics.median(busy for _, busy in times) / num_files
        ratios = [theirs[0] / mine[0] for mine, theirs in zip(turns["descant"], times, strict=True)]
        result[f"ratio_to_{side}"] = statistics.median(ratios)
    return result


def peak_memory(scratch: Path, num_files: int, num_bars: int, num_proc: int) -> float:
    """Run ours over some files in a new process; return the peak memory of it and its children, in MiB."""
    import psutil

    files = scratch / f"files-{num_files}"
    make_files(files, num_files, num_bars)
    command = [sys.executable, __file__, "--only-ours", str(files), "--processes", str(num_proc)]
    process = subprocess.Popen(command)
    family, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        peak = max(peak, sum(map(_resident, (family, *family.children(recursive=True)))))
        time.sleep(0.02)
    assert process.returncode == 0
    shutil.rmtree(files)
    return peak / 2**20


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:  # it has just ended
        return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the files per second of all sides, and peak memory if requested."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000, help="number of files to compare")
    parser.add_argument("--bars", type=int, default=16, help="length of each file")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    parser.add_argument("--processes", type=int, default=2, help="worker processes of ours")
    parser.add_argument("--memory", type=int, nargs="*", default=[], help="numbers of files to measure peak memory on")
    parser.add_argument("--memory-bars", type=int, default=4, help="length of the files that memory is measured on")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--only-ours", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="descant-bench-") as folder:
        if options.only_ours is not None:
            ours(options.only_ours, Path(folder, "out"), options.processes)
            return
        result = compare(Path(folder), options.files, options.bars, options.repeats, options.processes)
        print(f"{options.files} files of {options.bars} bars, {options.processes} processes, {os.cpu_count()} cores")
        for side, name in (("descant", "descant"), ("loop", "miditok's loop"), ("pool", "tokenize_dataset")):
            speed, work = result[f"{side}_files_per_second"], result[f"{side}_core_ms_per_file"]
            print(f"{name:<17}{speed:>8.0f} files/s  {work:>5.1f} ms a file  {result[f'ratio_to_{side}']:.2f}x")
        for num_files in options.memory:
            mebibytes = peak_memory(Path(folder), num_files, options.memory_bars, options.processes)
            result[f"peak_mib_{num_files}"] = mebibytes
            print(f"{num_files:>6} files of {options.memory_bars} bars: {mebibytes:.0f} MiB at most", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
