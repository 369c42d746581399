"""What one iteration of WGAN-GP does to generator and critic, with a melody as condition or without.

All randomness of an iteration is a function of the seed and the iteration: which samples, which noise, which points of
the penalty. So a resumed run continues bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from accelerate import Accelerator
from torch import Tensor

from descant_modeling.gan.adversaries import Adversaries
from descant_modeling.gan.config import GanOptimizerConfig
from descant_modeling.gan.networks import Critic, Generator, draw_noise
from descant_modeling.gan.roll_networks import RollGenerator
from descant_modeling.gan.steps import CriticLoss, critic_gradients, generator_loss


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

    build: Callable[[], tuple[Generator | RollGenerator, Critic]]
    draw_noise: Callable[[int, torch.Generator], Tensor]
    condition: Callable[[Tensor], Tensor] | None


CONDITIONAL = WganParts(lambda: (Generator(), Critic()), draw_noise, melody_of)


class GanLearner(Adversaries[Generator | RollGenerator, Critic]):
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
