"""Attention in blocks against torch's own, in double precision."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from descant_modeling.models.transformer import BLOCK, ModelConfig, build_model, causal_attention, use_block_attention


@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK, 2 * BLOCK + 7])
def test_results_and_gradients_are_those_of_torch(length):
    random = torch.Generator().manual_seed(length)
    q, k, v, gradient = (torch.randn(2, 3, length, 16, generator=random).bfloat16() for _ in range(4))
    outcomes = []
    for attend in (
        lambda q, k, v: causal_attention(q, k, v, 0.25),
        lambda q, k, v: scaled_dot_product_attention(q.double(), k.double(), v.double(), is_causal=True),
    ):
        inputs = [x.clone().requires_grad_() for x in (q, k, v)]
        out = attend(*inputs)
        outcomes.append([out.double(), *torch.autograd.grad(out, inputs, gradient.to(out.dtype))])
    for ours, exact in zip(*outcomes, strict=True):
        assert (ours.double() - exact.double()).norm() <= 0.02 * exact.double().norm() + 1e-6


@pytest.mark.parametrize("architecture", ["rotary", "gpt2"])
def test_a_model_trains_with_it_in_bf16_and_evaluates_as_before(architecture):
    torch.manual_seed(1)
    config = ModelConfig(architecture=architecture, width=32, num_layers=2, num_heads=2, dropout=0.0, max_tokens=512)
    model = build_model(config, 50, bos=1, eos=2, pad=0)
    stock, stock_config = model.config._attn_implementation, model.config.to_json_string()
    ids = torch.randint(3, 50, (2, BLOCK + 9))
    mask = torch.ones_like(ids)
    mask[0, :5] = 0  # padding on the left: not for these blocks

    def outcomes():
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        with torch.no_grad():
            plain, masked = model(input_ids=ids).logits, model(input_ids=ids, attention_mask=mask).logits
        return loss.detach(), next(model.parameters()).grad.clone(), plain, masked

    expected = outcomes()
    use_block_attention(model)
    loss, gradient, plain, masked = outcomes()
    assert model.config._attn_implementation != stock
    assert model.config.to_json_string() == stock_config  # what a checkpoint says does not change
    torch.testing.assert_close(loss, expected[0], atol=2e-3, rtol=0)
    assert (gradient - expected[1]).norm() < 0.03 * expected[1].norm()
    assert torch.equal(plain, expected[2])
    assert torch.equal(masked, expected[3])
