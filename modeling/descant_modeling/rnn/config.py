"""Configuration of a recurrent language model's run."""

from __future__ import annotations

from dataclasses import dataclass, field

from descant_modeling.common.config import BELOW_ONE, check_fields, within
from descant_modeling.families.config import FamilyConfig


@dataclass(frozen=True)
class RnnModelConfig:
    """Sizes of the network.

    Args:
        width: Size of embeddings and hidden states.
        num_layers: GRU layers.
        dropout: Share of features that variational dropout removes, the same ones at all steps of a window.
    """

    width: int = 192
    num_layers: int = 3
    dropout: float = 0.3

    def __post_init__(self) -> None:
        check_fields(self, "model", within(1, 2048), "width", "num_layers")
        check_fields(self, "model", BELOW_ONE, "dropout")


@dataclass(frozen=True)
class RnnConfig(FamilyConfig):
    """One run of the recurrent model."""

    objective: str = "rnn"
    name: str = "rnn"
    model: RnnModelConfig = field(default_factory=RnnModelConfig)
