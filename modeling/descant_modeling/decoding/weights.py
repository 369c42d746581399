"""The weights of the two stock models in one form, for the decoding forward pass.

Shapes: C width, H heads, D head width, F inner width of the MLP, V vocabulary, X = (q, k, v) x H x D.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel


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
        matrix: (inputs, outputs), with the larger of the two contiguous in memory: with the few rows of a decoding
            step this order is the faster one.
        bias: (outputs,).
    """

    matrix: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Map rows of inputs to rows of outputs."""
        return torch.addmm(self.bias, x, self.matrix)


@dataclass(frozen=True)
class Layer:
    """One block with sequential residuals.

    Attributes:
        norm_1: Before attention.
        qkv: C to X; for rotary positions, values that rotate together are neighbours within a head.
        out: C to C, after attention.
        norm_2: Before the MLP.
        up: C to F.
        activation: Elementwise.
        down: F to C.
        scale: Factor of the attention scores.
    """

    norm_1: Norm
    qkv: Affine
    out: Affine
    norm_2: Norm
    up: Affine
    activation: Callable[[Tensor], Tensor]
    down: Affine
    scale: float


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
        qkv=_fused_rotary(block.attention.query_key_value, config.num_attention_heads),
        out=_linear(block.attention.dense),
        norm_2=_norm(block.post_attention_layernorm),
        up=_linear(block.mlp.dense_h_to_4h),
        activation=_activation(block.mlp.act, config.hidden_act),
        down=_linear(block.mlp.dense_4h_to_h),
        scale=block.attention.scaling,
    )


def _fused_rotary(linear: Any, num_heads: int) -> Affine:
    """Reorder a fused projection from (H, q k v, D) outputs to (q k v, H, D).

    GPT-NeoX rotates value i of a head with value i + D / 2. Here the two become neighbours: dot products do not notice.
    """
    matrix, bias = linear.weight.detach().t(), _bias(linear)
    order = torch.arange(len(bias), device=bias.device).view(num_heads, 3, 2, -1)
    queries_keys = order[:, :2].permute(1, 0, 3, 2).flatten()
    order = torch.cat([queries_keys, order[:, 2].flatten()])
    return Affine(_packed(matrix[:, order]), bias[order])


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
    return Layer(
        norm_1=_norm(block.ln_1),
        qkv=_conv1d(block.attn.c_attn),
        out=_conv1d(block.attn.c_proj),
        norm_2=_norm(block.ln_2),
        up=_conv1d(block.mlp.c_fc),
        activation=_activation(block.mlp.act, config.activation_function),
        down=_conv1d(block.mlp.c_proj),
        scale=block.attn.scaling,
    )


def _norm(module: Any) -> Norm:
    return Norm(module.weight.detach(), module.bias.detach(), module.eps)


def _linear(module: Any) -> Affine:
    return Affine(_packed(module.weight.detach().t()), _bias(module))


def _conv1d(module: Any) -> Affine:
    return Affine(_packed(module.weight.detach()), module.bias.detach())


def _packed(matrix: Tensor) -> Tensor:
    """Put the longer dimension last in memory; no copy where it is."""
    num_inputs, num_outputs = matrix.shape
    return matrix.t().contiguous().t() if num_inputs > num_outputs else matrix.contiguous()


def _bias(module: Any) -> Tensor:
    weight: Tensor = module.weight
    return weight.new_zeros(len(weight)) if module.bias is None else module.bias.detach()


def _activation(module: Any, name: str) -> Callable[[Tensor], Tensor]:
    """GPT-2's activation as one kernel, any other as the model has it."""
    if name in ("gelu_pytorch_tanh", "gelu_new"):
        return lambda x: functional.gelu(x, approximate="tanh")
    return module  # type: ignore[no-any-return]
