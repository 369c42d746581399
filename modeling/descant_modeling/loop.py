"""The loop that every objective's trainer runs in: count, log, save, and stop where everything can be saved."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from accelerate import Accelerator

from descant_modeling.interrupts import StopRequest
from descant_modeling.runlog import RunLog


class Progress(Protocol):
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
    def progress(self) -> Progress:
        """Where the run stands."""

    def train(self) -> Progress:
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
