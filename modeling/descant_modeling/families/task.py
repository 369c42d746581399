"""Training of one network on windows of the grid, for any of the families, in one process."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar, cast

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from descant_modeling.families.config import FamilyConfig
from descant_modeling.families.data import FamilyData, Window
from descant_modeling.models.networks import NetworkMeta, save_network
from descant_modeling.models.publishing import try_generating
from descant_modeling.models.transformer import count_parameters
from descant_modeling.training.log import LOG_FILE, git_revision
from descant_modeling.training.optim import (
    average_of,
    build_optimizers,
    learning_rate,
    load_state_tensors,
    state_tensors,
)
from descant_modeling.training.run import PreparedRun, RunContext
from descant_modeling.training.trainer import Figures, Progress, Validation
from descant_tokenizers.common.errors import InputError

#: Fields of a log line that are not drawn.
NOT_DRAWN = ("kind", "step", "seconds", "learning_rate")

ConfigT = TypeVar("ConfigT", bound=FamilyConfig)
NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass
class FamilyProgress(Progress):
    """State of a run.

    Attributes:
        best: Lowest value of the headline figure on valid; None before a validation.
        best_step: Step that reached it.
        figures: Figures of the last validation.
    """

    best: float | None = None
    best_step: int = 0
    figures: Figures = field(default_factory=dict)


class FamilyTask(ABC, Generic[ConfigT, NetworkT]):
    """Training of one network, a `TrainingTask`.

    Args:
        context: The run.
        network: The network, with random weights; its sizes are in `architecture`.
        data: Pieces.
    """

    #: Name of the figure by which the best checkpoint is chosen; lower is better.
    headline: str

    def __init__(self, context: RunContext[ConfigT], network: NetworkT, data: FamilyData) -> None:
        self.config, self.device, self.data = context.config, context.accelerator.device, data
        self.network: NetworkT = network.to(self.device)
        self.average = average_of(self.network, self.config.optimizer.ema_decay)
        self.optimizers = build_optimizers(self.network, self.config.optimizer)
        self.progress: Progress = FamilyProgress()
        facts = {"seed": self.config.seed, "splits": list(self.config.data.splits), "git": git_revision()}
        self.meta = NetworkMeta(data.corpora, data.voice_ranges, facts, self.config.objective)

    @property
    def state(self) -> FamilyProgress:
        """State of the run."""
        assert isinstance(self.progress, FamilyProgress)
        return self.progress

    @property
    def published(self) -> NetworkT:
        """The network that is measured and published: the averaged weights if an average is kept."""
        return self.network if self.average is None else cast("NetworkT", self.average.module)

    @abstractmethod
    def losses(self, windows: list[Window], rng: torch.Generator) -> tuple[Tensor, Figures]:
        """Return the loss of a step, a scalar with a graph, and figures to log with it."""

    @abstractmethod
    def measure(self, network: NetworkT) -> Figures:
        """Measure a network in eval mode on valid, always with the same random numbers."""

    @abstractmethod
    def card(self, meta: NetworkMeta) -> str:
        """Return the model card."""

    def warm_up(self) -> tuple[str, Figures]:
        """Do nothing: no step is compiled."""
        return "", {}

    def step(self) -> Figures:
        """Take an optimizer step on the windows of this step."""
        config, step = self.config, self.progress.step
        self.network.train()
        state = np.random.SeedSequence((config.seed, step, 1)).generate_state(1, np.uint64)[0]
        windows = self.data.windows(config.data, config.seed, step)
        loss, figures = self.losses(windows, torch.Generator().manual_seed(int(state >> 1)))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), config.optimizer.clip_norm)
        rate = learning_rate(config.optimizer, step, config.max_steps)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.network)
        return {"loss": float(loss.detach()), **figures}

    def log_values(self) -> Figures:
        """Return learning rate and time spent."""
        rate = learning_rate(self.config.optimizer, self.progress.step - 1, self.config.max_steps)
        return {"learning_rate": rate, "seconds": self.progress.seconds}

    def validate(self) -> Validation:
        """Measure the published network on valid."""
        if not self.data.valid:
            return Validation({})
        network, state = self.published, self.state
        network.train(False)
        state.figures = self.measure(network)
        value = state.figures[self.headline]
        is_best = state.best is None or value < state.best
        if is_best:
            state.best, state.best_step = value, state.step
        return Validation(state.figures, is_best)

    def publish(self, folder: Path) -> None:
        """Write the published network, with its latest figures."""
        measured = {f"valid_{name}": round(value, 4) for name, value in self.state.figures.items()}
        minutes = round(self.progress.seconds / 60, 1)
        facts = {**self.meta.training, "step": self.progress.step, "minutes": minutes, **measured}
        meta = replace(self.meta, training=facts)
        save_network(folder, self.published, meta, self.card(meta))

    def tensors(self) -> dict[str, Tensor]:
        """Return weights, their average, and the optimizers' states."""
        return state_tensors(self.network, self.average, self.optimizers)

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` returned."""
        load_state_tensors(self.network, self.average, self.optimizers, tensors, self.progress.step)

    def plot(self, folder: Path) -> None:
        """Draw the curves after the last step."""
        if self.progress.step == self.config.max_steps:
            draw_curves(folder)

    def summary(self) -> str:
        """Return the best figure."""
        state = self.state
        if state.best is None:
            return ""
        return f"best {self.headline.replace('_', ' ')} {state.best:.4f} at step {state.best_step}"

    def first_command(self, folder: Path) -> str:
        """Return a command that tries the trained model."""
        return try_generating(folder)

    def prepared(self) -> PreparedRun:
        """Return the run of this task."""
        number, counts = count_parameters(self.network), {"train": len(self.data.train), "valid": len(self.data.valid)}
        facts = {"num_parameters": number, "num_pieces": counts, "corpora": self.data.corpora}
        return PreparedRun(self, facts, (f"{number:,} parameters, {counts['train']} pieces",))


def check_one_process(context: RunContext[FamilyConfig]) -> None:
    """Raise an `InputError` if a run has several processes."""
    if context.accelerator.num_processes > 1:
        raise InputError(f"A run of {context.config.objective} is too small to share. Start a single process.")


def draw_curves(folder: Path) -> None:
    """Draw the losses and the figures of valid in a run's log as `curves.png`."""
    lines = [json.loads(line) for line in (folder / LOG_FILE).read_text(encoding="utf-8").splitlines()]
    kinds = {kind: [line for line in lines if line["kind"] == kind] for kind in ("train", "valid")}
    panels = [(kind, name) for kind, found in kinds.items() if found for name in found[-1] if name not in NOT_DRAWN]
    figure = Figure(figsize=(3.4 * len(panels), 2.8), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)
    for axis, (kind, name) in zip(axes[0], panels, strict=True):
        axis.plot([line["step"] for line in kinds[kind]], [line[name] for line in kinds[kind]], linewidth=1)
        axis.set(title=f"{kind}: {name.replace('_', ' ')}", xlabel="step")
    figure.savefig(folder / "curves.png", dpi=110)
