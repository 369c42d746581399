"""Generator, critic and their optimizers: what one iteration of WGAN-GP does to them.

All randomness of an iteration is a function of the seed and the iteration: which samples, which noise, which points of
the penalty. So a resumed run continues bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import reduce
from torch import Tensor, nn
from torch.optim import Adam

from descant_modeling.gan.networks import Critic, Generator, draw_noise
from descant_modeling.gan.steps import CriticLoss, critic_gradients, generator_loss

#: What Adam keeps for each parameter.
OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq")


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


class GanLearner:
    """One generator, one critic, one Adam each.

    Several processes draw the same batches, take each its share of them and average the gradients. Only batch norm, in
    the generator step, sees the share of its own process.

    Args:
        seed: Everything random follows from it.
        learning_rate: Adam's, for both.
        betas: Adam's, for both.
        batch_size: Samples in a step.
        critic_steps: Critic steps before each generator step.
        dtype: What convolutions compute in; fp32 or bf16.
        accelerator: Device and processes, whose number divides `batch_size`; one process on the CPU if not given.
    """

    def __init__(
        self,
        seed: int,
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.5, 0.9),
        batch_size: int = 64,
        critic_steps: int = 5,
        dtype: torch.dtype = torch.float32,
        accelerator: Accelerator | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.device = torch.device("cpu") if accelerator is None else accelerator.device
        self.rank = 0 if accelerator is None else accelerator.process_index
        self.num_processes = 1 if accelerator is None else accelerator.num_processes
        self.seed, self.batch_size, self.critic_steps, self.dtype = seed, batch_size, critic_steps, dtype
        self.generator = Generator().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.critic = Critic().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        adam = partial(Adam, lr=learning_rate, betas=betas, eps=1e-7, fused=self.device.type in ("cpu", "cuda"))
        self.generator_optimizer = adam(self.generator.parameters())  # 1e-7 is Keras' epsilon
        self.critic_optimizer = adam(self.critic.parameters())

    def iterate(self, rolls: Tensor, iteration: int) -> GanLosses:
        """Run `critic_steps` critic steps and one generator step.

        Args:
            rolls: All training samples, (N, 4, 32, 128), values -1 and +1, on the CPU.
            iteration: Counted from 0.
        """
        rng = torch.Generator().manual_seed(_seed_of(self.seed, 0, iteration))
        batches = self._batches(rolls, iteration)
        losses = [self._critic_step(next(batches), rng) for _ in range(self.critic_steps)]
        generator = self._generator_step(next(batches), rng)
        parts = [[loss.total, loss.wasserstein, loss.penalty, generator] for loss in losses]
        means = torch.tensor(parts, device=self.device).mean(0)
        self._average([means])
        return GanLosses(*means.tolist())

    def _critic_step(self, real: Tensor, rng: torch.Generator) -> CriticLoss:
        noise, share = draw_noise(len(real), rng), torch.rand(len(real), generator=rng)
        real, noise, share = self._mine(real), self._mine(noise), self._mine(share)
        melody = melody_of(real)
        fake = self.write(melody, noise)
        self.critic_optimizer.zero_grad(set_to_none=True)
        loss = critic_gradients(self.critic, real, fake.to(real.dtype), melody, share, self.dtype)
        self._average([p.grad for p in self.critic.parameters() if p.grad is not None])
        self.critic_optimizer.step()
        return loss

    def _generator_step(self, real: Tensor, rng: torch.Generator) -> Tensor:
        noise = self._mine(draw_noise(len(real), rng))
        melody = melody_of(self._mine(real))
        self.generator.train()
        self.critic.requires_grad_(False)
        self.generator_optimizer.zero_grad(set_to_none=True)
        with self._precision():
            loss = generator_loss(self.generator, self.critic, melody, noise)
        loss.backward()  # type: ignore[no-untyped-call]
        self._average([p.grad for p in self.generator.parameters() if p.grad is not None])
        self._average([b for b in self.generator.buffers() if b.is_floating_point()])
        self.generator_optimizer.step()
        self.critic.requires_grad_(True)
        return loss.detach()

    @torch.no_grad()
    def write(self, melody: Tensor, noise: Tensor) -> Tensor:
        """Generate in eval mode: (B, 1, 32, 128), (B, 512, 2, 8) -> (B, 4, 32, 128)."""
        self.generator.train(False)
        with self._precision():
            rolls: Tensor = self.generator(melody.to(self.device), noise.to(self.device))
        return rolls

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that a resumed run needs: weights, batch norm's statistics, Adam's moments."""
        found: dict[str, Tensor] = {}
        for part, network, optimizer in self._parts():
            found |= {f"{part}.{name}": tensor for name, tensor in network.state_dict().items()}
            for name, parameter in network.named_parameters():
                state = optimizer.state.get(parameter, {})
                found |= {f"{part}.{key}.{name}": tensor for key, tensor in state.items()}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `tensors` returned."""
        for part, network, optimizer in self._parts():
            network.load_state_dict({name: tensors[f"{part}.{name}"] for name in network.state_dict()})
            packed = optimizer.state_dict()
            packed["state"] = {
                index: {key: _laid_out_as(parameter, tensors[f"{part}.{key}.{name}"]) for key in OPTIMIZER_STATE}
                for index, (name, parameter) in enumerate(network.named_parameters())
                if f"{part}.step.{name}" in tensors
            }
            optimizer.load_state_dict(packed)

    def _parts(self) -> list[tuple[str, nn.Module, torch.optim.Optimizer]]:
        return [
            ("generator", self.generator, self.generator_optimizer),
            ("critic", self.critic, self.critic_optimizer),
        ]

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def _mine(self, whole: Tensor) -> Tensor:
        """This process's share of a batch."""
        return whole[self.rank :: self.num_processes].to(self.device)

    def any_process(self, flag: bool) -> bool:
        """Whether a flag is set on any process."""
        count = torch.tensor(float(flag), device=self.device)
        self._average([count])
        return bool(count > 0)

    def _average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their means over all processes."""
        if self.num_processes > 1:
            for tensor in tensors:
                tensor.copy_(reduce(tensor, "mean"))

    def _batches(self, rolls: Tensor, iteration: int) -> Iterator[Tensor]:
        """Yield the batches of an iteration: shuffled epochs, end to end."""
        place = iteration * (self.critic_steps + 1) * self.batch_size
        while True:
            places = range(place, place + self.batch_size)
            order = {epoch: self._order(epoch, len(rolls)) for epoch in {at // len(rolls) for at in places}}
            yield rolls[[int(order[at // len(rolls)][at % len(rolls)]) for at in places]]
            place += self.batch_size

    def _order(self, epoch: int, number: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.random.default_rng((self.seed, 1, epoch)).permutation(number)


def melody_of(rolls: Tensor) -> Tensor:
    """The condition: the first track, (B, 4, T, P) -> (B, 1, T, P)."""
    return rolls[:, :1]


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Return a state of Adam's in the memory layout of its parameter, channels last.

    The fused Adam of torch 2.13 walks through memory and does not look at strides: of a state in another layout it
    would take each element for another one's.
    """
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
