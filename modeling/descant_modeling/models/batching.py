"""Padded batches of token ids.

Shapes: B batch, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from descant_tokenizers.tokens.tasks import Encoded


@dataclass(frozen=True, slots=True)
class Batch:
    """A padded batch.

    Attributes:
        ids_BT: Token ids, int64.
        loss_mask_BT: True where a token counts in the loss (it is a target and not padding).
        rivals_BT: If styles are contrasted, the ids with another style token in each prefix that has one.
        contrast: Weight of the loss that tells a sequence from its rival.
    """

    ids_BT: torch.Tensor
    loss_mask_BT: torch.Tensor
    rivals_BT: torch.Tensor | None = None
    contrast: float = 0.0

    @property
    def num_counted(self) -> int:
        """Number of tokens that count in the loss."""
        return int(self.loss_mask_BT.sum())

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        rivals_BT = None if self.rivals_BT is None else self.rivals_BT.to(device)
        return Batch(self.ids_BT.to(device), self.loss_mask_BT.to(device), rivals_BT, self.contrast)


def bucket(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Group indices of similar length so that no group's padded size exceeds `batch_tokens`, unless it holds one."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= batch_tokens:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def collate(examples: Sequence[Encoded], pad: int) -> Batch:
    """Pad examples on the right into one batch."""
    longest = max(len(e.ids) for e in examples)
    ids_BT = torch.full((len(examples), longest), pad, dtype=torch.long)
    loss_mask_BT = torch.zeros((len(examples), longest), dtype=torch.bool)
    for row, example in enumerate(examples):
        ids_BT[row, : len(example.ids)] = torch.tensor(example.ids)
        loss_mask_BT[row, : len(example.ids)] = torch.tensor(example.loss_mask)
    return Batch(ids_BT, loss_mask_BT)
