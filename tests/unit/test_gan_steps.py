"""The GAN's layers and its training steps: sizes, and the fast forms against the plain ones."""

import pytest
import torch

from descant_modeling.gan.config import GanOptimizerConfig
from descant_modeling.gan.networks import LEAK, Down, UNetCritic, UNetGenerator, Up, UpConv, draw_noise
from descant_modeling.gan.wgan import (
    WganStep,
    between,
    critic_gradients,
    gradient_norms,
    melody_of,
    naive_critic_loss,
)
from descant_modeling.models.transformer import count_parameters


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return UNetGenerator()


@pytest.fixture
def critic():
    """A critic whose biases count, too."""
    torch.manual_seed(0)
    critic = UNetCritic()
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return critic


def test_parameter_counts(generator):
    assert count_parameters(generator) == 8_270_852
    statistics = sum(b.numel() for name, b in generator.named_buffers() if "running" in name)
    assert count_parameters(generator) + statistics == 8_273_540
    assert count_parameters(UNetCritic()) == 2_766_785


def test_the_shape_of_every_stage(generator, random_rolls):
    shapes = []
    stages = [m for m in generator.modules() if isinstance(m, Down | Up | UpConv)]
    hooks = [m.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:]))) for m in stages]
    with torch.no_grad():
        rolls = generator(melody_of(random_rolls(2)), draw_noise(2, torch.Generator()))
    for hook in hooks:
        hook.remove()
    encoder = [(64, 16, 64), (128, 8, 32), (256, 4, 16), (512, 2, 8)]
    decoder = [(256, 4, 16), (512, 4, 16), (128, 8, 32), (256, 8, 32), (64, 16, 64), (128, 16, 64)]
    assert shapes == [*encoder, *decoder, (4, 32, 128)]
    assert rolls.shape == (2, 4, 32, 128)
    assert rolls.abs().max() <= 1


def test_upsampling_and_convolution_fold_into_one_convolution():
    conv = UpConv(6, 5).double()
    inputs = torch.randn(2, 6, 3, 7, dtype=torch.float64, requires_grad=True)
    found = []
    for form in (conv.naive_forward, conv):
        out = form(inputs)
        weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
        found.append((out, *torch.autograd.grad((out * weights).sum(), [inputs, conv.weight, conv.bias])))
    assert found[0][0].shape == (2, 5, 6, 14)
    for naive, folded in zip(*found, strict=True):
        torch.testing.assert_close(folded, naive, rtol=1e-12, atol=1e-12)


def test_the_noise_is_normal_cut_at_two():
    noise = draw_noise(8, torch.Generator().manual_seed(1))
    assert noise.shape == (8, 512, 2, 8)
    assert 1.9 < noise.abs().max() <= 2
    assert noise.std() == pytest.approx(0.8796, abs=0.01)  # of a normal distribution cut at 2


def test_fast_gradients_are_those_of_autograd(critic, random_rolls):
    critic = critic.double()
    real, fake = random_rolls(3).double(), torch.tanh(torch.randn(3, 4, 32, 128, dtype=torch.float64))
    share = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    loss = naive_critic_loss(critic, real, fake, melody_of(real), share)
    expected = torch.autograd.grad(loss.total, list(critic.parameters()), allow_unused=True)
    fast = critic_gradients(critic, real, fake, melody_of(real), share, torch.float64)
    assert fast.wasserstein.item() == pytest.approx(loss.wasserstein.item(), rel=1e-5)
    assert fast.penalty.item() == pytest.approx(loss.penalty.item(), rel=1e-5)
    for parameter, gradient in zip(critic.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)  # norms are fp32


def test_the_penalty_of_a_linear_critic_has_a_closed_form(random_rolls):
    """Without biases and with slope 1 the critic is linear: its gradient is the same everywhere."""

    class Linear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(4, 32, 128) / 50)

        def forward(self, rolls, melody):
            return (rolls * self.weight).sum((1, 2, 3))

    torch.manual_seed(0)
    linear = Linear()
    real, fake = random_rolls(4), random_rolls(4, seed=1)
    loss = naive_critic_loss(linear, real, fake, melody_of(real), torch.rand(4))
    closed = (linear.weight.norm() - 1) ** 2
    torch.testing.assert_close(loss.penalty, closed, rtol=1e-5, atol=1e-6)
    (gradient,) = torch.autograd.grad(loss.penalty, linear.weight)
    expected = 2 * (linear.weight.norm() - 1) / linear.weight.norm() * linear.weight
    torch.testing.assert_close(gradient, expected.detach(), rtol=1e-4, atol=1e-6)


def test_points_of_the_penalty_lie_between_real_and_fake():
    real, fake = torch.ones(3, 1, 2, 2), torch.zeros(3, 1, 2, 2)
    mixed = between(real, fake, torch.tensor([0.0, 0.25, 1.0]))
    assert mixed[:, 0, 0, 0].tolist() == [0.0, 0.25, 1.0]
    assert gradient_norms(torch.zeros(1, 4))[0] == pytest.approx(1e-4)
    assert LEAK == 0.2


def test_each_step_changes_one_network_only(random_rolls, watch):
    learner = WganStep(3, GanOptimizerConfig(), 2)
    real, rng = random_rolls(2), torch.Generator().manual_seed(0)
    generator, critic = watch(learner.generator), watch(learner.critic)
    learner._critic_step(real, rng)
    assert generator() == set()
    assert {name.rpartition(".")[0] for name in critic()} >= {"convs.0", "convs.3", "score"}

    critic = watch(learner.critic)
    learner._generator_step(real, rng)
    assert critic() == set()
    assert {"encoder.0.conv.weight", "out.weight", "decoder.2.norm.running_mean"} <= generator()
    assert all(parameter.requires_grad for parameter in learner.critic.parameters())


def test_losses_fall_on_two_samples(random_rolls):
    """The critic learns to tell real from fake within a few steps; the generator then learns to raise its score."""
    learner = WganStep(1, GanOptimizerConfig(critic_steps=1), 2)
    real, rng = random_rolls(2), torch.Generator().manual_seed(0)
    critic_losses = [float(learner._critic_step(real, rng).total) for _ in range(6)]
    assert min(critic_losses[-2:]) < critic_losses[0] - 5
    generator_losses = [float(learner._generator_step(real, rng)) for _ in range(4)]
    assert generator_losses[-1] < generator_losses[0] - 5


def test_batches_are_whole_epochs_end_to_end():
    learner = WganStep.__new__(WganStep)
    learner.seed, learner.batch_size, learner.critic_steps = 5, 4, 2
    rolls = torch.arange(6)
    seen = [next_batch for at in range(3) for next_batch, _ in zip(learner._batches(rolls, at), range(3), strict=False)]
    order = torch.cat(seen).tolist()
    assert len(order) == 36
    assert all(sorted(order[first : first + 6]) == list(range(6)) for first in range(0, 36, 6))
    assert order[:6] != order[6:12]
