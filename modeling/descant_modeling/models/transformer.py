"""The two stock transformers models, sized by a `ModelConfig`.

Causal attention for training in bf16 on a CPU, as an attention implementation of transformers.

torch's own fused kernel reaches a third of the speed that these matrix sizes allow in bf16 on a CPU. Here queries are
taken in blocks: each block is a few batched matrix products over the keys up to its end, and its probabilities are kept
for the backward pass (2 bytes * heads * T^2 / 2 a row and layer) instead of being computed again.

Scores are rounded to bf16 before the softmax, as transformers' eager attention does under autocast.

Shapes: B sequences, H heads, N = B * H, T tokens, D dimension of a head, Q queries of a block, K keys up to its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    AttentionInterface,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    PreTrainedModel,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from descant_modeling.common.config import BELOW_ONE, POSITIVE, check, check_fields


@dataclass(frozen=True)
class ModelConfig:
    """Size and kind of the causal model.

    Args:
        architecture: `rotary` (GPTNeoXForCausalLM as a GPT-2 with rotary positions) or `gpt2` (GPT2LMHeadModel,
            learned absolute positions).
        width: Model dimension.
        num_layers: Transformer blocks.
        num_heads: Attention heads; must divide half of `width`.
        dropout: Probability for embedding and residual dropout. Attention weights are never dropped, because that
            leaves the fused attention kernel.
        max_tokens: Longest sequence; for `gpt2` the size of the position table.
    """

    architecture: str = "rotary"
    width: int = 256
    num_layers: int = 4
    num_heads: int = 4
    dropout: float = 0.2
    max_tokens: int = 3072

    def __post_init__(self) -> None:
        check(self.architecture in ("rotary", "gpt2"), "model.architecture", self.architecture, "rotary or gpt2")
        check_fields(self, "model", POSITIVE, "width", "num_layers", "num_heads", "max_tokens")
        even = self.width % (2 * self.num_heads) == 0  # rotary positions turn pairs
        check(even, "model.num_heads", self.num_heads, f"must divide half of the width {self.width}")
        check_fields(self, "model", BELOW_ONE, "dropout")


#: GPT-2's own activation, which transformers computes unfused under the name "gelu_new".
ACTIVATION = "gelu_pytorch_tanh"


def build_model(config: ModelConfig, vocab_size: int, *, bos: int, eos: int, pad: int) -> PreTrainedModel:
    """Build an untrained model with tied input and output embeddings.

    Args:
        config: Size and kind.
        vocab_size: `len(tokenizer)`.
        bos: Token id that opens a stream.
        eos: Token id that ends one.
        pad: Token id of padding.
    """
    if config.architecture == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocab_size,
                n_positions=config.max_tokens,
                n_embd=config.width,
                n_layer=config.num_layers,
                n_head=config.num_heads,
                activation_function=ACTIVATION,
                resid_pdrop=config.dropout,
                embd_pdrop=config.dropout,
                attn_pdrop=0.0,
                bos_token_id=bos,
                eos_token_id=eos,
                pad_token_id=pad,
            )
        )
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=vocab_size,
            max_position_embeddings=config.max_tokens,
            hidden_size=config.width,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            intermediate_size=4 * config.width,
            hidden_act=ACTIVATION,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0},
            use_parallel_residual=False,
            hidden_dropout=config.dropout,
            attention_dropout=0.0,
            tie_word_embeddings=True,
            bos_token_id=bos,
            eos_token_id=eos,
            pad_token_id=pad,
        )
    )


def count_parameters(model: torch.nn.Module) -> int:
    """Number of parameters, shared ones once."""
    return sum(p.numel() for p in model.parameters())


#: Name under which transformers knows this implementation.
IMPLEMENTATION = "descant_blocks"
#: Queries of a block: 128 to 256 were equally fast for rows of 400 to 1,300 tokens, 64 and 512 slower.
BLOCK = 192


class _CausalBlocks(torch.autograd.Function):
    """Causal softmax attention of bf16 tensors (N, T, D), block by block."""

    @staticmethod
    def forward(ctx: Any, q_NTD: torch.Tensor, k_NTD: torch.Tensor, v_NTD: torch.Tensor) -> torch.Tensor:
        out_NTD = torch.empty_like(v_NTD)
        later_QQ = q_NTD.new_full((BLOCK, BLOCK), -torch.inf).triu_(1)
        blocks = []
        for start, end in _bounds(q_NTD.shape[1]):
            scores_NQK = q_NTD[:, start:end] @ k_NTD[:, :end].mT
            scores_NQK[:, :, start:] += later_QQ[: end - start, : end - start]
            blocks.append(scores_NQK.softmax(-1))
            out_NTD[:, start:end] = blocks[-1] @ v_NTD[:, :end]
        ctx.save_for_backward(q_NTD, k_NTD, v_NTD, *blocks)
        return out_NTD

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        (grad_NTD,) = gradients
        q_NTD, k_NTD, v_NTD, *blocks = ctx.saved_tensors
        grad_q, grad_k, grad_v = torch.empty_like(q_NTD), _zeros(k_NTD), _zeros(v_NTD)
        for (start, end), p_NQK in zip(_bounds(q_NTD.shape[1]), blocks, strict=True):
            block_NQD = grad_NTD[:, start:end]
            grad_v[:, :end] += p_NQK.mT @ block_NQD
            grad_p_NQK = block_NQD @ v_NTD[:, :end].mT
            grad_s_NQK = torch._softmax_backward_data(grad_p_NQK, p_NQK, -1, p_NQK.dtype)
            grad_q[:, start:end] = grad_s_NQK @ k_NTD[:, :end]
            grad_k[:, :end] += grad_s_NQK.mT @ q_NTD[:, start:end]
        return grad_q, grad_k.to(k_NTD.dtype), grad_v.to(v_NTD.dtype)


def _bounds(length: int) -> list[tuple[int, int]]:
    return [(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK)]


def _zeros(like: torch.Tensor) -> torch.Tensor:
    """Sums over blocks are kept in fp32."""
    return torch.zeros_like(like, dtype=torch.float32)


def causal_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scaling: float) -> torch.Tensor:
    """Attend causally in bf16; inputs and result have shape (B, H, T, D)."""
    with torch.autocast("cpu", enabled=False):
        q, k, v = (x.to(torch.bfloat16) for x in (q, k, v))
        out_NTD: torch.Tensor = _CausalBlocks.apply(*(x.flatten(0, 1) for x in (q * scaling, k, v)))  # type: ignore[no-untyped-call]
        return out_NTD.view(q.shape)


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls: blocks where they apply, torch's own attention elsewhere (evaluation, decoding)."""
    applies = (
        torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and query.device.type == "cpu"
        and query.shape == key.shape
        and attention_mask is None
        and not dropout
    )
    if not applies:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    out = causal_attention(query, key, value, query.shape[-1] ** -0.5 if scaling is None else scaling)
    return out.transpose(1, 2).contiguous(), None


def use_block_attention(model: PreTrainedModel) -> None:
    """Let a causal model train with this attention wherever autocast runs in bf16 on a CPU."""
    AttentionInterface.register(IMPLEMENTATION, _attention)
    AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
    model.set_attn_implementation(IMPLEMENTATION)
