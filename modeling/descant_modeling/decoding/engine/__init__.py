"""Decoding engines: the forward pass of a causal model, a few tokens at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

__all__ = ["Engine"]


class Engine(Protocol):
    """A causal model with the keys and values of a batch of rows; what samplers need of a model.

    Shapes: B rows, N most tokens that a row appends, V vocabulary.
    """

    @property
    def device(self) -> torch.device:
        """Device of the model."""

    def select_rows(self, rows: Sequence[int]) -> None:
        """Replace the batch by copies of some of its rows; a row may be repeated or dropped."""

    def forward(self, ids_BN: torch.Tensor, num_valid_B: Sequence[int], /) -> torch.Tensor:
        """Append the first `num_valid` tokens of each row; return the logits after its last one, (B, V)."""
