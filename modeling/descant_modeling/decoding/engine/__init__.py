"""Decoding engines: causal models that cache the keys and values of a batch of token rows.

`onnx_engine` runs on CPUs without torch, `torch_engine` on any device.

Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Engine", "EngineModel", "check_rewind"]


class Engine(Protocol):
    """A batch of token rows; at first a single empty one."""

    @property
    def lengths(self) -> list[int]:
        """Number of tokens of each row."""

    def select_rows(self, rows: Sequence[int]) -> None:
        """Replace the batch by copies of some of its rows.

        Args:
            rows: Indices into the present batch, in any order and number; a row may be repeated or dropped.

        Raises:
            ValueError: There is no row, or one outside the batch.
        """

    def append(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Append tokens to each row, possibly none to some.

        Args:
            ids: Token ids for each row.

        Returns:
            Logits after each row's last appended token, (B, V); undefined for rows that got none.

        Raises:
            ValueError: The number of rows is another one, or a row has more tokens than the model has positions for.
        """

    def rewind(self, lengths: Sequence[int]) -> None:
        """Forget the last tokens of each row.

        Args:
            lengths: Number of tokens that each row keeps.

        Raises:
            ValueError: A row has fewer tokens, or the number of rows is another one.
        """


class EngineModel(Protocol):
    """A model that engines share."""

    @property
    def max_positions(self) -> int:
        """Longest row in training."""

    @property
    def has_position_table(self) -> bool:
        """True if no row can be longer than that."""

    def start(self, max_tokens: int) -> Engine:
        """Return an engine with one empty row, which has room for `max_tokens` at first."""


def check_rewind(present: Sequence[int], lengths: Sequence[int]) -> None:
    """Refuse to rewind rows to lengths that they do not have.

    Raises:
        ValueError: A row has fewer tokens, or the number of rows is another one.
    """
    if len(lengths) != len(present) or any(not 0 <= new <= old for new, old in zip(lengths, present, strict=True)):
        raise ValueError(f"The rows have {list(present)} tokens. Keep at most as many of each, not {list(lengths)}.")
