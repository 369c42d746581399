"""Configurations of GAN runs, read and checked like every other run's."""

from __future__ import annotations

from dataclasses import dataclass, field

from descant_modeling.common.config import (
    BETAS,
    NOT_NEGATIVE,
    POSITIVE,
    CommonConfig,
    Constraint,
    all_of,
    check_fields,
    within,
)

KEYS_PER_OCTAVE = 12
#: Of a layer.
SIZE = within(1, 1024)
TARGET = Constraint(lambda value: 0 < value <= 1, "give more than 0, at most 1")


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
        check_fields(self, "data", POSITIVE, "batch_size")


@dataclass(frozen=True)
class AdamConfig:
    """Adam for generator and critic alike.

    Args:
        learning_rate: The same all the time.
        betas: Adam's decay rates.
    """

    learning_rate: float
    betas: tuple[float, float]

    def __post_init__(self) -> None:
        check_fields(self, "optimizer", POSITIVE, "learning_rate")
        check_fields(self, "optimizer", BETAS, "betas")


@dataclass(frozen=True)
class GanOptimizerConfig(AdamConfig):
    """How a Wasserstein GAN is trained; beside it `AdamConfig`.

    Args:
        critic_steps: Critic steps before each generator step.
    """

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.9)
    critic_steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, "optimizer", POSITIVE, "critic_steps")


@dataclass(frozen=True)
class AdversarialConfig(CommonConfig):
    """What all GANs' runs share; their steps are iterations, each with one step of one network and some of the other.

    Args:
        sample_steps: Steps after which some rolls are kept for the picture at the end.
        data: What is trained on.
    """

    sample_steps: tuple[int, ...] = ()
    data: GanDataConfig = field(default_factory=GanDataConfig)


@dataclass(frozen=True)
class GanConfig(AdversarialConfig):
    """One run of the conditional GAN, whose steps are generator steps; the default values are the source article's.

    Args:
        optimizer: How it is trained.
    """

    objective: str = "gan"
    name: str = "gan"
    max_steps: int = 1000
    eval_every: int = 25
    save_every: int = 25
    sample_steps: tuple[int, ...] = (1, 25, 100, 250, 500, 1000)
    optimizer: GanOptimizerConfig = field(default_factory=GanOptimizerConfig)


@dataclass(frozen=True)
class RollGanModelConfig:
    """Sizes of the unconditional GAN.

    Args:
        noise_size: Length of the noise vector.
        filters: The generator's channels before each of its four doublings.
        critic_filters: Of the critic's four convolutions; the article's conditional GAN has 64, 128, 256, 512.
    """

    noise_size: int = 128
    filters: tuple[int, ...] = (128, 128, 64, 32)
    critic_filters: tuple[int, ...] = (16, 32, 64, 128)

    def __post_init__(self) -> None:
        check_fields(self, "model", SIZE, "noise_size")
        check_fields(self, "model", all_of(4, SIZE, "give four numbers of 1 to 1024"), "filters", "critic_filters")


@dataclass(frozen=True)
class RollGanDataConfig(GanDataConfig):
    """What is trained on.

    Args:
        corpus: `chorales-rolls-64`, or the folder of a dataset that `descant dataset build chorales-rolls-64` wrote.
        batch_size: Samples in a step, over all processes together.
    """

    corpus: str = "chorales-rolls-64"
    batch_size: int = 32


@dataclass(frozen=True)
class RollGanConfig(AdversarialConfig):
    """One run of the unconditional roll GAN, whose steps are generator steps.

    Args:
        model: Sizes.
        optimizer: How it is trained.
    """

    objective: str = "roll-gan"
    name: str = "roll-gan"
    max_steps: int = 3050
    eval_every: int = 50
    save_every: int = 50
    sample_steps: tuple[int, ...] = (1, 50, 250, 500, 1000, 2000)
    model: RollGanModelConfig = field(default_factory=RollGanModelConfig)
    data: RollGanDataConfig = field(default_factory=RollGanDataConfig)
    optimizer: GanOptimizerConfig = field(default_factory=GanOptimizerConfig)


@dataclass(frozen=True)
class MidinetDataConfig(GanDataConfig):
    """What is trained on.

    Args:
        corpus: `melody-bars`, or the folder of a dataset that `descant dataset build melody-bars` wrote.
        batch_size: Bars in a step, over all processes together.
        keys: Keys that each bar is heard in, 1-12: up to half of them below its own.
    """

    corpus: str = "melody-bars"
    batch_size: int = 72
    keys: int = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, "data", within(1, KEYS_PER_OCTAVE), "keys")

    @property
    def shifts(self) -> tuple[int, ...]:
        """Semitones that each key lies above the bar's own."""
        return tuple(range(-(self.keys // 2), self.keys - self.keys // 2))


@dataclass(frozen=True)
class MidinetOptimizerConfig(AdamConfig):
    """How MidiNet is trained, and what its losses weigh; beside it `AdamConfig`.

    Args:
        generator_steps: Generator steps after each discriminator step.
        real_target: What the discriminator shall say of real bars (one-sided label smoothing).
        feature_weight: Of the distance between the mean features of data and generator.
        bar_weight: Of the distance between their mean bars.
    """

    learning_rate: float = 5e-5
    betas: tuple[float, float] = (0.5, 0.999)
    generator_steps: int = 2
    real_target: float = 0.9
    feature_weight: float = 0.1
    bar_weight: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, "optimizer", POSITIVE, "generator_steps")
        check_fields(self, "optimizer", TARGET, "real_target")
        check_fields(self, "optimizer", NOT_NEGATIVE, "feature_weight", "bar_weight")


@dataclass(frozen=True)
class MidinetConfig(AdversarialConfig):
    """One run of MidiNet, whose steps are batches; the default values are the authors', with 20 epochs.

    Args:
        optimizer: How it is trained.
    """

    objective: str = "midinet"
    name: str = "midinet"
    max_steps: int = 14150
    eval_every: int = 250
    save_every: int = 500
    log_every: int = 25
    precision: str = "fp32"
    sample_steps: tuple[int, ...] = (250, 1000, 2500, 5000, 10000, 14150)
    data: MidinetDataConfig = field(default_factory=MidinetDataConfig)
    optimizer: MidinetOptimizerConfig = field(default_factory=MidinetOptimizerConfig)
