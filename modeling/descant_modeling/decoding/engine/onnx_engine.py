"""The engine for CPUs: a checkpoint's ONNX graph run by onnxruntime, keys and values updated in place.

Every row makes its own calls, any number of tokens each: reading keys and values is what a step costs, so a batch of
rows would be no cheaper, and on a CPU `GroupQueryAttention` takes several new tokens after a past only in a batch of
one. Calls of different rows run side by side on the machine's cores, each on one thread; what a row computes does not
depend on the others.

Shapes: N new tokens, T tokens a row has room for, H heads, D head width, V vocabulary, L layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph

from descant_modeling.common.devices import available_cores
from descant_modeling.decoding.engine.graph import Stack, Weights, build_graph, rotary_table

__all__ = ["OnnxEngine", "OnnxModel"]

Array = npt.NDArray[Any]

_ERRORS_ONLY = 3


class OnnxModel:
    """A model ready to run; engines share its session.

    Args:
        stack: Sizes of the model.
        weights: Parameters by their names in the stock class.

    Raises:
        KeyError: A parameter is missing.
        ValueError: A parameter has another size.
    """

    def __init__(self, stack: Stack, weights: Weights) -> None:
        self.stack = stack
        self.max_positions = stack.max_positions
        self.has_position_table = not stack.is_rotary
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        graph = build_graph(stack, weights).SerializeToString()
        try:
            self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except (Fail, InvalidGraph) as error:
            raise ValueError("The weights do not have the sizes of the model. Restore them.") from error
        cores = available_cores()
        self.pool = ThreadPoolExecutor(cores) if cores > 1 else None
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
        self.model = model
        self._rows = [_Row(model, max_tokens)]

    @property
    def lengths(self) -> list[int]:
        """Number of tokens of each row."""
        return [row.length for row in self._rows]

    def select_rows(self, rows: Sequence[int]) -> None:
        """Replace the batch by copies of some of its rows; see `Engine`."""
        if not rows or min(rows) < 0 or max(rows) >= len(self._rows):
            raise ValueError(f"The rows are {list(rows)}. Name at least one, each from 0 to {len(self._rows) - 1}.")
        seen: set[int] = set()
        selected = []
        for row in rows:
            selected.append(self._rows[row].copy() if row in seen else self._rows[row])
            seen.add(row)
        self._rows = selected

    def append(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Append tokens to each row; see `Engine`."""
        if len(ids) != len(self._rows):
            raise ValueError(f"There are {len(ids)} rows of ids. Give {len(self._rows)}.")
        needed = max(row.length + len(own) for row, own in zip(self._rows, ids, strict=True))
        if needed > self.model.max_positions and self.model.has_position_table:
            raise ValueError(f"A row has {needed} tokens. The model has positions for {self.model.max_positions}.")
        chosen = [index for index, own in enumerate(ids) if own]
        logits_BV = np.zeros((len(ids), self.model.stack.vocab_size), np.float32)
        for index, logits_V in zip(chosen, self._run(chosen, ids), strict=True):
            logits_BV[index] = logits_V
        return logits_BV

    def _run(self, chosen: Sequence[int], ids: Sequence[Sequence[int]]) -> Iterable[Array]:
        rows, tokens = [self._rows[index] for index in chosen], [ids[index] for index in chosen]
        if self.model.pool is None or len(chosen) == 1:
            return map(_Row.append, rows, tokens)
        return self.model.pool.map(_Row.append, rows, tokens)


class _Row:
    """A row of tokens with its keys and values, (L, 2, 1, H, T, D)."""

    def __init__(self, model: OnnxModel, max_tokens: int) -> None:
        self.model, self.length = model, 0
        self._make_room(max_tokens)

    def append(self, ids: Sequence[int]) -> Array:
        """Append tokens; return the logits after the last one, (V,), valid until the next append."""
        end, before = self.length + len(ids), self._cache
        if end > before.shape[4]:
            self._make_room(max(end, 2 * before.shape[4]))
            self._cache[:, :, :, :, : self.length] = before[:, :, :, :, : self.length]
        call = self._calls.get(len(ids))
        if call is None:
            call = self._calls[len(ids)] = _Call(self.model, self._cache, len(ids))
        logits_V = call.run(ids, self.length)
        self.length = end
        return logits_V

    def copy(self) -> _Row:
        """Return another row with the same tokens."""
        twin = _Row(self.model, self._cache.shape[4])
        twin._cache[:, :, :, :, : self.length] = self._cache[:, :, :, :, : self.length]
        twin.length = self.length
        return twin

    def _make_room(self, num_tokens: int) -> None:
        stack = self.model.stack
        shape = (stack.num_layers, 2, 1, stack.num_heads, num_tokens, stack.cache_width)
        self._cache = np.zeros(shape, np.float32)
        self._calls: dict[int, _Call] = {}  # by number of tokens


class _Call:
    """A call of the model for one row, with all arguments bound to memory, to be run any number of times.

    Args:
        model: The model.
        cache: Keys and values of the row, (L, 2, 1, H, T, D); updated in place.
        num_tokens: New tokens.
    """

    def __init__(self, model: OnnxModel, cache: Array, num_tokens: int) -> None:
        self._ids_1N = np.zeros((1, num_tokens), np.int64)
        self._positions_1N = np.zeros((1, num_tokens), np.int64)
        self._last_index_1 = np.zeros(1, np.int32)
        self._num_total = np.zeros((), np.int32)
        self._logits_1V = np.zeros((1, model.stack.vocab_size), np.float32)
        inputs: dict[str, Array] = {
            "ids": self._ids_1N,
            "last_index": self._last_index_1,
            "num_total": self._num_total,
            **model.tables(cache.shape[4]),
        }
        if not model.stack.is_rotary:
            inputs["positions"] = self._positions_1N
        outputs: dict[str, Array] = {"logits": self._logits_1V}
        for index, (keys, values) in enumerate(cache):
            inputs |= {f"past_key_{index}": keys, f"past_value_{index}": values}
            outputs |= {f"key_{index}": keys, f"value_{index}": values}
        self._memory = (inputs, outputs)  # bindings hold addresses only
        self._session, self._binding = model.session, model.session.io_binding()
        for name, array in inputs.items():
            self._binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name, array in outputs.items():
            self._binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run(self, ids: Sequence[int], length: int) -> Array:
        """Append tokens to a row of some length; return the logits, (V,), valid until the next run."""
        self._ids_1N[0] = ids
        self._positions_1N[0] = range(length, length + len(ids))
        self._last_index_1[0] = length + len(ids) - 1
        self._num_total[...] = length + len(ids)
        self._session.run_with_iobinding(self._binding)
        logits_V: Array = self._logits_1V[0]
        return logits_V
