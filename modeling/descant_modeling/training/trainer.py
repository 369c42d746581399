"""One trainer for every objective: the loop, the log, the checkpoints, and resuming.

An objective provides a `TrainingTask`, which takes steps, validates, and returns what to save. All randomness of a task
is a function of the seed and the place in the run, so a resumed run continues bit for bit.
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Protocol, Self

import torch
from accelerate import Accelerator
from accelerate.utils import reduce
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from descant_modeling.common.config import CommonConfig
from descant_modeling.models.checkpoints import recover_folder, replace_folder
from descant_modeling.training.log import RunLog
from descant_tokenizers.common.errors import InputError, printable

STATE_FILE = "training_state.json"
STATE_TENSORS = "training_state.safetensors"
SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Losses or metrics by name.
Figures = dict[str, float]


@dataclass
class Progress:
    """State of a run besides tensors; tasks may add fields that JSON can hold.

    Attributes:
        step: Steps done.
        seconds: Time spent, over all sessions of the run.
    """

    step: int = 0
    seconds: float = 0.0


class Validation(NamedTuple):
    """Result of a validation.

    Attributes:
        figures: Metrics by name; none without validation data.
        is_best: True if the model is the best so far, to be kept as the best checkpoint.
    """

    figures: Figures
    is_best: bool = False


class TrainingTask(Protocol):
    """An objective in training: its networks, its data, its optimizers.

    Attributes:
        progress: State of the run; the trainer counts steps and seconds.
    """

    progress: Progress

    def warm_up(self) -> tuple[str, Figures]:
        """Do what takes time before the first step, such as compiling; return a line to print and figures to log."""

    def step(self) -> Figures:
        """Take the next step and return its losses."""

    def log_values(self) -> Figures:
        """Return further values to log with the losses, such as the speed."""

    def validate(self) -> Validation:
        """Measure the model on the validation split. Runs on the main process only."""

    def publish(self, folder: Path) -> None:
        """Write a complete checkpoint into an existing empty folder."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return all tensors that a resumed run needs, by name."""

    def load_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """Restore the tensors that `tensors` returned; `progress` is restored before."""

    def plot(self, folder: Path) -> None:
        """Keep samples or draw pictures in the run folder that are due after a step. Runs on the main process only."""

    def summary(self) -> str:
        """Return further facts for the line that ends a run, or an empty string."""

    def first_command(self, folder: Path) -> str:
        """Return a command that tries the trained model."""


class StopRequest:
    """A request to stop between two steps.

    Inside its `with` block, the first SIGINT or SIGTERM only sets `made`; the next one has its usual effect. Outside
    the main thread, where Python allows no signal handlers, nothing changes.
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


class Trainer:
    """Runs the steps of a task, and keeps the checkpoints `last/` and, if the task has one, `best/` in a run folder."""

    def __init__(
        self, config: CommonConfig, accelerator: Accelerator, task: TrainingTask, folder: Path, log: RunLog
    ) -> None:
        self.config, self.accelerator, self.task = config, accelerator, task
        self.folder, self.log = folder, log

    @property
    def progress(self) -> Progress:
        """State of the run."""
        return self.task.progress

    def train(self) -> Progress:
        """Run to `max_steps`; Ctrl-C or SIGTERM finishes the step, saves and stops (a second one stops at once).

        Returns:
            The state of the run at its end.

        Raises:
            KeyboardInterrupt: The run was stopped, and saved.
            InputError: A loss is not finite, or the task cannot take a step.
        """
        self._warm_up()
        started = time.perf_counter() - self.progress.seconds
        with StopRequest() as stop:
            while self.progress.step < self.config.max_steps:
                losses = self.task.step()
                self.progress.step += 1
                self.progress.seconds = time.perf_counter() - started
                self._check(losses)
                is_stopping = self._any_process(stop.made)
                self.after_step(losses)
                if is_stopping:
                    self.save_last()
                    self.log.say(f"Stopped and saved at step {self.progress.step}. To resume: --resume {self.folder}")
                    raise KeyboardInterrupt
        return self.progress

    def _warm_up(self) -> None:
        line, figures = self.task.warm_up()
        if line:
            self.log.say(line)
        if figures:
            self.log.record("compile", self.progress.step, **figures)

    def _check(self, losses: Figures) -> None:
        for name, value in losses.items():
            if not math.isfinite(value):
                raise InputError(
                    f"The {name} of step {self.progress.step} is {value}. Lower optimizer.learning_rate or use fp32."
                )

    def _any_process(self, flag: bool) -> bool:
        """Return True if a flag is set on any process."""
        return bool(reduce(torch.tensor(int(flag), device=self.accelerator.device), "sum") > 0)

    def after_step(self, losses: Figures) -> None:
        """Log, validate, plot and save what is due."""
        config, step = self.config, self.progress.step
        is_last = step == config.max_steps
        self.log.progress(step, f"{_in_words(losses)}  {self.progress.seconds / step:.2f} s/step")
        if step % config.log_every == 0 or is_last:
            self.log.record("train", step, **losses, **self.task.log_values())
        if self.accelerator.is_main_process:
            if step % config.eval_every == 0 or is_last:
                self._validate()
            self.task.plot(self.folder)
        if step % config.save_every == 0 or is_last:
            self.save_last()

    def _validate(self) -> None:
        figures, is_best = self.task.validate()
        if figures:
            self.log.record("valid", self.progress.step, **figures)
            self.log.say(
                f"step {self.progress.step}: valid {_in_words(figures)} ({self.progress.seconds / 60:.1f} min)"
            )
        if is_best:
            replace_folder(self.folder / "best", self.task.publish)

    def summary(self) -> str:
        """Return two lines about the end of the run, for its user."""
        best, facts = self.folder / "best", self.task.summary()
        return (
            f"{self.progress.step} steps in {self.progress.seconds / 60:.1f} min{f', {facts}' if facts else ''}\n"
            f"model: {best if best.exists() else self.folder / 'last'}"
        )

    def save_last(self) -> None:
        """Write `last/`: the published files and the training state."""
        if self.accelerator.is_main_process:
            replace_folder(self.folder / "last", self._write_last)
        self.accelerator.wait_for_everyone()

    def _write_last(self, folder: Path) -> None:
        self.task.publish(folder)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.task.tensors().items()}
        save_file(tensors, folder / STATE_TENSORS)
        state = {"progress": vars(self.progress), "config": self.config.to_dict()}
        (folder / STATE_FILE).write_text(json.dumps(state) + "\n", encoding="utf-8")

    def resume(self) -> None:
        """Restore `last/` of the run folder.

        Raises:
            InputError: It does not exist or is damaged.
        """
        state, tensors = read_state(self.folder), self.folder / "last" / STATE_TENSORS
        try:
            self.task.progress = type(self.task.progress)(**state["progress"])
            self.task.load_tensors(load_file(tensors))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise _damaged(tensors.parent, error) from error


def read_state(run: Path) -> dict[str, Any]:
    """Read the progress and the configuration of a run from `last/` of its folder.

    Raises:
        InputError: There is no checkpoint, or it is damaged.
    """
    last = run / "last"
    recover_folder(last)
    try:
        state = json.loads((last / STATE_FILE).read_text(encoding="utf-8"))
        return {key: dict(state[key]) for key in ("progress", "config")}
    except FileNotFoundError:
        raise InputError(
            f"{run} has no checkpoint to resume from. Give a run folder, or start without --resume."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(last, error) from error


def _damaged(last: Path, error: Exception) -> InputError:
    reason = printable(str(error), 120).rstrip(".")
    return InputError(f"{last} cannot be resumed ({reason}). Start a new run.")


def _in_words(figures: Figures) -> str:
    return "  ".join(
        f"{name.replace('_16th', '-16th').replace('_', ' ')} {value:{',.0f' if abs(value) >= 1000 else '.4g'}}"
        for name, value in figures.items()
    )
