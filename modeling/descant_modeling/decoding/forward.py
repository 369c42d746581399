"""A forward pass for decoding: the two stock models over preallocated keys and values, in ragged chunks.

Rows of a batch differ in length, and append different numbers of tokens in one call: one takes 30 given tokens while
another takes the one it just sampled. Matrix products run over the appended tokens only, end to end; rows are padded to
a rectangle for attention alone. A step of one token a row has no padding, and no mask while all rows are equally long.

Shapes: B rows, N most tokens a row appends, S tokens all rows append together, T tokens a row has room for, L tokens of
the longest row, C width, H heads, D head width, V vocabulary, X = (q, k, v) x H x D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from descant_modeling.decoding.weights import read_weights


@dataclass(frozen=True)
class _Run:
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
class _Chunk:
    """Where the tokens of one call go.

    Attributes:
        shape: B, N.
        rows: Row of each token, (S,).
        slots: Position of each token in its row, (S,).
        padded: Place of each token in the B x N rectangle, (S,); None where every place is taken.
        mask: Additive, (B or 1, 1, N, L); None where nothing has to be hidden.
        is_causal: Whether the attention kernel's own causal mask is the right one.
        rotation: Rotary factors cos + i sin, (S, 1, 1, D / 2); None without rotary positions.
        last: Place of each row's last token among all tokens, (B,), where rows differ in number; else None.
        runs: What rows append before their last token, where rows differ in number.
        keys: Of each layer, (B, H, L, D); views that hold the new tokens once they are stored.
        values: Likewise.
    """

    shape: tuple[int, int]
    rows: Tensor
    slots: Tensor
    padded: Tensor | None
    mask: Tensor | None
    is_causal: bool
    rotation: Tensor | None
    last: Tensor | None
    runs: tuple[_Run, ...]
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


class CachedModel:
    """A stock causal model with its keys and values in preallocated tensors.

    Computes what the model computes in eval mode, on its device and in its dtype. Part of the weights is repacked: make
    a new object when the model has been trained further or moved.

    Args:
        model: ``GPTNeoXForCausalLM`` with sequential residuals and full rotary positions (what
            :func:`descant_modeling.models.build_model` makes), or ``GPT2LMHeadModel``.
        batch_size: Rows.
        max_tokens: Tokens a row has room for at first; doubled whenever it runs out.

    Raises:
        ValueError: Another class, or a configuration of these two that is not supported.
    """

    def __init__(self, model: PreTrainedModel, batch_size: int, max_tokens: int) -> None:
        if batch_size < 1 or max_tokens < 1:
            raise ValueError(f"batch_size is {batch_size}, max_tokens {max_tokens}: give 1 or more")
        with torch.inference_mode():
            self._weights = read_weights(model)
            self._lengths = [0] * batch_size
            self._allocate(max_tokens)

    @property
    def lengths(self) -> list[int]:
        """Tokens in the cache, per row."""
        return list(self._lengths)

    @property
    def device(self) -> torch.device:
        """Where keys, values and logits are."""
        return self._cache.device

    def reset(self) -> None:
        """Forget all tokens; the number of rows and the memory stay."""
        self._lengths = [0] * len(self._lengths)

    @torch.inference_mode()
    def select_rows(self, rows: Sequence[int]) -> None:
        """Make copies of the named rows the new batch: ``[0] * K`` for K samples after one prompt.

        Args:
            rows: Rows of the present batch, in any order and number; a row may be named often, or dropped.

        Raises:
            ValueError: No row, or one outside the batch.
        """
        if not rows or min(rows) < 0 or max(rows) >= len(self._lengths):
            raise ValueError(f"rows are {list(rows)}: name at least one, each from 0 to {len(self._lengths) - 1}")
        self._lengths = [self._lengths[row] for row in rows]
        self._replace(self._cache[:, :, list(rows), :, : max(self._lengths)], self._cache.shape[4])

    @torch.inference_mode()
    def forward(self, ids_BN: Tensor, num_valid_B: Tensor | Sequence[int]) -> Tensor:
        """Append tokens to the rows and return what the model expects after them.

        Args:
            ids_BN: Token ids, int64; what follows a row's valid ones is ignored.
            num_valid_B: Number of tokens each row appends, 0 to N.

        Returns:
            Logits after each row's last appended token, (B, V); undefined for rows that append none.

        Raises:
            ValueError: Shapes or numbers that do not fit, or more tokens in a row than a GPT-2 has positions for.
        """
        num_valid = num_valid_B.tolist() if isinstance(num_valid_B, Tensor) else list(num_valid_B)
        self._check(ids_BN, num_valid)
        if not any(num_valid):
            return self._weights.head.new_zeros(len(num_valid), len(self._weights.head))
        chunk = self._plan(num_valid)
        self._lengths = [length + n for length, n in zip(self._lengths, num_valid, strict=True)]
        ids_S = ids_BN[:, : chunk.shape[1]].reshape(-1).to(self._cache.device)
        x_SC = self._run(ids_S if chunk.padded is None else ids_S[chunk.padded], chunk)
        if chunk.padded is not None or chunk.shape[1] > 1:
            ends = torch.tensor(num_valid).cumsum(0) - 1
            x_SC = x_SC[ends.clamp(min=0).to(x_SC.device)]
        return functional.linear(self._weights.norm(x_SC), self._weights.head)

    def _check(self, ids_BN: Tensor, num_valid: list[int]) -> None:
        num_rows, width = ids_BN.shape
        if num_rows != len(self._lengths) or len(num_valid) != num_rows:
            raise ValueError(f"{num_rows} rows of ids, {len(num_valid)} counts: give {len(self._lengths)} of each")
        if min(num_valid) < 0 or max(num_valid) > width:
            raise ValueError(f"num_valid_B is {num_valid}: give 0 to {width} for each row")

    def _allocate(self, capacity: int) -> None:
        """Make room for ``capacity`` tokens a row; zeros, because what a mask hides must still be finite."""
        weights = self._weights
        num_heads, width = weights.num_heads, weights.embedding.shape[1]
        shape = (len(weights.layers), 2, len(self._lengths), num_heads, capacity, width // num_heads)
        self._cache = weights.embedding.new_zeros(shape)  # layer, (k, v), B, H, T, D
        self._stores = [layer.permute(1, 3, 0, 2, 4) for layer in self._cache]  # B, T, (k, v), H, D
        if weights.inverse_frequencies is not None:
            self._rotations = _rotation_table(weights.inverse_frequencies, capacity)

    def _replace(self, kept: Tensor, capacity: int) -> None:
        self._allocate(capacity)
        self._cache[:, :, :, :, : kept.shape[4]] = kept

    def _reserve(self, needed: int) -> None:
        """Double the room until ``needed`` tokens a row fit."""
        positions, capacity = self._weights.positions, self._cache.shape[4]
        if positions is not None and needed > len(positions):
            raise ValueError(f"{needed} tokens in a row: the model has positions for {len(positions)}, give fewer")
        while capacity < needed:
            capacity *= 2
        if capacity > self._cache.shape[4]:
            self._replace(self._cache, capacity)

    def _plan(self, num_valid: list[int]) -> _Chunk:
        """Lay out a call, in Python lists: for the few tokens of a step they are faster than tensor arithmetic."""
        starts, widest, device = self._lengths, max(num_valid), self._cache.device
        ends = [start + n for start, n in zip(starts, num_valid, strict=True)]
        self._reserve(max(ends))
        places = [(row, slot) for row, n in enumerate(num_valid) for slot in range(starts[row], starts[row] + n)]
        rows, slots = torch.tensor(places, device=device).unbind(1)
        is_padded = len(places) < len(num_valid) * widest
        padded = [row * widest + i for row, n in enumerate(num_valid) for i in range(n)] if is_padded else None
        is_causal = widest > 1 and max(starts) == 0
        hides = not is_causal and (widest > 1 or min(ends) < max(ends))
        # A few rows with many tokens must not make all rows wide: their last tokens go together, the others row by row.
        splits = is_padded and widest > 1 and not is_causal and min(num_valid) > 0
        return _Chunk(
            shape=(len(num_valid), widest),
            rows=rows,
            slots=slots,
            padded=None if padded is None else torch.tensor(padded, device=device),
            mask=self._mask([end - 1 for end in ends] if splits else starts, 1 if splits else widest, max(ends))
            if hides
            else None,
            is_causal=is_causal,
            rotation=None if self._weights.inverse_frequencies is None else self._rotations[slots],
            last=torch.tensor(num_valid, device=device).cumsum(0) - 1 if splits else None,
            runs=self._runs(num_valid) if splits else (),
            keys=self._cache[:, 0, :, :, : max(ends)].unbind(),
            values=self._cache[:, 1, :, :, : max(ends)].unbind(),
        )

    def _runs(self, num_valid: list[int]) -> tuple[_Run, ...]:
        """List what each row appends before its last token."""
        runs, place = [], 0
        for row, (length, n) in enumerate(zip(self._lengths, num_valid, strict=True)):
            if n > 1:
                mask = self._mask([length], n - 1, length + n - 1)[0, 0]
                runs.append(_Run(row, place, place + n - 1, length + n - 1, mask))
            place += n
        return tuple(runs)

    def _mask(self, starts: list[int], widest: int, longest: int) -> Tensor:
        """Let a row's n-th new token see the slots up to its own, `starts[row] + n`."""
        starts = starts if len(set(starts)) > 1 else starts[:1]
        device = self._cache.device
        own_BN = torch.tensor(starts, device=device)[:, None] + torch.arange(widest, device=device)
        hidden = torch.arange(longest, device=device) > own_BN[:, None, :, None]
        return self._cache.new_zeros(hidden.shape).masked_fill_(hidden, float("-inf"))

    def _run(self, ids_S: Tensor, chunk: _Chunk) -> Tensor:
        weights = self._weights
        x_SC = functional.embedding(ids_S, weights.embedding)
        if weights.positions is not None:
            x_SC += weights.positions[chunk.slots]
        for layer, store, k, v in zip(weights.layers, self._stores, chunk.keys, chunk.values, strict=True):
            q = _store(layer.qkv(layer.norm_1(x_SC)), store, chunk)
            x_SC += layer.out(_attend(q, k, v, layer.scale, chunk))
            x_SC += layer.down(layer.activation(layer.up(layer.norm_2(x_SC))))
        return x_SC


def _store(qkv_SX: Tensor, store: Tensor, chunk: _Chunk) -> Tensor:
    """Put the new keys and values in their places; returns the queries, (S, H, D)."""
    qkv = qkv_SX.view(-1, 3, store.shape[3], store.shape[4])
    if chunk.rotation is not None:
        _rotate(qkv[:, :2], chunk.rotation)
    store.index_put_((chunk.rows, chunk.slots), qkv[:, 1:])
    return qkv[:, 0]


def _attend(q: Tensor, k: Tensor, v: Tensor, scale: float, chunk: _Chunk) -> Tensor:
    """Let the new tokens look at their own rows; returns (S, C)."""
    if chunk.last is not None:
        return _attend_apart(q, k, v, scale, chunk, chunk.last)
    num_rows, widest = chunk.shape
    num_heads, head_width = q.shape[1:]
    if chunk.padded is not None:
        q = q.new_zeros(num_rows * widest, num_heads, head_width).index_copy_(0, chunk.padded, q)
    q_BHND = q.view(num_rows, widest, num_heads, head_width).transpose(1, 2)
    mixed = functional.scaled_dot_product_attention(
        q_BHND, k, v, attn_mask=chunk.mask, is_causal=chunk.is_causal, scale=scale
    )
    mixed = mixed.transpose(1, 2).reshape(num_rows * widest, num_heads * head_width)
    return mixed if chunk.padded is None else mixed[chunk.padded]


def _attend_apart(q: Tensor, k: Tensor, v: Tensor, scale: float, chunk: _Chunk, last: Tensor) -> Tensor:
    """The same where rows differ in number: all last tokens side by side, what comes before them row by row."""
    mixed = torch.empty_like(q)
    q_BH1D = q[last].unsqueeze(2)
    mixed[last] = functional.scaled_dot_product_attention(q_BH1D, k, v, attn_mask=chunk.mask, scale=scale).squeeze(2)
    for run in chunk.runs:
        row, place = slice(run.row, run.row + 1), slice(run.start, run.stop)
        own = functional.scaled_dot_product_attention(
            q[place].transpose(0, 1).unsqueeze(0),
            k[row, :, : run.end],
            v[row, :, : run.end],
            attn_mask=run.mask,
            scale=scale,
        )
        mixed[place] = own[0].transpose(0, 1)
    return mixed.flatten(1)


def _rotate(qk: Tensor, rotation: Tensor) -> None:
    """Turn neighbouring values of (S, 2, H, D) as complex numbers, in place."""
    if qk.dtype in (torch.float32, torch.float64):
        torch.view_as_complex(qk.view(*qk.shape[:3], -1, 2)).mul_(rotation)
        return
    wide = qk.float()  # half precisions have no complex numbers
    _rotate(wide, rotation)
    qk.copy_(wide)


def _rotation_table(inverse_frequencies: Tensor, num_positions: int) -> Tensor:
    """Factors cos + i sin, (positions, 1, 1, D / 2)."""
    positions = torch.arange(num_positions, device=inverse_frequencies.device)
    angles = positions[:, None, None, None] * inverse_frequencies
    return torch.polar(torch.ones_like(angles), angles)
