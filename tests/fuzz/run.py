"""Feed broken files to everything between a file and its tokens, and odd models and configurations to what loads them.

python tests/fuzz/run.py midi --num 20000 --seed 1             mutated MIDI bytes
python tests/fuzz/run.py musicxml --num 20000 --seed 1         mutated MusicXML, some of it zipped
python tests/fuzz/run.py abc --num 20000 --seed 1              mutated ABC
python tests/fuzz/run.py odd-abc --num 20000 --seed 1          valid but unusual; also odd-midi, -musicxml, -humdrum
python tests/fuzz/run.py sample --num 1000 --seed 1            a few of each of these, in turn
python tests/fuzz/run.py families                              a megabyte of each construct of each format
python tests/fuzz/run.py models --num 10000 --seed 1           model folders of others; also configs: YAML and overrides
python tests/fuzz/run.py engraving --num 5000 --seed 1         odd files of the four formats, read and engraved
python tests/fuzz/run.py midi --seed 1 --show 4711 > bad.mid   the bytes of one input

No input may end in anything but a score, tokens or an `InputError` of one sentence, take over 5 s of CPU (30 s to
engrave: music21 takes a millisecond for each measure), or need over 500 MB beyond the imports. Each runs in a process
of its own that is killed when it hangs. Exit status 1 if one does.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Kind = Literal[
    *("midi", "musicxml", "abc", "odd-midi", "odd-musicxml", "odd-abc", "odd-humdrum"),
    *("sample", "families", "models", "configs", "engraving"),
]
HANG_SECONDS, ENGRAVING_SECONDS = 5.0, 30.0
#: A machine that is stopped or overloaded lets time pass in which an input does not run.
PATIENCE_SECONDS = 600.0


@dataclass
class Report:
    """Outcomes of the inputs of a campaign."""

    command: str
    num_inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    defects: dict[int, str] = field(default_factory=dict)
    slowest_seconds: float = 0.0
    slowest_index: int = -1
    imported_bytes: int = 0
    peak_bytes: int = 0
    seconds: float = 0.0

    def add(self, index: int, outcome: str, why: str, seconds: float, peak_bytes: int) -> None:
        """Count one input."""
        self.num_inputs += 1
        self.outcomes[outcome] += 1
        if outcome == "defect":
            self.defects[index] = why
        elif why:
            self.reasons[f"{outcome}: {why}"] += 1
        if seconds > self.slowest_seconds:
            self.slowest_seconds, self.slowest_index = seconds, index
        self.peak_bytes = max(self.peak_bytes, peak_bytes)

    def facts(self) -> dict[str, Any]:
        """The report as plain values, for a record."""
        return {
            "command": self.command,
            "inputs": self.num_inputs,
            "outcomes": dict(self.outcomes.most_common()),
            "defects": self.defects,
            "slowest_cpu_seconds": round(self.slowest_seconds, 3),
            "slowest_input": self.slowest_index,
            "megabytes_after_imports": round(self.imported_bytes / 2**20),
            "megabytes_at_peak": round(self.peak_bytes / 2**20),
            "megabytes_beyond_imports": round((self.peak_bytes - self.imported_bytes) / 2**20),
            "seconds": round(self.seconds, 1),
            "reasons": dict(self.reasons.most_common()),
        }


def campaign(kind: Kind, num: int, seed: int, seconds: float | None, quiet: bool, first: int = 0) -> Report:
    """Run `num` inputs from `first` on, or until `seconds` have passed since the imports."""
    from rich.progress import Progress

    begin = f" --first {first}" if first else ""
    report = Report(f"python tests/fuzz/run.py {kind} --num {num} --seed {seed}{begin}")
    started = time.monotonic()
    deadline = None
    with Progress(transient=True, disable=quiet or not sys.stderr.isatty()) as bar:
        line = bar.add_task(kind, total=num)
        while report.num_inputs < num and _is_before(deadline):
            with _Worker(kind, seed, first + report.num_inputs, first + num) as worker:
                report.imported_bytes = worker.imported_bytes
                deadline = deadline or (time.monotonic() + seconds if seconds is not None else None)
                while report.num_inputs < num and (report.num_inputs == 0 or _is_before(deadline)):
                    result = worker.next(first + report.num_inputs)
                    report.add(*result)
                    bar.update(line, completed=report.num_inputs)
                    if result[1] == "defect" and worker.is_dead:
                        break
    report.seconds = time.monotonic() - started
    return report


def _is_before(deadline: float | None) -> bool:
    return deadline is None or time.monotonic() < deadline


class _Worker:
    """A process that runs inputs in order; killed on leaving."""

    def __init__(self, kind: Kind, seed: int, first: int, last: int) -> None:
        self._seconds = ENGRAVING_SECONDS if kind == "engraving" else HANG_SECONDS
        context = multiprocessing.get_context("spawn")
        self._answers, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_work, args=(kind, seed, first, last, theirs), daemon=True)
        self.is_dead = False
        self._process.start()
        theirs.close()
        self.imported_bytes: int = self._answers.recv()

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes():
            process.kill()
        self._process.kill()
        self._process.join()

    def next(self, index: int) -> tuple[int, str, str, float, int]:
        """Wait for the next answer; one that does not come is a defect of input `index`."""
        began, cpu_before = time.monotonic(), self._cpu_seconds()
        while not self._answers.poll(self._seconds):
            waited, worked = time.monotonic() - began, self._cpu_seconds() - cpu_before
            if worked > self._seconds or waited > PATIENCE_SECONDS:
                self.is_dead = True
                return index, "defect", f"no answer in {waited:.0f} s ({worked:.0f} s of CPU)", waited, 0
        try:
            return tuple(self._answers.recv())  # type: ignore[return-value]
        except EOFError:
            self.is_dead = True
            self._process.join()
            return index, "defect", f"the process died with exit code {self._process.exitcode}", 0.0, 0

    def _processes(self) -> list[Any]:
        """Return the process and its copies."""
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            own = psutil.Process(self._process.pid)
            return [*own.children(recursive=True), own]
        return []

    def _cpu_seconds(self) -> float:
        """Return the CPU time of the process and its copies, past and present."""
        import psutil

        total = 0.0
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:4])  # user, system, and those of copies that ended
        return total


def _work(*arguments: Any) -> None:
    from target import work  # heavy: only in the child

    work(*arguments)


def command(
    kind: Annotated[Kind, typer.Argument(help="What to break.")],
    num: Annotated[int, typer.Option(help="Inputs to run.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Same seed, same inputs.")] = 1,
    first: Annotated[int, typer.Option(help="Number of the first input.")] = 0,
    seconds: Annotated[float | None, typer.Option(help="Stop after this time, imports not counted.")] = None,
    show: Annotated[int | None, typer.Option(help="Write the bytes of this input to stdout instead.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for the report.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Feed broken files to everything between a file and its tokens."""
    if kind == "families":
        from families import FAMILIES

        num = min(num, len(FAMILIES) - first)
    if show is not None:
        import mutations

        sys.stdout.buffer.write(mutations.make(kind, seed, show, mutations.load_seeds(kind)))
        return
    facts = campaign(kind, num, seed, seconds, quiet, first).facts()
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    print(text)
    if facts["defects"]:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(command)
