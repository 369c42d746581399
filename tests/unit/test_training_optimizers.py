"""Learning rate, Muon, AdamW, and the average of the weights."""

import math

import pytest
import torch

from descant_modeling.models.transformer import ModelConfig, build_model, count_parameters
from descant_modeling.training.config import OptimizerConfig
from descant_modeling.training.optim import Muon, average_of, build_optimizers, learning_rate, orthogonalize


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


@pytest.mark.parametrize("shape", [(32, 96), (96, 32)])
def test_in_bf16_it_is_muon_of_torch(shape):
    start = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    mine, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    ours = Muon([mine], 0.01, 0.1, in_bf16=True)
    reference = torch.optim.Muon([theirs], 0.01, 0.1, adjust_lr_fn="match_rms_adamw")
    for step in range(20):
        gradient = torch.randn(shape, generator=torch.Generator().manual_seed(step))
        mine.grad, theirs.grad = gradient.clone(), gradient.clone()
        ours.step()
        reference.step()
    torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=0)


def test_a_muon_step_moves_as_far_as_an_adamw_step():
    matrix = torch.nn.Parameter(torch.zeros(64, 256))
    optimizer = Muon([matrix], 0.5, 0.0)
    matrix.grad = torch.randn(64, 256, generator=torch.Generator().manual_seed(1))
    optimizer.step()
    # 0.2 is the root mean square of AdamW's updates, which Muon's scale was chosen to match.
    assert matrix.detach().square().mean().sqrt().item() == pytest.approx(0.5 * 0.2, rel=0.2)


@pytest.mark.parametrize("architecture", ["rotary", "gpt2"])
@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_every_parameter_is_optimized_once_and_vectors_do_not_decay(architecture, name):
    config = ModelConfig(architecture=architecture, width=16, num_layers=2, num_heads=2, max_tokens=32)
    model = build_model(config, 30, bos=1, eos=2, pad=0)
    optimizers = build_optimizers(model, OptimizerConfig(name=name))
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    assert sum(p.numel() for group in groups for p in group["params"]) == count_parameters(model)
    assert all((p.ndim >= 2) == (group["weight_decay"] > 0) for group in groups for p in group["params"])
    if name == "muon":
        embedding = model.get_input_embeddings().weight
        assert isinstance(optimizers[0], Muon)
        assert not any(p is embedding for group in optimizers[0].param_groups for p in group["params"])


def test_the_average_follows_the_weights_and_leaves_them():
    model = torch.nn.Linear(1, 1, bias=False)
    average = average_of(model, 0.5)
    expected = 0.0
    for step in range(30):
        torch.nn.init.constant_(model.weight, float(step))
        average.update_parameters(model)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert average.module.weight.item() == pytest.approx(expected, rel=1e-5)
    assert model.weight.item() == 29.0


def test_the_untrained_weights_are_forgotten_at_once():
    model = torch.nn.Linear(2, 2)
    average = average_of(model, 0.9)
    torch.nn.init.constant_(model.weight, math.pi)
    average.update_parameters(model)
    assert torch.equal(average.module.weight, model.weight)


def test_no_decay_means_no_average():
    assert average_of(torch.nn.Linear(2, 2), 0.0) is None
