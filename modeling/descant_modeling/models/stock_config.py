"""Stock configurations that Descant runs: the keys of `config.json`, their ranges, and the parameters that they imply.

A folder of somebody else's may hold anything. It is checked against these tables before transformers sees it, which
builds whatever a configuration asks for: a million layers, other code, quantized weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from descant_modeling.common.config import Constraint
from descant_tokenizers.common.files import read_json

CONFIG_FILE = "config.json"
_MAX_TEXT = 200
_WEIGHT_TYPES = ("F64", "F32", "F16", "BF16")


def _whole(low: int, high: int) -> Constraint:
    return Constraint(lambda value: type(value) is int and low <= value <= high, f"give {low} to {high:,}")


def _number(low: float, high: float) -> Constraint:
    return Constraint(lambda value: type(value) in (int, float) and low <= value <= high, f"give {low:g} to {high:g}")


def _one_of(*values: Any) -> Constraint:
    def holds(value: Any) -> bool:
        return any(type(value) is type(own) and value == own for own in values)

    return Constraint(holds, f"give {' or '.join(map(repr, values))}")


_SIZE, _TOKEN = _whole(1, 65_536), _whole(0, 2**20)
_LAYERS, _HEADS, _POSITIONS = _whole(1, 256), _whole(1, 1_024), _whole(1, 2**20)
_SHARE, _EPSILON, _BASE = _number(0, 1), _number(1e-12, 0.1), _number(1, 1e9)
_TRUTH, _TEXT = _one_of(True, False), Constraint(lambda value: isinstance(value, str), "give a text")
_DTYPE = _one_of("float32", "float16", "bfloat16", None)
_ACTIVATION = _one_of("gelu_pytorch_tanh", "gelu_new", "gelu_fast")

_COMMON: dict[str, Constraint] = {
    **{"vocab_size": _whole(1, 2**20), "initializer_range": _SHARE, "tie_word_embeddings": _TRUTH},
    **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), _TOKEN),
    **dict.fromkeys(("dtype", "torch_dtype"), _DTYPE),
    **dict.fromkeys(("transformers_version", "_name_or_path", "model_type"), _TEXT),
    **{"use_cache": _TRUTH, "is_decoder": _one_of(False), "add_cross_attention": _one_of(False)},
}
_KEYS: dict[str, dict[str, Constraint]] = {
    "gpt_neox": {
        **_COMMON,
        **{"num_hidden_layers": _LAYERS, "num_attention_heads": _HEADS, "hidden_size": _SIZE},
        **{"intermediate_size": _SIZE, "max_position_embeddings": _POSITIONS, "layer_norm_eps": _EPSILON},
        **dict.fromkeys(("attention_dropout", "hidden_dropout", "classifier_dropout"), _SHARE),
        **{"architectures": _one_of(["GPTNeoXForCausalLM"]), "hidden_act": _ACTIVATION, "attention_bias": _TRUTH},
        **{"use_parallel_residual": _one_of(False), "rotary_pct": _one_of(1.0), "rotary_emb_base": _BASE},
        **{"rope_parameters": Constraint(lambda value: _is_plain_rope(value), "give plain full rotary positions")},
    },
    "gpt2": {
        **_COMMON,
        **{"n_layer": _LAYERS, "n_head": _HEADS, "n_embd": _SIZE, "n_positions": _POSITIONS},
        **{"n_inner": Constraint(lambda value: value is None or _SIZE.holds(value), _SIZE.remedy)},
        **dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop", "summary_first_dropout"), _SHARE),
        **{"architectures": _one_of(["GPT2LMHeadModel"]), "activation_function": _ACTIVATION},
        **{"layer_norm_epsilon": _EPSILON, "scale_attn_weights": _one_of(True)},
        **dict.fromkeys(("scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"), _one_of(False)),
        **{"summary_activation": _one_of(None), "summary_type": _TEXT},
        **dict.fromkeys(("summary_proj_to_labels", "summary_use_proj"), _TRUTH),
    },
}
"""Keys of each model type and what they may hold; every other key is refused."""

_NEEDED = {
    "gpt_neox": "vocab_size num_hidden_layers num_attention_heads hidden_size intermediate_size "
    "max_position_embeddings",
    "gpt2": "vocab_size n_layer n_head n_embd n_positions",
}

_WIDTH_AND_HEADS = {"gpt_neox": ("hidden_size", "num_attention_heads"), "gpt2": ("n_embd", "n_head")}


def _is_plain_rope(value: Any) -> bool:
    rules = {"rope_type": _one_of("default"), "rope_theta": _BASE, "partial_rotary_factor": _one_of(1.0)}
    return isinstance(value, dict) and value.keys() == rules.keys() and all(rules[k].holds(v) for k, v in value.items())


def read_stock_config(path: Path) -> dict[str, Any]:
    """Read and check a `config.json`.

    Raises:
        ValueError: It is not JSON, a key is missing or unknown, or a value is out of range.
        OSError: It cannot be read.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} is not an object")
    kind = values.get("model_type")
    if not isinstance(kind, str) or kind not in _KEYS:
        raise ValueError(f"its model_type is {_short(kind)}, not {' or '.join(_KEYS)}")
    rules = _KEYS[kind]
    for key, value in values.items():
        if key not in rules:
            raise ValueError(f"{path.name} has the key {_short(key)}, which no such model has")
        if not rules[key].holds(value):
            raise ValueError(f"{key} is {_short(value)} instead of {rules[key].remedy.removeprefix('give ')}")
    missing = [key for key in _NEEDED[kind].split() if key not in values]
    if missing:
        raise ValueError(f"{path.name} has no {missing[0]}")
    width, heads = (values[key] for key in _WIDTH_AND_HEADS[kind])
    if width % (heads if kind == "gpt2" else 2 * heads):  # rotary positions turn pairs
        raise ValueError(f"{heads} heads do not divide the width {width}")
    return values


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."


def check_weights(path: Path, config: Mapping[str, Any]) -> None:
    """Compare the parameters in a file of weights with those that a configuration implies, name by name.

    Raises:
        ValueError: Some are missing, surplus, or of another size or type.
        SafetensorError: The file is damaged.
        OSError: It cannot be read.
    """
    expected = dict(_neox_parameters(config) if config["model_type"] == "gpt_neox" else _gpt2_parameters(config))
    with safe_open(path, framework="numpy") as file:
        found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        shapes = {name: tuple(part.get_shape()) for name, part in found.items()}
        types = {str(part.get_dtype()) for part in found.values()}
    if shapes != expected:
        name = min(name for name in shapes.keys() | expected.keys() if shapes.get(name) != expected.get(name))
        raise ValueError(f"parameters are missing or have another size, first {_short(name)}")
    if not types <= set(_WEIGHT_TYPES):
        raise ValueError(f"parameters are of type {', '.join(sorted(types))}")


def _neox_parameters(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and size of each parameter of a GPT-NeoX."""
    width, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    yield "gpt_neox.embed_in.weight", (vocab, width)
    yield from _affine("gpt_neox.final_layer_norm", (width,))
    if not config.get("tie_word_embeddings", False):
        yield "embed_out.weight", (vocab, width)
    has_bias = config.get("attention_bias", True)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"gpt_neox.layers.{layer}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield from _affine(f"{prefix}.{norm}", (width,))
        yield from _affine(f"{prefix}.attention.query_key_value", (3 * width, width), bias=3 * width * has_bias)
        yield from _affine(f"{prefix}.attention.dense", (width, width), bias=width * has_bias)
        yield from _affine(f"{prefix}.mlp.dense_h_to_4h", (inner, width), bias=inner)
        yield from _affine(f"{prefix}.mlp.dense_4h_to_h", (width, inner), bias=width)


def _gpt2_parameters(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and size of each parameter of a GPT-2, whose matrices are transposed."""
    width = config["n_embd"]
    inner = config.get("n_inner") or 4 * width
    yield "transformer.wte.weight", (config["vocab_size"], width)
    yield "transformer.wpe.weight", (config["n_positions"], width)
    yield from _affine("transformer.ln_f", (width,))
    if not config.get("tie_word_embeddings", True):
        yield "lm_head.weight", (config["vocab_size"], width)
    for layer in range(config["n_layer"]):
        prefix = f"transformer.h.{layer}"
        for norm in ("ln_1", "ln_2"):
            yield from _affine(f"{prefix}.{norm}", (width,))
        yield from _affine(f"{prefix}.attn.c_attn", (width, 3 * width), bias=3 * width)
        yield from _affine(f"{prefix}.attn.c_proj", (width, width), bias=width)
        yield from _affine(f"{prefix}.mlp.c_fc", (width, inner), bias=inner)
        yield from _affine(f"{prefix}.mlp.c_proj", (inner, width), bias=width)


def _affine(name: str, shape: tuple[int, ...], *, bias: int | None = None) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield a weight and its bias, which has the weight's size by default; 0 for none."""
    yield f"{name}.weight", shape
    if bias is None or bias:
        yield f"{name}.bias", shape if bias is None else (bias,)
