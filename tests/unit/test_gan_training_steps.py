"""The GAN's layers and its training steps."""

import numpy as np
import pytest
import torch

from descant_modeling.gan.config import GanConfig, GanDataConfig, GanOptimizerConfig
from descant_modeling.gan.networks import LEAK, Down, UNetCritic, UNetGenerator, Up, UpConv, draw_noise
from descant_modeling.gan.wgan import ConditionalStep, between, critic_loss, gradient_norms, melody_of
from descant_modeling.models.transformer import count_parameters


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return UNetGenerator()


def make_step(seed, batch_size, **optimizer):
    data = GanDataConfig(batch_size=batch_size)
    return ConditionalStep(GanConfig(seed=seed, data=data, optimizer=GanOptimizerConfig(**optimizer)))


@pytest.fixture
def critic():
    """A critic whose biases are not zero."""
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


def test_upsampled_pictures_are_padded_as_in_keras():
    """'same' for a 4x4 kernel: 1 before and 2 after, so that output (0, 0) sees input (0, 0) in three rows of taps."""
    conv = UpConv(1, 1)
    torch.nn.init.ones_(conv.weight)
    torch.nn.init.zeros_(conv.bias)
    inputs = torch.arange(1.0, 7.0).view(1, 1, 2, 3)
    upsampled = inputs.repeat_interleave(2, 2).repeat_interleave(2, 3)
    padded = torch.zeros(1, 1, 4 + 3, 6 + 3)
    padded[:, :, 1:5, 1:7] = upsampled
    expected = padded.unfold(2, 4, 1).unfold(3, 4, 1).sum((4, 5))
    assert expected.shape == (1, 1, 4, 6)
    torch.testing.assert_close(conv(inputs), expected)


def test_the_noise_is_normal_cut_at_two():
    noise = draw_noise(8, torch.Generator().manual_seed(1))
    assert noise.shape == (8, 512, 2, 8)
    assert 1.9 < noise.abs().max() <= 2
    assert noise.std() == pytest.approx(0.8796, abs=0.01)  # of a normal distribution cut at 2


@pytest.mark.parametrize("has_melody", [True, False])
def test_the_penalty_is_about_each_samples_own_gradient(critic, random_rolls, has_melody):
    """The loss of a batch is the mean over its samples, and its gradient reaches every layer."""
    critic = critic.double() if has_melody else UNetCritic(4, (4, 6, 8, 10), 64).double()
    num_steps = 32 if has_melody else 64
    real = random_rolls(3, num_steps).double()
    fake = torch.tanh(torch.randn(3, 4, num_steps, 128, dtype=torch.float64))
    melody = melody_of(real) if has_melody else None
    share = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    loss = critic_loss(critic, real, fake, melody, share)
    penalties, distances = [], []
    for index in range(3):
        one = None if melody is None else melody[index : index + 1]
        point = (share[index] * real[index] + (1 - share[index]) * fake[index])[None].requires_grad_()
        critic(point, one).backward()
        penalties.append((point.grad.norm().item() - 1) ** 2)
        distances.append((critic(real[index : index + 1], one) - critic(fake[index : index + 1], one)).item())
    assert loss.penalty.item() == pytest.approx(np.mean(penalties), rel=1e-4)
    assert loss.wasserstein.item() == pytest.approx(np.mean(distances), rel=1e-4, abs=1e-6)
    assert loss.total.item() == pytest.approx(10 * loss.penalty.item() - loss.wasserstein.item(), rel=1e-5)
    gradients = torch.autograd.grad(loss.penalty, [conv.weight for conv in critic.convs])
    assert all(gradient.abs().max() > 0 for gradient in gradients)


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
    loss = critic_loss(linear, real, fake, melody_of(real), torch.rand(4))
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
    step = make_step(3, 2)
    real, rng = random_rolls(2), torch.Generator().manual_seed(0)
    generator, critic = watch(step.generator), watch(step.critic)
    step.critic_step(real, rng)
    assert generator() == set()
    assert {name.rpartition(".")[0] for name in critic()} >= {"convs.0", "convs.3", "score"}

    critic = watch(step.critic)
    step.generator_step(real, rng)
    assert critic() == set()
    assert {"encoder.0.conv.weight", "out.weight", "decoder.2.norm.running_mean"} <= generator()
    assert all(parameter.requires_grad for parameter in step.critic.parameters())


def test_losses_fall_on_two_samples(random_rolls):
    """The critic learns to tell real from fake within a few steps; the generator then learns to raise its score."""
    step = make_step(1, 2, critic_steps=1)
    real, rng = random_rolls(2), torch.Generator().manual_seed(0)
    critic_losses = [float(step.critic_step(real, rng).total) for _ in range(6)]
    assert min(critic_losses[-2:]) < critic_losses[0] - 5
    generator_losses = [float(step.generator_step(real, rng)) for _ in range(4)]
    assert generator_losses[-1] < generator_losses[0] - 5


def test_batches_are_whole_epochs_end_to_end():
    step = make_step(5, 4)
    seen = [next_batch for at in range(3) for next_batch, _ in zip(step.batches(6, at * 3), range(3), strict=False)]
    order = [index for batch in seen for index in batch]
    assert len(order) == 36
    assert all(sorted(order[first : first + 6]) == list(range(6)) for first in range(0, 36, 6))
    assert order[:6] != order[6:12]
