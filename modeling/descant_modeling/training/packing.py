"""Packing: several examples in one row without padding, each of which attends to itself alone.

Shapes: B = 1 row, H heads, T tokens of all examples, D dimension of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DataCollatorWithFlattening

from descant_modeling.models.likelihood import Batch, Example

#: An attention function of transformers: (B, H, T, D) each -> (B, T, H, D).
Attention = Callable[..., tuple[Tensor, Tensor | None]]
#: Label of transformers for tokens that do not count in the loss.
_NO_LABEL = -100


def pack(lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Group indices in order so that no group has more than `row_tokens` tokens, unless it holds one."""
    groups: list[list[int]] = []
    free = 0
    for index, length in enumerate(lengths):
        if not groups or length > free:
            groups.append([])
            free = row_tokens
        groups[-1].append(index)
        free -= length
    return groups


def flatten(examples: Sequence[Example]) -> Batch:
    """Pack examples into a batch of one row, whose positions start at 0 in each."""
    rows = [{"input_ids": ids, "labels": np.where(loss_mask, ids, _NO_LABEL)} for ids, loss_mask in examples]
    row = DataCollatorWithFlattening()(rows)  # type: ignore[no-untyped-call]
    return Batch(row["input_ids"], row["labels"] != _NO_LABEL, positions_BT=row["position_ids"])


def lengths_of(positions_BT: Tensor) -> list[int]:
    """Return the length of each example in a packed row, from its positions."""
    starts = (positions_BT[0] == 0).nonzero()[:, 0].tolist()
    return [end - start for start, end in pairwise([*starts, positions_BT.shape[1]])]


def within_examples(attend: Attention) -> Attention:
    """Return an attention function that applies another one to each example of a packed row.

    It takes a further argument `lengths`, those of the examples. The work is that of the examples alone: a mask over
    the whole row leaves the fused kernels, and costs the square of the row's length.
    """

    def attend_within(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: None, *, lengths: list[int], **kwargs: Any
    ) -> tuple[Tensor, None]:
        parts = zip(*(torch.split(x, lengths, dim=2) for x in (query, key, value)), strict=True)
        return torch.cat([attend(module, *part, None, **kwargs)[0] for part in parts], dim=1), None

    return attend_within
