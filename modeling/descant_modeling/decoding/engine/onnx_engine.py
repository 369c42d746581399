"""The engine for CPUs: a checkpoint's ONNX graph run by onnxruntime, keys and values updated in place.

Rows are shared out into one block for each core. A block appends one token to each of its rows in one call, which reads
the weights once; a row that gets several tokens makes a call of its own. Each call runs on one thread, and waiting
threads do not spin. What a row computes does not depend on the others: onnxruntime computes every row of a batch as it
computes the row alone, to the last bit (tests check this).

Shapes: R rows of a block, N new tokens, T tokens a row has room for, H heads, D head width, V vocabulary, L layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph

from descant_modeling.common.devices import available_cores
from descant_modeling.decoding.engine import check_rewind
from descant_modeling.decoding.engine.graph import Bits, Stack, Weights, build_graph, rotary_table

__all__ = ["OnnxEngine", "OnnxModel"]

Array = npt.NDArray[Any]

_ERRORS_ONLY = 3


class OnnxModel:
    """A model ready to run; engines share its session.

    Args:
        stack: Sizes of the model.
        weights: Parameters by their names in the stock class.
        bits: Width of weights, keys and values in memory. On the valid split of the chorales, likelihood changes by
            0.02 % in 8 bits, which are faster.

    Raises:
        KeyError: A parameter is missing.
        ValueError: A parameter has another size.
    """

    def __init__(self, stack: Stack, weights: Weights, bits: Bits = 8) -> None:
        self.stack = stack
        self.cache_type: type[np.generic] = np.int8 if bits == 8 else np.float32
        self.max_positions = stack.max_positions
        self.has_position_table = not stack.is_rotary
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        graph = build_graph(stack, weights, bits).SerializeToString()
        try:
            self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except (Fail, InvalidGraph) as error:
            raise ValueError("The weights do not have the sizes of the model. Restore them.") from error
        self.num_threads = available_cores()
        self.pool = ThreadPoolExecutor(max(1, self.num_threads - 1))  # besides the thread that asks
        self._tables: dict[str, Array] = {}

    def start(self, max_tokens: int) -> OnnxEngine:
        """Return an engine; see `EngineModel`."""
        return OnnxEngine(self, max_tokens)

    def tables(self, num_tokens: int) -> dict[str, Array]:
        """Return the constant inputs for rows of up to `num_tokens`, and possibly more."""
        tables = self._tables  # rows ask from several threads, each for its own length
        if self.stack.is_rotary and (not tables or num_tokens > len(tables["cos"])):
            cos, sin = rotary_table(self.stack, max(num_tokens, self.max_positions))
            tables = self._tables = {"cos": cos, "sin": sin}
        return tables


class OnnxEngine:
    """Rows of tokens with their keys and values in memory; see `Engine`.

    Args:
        model: The model.
        max_tokens: Tokens a row has room for at first; doubled whenever it runs out.
    """

    def __init__(self, model: OnnxModel, max_tokens: int) -> None:
        self.model, self._max_tokens = model, max_tokens
        self._blocks = [_Block(model, 1, max_tokens)]

    @property
    def lengths(self) -> list[int]:
        """Number of tokens of each row."""
        return [length for block in self._blocks for length in block.lengths]

    def select_rows(self, rows: Sequence[int]) -> None:
        """Replace the batch by copies of some of its rows; see `Engine`."""
        places = [(block, row) for block in self._blocks for row in range(len(block.lengths))]
        if not rows or min(rows) < 0 or max(rows) >= len(places):
            raise ValueError(f"The rows are {list(rows)}. Name at least one, each from 0 to {len(places) - 1}.")
        num_blocks = min(len(rows), self.model.num_threads)
        sizes = [(len(rows) + index) // num_blocks for index in range(num_blocks)]
        blocks = self._blocks[:num_blocks]
        blocks += [_Block(self.model, size, self._max_tokens) for size in sizes[len(blocks) :]]
        targets = [(block, row) for block, size in zip(blocks, sizes, strict=True) for row in range(size)]
        moves = [(places[row], target) for row, target in zip(rows, targets, strict=True) if places[row] != target]
        contents = [block.contents(row) for (block, row), _ in moves]
        for block, size in zip(blocks, sizes, strict=True):
            block.resize(size)
        for (_, (block, row)), content in zip(moves, contents, strict=True):
            block.replace(row, content)
        self._blocks = blocks

    def append(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Append tokens to each row; see `Engine`."""
        lengths = self.lengths
        if len(ids) != len(lengths):
            raise ValueError(f"There are {len(ids)} rows of ids. Give {len(lengths)}.")
        needed = max(length + len(own) for length, own in zip(lengths, ids, strict=True))
        if needed > self.model.max_positions and self.model.has_position_table:
            raise ValueError(f"A row has {needed} tokens. The model has positions for {self.model.max_positions}.")
        rows = iter(ids)
        # All calls are prepared in this thread: threads that run Python wait for one another.
        places = [block.prepare(list(islice(rows, len(block.lengths)))) for block in self._blocks]
        own, *others = [list(dict.fromkeys(call for call, _ in found if call)) for found in places]
        waiting = [self.model.pool.submit(_run_all, calls) for calls in others if calls]
        _run_all(own)
        for each in waiting:
            each.result()
        logits_BV = np.zeros((len(ids), self.model.stack.vocab_size), np.float32)
        for row, (call, place) in enumerate(chain.from_iterable(places)):
            if call:
                logits_BV[row] = call.logits_RV[place]
        return logits_BV

    def rewind(self, lengths: Sequence[int]) -> None:
        """Forget the last tokens of each row; see `Engine`. What follows is written over them."""
        check_rewind(self.lengths, lengths)
        kept = iter(lengths)
        for block in self._blocks:
            block.lengths = list(islice(kept, len(block.lengths)))


class _Block:
    """Rows with their keys and values in one piece of memory, (L, 2, R, H, T, D); R and T may exceed what is used.

    Args:
        model: The model.
        num_rows: Number of rows, which are empty.
        max_tokens: Tokens that each has room for.
    """

    def __init__(self, model: OnnxModel, num_rows: int, max_tokens: int) -> None:
        self.model, self.lengths = model, [0] * num_rows
        self._allocate(num_rows, max_tokens)

    def prepare(self, ids: Sequence[Sequence[int]]) -> list[tuple[_Call | None, int]]:
        """Prepare calls that append tokens to each row.

        Returns:
            For each row its call (None for rows without tokens), and its place in it.
        """
        self._make_room(max(length + max(1, len(own)) for length, own in zip(self.lengths, ids, strict=True)))
        single = [row for row, own in enumerate(ids) if len(own) == 1]
        first, stop = (single[0], single[-1] + 1) if single else (0, 0)
        shared = self._call(first, [own if len(own) == 1 else () for own in ids[first:stop]]) if single else None
        places: list[tuple[_Call | None, int]] = []
        for row, own in enumerate(ids):
            places.append((self._call(row, [own]), 0) if len(own) > 1 else (shared if own else None, row - first))
        self.lengths = [length + len(own) for length, own in zip(self.lengths, ids, strict=True)]
        return places

    def contents(self, row: int) -> Array:
        """Return a copy of a row's keys and values, (L, 2, H, tokens, D)."""
        return self._cache[:, :, row, :, : self.lengths[row]].copy()

    def replace(self, row: int, contents: Array) -> None:
        """Replace a row's keys and values."""
        self._make_room(contents.shape[3])
        self.lengths[row] = contents.shape[3]
        self._cache[:, :, row, :, : self.lengths[row]] = contents

    def resize(self, num_rows: int) -> None:
        """Drop the last rows, or add empty ones."""
        if num_rows > self._cache.shape[2]:
            self._allocate(num_rows, self._cache.shape[4])
        self.lengths = [*self.lengths, *[0] * num_rows][:num_rows]

    def _call(self, first: int, ids: Sequence[Sequence[int]]) -> _Call:
        """Prepare a call for some rows from `first` on: one token or none for each, or any number for a single row."""
        stop, num_tokens = first + len(ids), max(map(len, ids))
        size = (first, stop, num_tokens)
        if size not in self._calls:
            self._calls[size] = _Call(self.model, self._cache[:, :, first:stop], num_tokens)
        self._calls[size].prepare(ids, self.lengths[first:stop])
        return self._calls[size]

    def _make_room(self, num_tokens: int) -> None:
        if num_tokens > self._cache.shape[4]:
            self._allocate(self._cache.shape[2], max(num_tokens, 2 * self._cache.shape[4]))

    def _allocate(self, num_rows: int, max_tokens: int) -> None:
        """Move the rows to larger memory."""
        stack = self.model.stack
        shape = (stack.num_layers, 2, num_rows, stack.num_heads, max_tokens, stack.cache_width)
        cache = np.zeros(shape, self.model.cache_type)
        if any(self.lengths):
            num_rows, longest = len(self.lengths), max(self.lengths)
            cache[:, :, :num_rows, :, :longest] = self._cache[:, :, :num_rows, :, :longest]
        self._cache: Array = cache
        self._calls: dict[tuple[int, int, int], _Call] = {}  # by first row, row after the last, number of tokens


class _Call:
    """A call of the model for some rows, with all arguments bound to memory, to be run any number of times.

    Args:
        model: The model.
        cache: Keys and values of the rows, (L, 2, R, H, T, D); updated in place.
        num_tokens: New tokens.
    """

    def __init__(self, model: OnnxModel, cache: Array, num_tokens: int) -> None:
        num_rows = cache.shape[2]
        self._ids_RN = np.zeros((num_rows, num_tokens), np.int64)
        self._positions_RN = np.zeros((num_rows, num_tokens), np.int64)
        self._num_new_R = np.zeros(num_rows, np.int32)
        self._last_index_R = np.zeros(num_rows, np.int32)
        self._num_total = np.zeros((), np.int32)
        self.logits_RV = np.zeros((num_rows, model.stack.vocab_size), np.float32)
        inputs: dict[str, Array] = {
            "ids": self._ids_RN,
            "num_new": self._num_new_R,
            "last_index": self._last_index_R,
            "num_total": self._num_total,
            **model.tables(cache.shape[4]),
        }
        if not model.stack.is_rotary:
            inputs["positions"] = self._positions_RN
        outputs: dict[str, Array] = {"logits": self.logits_RV}
        for index, (keys, values) in enumerate(cache):
            inputs |= {f"past_key_{index}": keys, f"past_value_{index}": values}
            outputs |= {f"key_{index}": keys, f"value_{index}": values}
        self._memory = (inputs, outputs)  # bindings hold addresses only
        self._session, self._binding = model.session, model.session.io_binding()
        for name, array in inputs.items():
            self._binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name, array in outputs.items():
            self._binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def prepare(self, ids: Sequence[Sequence[int]], lengths: Sequence[int]) -> None:
        """Set the tokens to append, the same number for each row or none, and the rows' lengths so far."""
        for row, (own, length) in enumerate(zip(ids, lengths, strict=True)):
            if own:
                self._ids_RN[row] = own
                self._positions_RN[row] = range(length, length + len(own))
            # A row must not stay empty: what it gets here is overwritten by its first token.
            self._num_new_R[row] = len(own) if own or length else 1
            self._last_index_R[row] = length + self._num_new_R[row] - 1
        self._num_total[...] = self._last_index_R.max() + 1

    def run(self) -> None:
        """Append the tokens. `logits_RV` then holds the logits of rows that got some, until the next run."""
        self._session.run_with_iobinding(self._binding)


def _run_all(calls: Sequence[_Call]) -> None:
    for call in calls:
        call.run()
