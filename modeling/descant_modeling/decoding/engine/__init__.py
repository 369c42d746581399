"""Decoding engines: a causal model that keeps the keys and values of rows of tokens.

`onnx_engine` runs on CPUs and needs no torch, `torch_engine` anywhere.

Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Engine", "EngineModel"]


class Engine(Protocol):
    """A batch of rows of tokens; at first one row without tokens.

    Attributes:
        lengths: Tokens of each row.
    """

    lengths: list[int]

    def select_rows(self, rows: Sequence[int]) -> None:
        """Replace the batch by copies of some of its rows.

        Args:
            rows: Rows of the present batch, in any order and number; a row may be repeated or dropped.

        Raises:
            ValueError: No row, or one outside the batch.
        """

    def append(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Append tokens to each row, possibly none to some.

        Args:
            ids: Token ids, for each row.

        Returns:
            Logits after each row's last appended token, (B, V); undefined for rows that got none.

        Raises:
            ValueError: Another number of rows, or more tokens in a row than the model has positions for.
        """


class EngineModel(Protocol):
    """A model that engines share.

    Attributes:
        max_positions: Longest row in training.
        has_position_table: True if no row can be longer than that.
    """

    @property
    def max_positions(self) -> int:
        """See above."""

    @property
    def has_position_table(self) -> bool:
        """See above."""

    def start(self, max_tokens: int) -> Engine:
        """Return an engine of one empty row, with room for `max_tokens` at first."""
