"""Two networks that train each other, with one Adam optimizer each.

All randomness of an iteration is a function of the seed and the iteration, so a resumed run continues bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import reduce
from torch import Tensor, nn
from torch.optim import Adam

from descant_modeling.gan.config import AdversarialConfig

#: What Adam keeps for each parameter.
OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq")

ConfigT = TypeVar("ConfigT", bound=AdversarialConfig)
GeneratorT = TypeVar("GeneratorT", bound=nn.Module)
CriticT = TypeVar("CriticT", bound=nn.Module)


class GeneratorCriticPair(ABC, Generic[ConfigT, GeneratorT, CriticT]):
    """A generator and its critic (or discriminator), and their optimizers.

    All processes draw the same batches; each takes its share of them, and the gradients are averaged. Only batch norm
    sees no more than the share of its own process.

    Args:
        config: The run.
        accelerator: Device, precision and processes, whose number divides the batch size; by default one process on the
            CPU in fp32.
    """

    #: What Adam adds to its denominator.
    epsilon: ClassVar[float]

    def __init__(self, config: ConfigT, accelerator: Accelerator | None = None) -> None:
        self.device = torch.device("cpu") if accelerator is None else accelerator.device
        self.rank = 0 if accelerator is None else accelerator.process_index
        self.num_processes = 1 if accelerator is None else accelerator.num_processes
        self.uses_bf16 = accelerator is not None and accelerator.mixed_precision == "bf16"
        self.config = config
        torch.manual_seed(config.seed)
        self.generator, self.critic = self.build()
        self.generator.to(self.device)
        self.critic.to(self.device)
        self.generator_optimizer = self._adam(self.generator)
        self.critic_optimizer = self._adam(self.critic)

    @abstractmethod
    def build(self) -> tuple[GeneratorT, CriticT]:
        """Build generator and critic on the CPU, with random weights."""

    @abstractmethod
    def iterate(self, samples: Any, iteration: int) -> dict[str, float]:
        """Run some steps of both networks on training samples, and return their losses by name."""

    def _adam(self, network: nn.Module) -> Adam:
        rate, (beta1, beta2) = self.config.optimizer.learning_rate, self.config.optimizer.betas
        fused = self.device.type in ("cpu", "cuda")
        return Adam(network.parameters(), lr=rate, betas=(beta1, beta2), eps=self.epsilon, fused=fused)

    @property
    def _parts(self) -> tuple[tuple[str, nn.Module, Adam], ...]:
        return (
            ("generator", self.generator, self.generator_optimizer),
            ("critic", self.critic, self.critic_optimizer),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that a resumed run needs: weights, batch norm statistics, Adam's moments."""
        found: dict[str, Tensor] = {}
        for part, network, optimizer in self._parts:
            found |= {f"{part}.{name}": tensor for name, tensor in network.state_dict().items()}
            for name, parameter in network.named_parameters():
                state = optimizer.state.get(parameter, {})
                found |= {f"{part}.{key}.{name}": tensor for key, tensor in state.items()}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` returned."""
        for part, network, optimizer in self._parts:
            network.load_state_dict({name: tensors[f"{part}.{name}"] for name in network.state_dict()})
            packed = optimizer.state_dict()
            packed["state"] = {
                index: {key: tensors[f"{part}.{key}.{name}"] for key in OPTIMIZER_STATE}
                for index, (name, _) in enumerate(network.named_parameters())
                if f"{part}.step.{name}" in tensors
            }
            optimizer.load_state_dict(packed)

    def average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their means over all processes."""
        if self.num_processes > 1:
            for tensor in tensors:
                tensor.copy_(reduce(tensor, "mean"))

    def descend(self, network: nn.Module, optimizer: Adam) -> None:
        """Average a network's gradients over all processes, then take an optimizer step."""
        self.average([p.grad for p in network.parameters() if p.grad is not None])
        optimizer.step()

    @contextmanager
    def generator_turn(self) -> Iterator[None]:
        """Collect gradients for the generator alone, and step it on leaving."""
        self.critic.requires_grad_(False)
        self.generator_optimizer.zero_grad(set_to_none=True)
        yield
        self.average([buffer for buffer in self.generator.buffers() if buffer.is_floating_point()])
        self.descend(self.generator, self.generator_optimizer)
        self.critic.requires_grad_(True)

    def local(self, whole: Tensor) -> Tensor:
        """Return this process's share of a batch, on its device."""
        return whole[self.rank :: self.num_processes].to(self.device)

    def precision(self) -> AbstractContextManager[object]:
        """Return a context in which convolutions run in bf16, if the run does."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.uses_bf16)

    def rng(self, iteration: int) -> torch.Generator:
        """Return the random numbers of an iteration."""
        state = np.random.SeedSequence((self.config.seed, 0, iteration)).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(state >> 1))

    def batches(self, num_samples: int, first_batch: int) -> Iterator[list[int]]:
        """Yield the sample indices of a batch and of those after it, from shuffled epochs laid end to end.

        Args:
            num_samples: Number of training samples.
            first_batch: Counted from 0, from the beginning of the run.
        """
        size = self.config.data.batch_size
        place = first_batch * size
        while True:
            places = range(place, place + size)
            epochs = {at // num_samples for at in places}
            order = {
                epoch: np.random.default_rng((self.config.seed, 1, epoch)).permutation(num_samples) for epoch in epochs
            }
            yield [int(order[at // num_samples][at % num_samples]) for at in places]
            place += size
