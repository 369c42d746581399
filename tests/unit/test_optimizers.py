"""Learning rate, Muon, AdamW, and the average of the weights."""

import math

import pytest
import torch

from descant_modeling.models.transformer import ModelConfig, build_model, count_parameters
from descant_modeling.training.config import OptimizerConfig
from descant_modeling.training.optim import MuonAdamW, WeightAverage, build_optimizer, learning_rate, orthogonalize


def test_the_learning_rate_rises_to_its_peak_and_falls_to_its_share():
    config = OptimizerConfig(learning_rate=2.0, warmup_steps=4, final_lr_share=0.1)
    rates = [learning_rate(config, step, 24) for step in range(25)]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    assert rates[4] == 2.0
    assert rates[14] == pytest.approx(1.1)  # half way down
    assert rates[24] == pytest.approx(0.2)
    assert sorted(rates[4:], reverse=True) == rates[4:]
    assert learning_rate(config, 99, 24) == pytest.approx(0.2)
    assert learning_rate(OptimizerConfig(learning_rate=2.0, warmup_steps=0), 0, 10) == 2.0


@pytest.mark.parametrize("shape", [(32, 96), (96, 32), (48, 48)])
def test_orthogonalize_brings_singular_values_near_1(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 100
    result = orthogonalize(matrix)
    values = torch.linalg.svdvals(result)
    assert result.shape == shape
    assert values.min() > 0.5
    assert values.max() < 1.3
    # The same singular vectors: U^T result V is close to diagonal.
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ result @ v.T
    assert torch.allclose(inner, torch.diag(inner.diag()), atol=1e-3)


def test_orthogonalize_in_bf16_is_about_that_in_fp32():
    matrix = torch.randn(32, 96, generator=torch.Generator().manual_seed(1))
    exact = orthogonalize(matrix)
    assert (orthogonalize(matrix.bfloat16()).float() - exact).norm() < 0.05 * exact.norm()


def test_orthogonalize_leaves_its_argument_and_takes_zeros():
    matrix = torch.ones(3, 2)
    orthogonalize(matrix)
    assert torch.equal(matrix, torch.ones(3, 2))
    assert torch.equal(orthogonalize(torch.zeros(3, 2)), torch.zeros(3, 2))


def test_its_adamw_is_that_of_torch():
    start = torch.randn(5, 7, generator=torch.Generator().manual_seed(1))
    mine, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    ours = MuonAdamW([{"params": [mine], "weight_decay": 0.1, "muon": False}], lr=0.01, betas=(0.8, 0.95))
    reference = torch.optim.AdamW([theirs], lr=0.01, betas=(0.8, 0.95), weight_decay=0.1)
    for step in range(20):
        gradient = torch.randn(5, 7, generator=torch.Generator().manual_seed(step))
        mine.grad, theirs.grad = gradient.clone(), gradient.clone()
        ours.step()
        reference.step()
    torch.testing.assert_close(mine, theirs)


def test_a_muon_step_moves_as_far_as_an_adamw_step():
    matrix = torch.nn.Parameter(torch.zeros(64, 256))
    optimizer = MuonAdamW([{"params": [matrix], "weight_decay": 0.0, "muon": True}], lr=0.5, betas=(0.9, 0.98))
    matrix.grad = torch.randn(64, 256, generator=torch.Generator().manual_seed(1))
    optimizer.step()
    # 0.2 is the root mean square of AdamW's updates, which Muon's scale was chosen to match.
    assert matrix.detach().square().mean().sqrt().item() == pytest.approx(0.5 * 0.2, rel=0.2)


@pytest.mark.parametrize("architecture", ["rotary", "gpt2"])
@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_every_parameter_is_optimized_once_and_vectors_do_not_decay(architecture, name):
    config = ModelConfig(architecture=architecture, width=16, num_layers=2, num_heads=2, max_tokens=32)
    model = build_model(config, 30, bos=1, eos=2, pad=0)
    optimizer = build_optimizer(model, OptimizerConfig(name=name))
    groups = optimizer.param_groups
    assert sum(p.numel() for group in groups for p in group["params"]) == count_parameters(model)
    assert all((p.ndim >= 2) == (group["weight_decay"] > 0) for group in groups for p in group["params"])
    if name == "muon":
        embedding = model.get_input_embeddings().weight
        assert not any(p is embedding for group in groups if group["muon"] for p in group["params"])


def test_the_average_follows_the_weights_and_gives_them_back():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    average = WeightAverage(model, 0.5)
    expected = 0.0
    for step in range(30):
        torch.nn.init.constant_(model.weight, float(step))
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    with average.applied_to(model):
        assert model.weight.item() == pytest.approx(expected, rel=1e-5)
    assert model.weight.item() == 29.0
    assert average.shadow["weight"].item() == pytest.approx(expected, rel=1e-5)


def test_the_weights_come_back_after_an_error():
    model = torch.nn.Linear(2, 2)
    average = WeightAverage(model, 0.9)
    torch.nn.init.constant_(model.weight, math.pi)
    with pytest.raises(KeyError), average.applied_to(model):
        raise KeyError
    assert model.weight[0, 0].item() == pytest.approx(math.pi)


def test_no_decay_means_no_average():
    model = torch.nn.Linear(2, 2)
    average = WeightAverage(model, 0.0)
    torch.nn.init.constant_(model.weight, 3.0)
    average.update(model, 0)
    with average.applied_to(model):
        assert model.weight[0, 0].item() == 3.0
