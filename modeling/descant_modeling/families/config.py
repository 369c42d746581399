"""Configuration keys that the families on the grid share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from descant_modeling.common.config import POSITIVE, CommonConfig, check, check_fields
from descant_modeling.training.config import OptimizerConfig, check_corpora


@dataclass(frozen=True)
class WindowDataConfig:
    """Training windows, cut from four-part pieces, each in a transposition inside the voices' ranges.

    Args:
        corpora: Corpora to train on: names or folders of built datasets; valid is that of the first.
        splits: Training splits. `valid`, `test` and `held_out` are refused.
        batch_size: Windows in a step.
        window_16ths: Length of a window.
    """

    corpora: tuple[str, ...] = ("chorales",)
    splits: tuple[str, ...] = ("train", "extra")
    batch_size: int = 16
    window_16ths: int = 32

    def __post_init__(self) -> None:
        check_corpora(self.corpora, self.splits)
        check_fields(self, "data", POSITIVE, "batch_size", "window_16ths")


@dataclass(frozen=True)
class FamilyConfig(CommonConfig):
    """Training run of one network on windows of the grid, in fp32; the values of the runs here are in `configs/`.

    Args:
        model: Sizes of the network.
        data: Training windows.
        optimizer: The optimizer.
    """

    max_steps: int = 1000
    eval_every: int = 100
    save_every: int = 100
    log_every: int = 10
    precision: str = "fp32"
    model: Any = None
    data: WindowDataConfig = field(default_factory=WindowDataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.precision == "fp32", "precision", self.precision, "give fp32, in which these small networks train")
