"""Configuration of a causal model over the sounding-pitch grid."""

from __future__ import annotations

from dataclasses import dataclass, field

from descant_modeling.common.config import NOT_NEGATIVE, check_fields
from descant_modeling.training.config import BatchConfig, CausalConfig


@dataclass(frozen=True)
class GridDataConfig(BatchConfig):
    """What is trained and evaluated on: the train and valid parts of a grid file; beside it `BatchConfig`.

    Args:
        grid_json: The file (see `grid.data.read_grids`); it is no part of this package.
        beat_cycle: Before the first 16th of every beat stands a token that counts beats in a cycle of so many; 12 holds
            bars of 2, 3, 4 and 6 beats. 0 for no such tokens.
    """

    grid_json: str | None = None
    beat_cycle: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, "data", NOT_NEGATIVE, "beat_cycle")


@dataclass(frozen=True)
class GridConfig(CausalConfig):
    """One training run over the grid; the default values are the published row's.

    Args:
        data: What is trained on.
    """

    objective: str = "grid"
    name: str = "grid"
    max_steps: int = 3400
    data: GridDataConfig = field(default_factory=GridDataConfig)
