"""Keys and values of all layers in one preallocated tensor.

Shapes: B rows, T tokens a row has room for, L tokens of the longest row, P tokens that all rows share, H heads, D head
width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

#: Shared tokens are read apart from a row's own, which takes three more operations a layer: not worth it for fewer.
MIN_SHARED_TOKENS = 64

#: Memory is touched in stretches of so many tokens a row: most rows end long before their room does.
_STRETCH = 64


class Cache:
    """Keys and values of rows of different lengths, and of what they all begin with.

    Args:
        like: A tensor of the dtype and on the device to use.
        num_layers: Layers.
        num_heads: H.
        head_width: D.
        num_rows: B.
        capacity: T.

    Attributes:
        lengths: Tokens of each row, without what all rows share.
        num_shared: P.
        own: Layer, (k, v), B, H, T, D.
        rooms: Of each layer, B, T, (k, v), H, D.
    """

    def __init__(
        self, like: Tensor, num_layers: int, num_heads: int, head_width: int, num_rows: int, capacity: int
    ) -> None:
        self._like = like
        self._shape = (num_layers, 2, num_heads, head_width)
        self.lengths = [0] * num_rows
        self.num_shared = 0
        self._bags = torch.empty(0)
        self._num_clean = 0
        self._allocate(num_rows, capacity)

    @property
    def capacity(self) -> int:
        """T."""
        return self.own.shape[4]

    def reset(self) -> None:
        """Forget all tokens; the number of rows and the memory stay."""
        self.lengths = [0] * len(self.lengths)
        self.num_shared = 0

    def select_rows(self, rows: Sequence[int]) -> None:
        """Make copies of the named rows the new ones. Many copies of one long row share their tokens from then on."""
        old = self._memory
        self.lengths = [self.lengths[row] for row in rows]
        shares = not self.num_shared and len(rows) > 1 and len(set(rows)) == 1 and self.lengths[0] >= MIN_SHARED_TOKENS
        if shares:
            self.num_shared, self.lengths = self.lengths[0], [0] * len(rows)
        longest = max(self.lengths)
        has_room = len(rows) < old.shape[2]
        moved = [place for place, row in enumerate(rows) if place != row or not has_room]
        kept = old[:, :, [1 + rows[place] for place in moved], :, :longest]  # a copy
        shared = old[:, :, 1 + rows[0] if shares else 0, :, : self.num_shared]
        if not has_room:
            self._allocate(len(rows), self.capacity)
            self._clean(longest)
        self._use(self._memory[:, :, : 1 + len(rows)])
        if shares or not has_room:
            self._memory[:, :, 0, :, : self.num_shared] = shared
        self._memory[:, :, [1 + place for place in moved], :, :longest] = kept

    def reserve(self, needed: int) -> None:
        """Double the room until ``needed`` own tokens a row fit, and clean it."""
        capacity = self.capacity
        while capacity < needed:
            capacity *= 2
        if capacity > self.capacity:
            kept = self._memory[:, :, :, :, : max(self.num_shared, *self.lengths)]
            self._allocate(len(self.lengths), capacity)
            self._clean(needed)
            self._memory[:, :, :, :, : kept.shape[4]] = kept
        self._clean(needed)

    def keys(self, end: int) -> tuple[Tensor, ...]:
        """Of each layer, the rows' own keys up to a token, (B, H, end, D)."""
        return self.own[:, 0, :, :, :end].unbind()

    def values(self, end: int) -> tuple[Tensor, ...]:
        """Likewise."""
        return self.own[:, 1, :, :, :end].unbind()

    def shared(self) -> tuple[Tensor, ...]:
        """Of each layer, keys and values of what all rows begin with, (2, H, P, D); empty if that is nothing."""
        return self._memory[:, :, 0, :, : self.num_shared].unbind() if self.num_shared else ()

    def value_tables(self) -> tuple[Tensor, ...]:
        """Of each layer, all values there are, one under the other, (1 + B) x H x T of D."""
        return self._memory[:, 1].flatten(1, 3).unbind()

    def bags(self, end: int) -> tuple[Tensor, Tensor]:
        """Where a row's values up to one of its own tokens stand in such a table.

        Returns:
            For each row, head and token, the shared ones first, its place, B x H x (P + end); where each row and head
            begins among them, B x H.
        """
        num_rows, num_seen = len(self.lengths), self.num_shared + end
        if self._bags.shape != (num_rows, self._shape[2], self.num_shared + self.capacity):
            self._bags = self._all_bags(num_rows)
        places = self._bags[:, :, :num_seen].reshape(-1)
        return places, torch.arange(0, len(places), num_seen, device=places.device)

    def _all_bags(self, num_rows: int) -> Tensor:
        num_heads, device = self._shape[2], self.own.device
        starts = (
            torch.arange((1 + num_rows) * num_heads, device=device).view(1 + num_rows, num_heads, 1) * self.capacity
        )
        shared = starts[:1] + torch.arange(self.num_shared, device=device)
        own = starts[1:] + torch.arange(self.capacity, device=device)
        return torch.cat([shared.expand(num_rows, -1, -1), own], dim=-1)

    def _allocate(self, num_rows: int, capacity: int) -> None:
        num_layers, num_kinds, num_heads, head_width = self._shape
        self._num_clean = 0
        self._bags = torch.empty(0)
        self._use(self._like.new_empty(num_layers, num_kinds, 1 + num_rows, num_heads, capacity, head_width))

    def _use(self, memory: Tensor) -> None:
        """Work in this memory: layer, (k, v), 1 + B, H, T, D. What all rows share stands before them."""
        self._memory, self.own = memory, memory[:, :, 1:]
        self.rooms = [layer.permute(1, 3, 0, 2, 4) for layer in self.own]

    def _clean(self, needed: int) -> None:
        """Write zeros where nothing was written yet: what a mask hides must still be finite."""
        if needed > self._num_clean:
            stop = min(self.capacity, needed + _STRETCH)
            self.own[:, :, :, :, self._num_clean : stop] = 0
            self._num_clean = stop
