"""The weights of the two stock models in one form, for the decoding forward pass.

Shapes: C width, H heads, D head width, F inner width of the MLP, V vocabulary, S rows of a product, K parts of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

#: Into so many parts the MLP's products are split, if its width allows.
_NUM_PARTS = 4


@dataclass(frozen=True)
class Norm:
    """Layer normalization."""

    weight: Tensor
    bias: Tensor
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        """Normalize the last dimension."""
        return torch.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)


@dataclass(frozen=True)
class Affine:
    """Matrix product and bias.

    Attributes:
        matrix: (inputs, outputs), contiguous.
        bias: (outputs,).
    """

    matrix: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Map rows of inputs to rows of outputs."""
        return torch.addmm(self.bias, x, self.matrix)


@dataclass(frozen=True)
class Spreading:
    """Matrix product and bias, whose outputs come in K equal parts.

    MKL hardly uses a second core where a product has few rows; a batch of products it does spread over all of them
    (8 x 256 x 1024 on two cores: 41 instead of 77 microseconds).

    Attributes:
        matrices: (K, inputs, outputs / K), contiguous.
        biases: (K, 1, outputs / K).
    """

    matrices: Tensor
    biases: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Map rows of inputs, (S, inputs), to rows of outputs, (K, S, outputs / K)."""
        return torch.baddbmm(self.biases, x.expand(len(self.matrices), *x.shape), self.matrices)


@dataclass(frozen=True)
class Gathering:
    """Matrix product and bias, whose inputs come in K equal parts; see :class:`Spreading`.

    Attributes:
        matrices: (K, inputs / K, outputs), contiguous.
        biases: (K, 1, outputs), what the parts add up to.
    """

    matrices: Tensor
    biases: Tensor

    def __call__(self, parts: Tensor) -> Tensor:
        """Map rows of inputs, (K, S, inputs / K), to rows of outputs, (S, outputs)."""
        return torch.baddbmm(self.biases, parts, self.matrices).sum(0)


@dataclass(frozen=True)
class Layer:
    """One block with sequential residuals.

    Attributes:
        norm_1: Before attention.
        qkv: C to (q, k, v) x H parts of D; queries are scaled. For rotary positions, values that rotate together are
            neighbours within a head.
        out: C to C, after attention.
        norm_2: Before the MLP.
        up: C to F in parts.
        activation: Elementwise.
        down: F in parts to C.
    """

    norm_1: Norm
    qkv: Spreading
    out: Affine
    norm_2: Norm
    up: Spreading
    activation: Callable[[Tensor], Tensor]
    down: Gathering


@dataclass(frozen=True)
class Weights:
    """A stock model; either ``positions`` or ``inverse_frequencies`` is None.

    Attributes:
        embedding: (V, C).
        positions: GPT-2's table of absolute positions, (positions, C).
        inverse_frequencies: Of rotary positions, (D / 2,).
        layers: The blocks.
        norm: Before the head.
        head: (V, C).
        num_heads: Attention heads.
    """

    embedding: Tensor
    positions: Tensor | None
    inverse_frequencies: Tensor | None
    layers: list[Layer]
    norm: Norm
    head: Tensor
    num_heads: int


def read_weights(model: PreTrainedModel) -> Weights:
    """Read a ``GPTNeoXForCausalLM`` or a ``GPT2LMHeadModel``; what needs no other order in memory is shared with it.

    Raises:
        ValueError: Another class, or a configuration of these two that is not supported.
    """
    kind = model.config.model_type
    if kind == "gpt_neox":
        return _read_gpt_neox(model)
    if kind == "gpt2":
        return _read_gpt2(model)
    raise ValueError(f"model type {kind!r} has no decoding pass here: give a gpt_neox or a gpt2 model")


def _read_gpt_neox(model: Any) -> Weights:
    config, body = model.config, model.gpt_neox
    rope = config.rope_parameters
    if config.use_parallel_residual:
        raise ValueError("use_parallel_residual is true: give a gpt_neox model with sequential residuals")
    if rope["rope_type"] != "default" or rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError(f"rope_parameters are {rope}: give a gpt_neox model of rope_type default and rotary_pct 1.0")
    return Weights(
        embedding=body.embed_in.weight.detach(),
        positions=None,
        inverse_frequencies=body.rotary_emb.inv_freq.to(torch.promote_types(model.dtype, torch.float32)),
        layers=[_read_gpt_neox_layer(block, config) for block in body.layers],
        norm=_norm(body.final_layer_norm),
        head=model.lm_head.weight.detach(),
        num_heads=config.num_attention_heads,
    )


def _read_gpt_neox_layer(block: Any, config: Any) -> Layer:
    return Layer(
        norm_1=_norm(block.input_layernorm),
        qkv=_heads(
            _neighbouring(_linear(block.attention.query_key_value), config.num_attention_heads),
            config.num_attention_heads,
            block.attention.scaling,
        ),
        out=_linear(block.attention.dense),
        norm_2=_norm(block.post_attention_layernorm),
        up=_spreading(_linear(block.mlp.dense_h_to_4h), _num_parts(config.intermediate_size)),
        activation=_activation(block.mlp.act, config.hidden_act),
        down=_gathering(_linear(block.mlp.dense_4h_to_h), _num_parts(config.intermediate_size)),
    )


def _neighbouring(fused: Affine, num_heads: int) -> Affine:
    """Reorder a fused projection from (H, q k v, D) outputs to (q k v, H, D).

    GPT-NeoX rotates value i of a head with value i + D / 2. Here the two become neighbours: dot products do not notice.
    """
    order = torch.arange(len(fused.bias), device=fused.bias.device).view(num_heads, 3, 2, -1)
    queries_keys = order[:, :2].permute(1, 0, 3, 2).flatten()
    order = torch.cat([queries_keys, order[:, 2].flatten()])
    return Affine(fused.matrix[:, order], fused.bias[order])


def _heads(fused: Affine, num_heads: int, scale: float) -> Spreading:
    """Split a fused projection with (q k v, H, D) outputs into heads, the attention's scale in the queries."""
    qkv = _spreading(fused, 3 * num_heads)
    scales = qkv.biases.new_ones(3 * num_heads, 1, 1)
    scales[:num_heads] = scale
    return Spreading(qkv.matrices * scales, qkv.biases * scales)


def _num_parts(width: int) -> int:
    return math.gcd(_NUM_PARTS, width)


def _spreading(affine: Affine, num_parts: int) -> Spreading:
    matrices = affine.matrix.view(len(affine.matrix), num_parts, -1).transpose(0, 1).contiguous()
    return Spreading(matrices, affine.bias.view(num_parts, 1, -1))


def _gathering(affine: Affine, num_parts: int) -> Gathering:
    biases = affine.bias.new_zeros(num_parts, 1, len(affine.bias))
    biases[0] = affine.bias
    return Gathering(affine.matrix.view(num_parts, -1, len(affine.bias)), biases)


def _read_gpt2(model: Any) -> Weights:
    config, body = model.config, model.transformer
    if config.add_cross_attention:
        raise ValueError("add_cross_attention is true: give a gpt2 model without cross-attention")
    return Weights(
        embedding=body.wte.weight.detach(),
        positions=body.wpe.weight.detach(),
        inverse_frequencies=None,
        layers=[_read_gpt2_layer(block, config) for block in body.h],
        norm=_norm(body.ln_f),
        head=model.lm_head.weight.detach(),
        num_heads=config.n_head,
    )


def _read_gpt2_layer(block: Any, config: Any) -> Layer:
    num_parts = _num_parts(block.mlp.c_fc.nf)
    return Layer(
        norm_1=_norm(block.ln_1),
        qkv=_heads(_conv1d(block.attn.c_attn), config.n_head, block.attn.scaling),
        out=_conv1d(block.attn.c_proj),
        norm_2=_norm(block.ln_2),
        up=_spreading(_conv1d(block.mlp.c_fc), num_parts),
        activation=_activation(block.mlp.act, config.activation_function),
        down=_gathering(_conv1d(block.mlp.c_proj), num_parts),
    )


def _norm(module: Any) -> Norm:
    return Norm(module.weight.detach(), module.bias.detach(), module.eps)


def _linear(module: Any) -> Affine:
    return Affine(module.weight.detach().t().contiguous(), _bias(module))


def _conv1d(module: Any) -> Affine:
    return Affine(module.weight.detach().contiguous(), module.bias.detach())


def _bias(module: Any) -> Tensor:
    weight: Tensor = module.weight
    return weight.new_zeros(len(weight)) if module.bias is None else module.bias.detach()


def _activation(module: Any, name: str) -> Callable[[Tensor], Tensor]:
    """GPT-2's activation as one kernel, any other as the model has it."""
    if name in ("gelu_pytorch_tanh", "gelu_new"):
        return lambda x: functional.gelu(x, approximate="tanh")
    return module  # type: ignore[no-any-return]
