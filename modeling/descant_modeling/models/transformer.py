"""The two stock transformers models, sized by a `ModelConfig`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedModel

from descant_modeling.common.config import BELOW_ONE, POSITIVE, check, check_fields

#: GPT-2's own activation, which transformers computes unfused under the name "gelu_new".
ACTIVATION = "gelu_pytorch_tanh"


@dataclass(frozen=True)
class ModelConfig:
    """Size and kind of the causal model.

    Args:
        architecture: `rotary` (GPTNeoXForCausalLM as a GPT-2 with rotary positions) or `gpt2` (GPT2LMHeadModel,
            learned absolute positions).
        width: Model dimension.
        num_layers: Transformer blocks.
        num_heads: Attention heads; must divide half of `width`.
        dropout: Probability of embedding and residual dropout. Attention weights are never dropped, because that
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
        check(self.architecture in ("rotary", "gpt2"), "model.architecture", self.architecture, "give rotary or gpt2")
        check_fields(self, "model", POSITIVE, "width", "num_layers", "num_heads", "max_tokens")
        even = self.width % (2 * self.num_heads) == 0  # rotary positions turn pairs
        check(even, "model.num_heads", self.num_heads, f"give a divisor of half of the width {self.width}")
        check_fields(self, "model", BELOW_ONE, "dropout")


def build_model(config: ModelConfig, vocab_size: int, *, bos: int, eos: int, pad: int) -> PreTrainedModel:
    """Build an untrained model with tied input and output embeddings; `bos`, `eos` and `pad` are token ids."""
    ids: dict[str, Any] = {"vocab_size": vocab_size, "bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad}
    if config.architecture == "gpt2":
        gpt2 = GPT2Config(
            n_positions=config.max_tokens,
            n_embd=config.width,
            n_layer=config.num_layers,
            n_head=config.num_heads,
            activation_function=ACTIVATION,
            resid_pdrop=config.dropout,
            embd_pdrop=config.dropout,
            attn_pdrop=0.0,
            **ids,
        )
        return GPT2LMHeadModel(gpt2)
    rotary = GPTNeoXConfig(
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
        **ids,
    )
    return GPTNeoXForCausalLM(rotary)


def count_parameters(model: torch.nn.Module) -> int:
    """Return the number of parameters, counting shared ones once."""
    return sum(p.numel() for p in model.parameters())
