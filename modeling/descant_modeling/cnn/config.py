"""Configuration of a run of Coconet."""

from __future__ import annotations

from dataclasses import dataclass, field

from descant_modeling.common.config import check_fields, within
from descant_modeling.families.config import FamilyConfig


@dataclass(frozen=True)
class CnnModelConfig:
    """Sizes of the network.

    Args:
        filters: Channels of every convolution.
        num_layers: Convolutions of 3x3 between the first and the last; their dilations are 1, 2, 4, 1, 2, 4, ...
    """

    filters: int = 48
    num_layers: int = 10

    def __post_init__(self) -> None:
        check_fields(self, "model", within(1, 512), "filters", "num_layers")


@dataclass(frozen=True)
class CnnConfig(FamilyConfig):
    """One run of Coconet."""

    objective: str = "cnn"
    name: str = "cnn"
    model: CnnModelConfig = field(default_factory=CnnModelConfig)
