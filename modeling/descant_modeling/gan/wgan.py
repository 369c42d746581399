"""What one iteration of WGAN-GP does to generator and critic, with a melody as condition or without.

All randomness of an iteration is a function of the seed and the iteration: which samples, which noise, which points of
the penalty. So a resumed run continues bit for bit.

One critic step and one generator step of WGAN-GP: as the formula says, and the same gradients computed faster.

Critic loss: mean D(fake) - mean D(real) + 10 * mean((|g| - 1)^2), where g is the gradient of D at a random point
between each real roll and its fake, |g| = sqrt(1e-8 + sum of squares). Generator loss: -mean D(fake).

`naive_critic_loss` writes that down for autograd. It differentiates twice through the convolutions and sends three
batches through them one by one. `critic_gradients` does the same by hand. The critic is piecewise linear, so that only
its slopes (0.2 or 1 at each LeakyReLU) matter for the penalty, and they have no derivative: the penalty's gradient
needs one more forward pass of a linear network and no second backward pass through the activations. Shapes: B batch,
L layer; `h` activations, `d` gradients of scores with respect to pre-activations, `t` tangents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from accelerate import Accelerator
from torch import Tensor, nn

from descant_modeling.gan.config import GanOptimizerConfig
from descant_modeling.gan.networks import LEAK, RollGenerator, UNetCritic, UNetGenerator, draw_noise
from descant_modeling.gan.trainer import GeneratorCriticPair

PENALTY_WEIGHT = 10.0
NORM_EPSILON = 1e-8


@dataclass(frozen=True)
class CriticLoss:
    """The parts of a critic's loss, each a scalar tensor.

    Attributes:
        wasserstein: mean D(real) - mean D(fake); the critic's loss counts it negatively.
        penalty: mean((|g| - 1)^2), before its weight.
    """

    wasserstein: Tensor
    penalty: Tensor

    @property
    def total(self) -> Tensor:
        """What the critic minimizes."""
        return PENALTY_WEIGHT * self.penalty - self.wasserstein


def between(real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """Return share * real + (1 - share) * fake; share is (B,)."""
    return torch.lerp(fake, real, share.to(real.dtype).view(-1, 1, 1, 1))


def gradient_norms(gradients: Tensor) -> Tensor:
    """(B, ...) -> (B,): Euclidean lengths, never quite 0."""
    return torch.sqrt(NORM_EPSILON + gradients.float().square().flatten(1).sum(1))


def naive_critic_loss(
    critic: nn.Module, real: Tensor, fake: Tensor, melody: Tensor | None, share: Tensor
) -> CriticLoss:
    """Compute the critic's loss, with a graph for autograd.

    Args:
        critic: The critic.
        real: (B, 4, T, 128).
        fake: The same shape, without a graph.
        melody: (B, 1, T, 128); None without a condition.
        share: (B,), uniform in 0..1: how much of the real roll the penalty's points hold.
    """
    mixed = between(real, fake, share).requires_grad_()
    (gradients,) = torch.autograd.grad(critic(mixed, melody).sum(), mixed, create_graph=True)
    penalty = (gradient_norms(gradients) - 1).square().mean()
    return CriticLoss(critic(real, melody).mean() - critic(fake, melody).mean(), penalty)


def critic_gradients(
    critic: UNetCritic,
    real: Tensor,
    fake: Tensor,
    melody: Tensor | None,
    share: Tensor,
    dtype: torch.dtype = torch.float32,
) -> CriticLoss:
    """Compute the critic's loss and add its gradients to the parameters' `.grad`.

    Args:
        critic: The critic.
        real: (B, 4, T, 128).
        fake: The same shape.
        melody: (B, 1, T, 128); None without a condition.
        share: (B,), see `naive_critic_loss`.
        dtype: What convolutions compute in; sums, norms and parameters stay fp32.

    Returns:
        The loss, without a graph.
    """
    with torch.no_grad():
        batch, num_tracks = real.shape[:2]
        layers = _Layers(critic, dtype)
        rolls = torch.cat([real, fake, between(real, fake, share)])
        conditions = [] if melody is None else [melody.repeat(3, 1, 1, 1)]
        inputs = torch.cat([rolls, *conditions], 1).to(dtype, memory_format=torch.channels_last)
        hs = layers.forward(inputs)
        sign = torch.tensor([-1 / batch, 1 / batch, 1.0], dtype=dtype, device=real.device)
        sign = sign.repeat_interleave(batch).view(-1, 1, 1, 1)
        ds = layers.backward(hs, sign)
        # The gradient that the penalty is about, and the penalty's own gradient with respect to it.
        gradients = layers.input_gradient(0, inputs[2 * batch :], ds[0][2 * batch :])[:, :num_tracks].float()
        norms = gradient_norms(gradients)
        outer = (PENALTY_WEIGHT * 2 / batch) * (norms - 1) / norms
        tangent = (gradients * outer.view(-1, 1, 1, 1)).to(dtype)
        tangent = F.pad(tangent, (0, 0, 0, 0, 0, len(conditions))).contiguous(memory_format=torch.channels_last)
        layers.accumulate(hs, ds, sign, tangent)
        real_scores, fake_scores, _ = layers.scores(hs[-1]).view(3, batch)
        return CriticLoss(real_scores.mean() - fake_scores.mean(), (norms - 1).square().mean())


class _Layers:
    """A critic's layers in the type that they compute in, and what is done with them without autograd.

    Batches are real, fake and mixed rolls, B of each in this order.
    """

    def __init__(self, critic: UNetCritic, dtype: torch.dtype) -> None:
        self.convs, self.score = critic.layers(), critic.score
        self.weights = [conv.weight.to(dtype, memory_format=torch.channels_last) for conv in self.convs]
        self.biases = [conv.bias for conv in self.convs if conv.bias is not None]
        last = critic.score.weight.view(-1, *critic.last_shape)
        self.last = last.permute(0, 3, 1, 2).to(dtype)  # (1, 512, 2, 8)

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Return the inputs, then each layer's activations."""
        hs = [inputs]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            hs.append(F.leaky_relu_(F.conv2d(hs[-1], weight, bias.to(weight.dtype), stride=2, padding=1), LEAK))
        return hs

    def scores(self, last: Tensor) -> Tensor:
        """The last activations' scores: (3 B,)."""
        return (last * self.last).float().sum((1, 2, 3)) + self.score.bias

    def backward(self, hs: list[Tensor], sign: Tensor) -> list[Tensor]:
        """Return the gradients of scores times `sign` (the loss' for real and fake, 1 for mixed), layer by layer."""
        ds = [_through_slopes(self.last * sign, hs[-1])]
        for layer in range(len(self.weights) - 1, 0, -1):
            ds.insert(0, _through_slopes(self.input_gradient(layer, hs[layer], ds[0]), hs[layer]))
        return ds

    def input_gradient(self, layer: int, inputs: Tensor, gradients: Tensor) -> Tensor:
        """From gradients with respect to a layer's pre-activations to those with respect to its inputs."""
        return _conv_backward(inputs, self.weights[layer], gradients, (True, False, False))[0]

    def accumulate(self, hs: list[Tensor], ds: list[Tensor], sign: Tensor, tangent: Tensor) -> None:
        """Add the gradients of both parts of the loss to the parameters' `.grad`.

        The tangent (B, inputs, T, P) goes forward through the linear network of slopes, mixed rolls only. Each layer's
        weight gradient is one product: activations with gradients, tangents with gradients of the mixed scores.
        """
        first_mixed = len(sign) - len(tangent)
        for layer, (conv, weight) in enumerate(zip(self.convs, self.weights, strict=True)):
            seen = torch.cat([hs[layer][:first_mixed], tangent])
            _accumulate(conv.weight, _conv_backward(seen, weight, ds[layer], (False, True, False))[1])
            _accumulate(self.biases[layer], ds[layer][:first_mixed].float().sum((0, 2, 3)))
            tangent = _through_slopes(F.conv2d(tangent, weight, stride=2, padding=1), hs[layer + 1][first_mixed:])
        seen = torch.cat([hs[-1][:first_mixed] * sign[:first_mixed], tangent]).float().sum(0)
        _accumulate(self.score.weight, seen.permute(1, 2, 0).reshape(1, -1))
        _accumulate(self.score.bias, torch.zeros_like(self.score.bias))  # real and fake cancel


def generator_loss(critic: UNetCritic, fake: Tensor, melody: Tensor | None) -> Tensor:
    """-mean D(fake | melody); gradients reach the generator alone if the critic's parameters ask for none."""
    loss: Tensor = -critic(fake, melody).float().mean()
    return loss


def _through_slopes(gradients: Tensor, activations: Tensor) -> Tensor:
    """Multiply by the slopes of a LeakyReLU, which its results tell."""
    found: Tensor = torch.ops.aten.leaky_relu_backward(gradients, activations, LEAK, True)
    return found


def _conv_backward(
    inputs: Tensor, weight: Tensor, gradients: Tensor, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradients, inputs, weight, None, [2, 2], [1, 1], [1, 1], False, [0, 0], 1, list(wanted)
    )
    return found


def _accumulate(parameter: Tensor, gradient: Tensor) -> None:
    own = torch.empty_like(parameter).copy_(gradient)  # in the parameter's layout: fused Adam takes it for granted
    parameter.grad = own if parameter.grad is None else parameter.grad.add_(own)


@dataclass(frozen=True)
class GanLosses:
    """Losses of one iteration; the critic's are means over its steps.

    Attributes:
        critic: What the critic minimized: penalty included.
        wasserstein: mean D(real) - mean D(fake), the critic's estimate of how far the generator is off.
        penalty: mean((|gradient| - 1)^2), before its weight.
        generator: -mean D(fake).
    """

    critic: float
    wasserstein: float
    penalty: float
    generator: float


def melody_of(rolls: Tensor) -> Tensor:
    """The condition: the first track, (B, 4, T, P) -> (B, 1, T, P)."""
    return rolls[:, :1]


@dataclass(frozen=True)
class WganParts:
    """What WGAN-GP is played with.

    Attributes:
        build: Makes generator and critic.
        draw_noise: Draws the noise of a number of samples.
        condition: Takes from the rolls what both networks hear beside; None if they hear nothing.
    """

    build: Callable[[], tuple[UNetGenerator | RollGenerator, UNetCritic]]
    draw_noise: Callable[[int, torch.Generator], Tensor]
    condition: Callable[[Tensor], Tensor] | None


CONDITIONAL = WganParts(lambda: (UNetGenerator(), UNetCritic()), draw_noise, melody_of)


class WganStep(GeneratorCriticPair[UNetGenerator | RollGenerator, UNetCritic]):
    """Generator and critic, trained as a Wasserstein GAN with gradient penalty.

    Args:
        seed: Everything random follows from it.
        optimizer: Adam's settings, and how many critic steps go before each generator step.
        batch_size: Samples in a step.
        dtype: What convolutions compute in; fp32 or bf16.
        accelerator: Device and processes, whose number divides `batch_size`; one process on the CPU if not given.
        parts: Networks, noise and condition; by default the article's conditional GAN.
    """

    epsilon: ClassVar[float] = 1e-7  # Keras'

    def __init__(
        self,
        seed: int,
        optimizer: GanOptimizerConfig,
        batch_size: int,
        dtype: torch.dtype = torch.float32,
        accelerator: Accelerator | None = None,
        parts: WganParts = CONDITIONAL,
    ) -> None:
        super().__init__(seed, parts.build, optimizer, batch_size, dtype, accelerator)
        for network in (self.generator, self.critic):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.critic_steps, self.parts = optimizer.critic_steps, parts

    def iterate(self, rolls: Tensor, iteration: int) -> GanLosses:
        """Run `critic_steps` critic steps and one generator step.

        Args:
            rolls: All training samples, (N, 4, T, 128), values -1 and +1, on the CPU.
            iteration: Counted from 0.
        """
        rng = self.rng(iteration)
        batches = self._batches(rolls, iteration)
        losses = [self._critic_step(next(batches), rng) for _ in range(self.critic_steps)]
        generator = self._generator_step(next(batches), rng)
        parts = [[loss.total, loss.wasserstein, loss.penalty, generator] for loss in losses]
        means = torch.tensor(parts, device=self.device).mean(0)
        self.average([means])
        return GanLosses(*means.tolist())

    def _critic_step(self, real: Tensor, rng: torch.Generator) -> CriticLoss:
        noise, share = self.parts.draw_noise(len(real), rng), torch.rand(len(real), generator=rng)
        real, noise, share = self.mine(real), self.mine(noise), self.mine(share)
        condition = self._condition(real)
        fake = self.write(condition, noise)
        self.critic_optimizer.zero_grad(set_to_none=True)
        loss = critic_gradients(self.critic, real, fake.to(real.dtype), condition, share, self.dtype)
        self.descend(self.critic, self.critic_optimizer)
        return loss

    def _generator_step(self, real: Tensor, rng: torch.Generator) -> Tensor:
        noise = self.mine(self.parts.draw_noise(len(real), rng))
        condition = self._condition(self.mine(real))
        self.generator.train()
        with self.generator_turn():
            with self.precision():
                loss = generator_loss(self.critic, self._play(condition, noise), condition)
            loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    @torch.no_grad()
    def write(self, condition: Tensor | None, noise: Tensor) -> Tensor:
        """Generate in eval mode: (B, 1, T, 128) or None, noise -> (B, 4, T, 128)."""
        self.generator.train(False)
        with self.precision():
            return self._play(None if condition is None else condition.to(self.device), noise.to(self.device))

    def _play(self, condition: Tensor | None, noise: Tensor) -> Tensor:
        rolls: Tensor = self.generator(noise) if condition is None else self.generator(condition, noise)
        return rolls

    def _condition(self, real: Tensor) -> Tensor | None:
        return None if self.parts.condition is None else self.parts.condition(real)

    def _batches(self, rolls: Tensor, iteration: int) -> Iterator[Tensor]:
        """Yield the batches of an iteration."""
        for places in self.places(len(rolls), iteration * (self.critic_steps + 1)):
            yield rolls[places]
