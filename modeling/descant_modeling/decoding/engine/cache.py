"""Keys and values of all layers in one preallocated tensor, and the attention of ragged rows over them.

Queries come scaled.

Shapes: B rows, N most tokens that a row appends, S tokens that all rows append, T tokens that a row has room for, L
tokens of the longest row, P tokens that all rows share, H heads, D head width, C = H x D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

#: Reading shared tokens separately takes three more operations per layer, which does not pay for fewer tokens.
MIN_SHARED_TOKENS = 64

#: Memory is cleared in steps of this many tokens per row, because most rows end long before their room does.
_CLEARED_TOKENS = 64


class Cache:
    """Keys and values of rows of different lengths, and of the tokens that all rows begin with.

    Args:
        like: A tensor with the dtype and the device to use.
        num_layers: Layers.
        num_heads: H.
        head_width: D.
        num_rows: B.
        capacity: T.

    Attributes:
        lengths: Tokens of each row, without the shared ones.
        num_shared: P.
        own: Keys and values of the rows, (layers, 2, B, H, T, D).
        rooms: The same for each layer, (B, T, 2, H, D).
    """

    def __init__(
        self, like: Tensor, num_layers: int, num_heads: int, head_width: int, num_rows: int, capacity: int
    ) -> None:
        self._like = like
        self._shape = (num_layers, 2, num_heads, head_width)
        self.lengths = [0] * num_rows
        self.num_shared = 0
        self._bags = torch.empty(0)
        self._num_cleared = 0
        self._allocate(num_rows, capacity)

    @property
    def capacity(self) -> int:
        """T."""
        return self.own.shape[4]

    def select_rows(self, rows: Sequence[int]) -> None:
        """Replace the rows by copies of some of them. Copies of a single long row share its tokens from then on."""
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
            self._clear(longest)
        self._use(self._memory[:, :, : 1 + len(rows)])
        if shares or not has_room:
            self._memory[:, :, 0, :, : self.num_shared] = shared
        self._memory[:, :, [1 + place for place in moved], :, :longest] = kept

    def reserve(self, needed: int) -> None:
        """Double the room until ``needed`` own tokens per row fit, and clear it."""
        capacity = self.capacity
        while capacity < needed:
            capacity *= 2
        if capacity > self.capacity:
            kept = self._memory[:, :, :, :, : max(self.num_shared, *self.lengths)]
            self._allocate(len(self.lengths), capacity)
            self._clear(needed)
            self._memory[:, :, :, :, : kept.shape[4]] = kept
        self._clear(needed)

    def keys(self, end: int) -> tuple[Tensor, ...]:
        """Return for each layer the rows' own keys up to a token, (B, H, end, D)."""
        return self.own[:, 0, :, :, :end].unbind()

    def values(self, end: int) -> tuple[Tensor, ...]:
        """Return for each layer the rows' own values up to a token, (B, H, end, D)."""
        return self.own[:, 1, :, :, :end].unbind()

    def shared(self) -> tuple[Tensor, ...]:
        """Return for each layer the shared keys and values, (2, H, P, D); nothing if P is 0."""
        return self._memory[:, :, 0, :, : self.num_shared].unbind() if self.num_shared else ()

    def value_tables(self) -> tuple[Tensor, ...]:
        """Return for each layer all values as the rows of one table, ((1 + B) x H x T, D)."""
        return self._memory[:, 1].flatten(1, 3).unbind()

    def bags(self, end: int) -> tuple[Tensor, Tensor]:
        """Return the places in such a table of each row's values up to one of its own tokens.

        Returns:
            Places by row, head and token, shared tokens first, (B x H x (P + end),); the index among them at which each
            row and head begins, (B x H,).
        """
        num_rows, num_seen = len(self.lengths), self.num_shared + end
        if self._bags.shape != (num_rows, self._shape[2], self.num_shared + self.capacity):
            self._bags = self._all_bags(num_rows)
        places = self._bags[:, :, :num_seen].reshape(-1)
        return places, torch.arange(0, len(places), num_seen, device=places.device)

    def _all_bags(self, num_rows: int) -> Tensor:
        num_heads, device = self._shape[2], self.own.device
        heads = torch.arange((1 + num_rows) * num_heads, device=device)
        starts = heads.view(1 + num_rows, num_heads, 1) * self.capacity
        shared = starts[:1] + torch.arange(self.num_shared, device=device)
        own = starts[1:] + torch.arange(self.capacity, device=device)
        return torch.cat([shared.expand(num_rows, -1, -1), own], dim=-1)

    def _allocate(self, num_rows: int, capacity: int) -> None:
        num_layers, num_kinds, num_heads, head_width = self._shape
        self._num_cleared = 0
        self._bags = torch.empty(0)
        self._use(self._like.new_empty(num_layers, num_kinds, 1 + num_rows, num_heads, capacity, head_width))

    def _use(self, memory: Tensor) -> None:
        """Use this memory, (layers, 2, 1 + B, H, T, D); the shared tokens come before the rows."""
        self._memory, self.own = memory, memory[:, :, 1:]
        self.rooms = [layer.permute(1, 3, 0, 2, 4) for layer in self.own]

    def _clear(self, needed: int) -> None:
        """Write zeros where nothing was written yet, because masked values must still be finite."""
        if needed > self._num_cleared:
            stop = min(self.capacity, needed + _CLEARED_TOKENS)
            self.own[:, :, :, :, self._num_cleared : stop] = 0
            self._num_cleared = stop


@dataclass(frozen=True)
class TokenRun:
    """Tokens that one row appends before its last one.

    Attributes:
        row: Index of the row.
        start: Place of the first token among all appended tokens.
        stop: Place after the last token.
        end: Number of slots of the row that the last token attends to.
        mask: Additive mask, (stop - start, end).
    """

    row: int
    start: int
    stop: int
    end: int
    mask: Tensor


@dataclass(frozen=True)
class Chunk:
    """Layout of the tokens of one call. Tuples of tensors have one entry for each layer, or are empty if not needed.

    Attributes:
        shape: B and N.
        positions: Position of each token, (S,), or of all of them, (1,).
        rotation: Rotary factors cos + i sin, (S or 1, D / 2); None without rotary positions.
        keys: Keys, (B, H, L, D); views that include the new tokens once these are stored.
        values: Values, (B, H, L, D), likewise.
        shared: Shared keys and values, (2, H, P, D).
        bags: See :meth:`Cache.bags`; None if values are not read from tables.
        value_tables: See :meth:`Cache.value_tables`.
        places: Row and slot of each token, (S,) each; None for a step of equally long rows.
        columns: Destination of the keys and values of such a step, (2, B, H, D).
        padded: Place of each token in the B x N rectangle, (S,); None if every place is taken.
        mask: Additive mask, (B or 1, 1, N, L); None if nothing is masked.
        is_causal: True if the attention kernel's own causal mask applies.
        last: Place of each row's last token among all tokens, (B,); None if the rows append equally many.
        runs: Tokens that rows append before their last one.
    """

    shape: tuple[int, int]
    positions: Tensor
    rotation: Tensor | None
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    shared: tuple[Tensor, ...]
    bags: tuple[Tensor, Tensor] | None
    value_tables: tuple[Tensor, ...]
    places: tuple[Tensor, Tensor] | None = None
    columns: tuple[Tensor, ...] = ()
    padded: Tensor | None = None
    mask: Tensor | None = None
    is_causal: bool = False
    last: Tensor | None = None
    runs: tuple[TokenRun, ...] = ()


def store(qkv: Tensor, index: int, room: Tensor, chunk: Chunk) -> Tensor:
    """Store the new keys and values of a layer and return its queries, (H, S, D).

    Args:
        qkv: Queries, keys and values, (3 H, S, D).
        index: The layer.
        room: Stored keys and values of the layer, (B, T, 2, H, D).
        chunk: Layout of the tokens.
    """
    num_heads, head_width = room.shape[3:]
    if chunk.rotation is not None:
        _rotate(qkv[: 2 * num_heads], chunk.rotation)
    new = qkv[num_heads:].view(2, num_heads, -1, head_width)
    if chunk.places is None:
        chunk.columns[index].copy_(new.transpose(1, 2))
    else:
        room.index_put_(chunk.places, new.permute(2, 0, 1, 3))
    return qkv[:num_heads]


def attend(q_HSD: Tensor, index: int, chunk: Chunk) -> Tensor:
    """Return the attention of the new tokens over their own rows in layer `index`, (S, C)."""
    k, v = chunk.keys[index], chunk.values[index]
    num_rows, widest = chunk.shape
    if chunk.last is not None:
        return _attend_ragged(q_HSD.transpose(0, 1), k, v, chunk, chunk.last)
    if widest == 1 and num_rows > 1 and chunk.padded is None:
        return _attend_step(q_HSD, index, chunk)
    q = q_HSD.transpose(0, 1)
    num_heads, head_width = q.shape[1:]
    if chunk.padded is not None:
        q = q.new_zeros(num_rows * widest, num_heads, head_width).index_copy_(0, chunk.padded, q)
    q_BHND = q.view(num_rows, widest, num_heads, head_width).transpose(1, 2)
    if chunk.shared:
        mixed = _attend_shared(q_BHND, k, v, chunk.shared[index], chunk.mask)
    else:
        mixed = functional.scaled_dot_product_attention(
            q_BHND, k, v, attn_mask=chunk.mask, is_causal=chunk.is_causal, scale=1.0
        )
    mixed = mixed.transpose(1, 2).reshape(num_rows * widest, num_heads * head_width)
    return mixed if chunk.padded is None else mixed[chunk.padded]


def _attend_step(q_HBD: Tensor, index: int, chunk: Chunk) -> Tensor:
    """Attend with one token per row, (B, C); plain batched products are faster here than the fused kernel."""
    k, shared = chunk.keys[index], chunk.shared[index] if chunk.shared else None
    num_heads, num_rows, head_width = q_HBD.shape
    q = q_HBD.transpose(0, 1).reshape(num_rows * num_heads, 1, head_width)
    scores_BHL = torch.bmm(q, k.flatten(0, 1).transpose(1, 2)).view(num_rows, num_heads, -1)
    if chunk.mask is not None:
        scores_BHL += chunk.mask.squeeze(1)
    if shared is not None:
        far_HBP = torch.bmm(q_HBD, shared[0].transpose(1, 2))
        scores_BHL = torch.cat([far_HBP.transpose(0, 1), scores_BHL], dim=-1)
    weights = scores_BHL.softmax(dim=-1)
    if chunk.bags is not None:
        # A weighted sum of values is an embedding bag, whose kernel reads them once. MKL packs them before a product
        # of a single row, which takes three times as long.
        places, starts = chunk.bags
        table = chunk.value_tables[index]
        mixed = functional.embedding_bag(places, table, starts, mode="sum", per_sample_weights=weights.view(-1))
        return mixed.view(num_rows, -1)
    num_far = 0 if shared is None else shared.shape[2]
    near = weights[..., num_far:].view(num_rows * num_heads, 1, -1)
    mixed = torch.bmm(near, chunk.values[index].flatten(0, 1)).view(num_rows, num_heads, head_width)
    if shared is not None:
        mixed += torch.bmm(weights[..., :num_far].transpose(0, 1), shared[1]).transpose(0, 1)
    return mixed.view(num_rows, -1)


def _attend_shared(q_BHND: Tensor, k: Tensor, v: Tensor, shared: Tensor, mask: Tensor | None) -> Tensor:
    """Attend where all rows share a beginning, (B, H, N, D), with one softmax over both parts.

    The cost of a step is reading keys and values; the shared ones are read once for all rows.
    """
    num_rows, num_heads, widest, head_width = q_BHND.shape
    far_k, far_v = shared
    num_far = far_k.shape[1]
    q_HMD = q_BHND.transpose(0, 1).reshape(num_heads, num_rows * widest, head_width)
    far_HBNP = torch.bmm(q_HMD, far_k.transpose(1, 2)).view(num_heads, num_rows, widest, num_far)
    near_BHNL = q_BHND @ k.transpose(2, 3)
    if mask is not None:
        near_BHNL += mask
    weights = torch.cat([far_HBNP.transpose(0, 1), near_BHNL], dim=-1).softmax(dim=-1)
    far_HMP = weights[..., :num_far].transpose(0, 1).reshape(num_heads, num_rows * widest, num_far)
    mixed = torch.bmm(far_HMP, far_v).view(num_heads, num_rows, widest, head_width).transpose(0, 1)
    return mixed + weights[..., num_far:] @ v


def _attend_ragged(q: Tensor, k: Tensor, v: Tensor, chunk: Chunk, last: Tensor) -> Tensor:
    """Attend where rows append different numbers of tokens: last tokens side by side, the others row by row.

    Queries are (S, H, D); returns (S, C).
    """
    mixed = q.new_empty(q.shape)
    q_BH1D = q[last].unsqueeze(2)
    mixed[last] = functional.scaled_dot_product_attention(q_BH1D, k, v, attn_mask=chunk.mask, scale=1.0).squeeze(2)
    for run in chunk.runs:
        row, place = slice(run.row, run.row + 1), slice(run.start, run.stop)
        own = functional.scaled_dot_product_attention(
            q[place].transpose(0, 1).unsqueeze(0),
            k[row, :, : run.end],
            v[row, :, : run.end],
            attn_mask=run.mask,
            scale=1.0,
        )
        mixed[place] = own[0].transpose(0, 1)
    return mixed.flatten(1)


def _rotate(qk: Tensor, rotation: Tensor) -> None:
    """Rotate adjacent values of (2 H, S, D) as complex numbers, in place."""
    if qk.dtype in (torch.float32, torch.float64):
        torch.view_as_complex(qk.view(*qk.shape[:2], -1, 2)).mul_(rotation)
        return
    wide = qk.float()  # half precisions have no complex numbers
    _rotate(wide, rotation)
    qk.copy_(wide)
