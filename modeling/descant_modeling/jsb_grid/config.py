"""Configuration of a causal model over the sounding-pitch grid."""

from __future__ import annotations

from dataclasses import dataclass, field

from descant_modeling.common.config import NOT_NEGATIVE, check_fields
from descant_modeling.training.config import BatchConfig, CausalConfig


@dataclass(frozen=True)
class GridDataConfig(BatchConfig):
    """Training and validation data, the splits of a grid file; see also `BatchConfig`.

    Args:
        grid_json: The file (see `jsb_grid.data.read_grids`); it is not part of this package.
        beat_cycle: Length of the cycle of beat tokens before the first 16th of every beat; 12 suits bars of 2, 3, 4
            and 6 beats. 0 for no such tokens.
    """

    grid_json: str | None = None
    beat_cycle: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, "data", NOT_NEGATIVE, "beat_cycle")


@dataclass(frozen=True)
class GridConfig(CausalConfig):
    """One training run over the grid; the defaults are those of the published run.

    Args:
        data: Training and validation data.
    """

    objective: str = "grid"
    name: str = "grid"
    max_steps: int = 3400
    data: GridDataConfig = field(default_factory=GridDataConfig)
