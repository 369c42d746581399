"""The two stock transformers models, sized by a `ModelConfig`."""

from __future__ import annotations

import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedModel

from descant_modeling.config import ModelConfig

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
