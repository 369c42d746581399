"""The engine for GPUs: the stock class of transformers with its own cache.

All rows of a batch append the same number of columns; columns that a row does not need are masked. Positions count
only the row's own tokens, so each row computes what it would compute alone.

Shapes: B rows, N appended columns, T columns so far, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from transformers import DynamicCache, PreTrainedModel

from descant_modeling.decoding.engine import check_rewind

__all__ = ["TorchEngine", "TorchModel"]


class TorchModel:
    """A stock model, ready to run.

    Args:
        model: The model, in eval mode on any device.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.max_positions: int = model.config.max_position_embeddings
        self.has_position_table: bool = model.config.model_type == "gpt2"

    def start(self, max_tokens: int) -> TorchEngine:
        """Return an engine; see `EngineModel`. Its cache grows as needed."""
        return TorchEngine(self)


class TorchEngine:
    """Rows of tokens of a stock causal model; see `Engine`.

    Args:
        source: The model.
    """

    def __init__(self, source: TorchModel) -> None:
        self._source, self.model = source, source.model
        self.lengths = [0]
        self._cache = DynamicCache(config=self.model.config)
        self._mask_BT = torch.zeros((1, 0), dtype=torch.long, device=self.model.device)

    @torch.inference_mode()
    def select_rows(self, rows: Sequence[int]) -> None:
        """Replace the batch by copies of some of its rows; see `Engine`."""
        if not rows or min(rows) < 0 or max(rows) >= len(self.lengths):
            raise ValueError(f"The rows are {list(rows)}. Name at least one, each from 0 to {len(self.lengths) - 1}.")
        indices = torch.tensor(rows, device=self.model.device)
        if self._mask_BT.shape[1]:
            self._cache.batch_select_indices(indices)
        self._mask_BT = self._mask_BT[indices]
        self.lengths = [self.lengths[row] for row in rows]

    @torch.inference_mode()
    def append(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Append tokens to each row; see `Engine`."""
        if len(ids) != len(self.lengths):
            raise ValueError(f"There are {len(ids)} rows of ids. Give {len(self.lengths)}.")
        counts = [len(own) for own in ids]
        lengths = [length + count for length, count in zip(self.lengths, counts, strict=True)]
        limit, has_table = self._source.max_positions, self._source.has_position_table
        if has_table and max(lengths) > limit:
            raise ValueError(f"A row has {max(lengths)} tokens. The model has positions for {limit}.")
        device, width = self.model.device, max(1, *counts)
        ids_BN = torch.tensor([[*own, *[0] * (width - len(own))] for own in ids], device=device)
        counts_B = torch.tensor(counts, device=device)
        is_valid_BN = torch.arange(width, device=device) < counts_B[:, None]
        positions_BN = torch.tensor(self.lengths, device=device)[:, None] + torch.arange(width, device=device)
        if has_table:  # only rows without a new token reach beyond it
            positions_BN = positions_BN.clamp(max=limit - 1)
        self._mask_BT = torch.cat([self._mask_BT, is_valid_BN.long()], dim=1)
        found = self.model(
            input_ids=ids_BN,
            attention_mask=self._mask_BT,
            position_ids=positions_BN,
            past_key_values=self._cache,
            use_cache=True,
        )
        self.lengths = lengths
        rows_B = torch.arange(len(ids), device=device)
        logits_BV: npt.NDArray[np.float32] = found.logits[rows_B, (counts_B - 1).clamp(min=0)].float().cpu().numpy()
        return logits_BV

    @torch.inference_mode()
    def rewind(self, lengths: Sequence[int]) -> None:
        """Forget the last tokens of each row; see `Engine`. Their columns are masked."""
        check_rewind(self.lengths, lengths)
        kept_B1 = torch.tensor(lengths, device=self.model.device)[:, None]
        self._mask_BT = self._mask_BT * (self._mask_BT.cumsum(dim=1) <= kept_B1)
        self.lengths = list(lengths)
