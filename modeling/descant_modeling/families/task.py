"""Training of one network on windows of the grid, for any of the families, in one process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from descant_modeling.families.checkpoints import family_card
from descant_modeling.families.config import FamilyConfig
from descant_modeling.families.data import FamilyData, Window, load_family_data
from descant_modeling.families.networks import GridNetwork
from descant_modeling.jsb_grid.data import GridVocabulary
from descant_modeling.models.networks import NetworkMeta, save_network, seeded_rng
from descant_modeling.models.publishing import try_generating
from descant_modeling.models.transformer import count_parameters
from descant_modeling.training.curves import draw_log
from descant_modeling.training.log import git_revision
from descant_modeling.training.one_model import BestProgress, OneModelTask
from descant_modeling.training.run import PreparedRun, RunContext
from descant_modeling.training.trainer import Figures, Progress, Validation
from descant_tokenizers.common.errors import InputError

ConfigT = TypeVar("ConfigT", bound=FamilyConfig)
NetworkT = TypeVar("NetworkT", bound=GridNetwork[Any])


@dataclass
class FamilyProgress(BestProgress):
    """State of a run; `figures` are those of the last validation, and the lowest headline is the best."""

    figures: Figures = field(default_factory=dict)


class FamilyTask(OneModelTask[NetworkT], ABC, Generic[ConfigT, NetworkT]):
    """Training of one network, a `TrainingTask`.

    Args:
        context: The run.
        data: Pieces.
    """

    #: Class of the network.
    network_type: ClassVar[type[GridNetwork[Any]]]
    #: Name of the figure by which the best checkpoint is chosen; lower is better.
    headline: ClassVar[str]
    #: 16ths of which the beginning of a window is a multiple.
    begin_unit: ClassVar[int] = 1

    def __init__(self, context: RunContext[ConfigT], data: FamilyData) -> None:
        self.config, self.data = context.config, data
        torch.manual_seed(self.config.seed)
        network: Any = self.network_type(self.config.model, GridVocabulary.of_ranges(data.voice_ranges))
        super().__init__(self.config, context.accelerator, network)
        self.progress: Progress = FamilyProgress()
        facts = {"seed": self.config.seed, "splits": list(self.config.data.splits), "git": git_revision()}
        self.meta = NetworkMeta(data.corpora, data.voice_ranges, facts, self.config.objective)

    @classmethod
    def prepare(cls, context: RunContext[Any]) -> PreparedRun:
        """Load data and network of a run.

        Raises:
            InputError: A corpus does not exist or has no fitting pieces, or the run has several processes.
        """
        if context.accelerator.num_processes > 1:
            raise InputError(f"A run of {context.config.objective} is too small to share. Start a single process.")
        task = cls(context, load_family_data(context.config.data))
        number, counts = count_parameters(task.model), {"train": len(task.data.train), "valid": len(task.data.valid)}
        facts = {"num_parameters": number, "num_pieces": counts, "corpora": task.data.corpora}
        return PreparedRun(task, facts, (f"{number:,} parameters, {counts['train']} pieces",))

    @property
    def state(self) -> FamilyProgress:
        """State of the run."""
        assert isinstance(self.progress, FamilyProgress)
        return self.progress

    @abstractmethod
    def losses(self, windows: list[Window], rng: torch.Generator) -> tuple[Tensor, Figures]:
        """Return the loss of a step, a scalar with a graph, and figures to log with it."""

    @abstractmethod
    def measure(self, network: NetworkT) -> Figures:
        """Measure a network in eval mode on valid, always with the same random numbers."""

    def step(self) -> Figures:
        """Take an optimizer step on the windows of this step."""
        config, step = self.config, self.progress.step
        self.model.train()
        windows = self.data.windows(config.data, config.seed, step, self.begin_unit)
        loss, figures = self.losses(windows, seeded_rng(config.seed, step, 1))
        loss.backward()  # type: ignore[no-untyped-call]
        self.apply_gradients()
        return {"loss": float(loss.detach()), **figures}

    def validate(self) -> Validation:
        """Measure the published network on valid."""
        if not self.data.valid:
            return Validation({})
        network, state = self.published_model, self.state
        network.train(False)
        state.figures = self.measure(network)
        return Validation(state.figures, state.note(state.figures[self.headline]))

    def publish(self, folder: Path) -> None:
        """Write the published network, with its latest figures."""
        measured = {f"valid_{name}": round(value, 4) for name, value in self.state.figures.items()}
        minutes = round(self.progress.seconds / 60, 1)
        facts = {**self.meta.training, "step": self.progress.step, "minutes": minutes, **measured}
        meta = replace(self.meta, training=facts)
        save_network(folder, self.published_model, meta, family_card(meta, self.published_model))

    def plot(self, folder: Path) -> None:
        """Draw the curves after the last step."""
        if self.progress.step == self.config.max_steps:
            draw_log(folder)

    def summary(self) -> str:
        """Return the best figure."""
        state = self.state
        if state.best is None:
            return ""
        return f"best {self.headline.replace('_', ' ')} {state.best:.4f} at step {state.best_step}"

    def first_command(self, folder: Path) -> str:
        """Return a command that tries the trained model."""
        return try_generating(folder)
