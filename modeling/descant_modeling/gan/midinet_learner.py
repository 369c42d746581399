"""What one iteration of MidiNet does to its generator and discriminator.

One noise is drawn for a batch. The discriminator takes a step, then the generator two, which keeps the discriminator
from winning. The generator's loss has two more parts that pull the mean of a batch towards the data's: of the features
of the discriminator's first layer, and of the bars themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from accelerate import Accelerator
from torch import Tensor

from descant_modeling.gan.adversaries import Adversaries
from descant_modeling.gan.config import MidinetOptimizerConfig
from descant_modeling.gan.melody_data import MelodyData
from descant_modeling.gan.midinet_networks import NOISE_SIZE, MidinetDiscriminator, MidinetGenerator


@dataclass(frozen=True)
class MidinetLosses:
    """Losses of one iteration; the generator's are means over its steps.

    Attributes:
        discriminator: What the discriminator minimized.
        generator: What the generator minimized, all three parts.
        adversarial: Its first part: how far the discriminator is from taking its bars for real.
        matching: The other two, weighted: of the means of features and of bars.
    """

    discriminator: float
    generator: float
    adversarial: float
    matching: float


@dataclass(frozen=True)
class BarBatch:
    """Some bars with what they are conditioned on.

    Attributes:
        bars: (B, 1, 16, 128), 0 or 1.
        chords: (B, 13).
        previous: (B, 1, 16, 128); all zeros where no bar goes before.
    """

    bars: Tensor
    chords: Tensor
    previous: Tensor


class MidinetLearner(Adversaries[MidinetGenerator, MidinetDiscriminator]):
    """MidiNet's two networks, in training.

    Args:
        seed: Everything random follows from it.
        optimizer: Adam's settings, what the losses weigh, and how many generator steps follow a discriminator step.
        batch_size: Bars in a step.
        dtype: What convolutions compute in; fp32 or bf16.
        accelerator: Device and processes, whose number divides `batch_size`; one process on the CPU if not given.
    """

    epsilon: ClassVar[float] = 1e-8  # TensorFlow's

    def __init__(
        self,
        seed: int,
        optimizer: MidinetOptimizerConfig,
        batch_size: int,
        dtype: torch.dtype = torch.float32,
        accelerator: Accelerator | None = None,
    ) -> None:
        super().__init__(
            seed, lambda: (MidinetGenerator(), MidinetDiscriminator()), optimizer, batch_size, dtype, accelerator
        )
        self.weights = optimizer

    def iterate(self, data: MelodyData, iteration: int) -> MidinetLosses:
        """Run one discriminator step and `generator_steps` generator steps, all with the same bars and noise.

        Args:
            data: Training bars, in all their keys.
            iteration: Counted from 0.
        """
        rng = self.rng(iteration)
        places = torch.tensor(next(self.places(len(data), iteration)))
        batch = self.batch(data, places)
        noise = self.mine(draw_midinet_noise(len(places), rng))
        self.generator.train()
        fake = self._fake(batch, noise)
        discriminator = self._discriminator_step(batch, fake.detach())
        adversarial, matching = self._generator_step(batch, fake)
        parts = [[adversarial, matching]]
        for _ in range(1, self.weights.generator_steps):
            parts.append([*self._generator_step(batch, self._fake(batch, noise))])
        means = torch.tensor([[discriminator, a + m, a, m] for a, m in parts], device=self.device).mean(0)
        self.average([means])
        return MidinetLosses(*means.tolist())

    def batch(self, data: MelodyData, places: Tensor) -> BarBatch:
        """Gather this process's share of some bars, as what the networks take."""
        bars, chords, previous = data.at(self.mine(places).cpu())
        return BarBatch(bars.to(self.device), chords.to(self.device), previous.to(self.device))

    def _fake(self, batch: BarBatch, noise: Tensor) -> Tensor:
        with self.precision():
            bars: Tensor = self.generator(noise, batch.chords, batch.previous)
        return bars

    def _discriminator_step(self, batch: BarBatch, fake: Tensor) -> Tensor:
        """Raise what it says of real bars, lower what it says of fake ones."""
        self.critic_optimizer.zero_grad(set_to_none=True)
        with self.precision():
            real, _ = self.critic(batch.bars, batch.chords)
            faked, _ = self.critic(fake, batch.chords)
        loss = _cross_entropy(real, self.weights.real_target) + _cross_entropy(faked, 0.0)
        loss.backward()  # type: ignore[no-untyped-call]
        self.descend(self.critic, self.critic_optimizer)
        return loss.detach()

    def _generator_step(self, batch: BarBatch, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Make the discriminator believe; return the adversarial part of the loss and the matching one."""
        with self.generator_turn():
            with self.precision():
                logits, features = self.critic(fake, batch.chords)
                real_features = self.critic.features(batch.bars, batch.chords)
            adversarial = _cross_entropy(logits, 1.0)
            matching = self.weights.feature_weight * mean_distance(features, real_features)
            matching = matching + self.weights.bar_weight * mean_distance(fake, batch.bars)
            (adversarial + matching).backward()  # type: ignore[no-untyped-call]
        return adversarial.detach(), matching.detach()

    @torch.no_grad()
    def write(self, noise: Tensor, chords: Tensor, previous: Tensor) -> Tensor:
        """Generate in eval mode: (B, 100), (B, 13), (B, 1, 16, 128) -> (B, 1, 16, 128)."""
        self.generator.train(False)
        bars: Tensor = self.generator(*(tensor.to(self.device) for tensor in (noise, chords, previous)))
        return bars


def draw_midinet_noise(batch: int, rng: torch.Generator) -> Tensor:
    """Draw noise vectors: (batch, 100), standard normal."""
    return torch.randn(batch, NOISE_SIZE, generator=rng)


def mean_distance(one: Tensor, other: Tensor) -> Tensor:
    """Half the squared distance between the means of two batches, as TensorFlow's `l2_loss`."""
    return (one.float().mean(0) - other.float().mean(0)).square().sum() / 2


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits, target, dtype=torch.float32))
