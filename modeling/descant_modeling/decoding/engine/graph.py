"""The ONNX graph of a checkpoint: one call of the model, with keys and values passed in and out.

Inputs: `ids` (B, N), the tokens to append; `num_new` (B,), how many of them are the row's own, 0 to N, first ones first
(`query_seqlens` of `GroupQueryAttention`); `last_index` (B,), the index of each row's last token after the call
(`seqlens_k`); `num_total`, the largest number of tokens in a row after it; for each layer i `past_key_i` and
`past_value_i`, (B, H, T, D); `cos` and `sin`, (T, D / 2), of a rotary model, or `positions`, (B, N).
Outputs: `logits` (B, V) after the last column, undefined for rows that are shorter; `key_i` and `value_i`, to be bound
to the memory of the pasts.

In 8 bits, each block of a weight matrix has a scale of its own, inputs are rounded per block while they are multiplied
(`MatMulNBits`), and keys and values are kept as int8 with a scale for each channel. These scales come from the weights
alone: a layer norm bounds its outputs, and with them every key and value, so nothing is ever clipped.

Operators: ONNX opset 20 and com.microsoft 1 (onnxruntime's contrib operators).

Shapes: B rows, N new tokens, T tokens a row has room for, C width, H heads, D head width, V vocabulary, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Bits", "Stack", "build_graph", "read_stack", "rotary_table"]

Array = npt.NDArray[np.float32]
Weights = Mapping[str, npt.NDArray[Any]]
"""Parameters by their names in the stock class."""
Names = tuple[str, str]
"""Names of a constant weight and its bias in the graph."""
Bits = Literal[8, 32]
"""Width of weights, keys and values: int8 or float32."""

_CONTRIB = "com.microsoft"
OPSETS = (("", 20), (_CONTRIB, 1))
IR_VERSION = 10
_HEAD_MULTIPLE = 16
_BLOCK = 64  # inputs that share a scale in 8 bits
_INT8_MAX = 127
_INT8_INPUTS = 4  # the accuracy level of `MatMulNBits` that multiplies int8 by int8
_CONFIG_KEYS = {
    "gpt_neox": "num_hidden_layers num_attention_heads hidden_size max_position_embeddings layer_norm_eps",
    "gpt2": "n_layer n_head n_embd n_positions layer_norm_epsilon",
}
_TANH_GELU = ("gelu_pytorch_tanh", "gelu_new", "gelu_fast")


@dataclass(frozen=True)
class Stack:
    """Sizes and constants of a supported model.

    Attributes:
        architecture: `gpt_neox` or `gpt2`.
        num_layers: Transformer blocks.
        num_heads: Attention heads.
        width: Embedding width.
        vocab_size: Token ids.
        max_positions: Longest row in training; a GPT-2 has no more positions.
        norm_epsilon: Added to the variance by layer norms.
        is_head_tied: True if the output weights are the embedding.
        has_attention_bias: True if the linear maps around attention have biases.
        rotary_base: Base of the rotary frequencies; 0 if positions are learned.
    """

    architecture: str
    num_layers: int
    num_heads: int
    width: int
    vocab_size: int
    max_positions: int
    norm_epsilon: float
    is_head_tied: bool
    has_attention_bias: bool = True
    rotary_base: float = 0.0

    @property
    def head_width(self) -> int:
        """Width of a head."""
        return self.width // self.num_heads

    @property
    def cache_width(self) -> int:
        """Width of a head's keys and values in memory: onnxruntime rotates only widths that are a multiple of 16."""
        return -(-self.head_width // _HEAD_MULTIPLE) * _HEAD_MULTIPLE

    @property
    def is_rotary(self) -> bool:
        """True if positions rotate queries and keys, False if they are learned."""
        return self.rotary_base > 0


def read_stack(config: Mapping[str, Any]) -> Stack:
    """Read the sizes of a model from the contents of its `config.json`.

    Raises:
        ValueError: The graph does not support the model or one of its options.
        KeyError: A size is missing.
    """
    kind = config.get("model_type")
    rotary_base = 0.0
    if kind == "gpt_neox":
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        share = rope.get("partial_rotary_factor", config.get("rotary_pct", 0.25))
        _require(config, "use_parallel_residual", (False,), default=True)
        _require(config, "hidden_act", _TANH_GELU, default="gelu")
        if share != 1.0 or rope.get("rope_type", rope.get("type", "default")) != "default":
            raise ValueError("Rotary positions are partial or scaled. Use a model with plain full rotary positions.")
        rotary_base = float(rope.get("rope_theta", config.get("rotary_emb_base", 10_000)))
    elif kind == "gpt2":
        _require(config, "activation_function", _TANH_GELU, default="gelu_new")
        _require(config, "scale_attn_weights", (True,), default=True)
        _require(config, "scale_attn_by_inverse_layer_idx", (False,), default=False)
    else:
        raise ValueError(f"The model type is {kind!r}. Use a model of type gpt_neox or gpt2.")
    layers, heads, width, positions, epsilon = _CONFIG_KEYS[kind].split()
    return Stack(
        architecture=kind,
        num_layers=config[layers],
        num_heads=config[heads],
        width=config[width],
        vocab_size=config["vocab_size"],
        max_positions=config[positions],
        norm_epsilon=config.get(epsilon, 1e-5),
        is_head_tied=config.get("tie_word_embeddings", kind == "gpt2"),
        has_attention_bias=config.get("attention_bias", True),
        rotary_base=rotary_base,
    )


def build_graph(stack: Stack, weights: Weights, bits: Bits = 32) -> onnx.ModelProto:
    """Build the graph of a model.

    Args:
        stack: Its sizes.
        weights: Its parameters; tied output weights are not needed.
        bits: Width of weights, keys and values.

    Raises:
        KeyError: A parameter is missing.
        ValueError: A parameter has another size.
    """
    return _Graph(stack, weights, bits).build()


def rotary_table(stack: Stack, num_positions: int) -> tuple[Array, Array]:
    """Return cosines and sines of the rotary angles, (num_positions, D / 2) each, D the cache's width."""
    frequencies = stack.rotary_base ** -(np.arange(0, stack.head_width, 2) / stack.head_width)
    padding = (stack.cache_width - stack.head_width) // 2
    angles = np.arange(num_positions)[:, None] * np.pad(frequencies, (0, padding))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _require(config: Mapping[str, Any], key: str, values: tuple[Any, ...], default: Any) -> None:
    value = config.get(key, default)
    if value not in values:
        raise ValueError(f"{key} is {value!r}. Use a model with {key} {' or '.join(map(repr, values))}.")


#: Names of each architecture's parameters; those of a layer follow its prefix.
_NAMES: dict[str, dict[str, str]] = {
    "gpt_neox": {
        "embedding": "gpt_neox.embed_in",
        "final_norm": "gpt_neox.final_layer_norm",
        "layer": "gpt_neox.layers",
        "norm_1": "input_layernorm",
        "qkv": "attention.query_key_value",
        "out": "attention.dense",
        "norm_2": "post_attention_layernorm",
        "up": "mlp.dense_h_to_4h",
        "down": "mlp.dense_4h_to_h",
    },
    "gpt2": {
        "embedding": "transformer.wte",
        "final_norm": "transformer.ln_f",
        "layer": "transformer.h",
        "norm_1": "ln_1",
        "qkv": "attn.c_attn",
        "out": "attn.c_proj",
        "norm_2": "ln_2",
        "up": "mlp.c_fc",
        "down": "mlp.c_proj",
    },
}


class _Graph:
    """A graph under construction; most methods add nodes and return the name of what they compute."""

    def __init__(self, stack: Stack, weights: Weights, bits: Bits) -> None:
        self.stack, self.weights, self.bits, self.names = stack, weights, bits, _NAMES[stack.architecture]
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._sizes: dict[str, tuple[int, ...]] = {}  # of matrices: inputs and outputs
        self.inputs = [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["B", "N"]),
            helper.make_tensor_value_info("num_new", TensorProto.INT32, ["B"]),
            helper.make_tensor_value_info("last_index", TensorProto.INT32, ["B"]),
            helper.make_tensor_value_info("num_total", TensorProto.INT32, []),
        ]
        self.outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", stack.vocab_size])]

    def build(self) -> onnx.ModelProto:
        """Return the whole graph."""
        embedding = self._weight(f"{self.names['embedding']}.weight")
        x = self._node("Gather", [self._constant("embedding", embedding), "ids"])
        if self.stack.is_rotary:
            shape: list[str | int | None] = ["T", self.stack.cache_width // 2]
            self.inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("cos", "sin")]
        else:
            self.inputs.append(helper.make_tensor_value_info("positions", TensorProto.INT64, ["B", "N"]))
            table = self._constant("position_table", self._weight("transformer.wpe.weight"))
            x = self._node("Add", [x, self._node("Gather", [table, "positions"])])
        first = self._parameters(0, norm_1=self._pair(self._name(0, "norm_1")))
        normed = self._node("LayerNormalization", [x, *first["norm_1"]], axis=-1, epsilon=self.stack.norm_epsilon)
        for index in range(self.stack.num_layers):
            x, normed = self._layer(index, x, normed)
        self.constants.append(numpy_helper.from_array(np.array(-1, np.int64), "last"))
        last = self._node("Gather", [normed, "last"], axis=1)
        head = embedding if self.stack.is_head_tied else self._weight("lm_head.weight", "embed_out.weight")
        self._product(last, self._matrix("head", head.T), ["logits"])
        graph = helper.make_graph(self.nodes, "descant", self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid(*each) for each in OPSETS]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)

    def _layer(self, index: int, x: str, normed: str) -> tuple[str, str]:
        """Add a layer to a residual stream and its norm; return the next stream and its norm."""
        stack, is_last = self.stack, index + 1 == self.stack.num_layers
        qkv_weight, qkv_bias = self._linear(index, "qkv", has_bias=stack.has_attention_bias)
        out_weight, out_bias = self._linear(index, "out", has_bias=stack.has_attention_bias)
        out_by_head = out_weight.T.reshape(stack.width, stack.num_heads, stack.head_width)
        layer = self._parameters(
            index,
            qkv=(self._packed(qkv_weight), self._packed(qkv_bias)),
            out=(self._padded(out_by_head).reshape(stack.width, -1).T, out_bias),
            norm_2=self._pair(self._name(index, "norm_2")),
            up=self._linear(index, "up"),
            down=self._linear(index, "down"),
            next_norm=self._pair(self.names["final_norm"] if is_last else self._name(index + 1, "norm_1")),
        )
        packed_qkv = self._node("Add", [self._product(normed, layer["qkv"][0]), layer["qkv"][1]])
        scales = self._cache_scales(index, self._packed(qkv_weight), self._packed(qkv_bias)) if self.bits == 8 else {}
        attended = self._attention(index, packed_qkv, scales)
        x, normed = self._residual_norm(x, attended, layer["out"], layer["norm_2"])
        up = self._node("FastGelu", [self._product(normed, layer["up"][0]), layer["up"][1]], domain=_CONTRIB)
        return self._residual_norm(x, up, layer["down"], layer["next_norm"])

    def _attention(self, index: int, packed_qkv: str, scales: Mapping[str, Array]) -> str:
        """Add the attention of a layer; `scales` are those of keys and values in 8 bits."""
        stack, number = self.stack, TensorProto.INT8 if scales else TensorProto.FLOAT
        shape: list[str | int | None] = ["B", stack.num_heads, "T", stack.cache_width]
        for kind in ("key", "value"):
            self.inputs.append(helper.make_tensor_value_info(f"past_{kind}_{index}", number, shape))
            self.outputs.append(helper.make_tensor_value_info(f"{kind}_{index}", number, shape))
        tables = ["cos", "sin"] if stack.is_rotary else ["", ""]
        scale_names = [self._constant(f"{name}_{index}", values) for name, values in scales.items()] or ["", ""]
        quantization = {"k_quant_type": "PER_CHANNEL", "v_quant_type": "PER_CHANNEL", "kv_cache_bit_width": 8}
        pasts = [f"past_key_{index}", f"past_value_{index}"]
        return self._node(
            "GroupQueryAttention",
            [
                packed_qkv,
                "",
                "",
                *pasts,
                "last_index",
                "num_total",
                *tables,
                *[""] * 3,
                *scale_names,
                "",
                "",
                "num_new",
            ],
            [f"attended_{index}", f"key_{index}", f"value_{index}"],
            domain=_CONTRIB,
            num_heads=stack.num_heads,
            kv_num_heads=stack.num_heads,
            do_rotary=int(stack.is_rotary),
            scale=stack.head_width**-0.5,
            **(quantization if scales else {}),
        )

    def _cache_scales(self, index: int, weight: Array, bias: Array) -> dict[str, Array]:
        """Return the largest keys and values that a layer can have, divided by the largest int8, (1, H, 1, D) each.

        Args:
            index: The layer.
            weight: From its normed inputs to queries, keys and values, (C, 3HD).
            bias: Added to them, (3HD,).
        """
        gain, shift = self._pair(self._name(index, "norm_1"))
        spread = self.stack.width**0.5 * np.linalg.norm(gain[:, None] * weight, axis=0)
        most = np.maximum(spread + np.abs(shift @ weight + bias), np.finfo(np.float32).tiny * _INT8_MAX)
        _, keys, values = most.reshape(3, 1, self.stack.num_heads, 1, self.stack.cache_width)
        if self.stack.is_rotary:
            keys = np.tile(np.hypot(*np.split(keys, 2, axis=-1)), 2)
        return {"key_scale": keys / _INT8_MAX, "value_scale": values / _INT8_MAX}

    def _residual_norm(self, x: str, inner: str, linear: Names, norm: Names) -> tuple[str, str]:
        """Add the result of a linear map to the residual stream; return the stream and its norm."""
        normed, total = f"normed_{len(self.nodes)}", f"total_{len(self.nodes)}"
        self._node(
            "SkipLayerNormalization",
            [x, self._product(inner, linear[0]), *norm, linear[1]],
            [normed, "", "", total],
            domain=_CONTRIB,
            epsilon=self.stack.norm_epsilon,
        )
        return total, normed

    def _product(self, x: str, matrix: str, outputs: Sequence[str] = ()) -> str:
        """Multiply by a matrix that `_matrix` added."""
        if self.bits == 32:
            return self._node("MatMul", [x, matrix], outputs)
        inputs, width = self._sizes[matrix]
        return self._node(
            "MatMulNBits",
            [x, matrix, f"{matrix}_scale"],
            outputs,
            domain=_CONTRIB,
            K=inputs,
            N=width,
            bits=8,
            block_size=_BLOCK,
            accuracy_level=_INT8_INPUTS,
        )

    def _node(
        self, kind: str, inputs: list[str], outputs: Sequence[str] = (), domain: str = "", **attributes: Any
    ) -> str:
        """Add a node; return its first output."""
        outputs = outputs or [f"{kind.lower()}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def _parameters(self, index: int, **parameters: tuple[Array, Array]) -> dict[str, Names]:
        """Add weights and biases of a layer as constants; return their names by role."""
        for role, (weight, bias) in parameters.items():
            has_other_size = role not in ("qkv", "up") and len(bias) != self.stack.width
            if has_other_size or bias.shape != weight.shape[-1:]:  # onnxruntime reads beyond the end of a short bias
                raise ValueError(f"The parameters {role} of layer {index} have another size. Restore the weights.")
        return {
            role: (self._matrix(f"{role}_{index}", weight), self._constant(f"{role}_bias_{index}", bias))
            for role, (weight, bias) in parameters.items()
        }

    def _matrix(self, name: str, values: Array) -> str:
        """Add a matrix (inputs, outputs), in 8 bits with a scale for each block of inputs; or a vector as it is."""
        if self.bits == 32 or values.ndim == 1:
            return self._constant(name, values)
        inputs, width = self._sizes[name] = values.shape
        padded = np.pad(values, ((0, -inputs % _BLOCK), (0, 0)))
        blocks = padded.T.reshape(width, -1, _BLOCK)
        scale = np.maximum(np.abs(blocks).max(axis=-1), np.finfo(np.float32).tiny * _INT8_MAX) / _INT8_MAX
        rounded = np.rint(blocks / scale[..., None]) + (_INT8_MAX + 1)
        self._constant(f"{name}_scale", scale)
        return self._constant(name, rounded.astype(np.uint8))

    def _constant(self, name: str, values: npt.NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _name(self, index: int, role: str) -> str:
        return f"{self.names['layer']}.{index}.{self.names[role]}"

    def _packed(self, values: Array) -> Array:
        """Arrange (..., 3HD) as queries, keys and values of all heads, each head of the cache's width."""
        heads, width = self.stack.num_heads, self.stack.head_width
        if self.stack.is_rotary:  # GPT-NeoX interleaves: query, key and value of the first head, then of the second
            by_kind = values.reshape(*values.shape[:-1], heads, 3, width).swapaxes(-3, -2)
        else:
            by_kind = values.reshape(*values.shape[:-1], 3, heads, width)
        return self._padded(by_kind).reshape(*values.shape[:-1], -1)

    def _padded(self, values: Array) -> Array:
        """Widen the last axis from a head's width to the cache's; rotation pairs the two halves of a head."""
        half, middle = self.stack.head_width // 2, self.stack.cache_width // 2
        wide = np.zeros((*values.shape[:-1], self.stack.cache_width), np.float32)
        wide[..., :half] = values[..., :half]
        wide[..., middle : middle + self.stack.head_width - half] = values[..., half:]
        return wide

    def _linear(self, index: int, role: str, *, has_bias: bool = True) -> tuple[Array, Array]:
        """Return a layer's matrix as (inputs, outputs), which GPT-NeoX stores transposed, and its bias."""
        weight, bias = self._pair(self._name(index, role), has_bias=has_bias)
        return weight.T if self.stack.architecture == "gpt_neox" else weight, bias

    def _pair(self, name: str, *, has_bias: bool = True) -> tuple[Array, Array]:
        weight = self._weight(f"{name}.weight")
        return weight, self._weight(f"{name}.bias") if has_bias else np.zeros(len(weight), np.float32)

    def _weight(self, *names: str) -> Array:
        """Return a parameter, by the first of its possible names that exists."""
        name = next((name for name in names if name in self.weights), names[0])
        return np.asarray(self.weights[name], dtype=np.float32)
