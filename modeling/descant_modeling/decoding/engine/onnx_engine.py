"""The engine for CPUs: a checkpoint's ONNX graph run by onnxruntime, keys and values updated in place.

Rows of a batch differ in length. One new token for each row takes one call. On a CPU, `GroupQueryAttention` takes
several new tokens after a past only in a batch of one, so each longer run takes its own call, unless all rows are empty
and get the same number of tokens. A row that gets no token while others do computes a dummy, which its next token
overwrites.

Shapes: B rows, N new tokens, T tokens a row has room for, H heads, D head width, V vocabulary, L layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph

from descant_modeling.decoding.engine.graph import Stack, Weights, build_graph, rotary_table

__all__ = ["OnnxEngine", "OnnxModel"]

Array = npt.NDArray[Any]

_ERRORS_ONLY = 3


class OnnxModel:
    """A model ready to run; engines share its session.

    Args:
        stack: Sizes of the model.
        weights: Parameters by their names in the stock class.
        num_threads: Threads of a call. A model of a few million parameters loses more at barriers than it gains.

    Raises:
        KeyError: A parameter is missing.
        ValueError: A parameter has another size.
    """

    def __init__(self, stack: Stack, weights: Weights, num_threads: int = 1) -> None:
        self.stack = stack
        self.max_positions = stack.max_positions
        self.has_position_table = not stack.is_rotary
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        graph = build_graph(stack, weights).SerializeToString()
        try:
            self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except (Fail, InvalidGraph) as error:
            raise ValueError("The weights do not have the sizes of the model. Restore them.") from error

    def start(self, max_tokens: int) -> OnnxEngine:
        """Return an engine; see `EngineModel`."""
        return OnnxEngine(self, max_tokens)


class OnnxEngine:
    """Rows of tokens with their keys and values in memory; see `Engine`.

    Args:
        model: The model.
        max_tokens: Tokens a row has room for at first; doubled whenever it runs out.
    """

    def __init__(self, model: OnnxModel, max_tokens: int) -> None:
        self.model = model
        self.lengths = [0]
        self._make_room(1, max_tokens)

    def select_rows(self, rows: Sequence[int]) -> None:
        """Replace the batch by copies of some of its rows; see `Engine`."""
        if not rows or min(rows) < 0 or max(rows) >= len(self.lengths):
            raise ValueError(f"The rows are {list(rows)}. Name at least one, each from 0 to {len(self.lengths) - 1}.")
        before, longest = self._cache, max(self.lengths)
        targets = [new for new, old in enumerate(rows) if new != old]
        moved = before[:, :, [rows[new] for new in targets], :, :longest]
        if len(rows) != len(self.lengths):
            self._make_room(len(rows), before.shape[4])
            kept = min(len(rows), len(self.lengths))
            self._cache[:, :, :kept, :, :longest] = before[:, :, :kept, :, :longest]
        self._cache[:, :, targets, :, :longest] = moved
        self.lengths = [self.lengths[row] for row in rows]

    def append(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Append tokens to each row; see `Engine`."""
        counts = [len(own) for own in ids]
        if len(counts) != len(self.lengths):
            raise ValueError(f"There are {len(counts)} rows of ids. Give {len(self.lengths)}.")
        needed = max(length + count for length, count in zip(self.lengths, counts, strict=True))
        limit = self.model.stack.max_positions
        if needed > limit and not self.model.stack.is_rotary:
            raise ValueError(f"A row has {needed} tokens. The model has positions for {limit}.")
        self._reserve(max(self.lengths) + max(1, *counts))  # a step computes a token for every row
        if max(counts) <= 1:
            return self._append_step(ids)
        if len(set(counts)) == 1 and not any(self.lengths):
            return self._append_run(slice(0, len(ids)), ids)
        logits_BV = np.zeros((len(ids), self.model.stack.vocab_size), np.float32)
        for row in (row for row, count in enumerate(counts) if count):
            logits_BV[row] = self._append_run(slice(row, row + 1), ids[row : row + 1])
        return logits_BV

    def _append_step(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        call = self._step
        call.ids_BN[:, 0] = [own[0] if own else 0 for own in ids]
        logits_BV = call.run(self.lengths)
        self.lengths = [length + len(own) for length, own in zip(self.lengths, ids, strict=True)]
        return logits_BV.copy()

    def _append_run(self, rows: slice, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        call = _Call(self.model, self._cache[:, :, rows], self._tables, len(ids[0]))
        call.ids_BN[:] = ids
        logits_BV = call.run(self.lengths[rows])
        self.lengths[rows] = [length + len(ids[0]) for length in self.lengths[rows]]
        return logits_BV

    @cached_property
    def _step(self) -> _Call:
        """The call for one new token a row, bound once for each batch."""
        return _Call(self.model, self._cache, self._tables, 1)

    def _reserve(self, num_tokens: int) -> None:
        if num_tokens > self._cache.shape[4]:
            before = self._cache
            self._make_room(len(self.lengths), max(num_tokens, 2 * before.shape[4]))
            self._cache[:, :, :, :, : before.shape[4]] = before

    def _make_room(self, num_rows: int, num_tokens: int) -> None:
        """Allocate keys and values, (L, 2, B, H, T, D), and what depends on their shape."""
        stack = self.model.stack
        shape = (stack.num_layers, 2, num_rows, stack.num_heads, num_tokens, stack.cache_width)
        self._cache = np.zeros(shape, np.float32)
        self._tables = (
            dict(zip(("cos", "sin"), rotary_table(stack, num_tokens), strict=True)) if stack.is_rotary else {}
        )
        self.__dict__.pop("_step", None)


class _Call:
    """A call of a model with all its arguments bound to memory, to be run any number of times.

    Args:
        model: The model.
        cache: Keys and values of the rows, (L, 2, B, H, T, D); updated in place.
        tables: Further constant inputs by name.
        num_tokens: New tokens of each row.
    """

    def __init__(self, model: OnnxModel, cache: Array, tables: dict[str, Array], num_tokens: int) -> None:
        num_rows = cache.shape[2]
        self.ids_BN = np.zeros((num_rows, num_tokens), np.int64)
        self._last_index_B = np.zeros(num_rows, np.int32)
        self._num_total = np.zeros((), np.int32)
        self._positions_BN = np.zeros_like(self.ids_BN)
        self._last_position = model.stack.max_positions - 1
        self._logits_BV = np.zeros((num_rows, model.stack.vocab_size), np.float32)
        inputs: dict[str, Array] = {
            "ids": self.ids_BN,
            "last_index": self._last_index_B,
            "num_total": self._num_total,
            **tables,
        }
        if not model.stack.is_rotary:
            inputs["positions"] = self._positions_BN
        outputs: dict[str, Array] = {"logits": self._logits_BV}
        for index, (keys, values) in enumerate(cache):
            inputs |= {f"past_key_{index}": keys, f"past_value_{index}": values}
            outputs |= {f"key_{index}": keys, f"value_{index}": values}
        self._memory = (inputs, outputs)  # bindings hold addresses only
        self._session = model.session
        self._binding = model.session.io_binding()
        for name, array in inputs.items():
            self._binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name, array in outputs.items():
            self._binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run(self, lengths: Sequence[int]) -> npt.NDArray[np.float32]:
        """Append `ids_BN` to rows of some lengths; return the logits, (B, V), valid until the next run."""
        num_tokens = self.ids_BN.shape[1]
        self._last_index_B[:] = [length + num_tokens - 1 for length in lengths]
        self._num_total[...] = max(lengths) + num_tokens
        positions_BN = np.array(lengths)[:, None] + np.arange(num_tokens)
        self._positions_BN[:] = positions_BN.clip(max=self._last_position)  # only dummies reach beyond it
        self._session.run_with_iobinding(self._binding)
        return self._logits_BV
