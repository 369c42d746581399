"""Logs of a run: a header with the facts that identify it, JSON lines, TensorBoard, a live progress line."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from accelerate.tracking import WandBTracker
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import atomic_write

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
        git("ls-files", "--error-unmatch", here.name)  # not an environment inside another checkout
        # Not `describe --dirty`, which rewrites the index, and leaves a lock if the disk is full.
        changes = git("--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
        return git("describe", "--always", "--abbrev=12") + "+" * bool(changes)
    except (OSError, subprocess.CalledProcessError):
        return None


class Tracker:
    """Weights & Biases, through Accelerate's tracker, as the project `descant` and a run named after the folder.

    Raises:
        InputError: The package wandb is not installed.
    """

    def __init__(self) -> None:
        if find_spec("wandb") is None:
            raise InputError("The tracker wandb is not installed. Install it with pip, or leave tracker out.")

    def begin(self, folder: Path, config: dict[str, Any]) -> None:
        """Begin or go on with the run of a folder."""
        self._tracker = WandBTracker("descant", dir=str(folder), name=folder.name, id=folder.name, resume="allow")
        self._tracker.start()
        self._tracker.store_init_configuration(config)

    def log(self, values: dict[str, float], step: int) -> None:
        """Log some values of a step."""
        self._tracker.log(values, step=step)

    def close(self) -> None:
        """Finish the upload."""
        self._tracker.finish()


class RunLog:
    """Writes a run's log, with a progress line unless it is quiet; does nothing on a process that is not active."""

    def __init__(
        self, folder: Path, total_steps: int, *, active: bool, quiet: bool, tracker: Tracker | None = None
    ) -> None:
        self._active, self._tracker = active, tracker
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
        """Remove what was logged after a step, which a resumed run logs again.

        The log is replaced in one step; a line that a kill cut short is removed too.
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
        if self._tracker is not None:
            self._tracker.log({f"{kind}/{name}": value for name, value in values.items()}, step)

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
        if self._tracker is not None:
            self._tracker.close()


def _is_up_to(line: str, step: int) -> bool:
    try:
        return bool(json.loads(line)["step"] <= step)
    except (ValueError, KeyError, TypeError):
        return False
