"""The weights of the two stock models in one form, for the decoding forward pass.

Shapes: C width, H heads, D head width, F inner width of the MLP, V vocabulary, S rows of a product, K parts of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

#: Number of parts that the products of the MLP are split into, if its width allows.
_NUM_PARTS = 4

Activation = Callable[[Tensor], Tensor]


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
    """Matrix product and bias: matrix (inputs, outputs), contiguous, and bias (outputs,)."""

    matrix: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Map rows of inputs to rows of outputs."""
        return torch.addmm(self.bias, x, self.matrix)


@dataclass(frozen=True)
class Spreading:
    """Matrix product and bias, with outputs in K equal parts.

    MKL hardly uses a second core for a product of few rows, but spreads a batch of products over all cores
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
    """Matrix product and bias, with inputs in K equal parts; see :class:`Spreading`.

    Attributes:
        matrices: (K, inputs / K, outputs), contiguous.
        biases: (K, 1, outputs); the parts add up to the bias.
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
        qkv: C to (q, k, v) x H parts of D; queries are scaled, and values that rotate together are adjacent.
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
    activation: Activation
    down: Gathering


@dataclass(frozen=True)
class Weights:
    """A stock model; either ``positions`` or ``inverse_frequencies`` is None.

    Attributes:
        embedding: (V, C).
        positions: GPT-2's table of absolute positions, (positions, C).
        inverse_frequencies: Inverse frequencies of rotary positions, (D / 2,).
        layers: The blocks.
        norm: Before the head.
        head: (V, C).
        num_heads: H.
    """

    embedding: Tensor
    positions: Tensor | None
    inverse_frequencies: Tensor | None
    layers: list[Layer]
    norm: Norm
    head: Tensor
    num_heads: int


def read_weights(model: PreTrainedModel) -> Weights:
    """Read a ``GPTNeoXForCausalLM`` or a ``GPT2LMHeadModel``; weights that keep their order are shared, not copied.

    Raises:
        ValueError: Another class, or an unsupported configuration of these two.
    """
    kind = model.config.model_type
    if kind == "gpt_neox":
        return _read_gpt_neox(model)
    if kind == "gpt2":
        return _read_gpt2(model)
    raise ValueError(f"Model type {kind!r} has no decoding pass. Give a gpt_neox or a gpt2 model.")


def _read_gpt_neox(model: Any) -> Weights:
    config, body, num_heads = model.config, model.gpt_neox, model.config.num_attention_heads
    rope = config.rope_parameters
    if config.use_parallel_residual:
        raise ValueError("use_parallel_residual is true. Give a gpt_neox model with sequential residuals.")
    if rope["rope_type"] != "default" or rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError(
            f"rope_parameters are {rope}. Give a gpt_neox model with rope_type default and rotary_pct 1.0."
        )

    def read(block: Any) -> Layer:
        qkv = _with_adjacent_pairs(_affine(block.attention.query_key_value), num_heads)
        return _layer(
            (block.input_layernorm, block.post_attention_layernorm),
            _heads(qkv, num_heads, block.attention.scaling),
            (block.attention.dense, block.mlp.dense_h_to_4h, block.mlp.dense_4h_to_h),
            _activation(block.mlp.act, config.hidden_act),
        )

    return Weights(
        embedding=body.embed_in.weight.detach(),
        positions=None,
        inverse_frequencies=body.rotary_emb.inv_freq.to(torch.promote_types(model.dtype, torch.float32)),
        layers=[read(block) for block in body.layers],
        norm=_norm(body.final_layer_norm),
        head=model.lm_head.weight.detach(),
        num_heads=num_heads,
    )


def _read_gpt2(model: Any) -> Weights:
    config, body = model.config, model.transformer
    if config.add_cross_attention:
        raise ValueError("add_cross_attention is true. Give a gpt2 model without cross-attention.")

    def read(block: Any) -> Layer:
        return _layer(
            (block.ln_1, block.ln_2),
            _heads(_affine(block.attn.c_attn), config.n_head, block.attn.scaling),
            (block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj),
            _activation(block.mlp.act, config.activation_function),
        )

    return Weights(
        embedding=body.wte.weight.detach(),
        positions=body.wpe.weight.detach(),
        inverse_frequencies=None,
        layers=[read(block) for block in body.h],
        norm=_norm(body.ln_f),
        head=model.lm_head.weight.detach(),
        num_heads=config.n_head,
    )


def _layer(norms: Sequence[Any], qkv: Spreading, products: Sequence[Any], activation: Activation) -> Layer:
    """Build a layer from its two norms, its projections, and its modules after attention, into and out of the MLP."""
    out, up, down = (_affine(module) for module in products)
    num_parts = math.gcd(_NUM_PARTS, len(up.bias))
    biases = down.bias.new_zeros(num_parts, 1, len(down.bias))
    biases[0] = down.bias
    gathering = Gathering(down.matrix.view(num_parts, -1, len(down.bias)), biases)
    return Layer(_norm(norms[0]), qkv, out, _norm(norms[1]), _spreading(up, num_parts), activation, gathering)


def _with_adjacent_pairs(fused: Affine, num_heads: int) -> Affine:
    """Reorder a fused projection from (H, q k v, D) outputs to (q k v, H, D).

    GPT-NeoX rotates value i of a head with value i + D / 2. Here the two become adjacent; dot products stay the same.
    """
    order = torch.arange(len(fused.bias), device=fused.bias.device).view(num_heads, 3, 2, -1)
    queries_keys = order[:, :2].permute(1, 0, 3, 2).flatten()
    order = torch.cat([queries_keys, order[:, 2].flatten()])
    return Affine(fused.matrix[:, order], fused.bias[order])


def _heads(fused: Affine, num_heads: int, scale: float) -> Spreading:
    """Split a fused projection with (q k v, H, D) outputs into heads, and scale the queries."""
    qkv = _spreading(fused, 3 * num_heads)
    scales = qkv.biases.new_ones(3 * num_heads, 1, 1)
    scales[:num_heads] = scale
    return Spreading(qkv.matrices * scales, qkv.biases * scales)


def _spreading(affine: Affine, num_parts: int) -> Spreading:
    matrices = affine.matrix.view(len(affine.matrix), num_parts, -1).transpose(0, 1).contiguous()
    return Spreading(matrices, affine.bias.view(num_parts, 1, -1))


def _norm(module: Any) -> Norm:
    return Norm(module.weight.detach(), module.bias.detach(), module.eps)


def _affine(module: Any) -> Affine:
    weight: Tensor = module.weight.detach()
    matrix = weight.t() if isinstance(module, torch.nn.Linear) else weight  # GPT-2's Conv1D is (inputs, outputs)
    bias = weight.new_zeros(matrix.shape[1]) if module.bias is None else module.bias.detach()
    return Affine(matrix.contiguous(), bias)


def _activation(module: Any, name: str) -> Activation:
    """Return GPT-2's activation as one kernel, or any other as the model's own module."""
    if name in ("gelu_pytorch_tanh", "gelu_new"):
        return lambda x: functional.gelu(x, approximate="tanh")
    return module  # type: ignore[no-any-return]
