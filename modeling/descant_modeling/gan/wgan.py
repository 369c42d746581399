"""One training iteration of WGAN-GP (Gulrajani et al. 2017), with or without a melody as condition.

Critic loss: mean D(fake) - mean D(real) + 10 * mean((|g| - 1)^2), where g is the gradient of D at a random point
between each real roll and its fake, |g| = sqrt(1e-8 + sum of squares). Generator loss: -mean D(fake).

Shapes: B batch, T steps (32, or 64 without a melody), P = 128 pitches. Rolls are (B, 4, T, P), a melody (B, 1, T, P).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from descant_modeling.gan.config import GanConfig, RollGanConfig
from descant_modeling.gan.networks import (
    LONG_STEPS,
    NUM_TRACKS,
    GeneratorCriticPair,
    RollGenerator,
    UNetCritic,
    UNetGenerator,
    draw_noise,
)

PENALTY_WEIGHT = 10.0
NORM_EPSILON = 1e-8

ConfigT = TypeVar("ConfigT", GanConfig, RollGanConfig)
GeneratorT = TypeVar("GeneratorT", UNetGenerator, RollGenerator)


@dataclass(frozen=True)
class CriticLoss:
    """The parts of a critic's loss, each a scalar tensor.

    Attributes:
        wasserstein: mean D(real) - mean D(fake), which enters the loss negatively.
        penalty: mean((|g| - 1)^2), before its weight.
    """

    wasserstein: Tensor
    penalty: Tensor

    @property
    def total(self) -> Tensor:
        """The loss that the critic minimizes."""
        return PENALTY_WEIGHT * self.penalty - self.wasserstein


def between(real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """Return share * real + (1 - share) * fake; share is (B,)."""
    return torch.lerp(fake, real, share.to(real.dtype).view(-1, 1, 1, 1))


def gradient_norms(gradients: Tensor) -> Tensor:
    """(B, ...) -> (B,): Euclidean norms, always above 0."""
    return torch.sqrt(NORM_EPSILON + gradients.float().square().flatten(1).sum(1))


def critic_loss(critic: nn.Module, real: Tensor, fake: Tensor, melody: Tensor | None, share: Tensor) -> CriticLoss:
    """Compute the critic's loss, with a graph for autograd.

    Args:
        critic: The critic.
        real: (B, 4, T, P).
        fake: The same shape, without a graph.
        melody: (B, 1, T, P); None without a condition.
        share: (B,), uniform in 0..1: the weight of the real roll in the points of the penalty.
    """
    mixed = between(real, fake, share).requires_grad_()
    (gradients,) = torch.autograd.grad(critic(mixed, melody).sum(), mixed, create_graph=True)
    penalty = (gradient_norms(gradients) - 1).square().mean()
    return CriticLoss(critic(real, melody).float().mean() - critic(fake, melody).float().mean(), penalty)


def melody_of(rolls: Tensor) -> Tensor:
    """Return the condition, the first track: (B, 4, T, P) -> (B, 1, T, P)."""
    return rolls[:, :1]


class WganStep(GeneratorCriticPair[ConfigT, GeneratorT, UNetCritic]):
    """Generator and critic, trained as a Wasserstein GAN with gradient penalty; see `GeneratorCriticPair`."""

    epsilon: ClassVar[float] = 1e-7  # Keras' default

    @abstractmethod
    def draw_noise(self, batch: int, rng: torch.Generator) -> Tensor:
        """Draw the generator's noise for a number of samples."""

    def condition(self, real: Tensor) -> Tensor | None:
        """Return the further input of both networks, if any."""
        return None

    def iterate(self, rolls: Tensor, iteration: int) -> dict[str, float]:
        """Run `critic_steps` critic steps and one generator step.

        Args:
            rolls: All training samples, (N, 4, T, P), values -1 and +1, on the CPU.
            iteration: Counted from 0.

        Returns:
            `critic`, the loss with its penalty; `wasserstein` and `penalty`, see `CriticLoss`; `generator`. The
            critic's losses are means over its steps.
        """
        rng, critic_steps = self.rng(iteration), self.config.optimizer.critic_steps
        batches = (rolls[indices] for indices in self.batches(len(rolls), iteration * (critic_steps + 1)))
        losses = [self.critic_step(next(batches), rng) for _ in range(critic_steps)]
        generator = self.generator_step(next(batches), rng)
        parts = [[loss.total, loss.wasserstein, loss.penalty, generator] for loss in losses]
        means = torch.tensor(parts, device=self.device).mean(0)
        self.average([means])
        return dict(zip(("critic", "wasserstein", "penalty", "generator"), means.tolist(), strict=True))

    def critic_step(self, real: Tensor, rng: torch.Generator) -> CriticLoss:
        """Step the critic on a batch of all processes."""
        noise, share = self.draw_noise(len(real), rng), torch.rand(len(real), generator=rng)
        real, noise, share = self.local(real), self.local(noise), self.local(share)
        condition = self.condition(real)
        fake = self.generate(condition, noise).to(real.dtype)
        self.critic_optimizer.zero_grad(set_to_none=True)
        with self.precision():
            loss = critic_loss(self.critic, real, fake, condition, share)
        loss.total.backward()  # type: ignore[no-untyped-call]
        self.descend(self.critic, self.critic_optimizer)
        return CriticLoss(loss.wasserstein.detach(), loss.penalty.detach())

    def generator_step(self, real: Tensor, rng: torch.Generator) -> Tensor:
        """Step the generator on the conditions of a batch of all processes, and return its loss."""
        noise = self.local(self.draw_noise(len(real), rng))
        condition = self.condition(self.local(real))
        self.generator.train()
        with self.generator_turn():
            with self.precision():
                loss: Tensor = -self.critic(self._forward(condition, noise), condition).float().mean()
            loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    @torch.no_grad()
    def generate(self, condition: Tensor | None, noise: Tensor) -> Tensor:
        """Generate in eval mode: (B, 1, T, P) or None, noise -> (B, 4, T, P)."""
        self.generator.train(False)
        with self.precision():
            return self._forward(None if condition is None else condition.to(self.device), noise.to(self.device))

    def _forward(self, condition: Tensor | None, noise: Tensor) -> Tensor:
        rolls: Tensor = self.generator(noise) if condition is None else self.generator(condition, noise)
        return rolls


class ConditionalStep(WganStep[GanConfig, UNetGenerator]):
    """The source article's conditional GAN, in training."""

    def build(self) -> tuple[UNetGenerator, UNetCritic]:
        """See `GeneratorCriticPair`."""
        return UNetGenerator(), UNetCritic()

    def draw_noise(self, batch: int, rng: torch.Generator) -> Tensor:
        """See `WganStep`."""
        return draw_noise(batch, rng)

    def condition(self, real: Tensor) -> Tensor:
        """See `WganStep`: the melody."""
        return melody_of(real)


class RollGanStep(WganStep[RollGanConfig, RollGenerator]):
    """The unconditional roll GAN, in training."""

    def build(self) -> tuple[RollGenerator, UNetCritic]:
        """See `GeneratorCriticPair`."""
        model = self.config.model
        generator = RollGenerator(model.noise_size, model.filters)
        return generator, UNetCritic(NUM_TRACKS, model.critic_filters, LONG_STEPS)

    def draw_noise(self, batch: int, rng: torch.Generator) -> Tensor:
        """See `WganStep`."""
        return self.generator.draw_noise(batch, rng)
