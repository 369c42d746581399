"""The model of a training step: the modules of a stock model over the same parameters, some of them exchanged.

On a CPU, dropout masks are random bytes drawn before the forward pass (`ByteDropout`), and in bf16 causal attention is
computed in blocks of queries: torch's own kernel reaches an eighth of the speed of this hardware's matrix products.
`compile_blocks` compiles the transformer blocks, once for all lengths. Only target tokens reach the output embeddings.

Shapes: B sequences, H heads, N = B * H, T tokens, D dimension of a head, C width, K tokens of the vocabulary; Q queries
of a block, K their keys.
"""

from __future__ import annotations

import copy
import math
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_layers import GradientCheckpointingLayer

from descant_modeling.training.packing import lengths_of, within_examples

#: Names under which transformers knows the attention in blocks, and the attentions within the examples of packed rows.
BLOCKWISE, PACKED, PACKED_BLOCKWISE = "descant_blockwise", "descant_packed", "descant_packed_blockwise"
#: Queries of a block: 128 to 256 are equally fast for rows of 400 to 1,600 tokens; 64 and 384 are slower.
BLOCK = 192


def _blocks(num_rows: int, length: int) -> Iterator[tuple[int, int, slice, tuple[int, int, int]]]:
    """Yield first query and end of each block, and place and shape of its probabilities in the tensor of all."""
    place = 0
    for start in range(0, length, BLOCK):
        end = min(start + BLOCK, length)
        shape = (num_rows, end - start, end)
        yield start, end, slice(place, place + math.prod(shape)), shape
        place += math.prod(shape)


def _num_probabilities(num_rows: int, length: int) -> int:
    whole, rest = length // BLOCK, length % BLOCK
    return num_rows * (BLOCK * BLOCK * whole * (whole + 1) // 2 + rest * length)


@torch.library.custom_op("descant::causal_attention", mutates_args=())
def causal_attention(q_NTD: Tensor, k_NTD: Tensor, v_NTD: Tensor) -> tuple[Tensor, Tensor]:
    """Return softmax(q k^T) v with a causal mask, and the probabilities, block after block.

    Scores are rounded to the inputs' precision before the softmax.
    """
    out_NTD = torch.empty_like(v_NTD)
    probabilities = v_NTD.new_empty(_num_probabilities(*v_NTD.shape[:2]))
    later_QQ = q_NTD.new_full((BLOCK, BLOCK), -torch.inf).triu_(1)
    for start, end, place, shape in _blocks(*v_NTD.shape[:2]):
        p_NQK = probabilities[place].view(shape)
        torch.bmm(q_NTD[:, start:end], k_NTD[:, :end].mT, out=p_NQK)
        p_NQK[:, :, start:] += later_QQ[: end - start, : end - start]
        torch.softmax(p_NQK, -1, out=p_NQK)
        torch.bmm(p_NQK, v_NTD[:, :end], out=out_NTD[:, start:end])
    return out_NTD, probabilities


@torch.library.custom_op("descant::causal_attention_backward", mutates_args=())
def causal_attention_backward(
    grad_NTD: Tensor, q_NTD: Tensor, k_NTD: Tensor, v_NTD: Tensor, probabilities: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of q, k and v from that of the output."""
    grad_q = torch.empty_like(q_NTD)
    grad_k, grad_v = (torch.zeros_like(x, dtype=torch.float32) for x in (k_NTD, v_NTD))  # sums over blocks
    for start, end, place, shape in _blocks(*v_NTD.shape[:2]):
        p_NQK, block_NQD = probabilities[place].view(shape), grad_NTD[:, start:end]
        grad_v[:, :end] += p_NQK.mT @ block_NQD
        grad_p_NQK = block_NQD @ v_NTD[:, :end].mT
        grad_s_NQK = torch._softmax_backward_data(grad_p_NQK, p_NQK, -1, p_NQK.dtype)
        torch.bmm(grad_s_NQK, k_NTD[:, :end], out=grad_q[:, start:end])
        grad_k[:, :end] += grad_s_NQK.mT @ q_NTD[:, start:end]
    return grad_q, grad_k.to(k_NTD.dtype), grad_v.to(v_NTD.dtype)


@causal_attention.register_fake
def _(q_NTD: Tensor, k_NTD: Tensor, v_NTD: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(v_NTD), v_NTD.new_empty(_num_probabilities(*v_NTD.shape[:2]))


@causal_attention_backward.register_fake
def _(
    grad_NTD: Tensor, q_NTD: Tensor, k_NTD: Tensor, v_NTD: Tensor, probabilities: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(q_NTD), torch.empty_like(k_NTD), torch.empty_like(v_NTD)


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, output[1])


def _differentiate(ctx: Any, grad_NTD: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    found: tuple[Tensor, Tensor, Tensor] = causal_attention_backward(grad_NTD.contiguous(), *ctx.saved_tensors)
    return found


causal_attention.register_autograd(_differentiate, setup_context=_save)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend in blocks, as transformers calls it: (B, H, T, D) each -> (B, T, H, D)."""
    assert attention_mask is None, "padding is on the right, where a causal model needs no mask"
    assert not dropout, "attention weights are never dropped"
    with torch.autocast("cpu", enabled=False):
        query = query * (query.shape[-1] ** -0.5 if scaling is None else scaling)
        q_NTD, k_NTD, v_NTD = (x.to(torch.bfloat16).flatten(0, 1).contiguous() for x in (query, key, value))
        out_NTD, _ = causal_attention(q_NTD, k_NTD, v_NTD)
        return out_NTD.view(query.shape).transpose(1, 2), None


AttentionInterface.register(BLOCKWISE, _attend)
AttentionMaskInterface.register(BLOCKWISE, sdpa_mask)
for name, attend in ((PACKED, sdpa_attention_forward), (PACKED_BLOCKWISE, _attend)):
    AttentionInterface.register(name, within_examples(attend))
    AttentionMaskInterface.register(name, lambda *args, **kwargs: None)


class ByteDropout(nn.Module):
    """Dropout whose mask is drawn before the forward pass, as a random byte for each element.

    Args:
        p: Probability of an element to be zeroed, rounded to a 256th.

    Attributes:
        bytes: uint8, of the shape of the input.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.threshold = round(256 * p)
        self.bytes = torch.zeros((), dtype=torch.uint8)

    def forward(self, x: Tensor) -> Tensor:
        """Return x, some elements zeroed and the others divided by 1 - p."""
        # Products of floats: compiled for a CPU, `torch.where` and masks of booleans take ten times as long.
        kept = (self.bytes.float() >= self.threshold).float() * (256 / (256 - self.threshold))
        return x * kept.to(x.dtype)


class SigmoidGelu(nn.Module):
    """GELU in its tanh form, with a sigmoid for the tanh: compiled for a CPU, it takes a third of the time."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x * sigmoid(sqrt(8 / pi) * (x + 0.044715 x^3)), which is x / 2 * (1 + tanh(...))."""
        return x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x))


class StepModel(nn.Module):
    """The model of a training step, and its loss.

    Args:
        model: A stock model on its device. It stays as it is, and its parameters are shared.
        in_bf16: True if the step runs in bf16.
        checkpointing: True to keep only what enters each block, and compute the rest again in the backward pass.
        packing: True for packed rows.
    """

    def __init__(
        self, model: PreTrainedModel, *, in_bf16: bool, checkpointing: bool = False, packing: bool = False
    ) -> None:
        super().__init__()
        shared = {id(parameter): parameter for parameter in model.parameters()}
        self.model = copy.deepcopy(model, cast("dict[int, Any]", shared)).train()
        self._dropouts: list[ByteDropout] = []
        self._checkpointing = checkpointing
        if model.device.type == "cpu":
            self._exchange_dropouts()
            if in_bf16:
                self.model.set_attn_implementation(PACKED_BLOCKWISE if packing else BLOCKWISE)
        if packing and not (in_bf16 and model.device.type == "cpu"):
            self.model.set_attn_implementation(PACKED)
        if checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})

    def _exchange_dropouts(self) -> None:
        places = [(m, name, c) for m in self.model.modules() for name, c in m.named_children()]
        for module, name, child in places:
            if isinstance(child, nn.Dropout) and child.p > 0:
                self._dropouts.append(ByteDropout(child.p))
                setattr(module, name, self._dropouts[-1])

    @property
    def has_dropout_by_row(self) -> bool:
        """True if the masks of some sequences can be taken from those of all: drawn on a CPU, and read only once."""
        return self.model.device.type == "cpu" and not self._checkpointing

    def seed_dropout(self, seed: int, ids_BT: Tensor, rows_B: Tensor | None = None) -> None:
        """Draw the dropout masks of the forward passes to come, for sequences of this shape.

        Args:
            seed: Seed of the masks.
            ids_BT: The sequences.
            rows_B: True for the sequences that will be passed; by default all. Others are only left out where
                `has_dropout_by_row`.
        """
        torch.manual_seed(seed)  # for modules of torch
        shape = (*ids_BT.shape, self.model.config.hidden_size)
        size = math.prod(shape)
        words = torch.empty(len(self._dropouts) * size // 8 + 1, dtype=torch.int64).random_(-(2**63), None)
        for number, dropout in enumerate(self._dropouts):
            mask_BTC = words.view(torch.uint8)[number * size : (number + 1) * size].view(shape)
            dropout.bytes = mask_BTC if rows_B is None else mask_BTC[rows_B]

    def forward(self, ids_BT: Tensor, loss_mask_BT: Tensor, positions_BT: Tensor | None = None) -> Tensor:
        """Return -ln p of every target token, shape (number of target tokens,), float32.

        The first token of a sequence has no prediction and must not count (it is BOS). Positions are those of packed
        rows, and None for others.
        """
        packed = {} if positions_BT is None else {"position_ids": positions_BT, "lengths": lengths_of(positions_BT)}
        hidden_BTC = self.model.base_model(input_ids=ids_BT, use_cache=False, **packed).last_hidden_state
        is_target = loss_mask_BT[:, 1:]
        logits_NK = self.model.get_output_embeddings()(hidden_BTC[:, :-1][is_target]).float()
        return functional.cross_entropy(logits_NK, ids_BT[:, 1:][is_target], reduction="none")

    def compile_blocks(self, num_tokens: int) -> int:
        """Compile the transformer blocks for any number and length of sequences; return the number of graphs.

        Args:
            num_tokens: Tokens of a usual batch: how loops are shared out to threads depends on the first sizes seen.
        """
        for block in self.model.modules():
            if isinstance(block, GradientCheckpointingLayer):
                if self.model.device.type == "cpu":
                    block.mlp.act = SigmoidGelu()  # type: ignore[union-attr]  # both architectures have it
                block.compile(dynamic=True)
        before = num_graphs()
        for num_rows in (1, 2):  # torch compiles another graph for single sequences
            length = max(2, min(num_tokens // num_rows, self.model.config.max_position_embeddings))
            ids_BT = torch.zeros((num_rows, length), dtype=torch.long, device=self.model.device)
            self.seed_dropout(0, ids_BT)
            loss = self(ids_BT, torch.ones_like(ids_BT, dtype=torch.bool)).sum()
            torch.autograd.grad(loss, list(self.parameters()))
        return num_graphs() - before


def num_graphs() -> int:
    """Return the number of graphs that this process has compiled."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def has_cpp_compiler() -> bool:
    """Return True if torch.compile finds the C++ compiler that it needs on a CPU."""
    return shutil.which(os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")) is not None
