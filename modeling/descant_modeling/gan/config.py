"""Configuration of a GAN run, read and checked like every other run's."""

from __future__ import annotations

from dataclasses import dataclass, field

from descant_modeling.common_config import CommonConfig, check


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
        check(self.batch_size > 0, "data.batch_size", self.batch_size, "give a positive number")


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
        for name in ("learning_rate", "critic_steps"):
            check(getattr(self, name) > 0, f"optimizer.{name}", getattr(self, name), "give a positive number")
        sound = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        check(sound, "optimizer.betas", self.betas, "give two numbers of 0 or more, below 1")


@dataclass(frozen=True)
class GanConfig(CommonConfig):
    """One run of the conditional GAN, whose steps are generator steps; the default values are the source article's.

    Args:
        sample_steps: Steps after which some rolls are kept for the picture at the end.
        data: What is trained on.
        optimizer: How.
    """

    objective: str = "gan"
    name: str = "gan"
    max_steps: int = 1000
    eval_every: int = 25
    save_every: int = 25
    sample_steps: tuple[int, ...] = (1, 25, 100, 250, 500, 1000)
    data: GanDataConfig = field(default_factory=GanDataConfig)
    optimizer: GanOptimizerConfig = field(default_factory=GanOptimizerConfig)
