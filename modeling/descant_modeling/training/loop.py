"""The loop that every objective's trainer runs in: count, log, save, and stop where everything can be saved.

Ctrl-C and a scheduler's SIGTERM as a request to stop between two steps, where everything can be saved.

What a run leaves behind: a header that says what was run on what, JSON lines, TensorBoard, a live progress line.
"""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Protocol, Self

import torch
from accelerate import Accelerator
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from descant_tokenizers.common.files import atomic_write

STATE_FILE = "training_state.json"

STATE_TENSORS = "training_state.safetensors"

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Inside its `with` block, the first SIGINT or SIGTERM only sets `made`; the next one acts as it would have before.

    Outside the main thread, where Python allows no signal handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.made = False
        self._previous: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.made = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}


LOG_FILE = "log.jsonl"
VERSIONED = ("descant", "torch", "transformers", "accelerate", "datasets", "miditok", "symusic", "music21")


def run_header(config: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """Return the facts that identify a run: code, configuration, versions, machine, command."""
    return {
        "command": sys.argv,
        "git": git_revision(),
        "config": config,
        "versions": {name: version(name) for name in VERSIONED} | {"python": platform.python_version()},
        "machine": {
            "platform": platform.platform(),
            "processor": platform.machine(),
            "threads": torch.get_num_threads(),
            "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        **facts,
    }


def git_revision() -> str | None:
    """Return the commit of the working tree, with `+` when it has uncommitted changes; None outside a checkout."""
    here = Path(__file__)

    def git(*command: str) -> str:
        done = subprocess.run(["git", *command], cwd=here.parent, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)  # an environment inside somebody else's checkout is not ours
        return git("describe", "--always", "--dirty=+", "--abbrev=12")
    except (OSError, subprocess.CalledProcessError):
        return None


class RunLog:
    """Writes a run's log; on processes other than the main one, and in no folder, it does nothing.

    Args:
        folder: Run folder.
        total_steps: For the progress line.
        active: Whether this process logs.
        quiet: No progress line.
    """

    def __init__(self, folder: Path, total_steps: int, *, active: bool, quiet: bool) -> None:
        self._active = active
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if not active:
            return
        self._folder = folder
        self._open()
        if not quiet:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[status]}"),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("train", total=total_steps, status="")
            self._bar.start()

    def _open(self, purge_step: int | None = None) -> None:
        self._file = (self._folder / LOG_FILE).open("a", encoding="utf-8")
        self._board = SummaryWriter(str(self._folder / "tensorboard"), purge_step=purge_step)

    def rewind(self, step: int) -> None:
        """Forget what was logged beyond a step: a killed run goes on from its last checkpoint, and does it again.

        The log is replaced in one step; a line that the kill cut short goes too.
        """
        if not self._active:
            return
        self._file.close()
        self._board.close()
        path = self._folder / LOG_FILE
        kept = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if _is_up_to(line, step)]
        with atomic_write(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")
        self._open(purge_step=step + 1)

    def record(self, kind: str, step: int, **values: float) -> None:
        """Write one line: `{"kind": kind, "step": step, **values}`, and the same scalars to TensorBoard."""
        if not self._active:
            return
        self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}", value, step)

    def progress(self, step: int, status: str) -> None:
        """Move the live line."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step, status=status)

    def say(self, text: str) -> None:
        """Print a line above the progress line."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)

    def close(self) -> None:
        """Flush and close everything."""
        if not self._active:
            return
        if self._bar is not None:
            self._bar.stop()
        self._file.close()
        self._board.close()


def _is_up_to(line: str, step: int) -> bool:
    try:
        return bool(json.loads(line)["step"] <= step)
    except (ValueError, KeyError, TypeError):
        return False


class RunProgress(Protocol):
    """Where a run stands.

    Attributes:
        step: Steps done.
        seconds: Time spent, over all sessions of the run.
    """

    step: int
    seconds: float


class Stepwise(Protocol):
    """A trainer that works step by step."""

    accelerator: Accelerator
    log: RunLog
    folder: Path

    @property
    def progress(self) -> RunProgress:
        """Where the run stands."""

    def train(self) -> RunProgress:
        """Run to the end of the configuration; raises `KeyboardInterrupt` when the run was stopped, and saved."""

    def advance(self, stop: StopRequest) -> bool:
        """Do one step and count it; return whether any process was asked to stop."""

    def after_step(self) -> None:
        """Log, measure and save what is due."""

    def save_last(self) -> None:
        """Write everything that resuming needs."""

    def resume(self) -> None:
        """Take up what `save_last` wrote; raises `InputError` if there is nothing."""

    def summary(self) -> str:
        """Say how the run ended, for its user."""

    def first_command(self) -> str:
        """Return what to try the trained model with."""


def run_steps(trainer: Stepwise, max_steps: int) -> None:
    """Run to `max_steps`; Ctrl-C or SIGTERM finishes the step, saves and stops (a second one stops at once).

    Raises:
        KeyboardInterrupt: The run was stopped, and saved.
    """
    started = time.perf_counter() - trainer.progress.seconds
    with StopRequest() as stop:
        while trainer.progress.step < max_steps:
            stopping = trainer.advance(stop)
            trainer.progress.seconds = time.perf_counter() - started
            trainer.after_step()
            if stopping:
                trainer.save_last()
                trainer.log.say(
                    f"stopped and saved at step {trainer.progress.step}: go on with --resume {trainer.folder}"
                )
                raise KeyboardInterrupt
