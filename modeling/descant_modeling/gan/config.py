"""Configuration of a GAN run, read and checked like every other run's."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class GanDataConfig:
    """What is trained on.

    Args:
        corpus: `chorales-rolls`, or the folder of a dataset that `descant dataset build chorales-rolls` wrote.
        batch_size: Samples in a step, over all processes together.
    """

    corpus: str = "chorales-rolls"
    batch_size: int = 64

    def __post_init__(self) -> None:
        _positive("data.batch_size", self.batch_size)


@dataclass(frozen=True)
class GanOptimizerConfig:
    """Adam for generator and critic alike.

    Args:
        learning_rate: The same all the time.
        betas: Adam's decay rates.
        critic_steps: Critic steps before each generator step.
    """

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.9)
    critic_steps: int = 5

    def __post_init__(self) -> None:
        _positive("optimizer.learning_rate", self.learning_rate)
        _positive("optimizer.critic_steps", self.critic_steps)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"optimizer.betas is {self.betas}: give two numbers of 0 or more, below 1")


@dataclass(frozen=True)
class GanConfig:
    """One run of the conditional GAN; the default values are the source article's.

    Args:
        objective: `gan`.
        name: Folder under `out_dir`.
        out_dir: Where runs are kept.
        seed: All randomness of the run follows from it.
        max_steps: Generator steps.
        eval_every: Steps between measurements of what is written for valid melodies.
        save_every: Steps between checkpoints.
        log_every: Steps between log lines.
        precision: `fp32`, `bf16`, or `auto`: bf16 where it is faster.
        sample_steps: Steps after which some rolls are kept for the picture at the end.
    """

    objective: str = "gan"
    name: str = "gan"
    out_dir: str = "runs"
    seed: int = 1
    max_steps: int = 1000
    eval_every: int = 25
    save_every: int = 25
    log_every: int = 1
    precision: str = "auto"
    sample_steps: tuple[int, ...] = (1, 25, 100, 250, 500, 1000)
    data: GanDataConfig = field(default_factory=GanDataConfig)
    optimizer: GanOptimizerConfig = field(default_factory=GanOptimizerConfig)

    def __post_init__(self) -> None:
        if self.objective != "gan":
            raise ValueError(f"objective is {self.objective}: write objective: gan")
        for name in ("max_steps", "eval_every", "save_every", "log_every"):
            _positive(name, getattr(self, name))
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: give 0 or more")
        if self.precision not in ("auto", "fp32", "bf16"):
            raise ValueError(f"precision is {self.precision}: auto, fp32 or bf16")
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name is {self.name!r}: give a plain folder name")

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved configuration as plain values."""
        return dataclasses.asdict(self)


def _positive(name: str, value: float) -> None:
    if value <= 0:
        raise ValueError(f"{name} is {value}: give a positive number")
