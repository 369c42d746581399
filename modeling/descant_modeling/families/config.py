"""Configuration keys that the families on the grid share."""

from __future__ import annotations

from dataclasses import dataclass, field

from descant_modeling.common.config import POSITIVE, CommonConfig, check, check_fields
from descant_modeling.training.config import OptimizerConfig


@dataclass(frozen=True)
class WindowDataConfig:
    """Training windows, cut from four-part pieces.

    Args:
        corpora: Corpora to train on: names or folders of built datasets; valid is that of the first.
        splits: Training splits. `valid`, `test` and `held_out` are refused.
        transpose: True to draw a transposition for every window, inside the voices' ranges.
        batch_size: Windows in a step.
        window_16ths: Length of a window.
    """

    corpora: tuple[str, ...] = ("chorales",)
    splits: tuple[str, ...] = ("train", "extra")
    transpose: bool = True
    batch_size: int = 16
    window_16ths: int = 64

    def __post_init__(self) -> None:
        forbidden = {"valid", "test", "held_out"} & set(self.splits)
        check(not forbidden, "data.splits", self.splits, "give splits other than valid, test and held_out")
        check(len(self.corpora) > 0, "data.corpora", self.corpora, "name at least one corpus")
        check(len(self.splits) > 0, "data.splits", self.splits, "name at least one split")
        check_fields(self, "data", POSITIVE, "batch_size", "window_16ths")


@dataclass(frozen=True)
class FamilyConfig(CommonConfig):
    """Training run of one network on windows of the grid.

    Args:
        data: Training windows.
        optimizer: The optimizer.
    """

    max_steps: int = 1500
    eval_every: int = 250
    save_every: int = 250
    log_every: int = 10
    data: WindowDataConfig = field(default_factory=WindowDataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
