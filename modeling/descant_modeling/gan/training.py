"""Training of every GAN, inside the same loop and run folder as the causal model.

What is played with, measured and published is a `Study`'s, one for each objective (`studies`); when, where and how it
is logged, saved and resumed is the trainer's.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from descant_modeling.checkpoints import recover_folder, replace_folder
from descant_modeling.gan.adversaries import Adversaries
from descant_modeling.gan.config import AdversarialConfig
from descant_modeling.interrupts import StopRequest
from descant_modeling.loop import run_steps
from descant_modeling.runlog import RunLog
from descant_modeling.training import STATE_FILE, STATE_TENSORS
from descant_tokenizers.errors import InputError

#: Rolls that are kept at each of `sample_steps`.
NUM_KEPT = 3
SAMPLES_FOLDER = "samples"

Figures = dict[str, float]


class Study(Protocol):
    """One kind of GAN with its data: what the trainer does not know about it."""

    @property
    def learner(self) -> Adversaries[Any, Any]:
        """Both networks and their optimizers."""

    def iterate(self, iteration: int) -> Figures:
        """Run an iteration, counted from 0, and return its losses by name."""

    def measure(self) -> Figures:
        """Measure what the generator writes for the valid split, with the same noise each time."""

    def own(self) -> Figures:
        """Measure the valid data itself in the same way."""

    def samples(self, number: int) -> dict[str, NDArray[np.bool_]]:
        """Write `rolls` (number, T, P, C), and `melodies` (number, T, P) if they were written to some."""

    def save(self, folder: Path, facts: dict[str, Any]) -> None:
        """Write the published files into an empty folder, with these facts about the run."""

    def first_command(self, folder: Path) -> str:
        """Return what to try a trained model with."""


@dataclass
class GanProgress:
    """Where a run stands.

    Attributes:
        step: Iterations done.
        seconds: Time spent, over all sessions of the run.
    """

    step: int = 0
    seconds: float = 0.0


class GanTrainer:
    """Runs the iterations of one configuration and keeps the checkpoint folder `last/`.

    Args:
        config: The run.
        accelerator: Prepared for device and precision; its processes divide `data.batch_size`.
        study: What is trained.
        folder: Run folder; exists.
        facts: What goes into `descant.json` about the run.
        log: Where progress goes.
    """

    def __init__(
        self,
        config: AdversarialConfig,
        accelerator: Accelerator,
        study: Study,
        folder: Path,
        facts: dict[str, Any],
        log: RunLog,
    ) -> None:
        assert config.data.batch_size % accelerator.num_processes == 0, "uneven shares"
        self.config, self.accelerator, self.study = config, accelerator, study
        self.folder, self.facts, self.log = folder, facts, log
        self.progress = GanProgress()
        self._losses: Figures = {}
        self._metrics: Figures = {}

    def train(self) -> GanProgress:
        """Run to `max_steps`; Ctrl-C or SIGTERM finishes the step, saves and stops (a second one stops at once).

        Returns:
            Where the run stands.

        Raises:
            KeyboardInterrupt: The run was stopped, and saved.
            InputError: A loss is no longer finite.
        """
        run_steps(self, self.config.max_steps)
        if self.accelerator.is_main_process:
            from descant_modeling.gan.plots import draw_run

            draw_run(self.folder, self.study.own())
        return self.progress

    def advance(self, stop: StopRequest) -> bool:
        """Do one iteration; return whether any process was asked to stop."""
        self._losses = self.study.iterate(self.progress.step)
        self.progress.step += 1
        if not all(math.isfinite(value) for value in self._losses.values()):
            raise InputError(
                f"a loss is not finite at step {self.progress.step}: lower optimizer.learning_rate or use fp32"
            )
        return self.study.learner.any_process(stop.made)

    def after_step(self) -> None:
        """Log, measure and save what is due."""
        config, progress, step, losses = self.config, self.progress, self.progress.step, self._losses
        last = step == config.max_steps
        shown = "  ".join(f"{name} {value:.2f}" for name, value in losses.items())
        self.log.progress(step, f"{shown}  {progress.seconds / step:.2f} s/step")
        if step % config.log_every == 0 or last:
            self.log.record("train", step, **losses, seconds=progress.seconds)
        if self.accelerator.is_main_process and (step % config.eval_every == 0 or last):
            self._measure()
        if self.accelerator.is_main_process and step in config.sample_steps:
            self._keep_samples()
        if step % config.save_every == 0 or last:
            self.save_last()

    def summary(self) -> str:
        """Say how the run ended."""
        progress = self.progress
        return f"{progress.step} steps in {progress.seconds / 60:.1f} min\nmodel: {self.folder / 'last'}"

    def first_command(self) -> str:
        """Return what to try the trained model with."""
        return self.study.first_command(self.folder)

    def _measure(self) -> None:
        self._metrics = self.study.measure()
        self.log.record("valid", self.progress.step, **self._metrics)
        found = "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in self._metrics.items())
        self.log.say(f"step {self.progress.step}: {found} ({self.progress.seconds / 60:.1f} min)")

    def _keep_samples(self) -> None:
        folder = self.folder / SAMPLES_FOLDER
        folder.mkdir(exist_ok=True)
        arrays: dict[str, Any] = dict(self.study.samples(NUM_KEPT))
        np.savez_compressed(folder / f"step-{self.progress.step:05}.npz", **arrays)

    def save_last(self) -> None:
        """Write `last/`: the published folder plus the training state."""
        if self.accelerator.is_main_process:
            replace_folder(self.folder / "last", self._write_last)
        self.accelerator.wait_for_everyone()

    def _write_last(self, folder: Path) -> None:
        own = self.study.own()
        metrics = {name: (round(value, 4), round(own[name], 4)) for name, value in self._metrics.items()}
        self.study.save(folder, {**self.facts, "step": self.progress.step, "metrics": metrics})
        save_file(self.study.learner.tensors(), folder / STATE_TENSORS)
        state = {"progress": vars(self.progress), "config": self.config.to_dict()}
        (folder / STATE_FILE).write_text(json.dumps(state) + "\n", encoding="utf-8")

    def resume(self) -> None:
        """Take up `last/` of the run folder.

        Raises:
            InputError: There is none.
        """
        last = self.folder / "last"
        recover_folder(last)
        if not (last / STATE_FILE).is_file():
            raise InputError(f"{self.folder} has no checkpoint to resume from: start without --resume")
        self.study.learner.load_tensors(load_file(last / STATE_TENSORS))
        state = json.loads((last / STATE_FILE).read_text(encoding="utf-8"))
        self.progress = GanProgress(**state["progress"])
