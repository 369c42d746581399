"""The forward pass for decoding: a stock model over preallocated keys and values, in ragged chunks.

Rows of a batch differ in length and append different numbers of tokens in one call: one may take 30 context tokens
while another takes the token it just sampled. Matrix products run over the appended tokens only, end to end; rows are
padded to a rectangle for attention alone. A step of one token per row, all rows equally long, needs no padding, no mask
and no index: this is the common case, and the one that is optimized. Samples after one long prompt share its keys and
values.

Shapes: B rows, N most tokens that a row appends, S tokens that all rows append, L tokens of the longest row, C width,
H heads, D head width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from descant_modeling.decoding.engine.cache import Cache, Chunk, TokenRun, attend, store
from descant_modeling.decoding.engine.weights import read_weights

#: Number of rows from which embedding bags are faster on a CPU than MKL's products.
_MIN_BAGS_ROWS = 4


class CachedModel:
    """An `Engine` that computes what a stock causal model computes in eval mode, on its device and in its dtype.

    Part of the weights is repacked: make a new object after the model has been trained further or moved.

    Args:
        model: ``GPTNeoXForCausalLM`` with sequential residuals and full rotary positions (as built by
            :func:`descant_modeling.models.transformer.build_model`), or ``GPT2LMHeadModel``.
        batch_size: Number of rows.
        max_tokens: Tokens that a row has room for at first; doubled whenever the room runs out.

    Raises:
        ValueError: Another class, or an unsupported configuration of these two.
    """

    def __init__(self, model: PreTrainedModel, batch_size: int, max_tokens: int) -> None:
        if batch_size < 1 or max_tokens < 1:
            raise ValueError(f"batch_size is {batch_size} and max_tokens {max_tokens}. Give 1 or more.")
        with torch.inference_mode():
            weights = self._weights = read_weights(model)
            head_width = weights.embedding.shape[1] // weights.num_heads
            shape = (len(weights.layers), weights.num_heads, head_width, batch_size, max_tokens)
            self._cache = Cache(weights.embedding, *shape)
            self._rotations = torch.empty(0)

    @property
    def lengths(self) -> list[int]:
        """Number of tokens of each row."""
        return [self._cache.num_shared + length for length in self._cache.lengths]

    @property
    def device(self) -> torch.device:
        """Device of keys, values and logits."""
        return self._weights.embedding.device

    @torch.inference_mode()
    def select_rows(self, rows: Sequence[int]) -> None:
        """Replace the batch by copies of some of its rows: ``[0] * K`` for K samples after one prompt.

        Raises:
            ValueError: No row, or one outside the batch.
        """
        num_rows = len(self._cache.lengths)
        if not rows or min(rows) < 0 or max(rows) >= num_rows:
            raise ValueError(f"rows are {list(rows)}. Give at least one, each from 0 to {num_rows - 1}.")
        self._cache.select_rows(rows)

    @torch.inference_mode()
    def forward(self, ids_BN: Tensor, num_valid_B: Tensor | Sequence[int]) -> Tensor:
        """Append tokens to the rows.

        Args:
            ids_BN: Token ids, int64; those after a row's valid ones are ignored.
            num_valid_B: Number of tokens each row appends, 0 to N.

        Returns:
            Logits after each row's last appended token, (B, V); undefined for rows that append none.

        Raises:
            ValueError: Shapes or numbers do not fit, or a row has more tokens than a GPT-2 has positions.
        """
        num_valid = num_valid_B.tolist() if isinstance(num_valid_B, Tensor) else list(num_valid_B)
        self._check(ids_BN, num_valid)
        if not any(num_valid):
            return self._weights.head.new_zeros(len(num_valid), len(self._weights.head))
        chunk = self._plan(num_valid)
        self._cache.lengths = [length + n for length, n in zip(self._cache.lengths, num_valid, strict=True)]
        ids_S = ids_BN[:, : chunk.shape[1]].reshape(-1).to(self.device)
        x_SC = self._run(ids_S if chunk.padded is None else ids_S[chunk.padded], chunk)
        if chunk.padded is not None or chunk.shape[1] > 1:
            ends = torch.tensor(num_valid).cumsum(0) - 1
            x_SC = x_SC[ends.clamp(min=0).to(x_SC.device)]
        return functional.linear(self._weights.norm(x_SC), self._weights.head)

    def _check(self, ids_BN: Tensor, num_valid: list[int]) -> None:
        num_rows, width = ids_BN.shape
        expected = len(self._cache.lengths)
        if num_rows != expected or len(num_valid) != num_rows:
            raise ValueError(f"There are {num_rows} rows of ids and {len(num_valid)} counts. Give {expected} of each.")
        if min(num_valid) < 0 or max(num_valid) > width:
            raise ValueError(f"num_valid_B is {num_valid}. Give 0 to {width} for each row.")

    def _plan(self, num_valid: list[int]) -> Chunk:
        """Make room for a call and return its layout."""
        ends = [start + n for start, n in zip(self._cache.lengths, num_valid, strict=True)]
        self._reserve(max(ends))
        if max(num_valid) == min(num_valid) == 1 and max(ends) == min(ends):
            return self._plan_step(ends[0])
        return self._plan_ragged(num_valid, ends)

    def _reserve(self, needed: int) -> None:
        weights, length = self._weights, self._cache.num_shared + needed
        if weights.positions is not None and length > len(weights.positions):
            known = len(weights.positions)
            raise ValueError(f"A row has {length} tokens, and the model has positions for {known}. Give fewer.")
        self._cache.reserve(needed)
        if weights.inverse_frequencies is not None and len(self._rotations) < length:
            positions = torch.arange(self._cache.num_shared + self._cache.capacity, device=self.device)
            angles = positions[:, None] * weights.inverse_frequencies
            self._rotations = torch.polar(torch.ones_like(angles), angles)  # cos + i sin, (positions, D / 2)

    def _plan_step(self, end: int) -> Chunk:
        """Return the layout of one token for each of equally long rows."""
        cache, start = self._cache, end - 1
        position = cache.num_shared + start
        return Chunk(
            shape=(len(cache.lengths), 1),
            positions=torch.tensor([position], device=self.device),
            rotation=None if self._weights.inverse_frequencies is None else self._rotations[position : position + 1],
            columns=cache.own[:, :, :, :, start].unbind(),
            **self._stored(end),
        )

    def _stored(self, end: int) -> dict[str, Any]:
        """Return the keys and values up to a token, as fields of a `Chunk`."""
        cache = self._cache
        is_fast = self.device.type == "cpu" and cache.own.dtype == torch.float32
        has_bags = is_fast and len(cache.lengths) >= _MIN_BAGS_ROWS
        return {
            "keys": cache.keys(end),
            "values": cache.values(end),
            "shared": cache.shared(),
            "bags": cache.bags(end) if has_bags else None,
            "value_tables": cache.value_tables() if has_bags else (),
        }

    def _plan_ragged(self, num_valid: list[int], ends: list[int]) -> Chunk:
        """Return the layout of any numbers of tokens; for few tokens, lists are faster than tensor arithmetic."""
        starts, widest, device = self._cache.lengths, max(num_valid), self.device
        places = [(row, slot) for row, n in enumerate(num_valid) for slot in range(starts[row], starts[row] + n)]
        rows, slots = torch.tensor(places, device=device).unbind(1)
        positions = slots + self._cache.num_shared
        is_padded = len(places) < len(num_valid) * widest
        padded = [row * widest + i for row, n in enumerate(num_valid) for i in range(n)] if is_padded else None
        is_causal = widest > 1 and max(starts) == 0 and not self._cache.num_shared
        hides = not is_causal and (widest > 1 or min(ends) < max(ends))
        # A few rows with many tokens must not make all rows wide: last tokens go together, the others row by row.
        splits = is_padded and widest > 1 and not is_causal and min(num_valid) > 0 and not self._cache.num_shared
        first, width = ([end - 1 for end in ends], 1) if splits else (starts, widest)
        return Chunk(
            shape=(len(num_valid), widest),
            positions=positions,
            rotation=None if self._weights.inverse_frequencies is None else self._rotations[positions],
            places=(rows, slots),
            padded=None if padded is None else torch.tensor(padded, device=device),
            mask=self._mask(first, width, max(ends)) if hides else None,
            is_causal=is_causal,
            last=torch.tensor(num_valid, device=device).cumsum(0) - 1 if splits else None,
            runs=self._runs(num_valid) if splits else (),
            **self._stored(max(ends)),
        )

    def _runs(self, num_valid: list[int]) -> tuple[TokenRun, ...]:
        """Return the tokens that each row appends before its last one."""
        runs, place = [], 0
        for row, (length, n) in enumerate(zip(self._cache.lengths, num_valid, strict=True)):
            if n > 1:
                mask = self._mask([length], n - 1, length + n - 1)[0, 0]
                runs.append(TokenRun(row, place, place + n - 1, length + n - 1, mask))
            place += n
        return tuple(runs)

    def _mask(self, starts: list[int], widest: int, longest: int) -> Tensor:
        """Return the mask by which a row's n-th new token attends to the slots up to its own, `starts[row] + n`."""
        starts = starts if len(set(starts)) > 1 else starts[:1]
        device = self.device
        own_BN = torch.tensor(starts, device=device)[:, None] + torch.arange(widest, device=device)
        hidden = torch.arange(longest, device=device) > own_BN[:, None, :, None]
        return self._cache.own.new_zeros(hidden.shape).masked_fill_(hidden, float("-inf"))

    def _run(self, ids_S: Tensor, chunk: Chunk) -> Tensor:
        weights = self._weights
        x_SC = functional.embedding(ids_S, weights.embedding)
        if weights.positions is not None:
            x_SC += weights.positions[chunk.positions]
        for index, (layer, room) in enumerate(zip(weights.layers, self._cache.rooms, strict=True)):
            q_HSD = store(layer.qkv(layer.norm_1(x_SC)), index, room, chunk)
            x_SC += layer.out(attend(q_HSD, index, chunk))
            x_SC += layer.down(layer.activation(layer.up(layer.norm_2(x_SC))))
        return x_SC
