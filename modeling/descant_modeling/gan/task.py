"""Training of every GAN, as a task of the trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from descant_modeling.gan.config import AdversarialConfig
from descant_modeling.gan.metrics import draw_run
from descant_modeling.gan.trainer import GeneratorCriticPair
from descant_modeling.training.trainer import Figures, Progress, Validation

#: Rolls that are kept at each of `sample_steps`.
NUM_KEPT = 3
SAMPLES_FOLDER = "samples"


class Variant(Protocol):
    """One kind of GAN with its data: what the trainer does not know about it."""

    @property
    def learner(self) -> GeneratorCriticPair[Any, Any]:
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


class GanTask:
    """Training of a GAN, a `TrainingTask` whose steps are iterations of its variant.

    Args:
        config: The run.
        variant: Networks, data and metrics.
        facts: What `descant.json` says about the run.
    """

    def __init__(self, config: AdversarialConfig, variant: Variant, facts: dict[str, Any]) -> None:
        self.config, self.variant, self.facts = config, variant, facts
        self.progress = Progress()
        self._metrics: Figures = {}

    def step(self) -> Figures:
        """Run one iteration."""
        return self.variant.iterate(self.progress.step)

    def log_values(self) -> Figures:
        """Return the time spent."""
        return {"seconds": self.progress.seconds}

    def validate(self) -> Validation:
        """Measure what the generator writes; no checkpoint is the best one."""
        self._metrics = self.variant.measure()
        return Validation(self._metrics)

    def publish(self, folder: Path) -> None:
        """Write the generator, with its latest metrics."""
        own = self.variant.own()
        metrics = {name: (round(value, 4), round(own[name], 4)) for name, value in self._metrics.items()}
        self.variant.save(folder, {**self.facts, "step": self.progress.step, "metrics": metrics})

    def tensors(self) -> dict[str, Tensor]:
        """Return the state of both networks and their optimizers."""
        return self.variant.learner.tensors()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` returned."""
        self.variant.learner.load_tensors(tensors)

    def plot(self, folder: Path) -> None:
        """Keep samples after some steps, and draw losses, metrics and samples after the last one."""
        step = self.progress.step
        if step in self.config.sample_steps:
            samples = folder / SAMPLES_FOLDER
            samples.mkdir(exist_ok=True)
            arrays: dict[str, Any] = dict(self.variant.samples(NUM_KEPT))
            np.savez_compressed(samples / f"step-{step:05}.npz", **arrays)
        if step == self.config.max_steps:
            draw_run(folder, self.variant.own())

    def summary(self) -> str:
        """Return nothing: the figures are in the pictures."""
        return ""

    def first_command(self, folder: Path) -> str:
        """Return a command that tries the trained model."""
        return self.variant.first_command(folder)
