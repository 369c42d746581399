"""The ONNX graph of a checkpoint: one call of the model, with keys and values passed in and out.

Inputs: `ids` (B, N), the tokens to append; `num_past` (B,), the tokens of each row after the call, less one, as
`GroupQueryAttention` counts them; `num_total`, the most tokens of any row after it; for each layer i `past_key_i` and
`past_value_i`, (B, H, T, D); and `cos` and `sin`, (T, D / 2), of a rotary model, `positions`, (B, N), of any other.
Outputs: `logits` (B, V) after the last appended token; `key_i` and `value_i`, to be bound to the memory of the pasts.

Operators: ONNX opset 20 and com.microsoft 1 (onnxruntime's contrib operators).

Shapes: B rows, N new tokens, T tokens a row has room for, C width, H heads, D head width, V vocabulary, L layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Stack", "build_graph", "read_stack", "rotary_table"]

Array = npt.NDArray[np.float32]
Weights = Mapping[str, npt.NDArray[Any]]
"""Parameters by their names in the stock class."""

OPSETS = (("", 20), ("com.microsoft", 1))
IR_VERSION = 10
_HEAD_MULTIPLE = 16
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
        rotary_base: Base of the rotary frequencies; 0 if positions are learned.
    """

    architecture: str
    num_layers: int
    num_heads: int
    width: int
    vocab_size: int
    max_positions: int
    norm_epsilon: float
    rotary_base: float = 0.0

    @property
    def head_width(self) -> int:
        """Width of a head."""
        return self.width // self.num_heads

    @property
    def cache_width(self) -> int:
        """Width of a head's keys and values in memory: onnxruntime turns heads of a multiple of 16 only."""
        return -(-self.head_width // _HEAD_MULTIPLE) * _HEAD_MULTIPLE

    @property
    def is_rotary(self) -> bool:
        """True if positions turn queries and keys, False if they are learned."""
        return self.rotary_base > 0


def read_stack(config: Mapping[str, Any]) -> Stack:
    """Read the contents of a `config.json` of transformers.

    Raises:
        ValueError: A model or an option that the graph does not support.
    """
    kind = config.get("model_type")
    if kind == "gpt_neox":
        rope = config.get("rope_parameters") or {}
        share = rope.get("partial_rotary_factor", config.get("rotary_pct", 0.25))
        _require(config, "use_parallel_residual", (False,), default=True)
        _require(config, "hidden_act", _TANH_GELU, default="gelu")
        if share != 1.0 or rope.get("rope_type", "default") != "default":
            raise ValueError("Rotary positions are partial or scaled. Use a model with plain full rotary positions.")
        return Stack(
            architecture=kind,
            num_layers=config["num_hidden_layers"],
            num_heads=config["num_attention_heads"],
            width=config["hidden_size"],
            vocab_size=config["vocab_size"],
            max_positions=config["max_position_embeddings"],
            norm_epsilon=config.get("layer_norm_eps", 1e-5),
            rotary_base=float(rope.get("rope_theta", config.get("rotary_emb_base", 10_000))),
        )
    if kind == "gpt2":
        _require(config, "activation_function", _TANH_GELU, default="gelu_new")
        _require(config, "scale_attn_weights", (True,), default=True)
        _require(config, "scale_attn_by_inverse_layer_idx", (False,), default=False)
        return Stack(
            architecture=kind,
            num_layers=config["n_layer"],
            num_heads=config["n_head"],
            width=config["n_embd"],
            vocab_size=config["vocab_size"],
            max_positions=config["n_positions"],
            norm_epsilon=config.get("layer_norm_epsilon", 1e-5),
        )
    raise ValueError(f"The model type is {kind!r}. Use a model of type gpt_neox or gpt2.")


def build_graph(stack: Stack, weights: Weights) -> onnx.ModelProto:
    """Build the graph of a model.

    Args:
        stack: Its sizes.
        weights: Its parameters; tied output weights may be left out.

    Raises:
        KeyError: A parameter is missing.
    """
    return _Graph(stack, weights).build()


def rotary_table(stack: Stack, num_positions: int) -> tuple[Array, Array]:
    """Return cosines and sines of the rotary angles, (num_positions, D / 2) each."""
    frequencies = stack.rotary_base ** -(np.arange(0, stack.head_width, 2) / stack.head_width)
    padding = (stack.cache_width - stack.head_width) // 2
    angles = np.arange(num_positions)[:, None] * np.pad(frequencies, (0, padding))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _require(config: Mapping[str, Any], key: str, values: tuple[Any, ...], default: Any) -> None:
    value = config.get(key, default)
    if value not in values:
        raise ValueError(f"{key} is {value!r}. Use a model with {key} {' or '.join(map(repr, values))}.")


class _Graph:
    """A graph under construction; each method adds nodes and returns the name of what they compute."""

    def __init__(self, stack: Stack, weights: Weights) -> None:
        self.stack, self.weights = stack, weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs = [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["B", "N"]),
            helper.make_tensor_value_info("num_past", TensorProto.INT32, ["B"]),
            helper.make_tensor_value_info("num_total", TensorProto.INT32, []),
        ]
        self.outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", stack.vocab_size])]

    def build(self) -> onnx.ModelProto:
        x, normed = self._embedded()
        layers = self._neox_layers() if self.stack.architecture == "gpt_neox" else self._gpt2_layers()
        for index, layer in enumerate(layers):
            attended = self._attention(
                index, self._node("Add", [self._product(normed, layer, "qkv"), layer["qkv_bias"]])
            )
            x, normed = self._residual_norm(
                x, self._product(attended, layer, "out"), layer["out_bias"], layer, "norm_2"
            )
            up = self._node("FastGelu", [self._product(normed, layer, "up"), layer["up_bias"]], "com.microsoft")
            x, normed = self._residual_norm(x, self._product(up, layer, "down"), layer["down_bias"], layer, "next_norm")
        self.constants.append(numpy_helper.from_array(np.array(-1, np.int64), "last"))
        last = self._node("Gather", [normed, "last"], axis=1)
        self._node("MatMul", [last, self._constant("head", self._head().T)], output="logits")
        graph = helper.make_graph(self.nodes, "descant", self.inputs, self.outputs, self.constants)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid(*each) for each in OPSETS], ir_version=IR_VERSION
        )

    def _embedded(self) -> tuple[str, str]:
        """Embed the ids; return the residual stream and its first norm."""
        is_rotary = self.stack.is_rotary
        table = "gpt_neox.embed_in.weight" if is_rotary else "transformer.wte.weight"
        x = self._node("Gather", [self._constant("embedding", self._weight(table)), "ids"])
        first = "gpt_neox.layers.0.input_layernorm" if is_rotary else "transformer.h.0.ln_1"
        if is_rotary:
            shape: list[str | int | None] = ["T", self.stack.cache_width // 2]
            self.inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("cos", "sin")]
        else:
            self.inputs.append(helper.make_tensor_value_info("positions", TensorProto.INT64, ["B", "N"]))
            places = self._constant("places", self._weight("transformer.wpe.weight"))
            x = self._node("Add", [x, self._node("Gather", [places, "positions"])])
        normed = self._node(
            "LayerNormalization",
            [x, self._constant("first_norm", self._weight(f"{first}.weight")),
             self._constant("first_norm_bias", self._weight(f"{first}.bias"))],
            axis=-1,
            epsilon=self.stack.norm_epsilon,
        )  # fmt: skip
        return x, normed

    def _attention(self, index: int, packed_qkv: str) -> str:
        shape: list[str | int | None] = ["B", self.stack.num_heads, "T", self.stack.cache_width]
        for kind in ("key", "value"):
            self.inputs.append(helper.make_tensor_value_info(f"past_{kind}_{index}", TensorProto.FLOAT, shape))
            self.outputs.append(helper.make_tensor_value_info(f"{kind}_{index}", TensorProto.FLOAT, shape))
        inputs = [packed_qkv, "", "", f"past_key_{index}", f"past_value_{index}", "num_past", "num_total"]
        attended = f"attended_{index}"
        self.nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                inputs + (["cos", "sin"] if self.stack.is_rotary else []),
                [attended, f"key_{index}", f"value_{index}"],
                domain="com.microsoft",
                num_heads=self.stack.num_heads,
                kv_num_heads=self.stack.num_heads,
                do_rotary=int(self.stack.is_rotary),
                scale=self.stack.head_width**-0.5,
            )
        )
        return attended

    def _residual_norm(self, x: str, update: str, bias: str, layer: Mapping[str, str], norm: str) -> tuple[str, str]:
        """Add an update and its bias to the residual stream; return the stream and its norm."""
        normed, total = f"normed_{len(self.nodes)}", f"total_{len(self.nodes)}"
        inputs = [x, update, layer[norm], layer[f"{norm}_bias"], bias]
        self.nodes.append(
            helper.make_node(
                "SkipLayerNormalization",
                inputs,
                [normed, "", "", total],
                domain="com.microsoft",
                epsilon=self.stack.norm_epsilon,
            )
        )
        return total, normed

    def _neox_layers(self) -> Iterable[Mapping[str, str]]:
        stack = self.stack
        for index in range(stack.num_layers):
            own = f"gpt_neox.layers.{index}"
            is_last = index + 1 == stack.num_layers
            # GPT-NeoX interleaves: query, key and value of the first head, then of the second.
            by_head = (stack.num_heads, 3, stack.head_width)
            qkv = self._weight(f"{own}.attention.query_key_value.weight").reshape(*by_head, stack.width)
            qkv_bias = self._bias(f"{own}.attention.query_key_value").reshape(by_head)
            yield self._layer(
                index,
                qkv=self._packed(np.moveaxis(qkv, 3, 0).swapaxes(1, 2), qkv_bias.swapaxes(0, 1)),
                out=self._spread(*self._linear(f"{own}.attention.dense")),
                norm_2=self._pair(f"{own}.post_attention_layernorm"),
                up=self._linear(f"{own}.mlp.dense_h_to_4h"),
                down=self._linear(f"{own}.mlp.dense_4h_to_h"),
                next_norm=self._pair(
                    "gpt_neox.final_layer_norm" if is_last else f"gpt_neox.layers.{index + 1}.input_layernorm"
                ),
            )

    def _gpt2_layers(self) -> Iterable[Mapping[str, str]]:
        for index in range(self.stack.num_layers):
            own = f"transformer.h.{index}"
            is_last = index + 1 == self.stack.num_layers
            qkv, qkv_bias = self._pair(f"{own}.attn.c_attn")
            by_kind = (3, self.stack.num_heads, self.stack.head_width)
            yield self._layer(
                index,
                qkv=self._packed(qkv.reshape(-1, *by_kind), qkv_bias.reshape(by_kind)),
                out=self._spread(*self._pair(f"{own}.attn.c_proj")),
                norm_2=self._pair(f"{own}.ln_2"),
                up=self._pair(f"{own}.mlp.c_fc"),
                down=self._pair(f"{own}.mlp.c_proj"),
                next_norm=self._pair("transformer.ln_f" if is_last else f"transformer.h.{index + 1}.ln_1"),
            )

    def _packed(self, weight_C3HD: Array, bias_3HD: Array) -> tuple[Array, Array]:
        """Return the projection to queries, keys and values, each a run of heads of the cache's width."""
        weight, bias = self._padded(weight_C3HD), self._padded(bias_3HD)
        return weight.reshape(len(weight), -1), bias.reshape(-1)

    def _spread(self, weight_DC: Array, bias: Array) -> tuple[Array, Array]:
        """Return the projection from heads of the cache's width."""
        stack = self.stack
        by_head = weight_DC.T.reshape(stack.width, stack.num_heads, stack.head_width)
        return self._padded(by_head).reshape(stack.width, -1).T, bias

    def _padded(self, values: Array) -> Array:
        """Widen the last axis from a head's width to the cache's; rotation pairs the two halves of a head."""
        stack = self.stack
        half, wide = stack.head_width // 2, np.zeros((*values.shape[:-1], stack.cache_width), np.float32)
        middle = stack.cache_width // 2
        wide[..., :half] = values[..., :half]
        wide[..., middle : middle + stack.head_width - half] = values[..., half:]
        return wide

    def _layer(self, index: int, **parameters: tuple[Array, Array]) -> Mapping[str, str]:
        """Add the parameters of a layer as constants, matrices as (inputs, outputs); return their names by role."""
        names = {}
        for role, (weight, bias) in parameters.items():
            names[role] = self._constant(f"{role}_{index}", weight)
            names[f"{role}_bias"] = self._constant(f"{role}_bias_{index}", bias)
        return names

    def _head(self) -> Array:
        """Return the output weights, (V, C): the embedding where they are tied."""
        tied = "gpt_neox.embed_in.weight" if self.stack.is_rotary else "transformer.wte.weight"
        return self._weight(
            next((name for name in ("lm_head.weight", "embed_out.weight") if name in self.weights), tied)
        )

    def _pair(self, name: str) -> tuple[Array, Array]:
        return self._weight(f"{name}.weight"), self._bias(name)

    def _bias(self, name: str) -> Array:
        """Return a bias, zeros where the model has none."""
        if f"{name}.bias" in self.weights:
            return self._weight(f"{name}.bias")
        return np.zeros(len(self.weights[f"{name}.weight"]), np.float32)

    def _linear(self, name: str) -> tuple[Array, Array]:
        weight, bias = self._pair(name)
        return weight.T, bias

    def _weight(self, name: str) -> Array:
        return np.asarray(self.weights[name], dtype=np.float32)

    def _constant(self, name: str, values: Array) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _product(self, x: str, layer: Mapping[str, str], role: str) -> str:
        return self._node("MatMul", [x, layer[role]])

    def _node(self, kind: str, inputs: list[str], domain: str = "", output: str = "", **attributes: Any) -> str:
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output
