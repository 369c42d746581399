"""Keys and values of all layers in one preallocated tensor.

Shapes: B rows, T tokens a row has room for, L tokens of the longest row, P tokens that all rows share, H heads, D head
width.

Attention of the decoding pass: new tokens of ragged rows over stored keys and values.

Queries come scaled. Shapes: B rows, N most tokens a row appends, S tokens all rows append together, L tokens of the
longest row, P tokens that all rows share, H heads, D head width, C = H x D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

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
        """Where a row's values up to one of its own tokens stand in such a vocabulary.

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


@dataclass(frozen=True)
class TokenRun:
    """Tokens that one row appends before its last one.

    Attributes:
        row: Which row.
        start: Place of the first of them among all tokens.
        stop: Place behind the last.
        end: Slots of the row that the last of them sees.
        mask: Additive, (stop - start, end).
    """

    row: int
    start: int
    stop: int
    end: int
    mask: Tensor


@dataclass(frozen=True)
class Chunk:
    """Where the tokens of one call go.

    Attributes:
        shape: B, N.
        places: Row of each token, and its place in the row, (S,) each; None for a step of equally long rows.
        columns: Of each layer, where the keys and values of such a step go, (2, B, H, D); else empty.
        positions: Position of each token, (S,), or of all of them, (1,).
        padded: Place of each token in the B x N rectangle, (S,); None where every place is taken.
        mask: Additive, (B or 1, 1, N, L); None where nothing has to be hidden.
        is_causal: Whether the attention kernel's own causal mask is the right one.
        rotation: Rotary factors cos + i sin, (S or 1, D / 2); None without rotary positions.
        last: Place of each row's last token among all tokens, (B,), where rows differ in number; else None.
        runs: What rows append before their last token, where rows differ in number.
        keys: Of each layer, (B, H, L, D); views that hold the new tokens once they are stored.
        values: Likewise.
        shared: Of each layer, keys and values of the tokens that all rows begin with, (2, H, P, D); else empty.
        bags: Where each row and head has its values in a table, see :meth:`Cache.bags`; None where no table is read.
        value_tables: Of each layer, all values, see :meth:`Cache.value_tables`.
    """

    shape: tuple[int, int]
    places: tuple[Tensor, Tensor] | None
    columns: tuple[Tensor, ...]
    positions: Tensor
    padded: Tensor | None
    mask: Tensor | None
    is_causal: bool
    rotation: Tensor | None
    last: Tensor | None
    runs: tuple[TokenRun, ...]
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    shared: tuple[Tensor, ...]
    bags: tuple[Tensor, Tensor] | None
    value_tables: tuple[Tensor, ...]


def store(qkv: Tensor, index: int, room: Tensor, chunk: Chunk) -> Tensor:
    """Put the new keys and values of layer `index` in their places.

    Args:
        qkv: Queries, keys and values, (3 H, S, D).
        index: Which layer.
        room: Its keys and values, (B, T, 2, H, D).
        chunk: Where they go.

    Returns:
        The queries, (H, S, D).
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
    """Let the new tokens look at their own rows in layer `index`; returns (S, C)."""
    k, v = chunk.keys[index], chunk.values[index]
    num_rows, widest = chunk.shape
    if chunk.last is not None:
        return _attend_apart(q_HSD.transpose(0, 1), k, v, chunk, chunk.last)
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
    """The same for one token a row, in plain batched products: faster than the fused kernel; returns (B, C)."""
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
        # A weighted sum of values is a bag of embeddings, whose kernel reads them once: a product of one row in MKL
        # packs them first, and takes three times as long.
        places, starts = chunk.bags
        vocabulary = chunk.value_tables[index]
        mixed = functional.embedding_bag(places, vocabulary, starts, mode="sum", per_sample_weights=weights.view(-1))
        return mixed.view(num_rows, -1)
    num_far = 0 if shared is None else shared.shape[2]
    near = weights[..., num_far:].view(num_rows * num_heads, 1, -1)
    mixed = torch.bmm(near, chunk.values[index].flatten(0, 1)).view(num_rows, num_heads, head_width)
    if shared is not None:
        mixed += torch.bmm(weights[..., :num_far].transpose(0, 1), shared[1]).transpose(0, 1)
    return mixed.view(num_rows, -1)


def _attend_shared(q_BHND: Tensor, k: Tensor, v: Tensor, shared: Tensor, mask: Tensor | None) -> Tensor:
    """The same where all rows begin alike: what they share is read once for all of them; returns (B, H, N, D).

    What a step costs is reading keys and values. One softmax goes over both parts.
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


def _attend_apart(q: Tensor, k: Tensor, v: Tensor, chunk: Chunk, last: Tensor) -> Tensor:
    """The same where rows differ in number: all last tokens side by side, what comes before them row by row.

    Queries are (S, H, D).
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
    """Turn neighbouring values of (2 H, S, D) as complex numbers, in place."""
    if qk.dtype in (torch.float32, torch.float64):
        torch.view_as_complex(qk.view(*qk.shape[:2], -1, 2)).mul_(rotation)
        return
    wide = qk.float()  # half precisions have no complex numbers
    _rotate(wide, rotation)
    qk.copy_(wide)
