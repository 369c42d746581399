"""What the networks of the families share: a vocabulary of pitches, and the contents of config.json."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import nn

from descant_modeling.jsb_grid.data import GridVocabulary

SizesT = TypeVar("SizesT")


class GridNetwork(nn.Module, Generic[SizesT]):
    """A network on the grid; a subclass names its objective and the dataclass of its sizes.

    Args:
        sizes: Its sizes.
        vocabulary: The pitches, without tokens for beats.
    """

    objective: ClassVar[str]
    sizes_type: ClassVar[type[Any]]

    def __init__(self, sizes: SizesT, vocabulary: GridVocabulary) -> None:
        super().__init__()
        self.sizes, self.vocabulary = sizes, vocabulary

    @property
    def architecture(self) -> dict[str, Any]:
        """Contents of config.json."""
        sizes: Any = self.sizes
        return {"model_type": f"descant-{self.objective}", **asdict(sizes), **asdict(self.vocabulary)}

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    @classmethod
    def build(cls, values: dict[str, Any]) -> Self:
        """Build a network from the contents of config.json.

        Raises:
            KeyError: A size is missing.
            ValueError: A size is out of range.
        """
        parts: list[Any] = [
            kind(**{each.name: values[each.name] for each in fields(kind)}) for kind in (cls.sizes_type, GridVocabulary)
        ]
        return cls(*parts)
