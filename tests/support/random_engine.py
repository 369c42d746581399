"""An engine without a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class RandomEngine:
    """Logits that depend on nothing."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size, self.num_rows, self.random = vocab_size, 1, np.random.default_rng(0)

    def select_rows(self, rows: Sequence[int]) -> None:
        """Keep as many rows."""
        self.num_rows = len(rows)

    def append(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Return logits for each row, (B, V)."""
        return 2 * self.random.standard_normal((self.num_rows, self.vocab_size)).astype(np.float32)
