"""What tasks with one model share: its averaged weights, its optimizers, the end of a step, the best validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

import torch
from accelerate import Accelerator
from torch import nn

from descant_modeling.training.config import OptimizerConfig
from descant_modeling.training.optim import (
    average_of,
    build_optimizers,
    learning_rate,
    load_state_tensors,
    state_tensors,
)
from descant_modeling.training.trainer import Figures, Progress

ModelT = TypeVar("ModelT", bound=nn.Module)


class OneModelConfig(Protocol):
    """The part of a configuration that the steps need."""

    @property
    def optimizer(self) -> OptimizerConfig:
        """The optimizer."""

    @property
    def max_steps(self) -> int:
        """Steps of the run."""


@dataclass
class BestProgress(Progress):
    """State of a run that keeps its best checkpoint.

    Attributes:
        best: Lowest value on the validation split; None before a validation.
        best_step: Step that reached it.
    """

    best: float | None = None
    best_step: int = 0

    def note(self, value: float) -> bool:
        """Note the value of a validation; return True if it is the best so far."""
        is_best = self.best is None or value < self.best
        if is_best:
            self.best, self.best_step = value, self.step
        return is_best


class OneModelTask(Generic[ModelT]):
    """A part of a `TrainingTask`: one model, the moving average of its weights, and its optimizers.

    Args:
        config: Optimizer and length of the run.
        accelerator: Device and precision.
        model: The model, with random or loaded weights.
        in_bf16: True if Muon may compute in bf16.
    """

    progress: Progress

    def __init__(
        self, config: OneModelConfig, accelerator: Accelerator, model: ModelT, *, in_bf16: bool = False
    ) -> None:
        self.accelerator = accelerator
        self.model: ModelT = model.to(accelerator.device)
        self.average = average_of(self.model, config.optimizer.ema_decay)
        self.optimizers = build_optimizers(self.model, config.optimizer, in_bf16=in_bf16)
        self._steps = config

    @property
    def published_model(self) -> ModelT:
        """The model that is evaluated and published: the averaged weights if an average is kept."""
        return self.model if self.average is None else cast("ModelT", self.average.module)

    @property
    def rate(self) -> float:
        """Learning rate of the last step."""
        return learning_rate(self._steps.optimizer, self.progress.step - 1, self._steps.max_steps)

    def warm_up(self) -> tuple[str, Figures]:
        """Do nothing: no step is compiled."""
        return "", {}

    def log_values(self) -> Figures:
        """Return learning rate and time spent."""
        return {"learning_rate": self.rate, "seconds": self.progress.seconds}

    def apply_gradients(self) -> None:
        """End a step: clip the gradients, update the weights and their average, and drop the gradients."""
        config = self._steps.optimizer
        self.accelerator.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        rate = learning_rate(config, self.progress.step, self._steps.max_steps)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.model)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return weights, their average, and the optimizers' states."""
        return state_tensors(self.model, self.average, self.optimizers)

    def load_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """Restore the tensors that `tensors` returned."""
        load_state_tensors(self.model, self.average, self.optimizers, tensors, self.progress.step)
