"""Configurations of GAN runs. A step is an iteration, with steps of both networks."""

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

_LAYER_SIZE = within(1, 1024)
_TARGET = Constraint(lambda value: 0 < value <= 1, "give more than 0, at most 1")


@dataclass(frozen=True)
class GanDataConfig:
    """Training data of a GAN.

    Args:
        corpus: A corpus, or the folder of a dataset that `descant dataset build` wrote: `chorales-rolls`, for the
            unconditional GAN `chorales-rolls-64`, for MidiNet `melody-bars`.
        batch_size: Samples in a step, over all processes together.
    """

    corpus: str = "chorales-rolls"
    batch_size: int = 64

    def __post_init__(self) -> None:
        check_fields(self, "data", POSITIVE, "batch_size")


@dataclass(frozen=True)
class AdamConfig:
    """Settings of Adam, the same for both networks.

    Args:
        learning_rate: Constant learning rate.
        betas: Adam's decay rates.
    """

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.9)

    def __post_init__(self) -> None:
        check_fields(self, "optimizer", POSITIVE, "learning_rate")
        check_fields(self, "optimizer", BETAS, "betas")


@dataclass(frozen=True)
class GanOptimizerConfig(AdamConfig):
    """Optimizer of a Wasserstein GAN; see also `AdamConfig`.

    Args:
        critic_steps: Critic steps before each generator step.
    """

    critic_steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, "optimizer", POSITIVE, "critic_steps")


@dataclass(frozen=True)
class AdversarialConfig(CommonConfig):
    """Keys common to the runs of all GANs.

    Args:
        sample_steps: Steps after which some rolls are kept for the picture at the end.
        data: Training data.
        optimizer: Settings of both optimizers.
    """

    sample_steps: tuple[int, ...] = ()
    data: GanDataConfig = field(default_factory=GanDataConfig)
    optimizer: AdamConfig = field(default_factory=AdamConfig)


@dataclass(frozen=True)
class GanConfig(AdversarialConfig):
    """One run of the conditional GAN; the defaults are the source article's."""

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
        critic_filters: Channels of the critic's four convolutions; the article's conditional GAN has 64, 128, 256, 512.
    """

    noise_size: int = 128
    filters: tuple[int, ...] = (128, 128, 64, 32)
    critic_filters: tuple[int, ...] = (16, 32, 64, 128)

    def __post_init__(self) -> None:
        check_fields(self, "model", _LAYER_SIZE, "noise_size")
        four_sizes = all_of(4, _LAYER_SIZE, "give four numbers of 1 to 1024")
        check_fields(self, "model", four_sizes, "filters", "critic_filters")


@dataclass(frozen=True)
class RollGanDataConfig(GanDataConfig):
    """Training data of the unconditional GAN; see `GanDataConfig`."""

    corpus: str = "chorales-rolls-64"
    batch_size: int = 32


@dataclass(frozen=True)
class RollGanConfig(AdversarialConfig):
    """One run of the unconditional roll GAN."""

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
    """Training data of MidiNet; see also `GanDataConfig`.

    Args:
        keys: Number of keys that each bar is transposed to, 1-12, up to half of them below its own.
    """

    corpus: str = "melody-bars"
    batch_size: int = 72
    keys: int = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, "data", within(1, 12), "keys")

    @property
    def shifts(self) -> tuple[int, ...]:
        """Semitones from the bar's own key to each key."""
        return tuple(range(-(self.keys // 2), self.keys - self.keys // 2))


@dataclass(frozen=True)
class MidinetOptimizerConfig(AdamConfig):
    """Optimizer and loss weights of MidiNet; see also `AdamConfig`.

    Args:
        generator_steps: Generator steps after each discriminator step.
        real_target: The discriminator's target for real bars (one-sided label smoothing).
        feature_weight: Weight of the distance between the mean features of real and generated bars.
        bar_weight: Weight of the distance between the mean real and generated bars.
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
        check_fields(self, "optimizer", _TARGET, "real_target")
        check_fields(self, "optimizer", NOT_NEGATIVE, "feature_weight", "bar_weight")


@dataclass(frozen=True)
class MidinetConfig(AdversarialConfig):
    """One run of MidiNet, 20 epochs long; the defaults are its authors'."""

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
