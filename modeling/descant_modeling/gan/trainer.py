"""Two networks that train each other, one Adam each: what every GAN here has, whatever its steps are.

All randomness of an iteration is a function of the seed and the iteration. So a resumed run continues bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import ClassVar, Generic, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import reduce
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Adam

from descant_modeling.gan.config import AdamConfig

#: What Adam keeps for each parameter.
OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq")

GeneratorT = TypeVar("GeneratorT", bound=nn.Module)
CriticT = TypeVar("CriticT", bound=nn.Module)


class GeneratorCriticPair(Generic[GeneratorT, CriticT]):
    """A generator and its critic (or discriminator), and their optimizers.

    Several processes draw the same batches, take each its share of them and average the gradients. Only batch norm sees
    the share of its own process.

    Args:
        seed: Everything random follows from it.
        build: Makes generator and critic, on the CPU.
        adam: Settings of both optimizers.
        batch_size: Samples in a step.
        dtype: What convolutions compute in; fp32 or bf16.
        accelerator: Device and processes, whose number divides `batch_size`; one process on the CPU if not given.
    """

    #: What Adam adds to its denominator.
    epsilon: ClassVar[float] = 1e-8

    def __init__(
        self,
        seed: int,
        build: Callable[[], tuple[GeneratorT, CriticT]],
        adam: AdamConfig,
        batch_size: int,
        dtype: torch.dtype = torch.float32,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.device = torch.device("cpu") if accelerator is None else accelerator.device
        self.rank = 0 if accelerator is None else accelerator.process_index
        self.num_processes = 1 if accelerator is None else accelerator.num_processes
        self.seed, self.batch_size, self.dtype = seed, batch_size, dtype
        torch.manual_seed(seed)
        self.generator, self.critic = build()
        networks: tuple[nn.Module, nn.Module] = (self.generator, self.critic)
        for network in networks:
            network.to(self.device)
        optimizer = partial(
            Adam,
            lr=adam.learning_rate,
            betas=(adam.betas[0], adam.betas[1]),
            eps=self.epsilon,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self._parts: tuple[tuple[str, nn.Module, Adam], ...] = tuple(
            (part, network, optimizer(network.parameters()))
            for part, network in zip(("generator", "critic"), networks, strict=True)
        )

    @property
    def generator_optimizer(self) -> Adam:
        """The generator's."""
        return self._parts[0][2]

    @property
    def critic_optimizer(self) -> Adam:
        """The critic's."""
        return self._parts[1][2]

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that a resumed run needs: weights, batch norm's statistics, Adam's moments."""
        found: dict[str, Tensor] = {}
        for part, network, optimizer in self._parts:
            found |= {f"{part}.{name}": tensor for name, tensor in network.state_dict().items()}
            for name, parameter in network.named_parameters():
                state = optimizer.state.get(parameter, {})
                found |= {f"{part}.{key}.{name}": tensor for key, tensor in state.items()}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `tensors` returned."""
        for part, network, optimizer in self._parts:
            network.load_state_dict({name: tensors[f"{part}.{name}"] for name in network.state_dict()})
            packed = optimizer.state_dict()
            packed["state"] = {
                index: {key: _laid_out_as(parameter, tensors[f"{part}.{key}.{name}"]) for key in OPTIMIZER_STATE}
                for index, (name, parameter) in enumerate(network.named_parameters())
                if f"{part}.step.{name}" in tensors
            }
            optimizer.load_state_dict(packed)

    def average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their means over all processes."""
        if self.num_processes > 1:
            for tensor in tensors:
                tensor.copy_(reduce(tensor, "mean"))

    def descend(self, network: nn.Module, optimizer: Adam) -> None:
        """Average a network's gradients over all processes, and take a step down them."""
        self.average([p.grad for p in network.parameters() if p.grad is not None])
        optimizer.step()

    @contextmanager
    def generator_turn(self) -> Iterator[None]:
        """Gradients of what runs inside are the generator's alone, and it takes a step down them at the end."""
        self.critic.requires_grad_(False)
        self.generator_optimizer.zero_grad(set_to_none=True)
        yield
        self.average([buffer for buffer in self.generator.buffers() if buffer.is_floating_point()])
        self.descend(self.generator, self.generator_optimizer)
        self.critic.requires_grad_(True)

    def mine(self, whole: Tensor) -> Tensor:
        """This process's share of a batch."""
        return whole[self.rank :: self.num_processes].to(self.device)

    def precision(self) -> AbstractContextManager[object]:
        """Let convolutions compute in `dtype`."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def rng(self, iteration: int) -> torch.Generator:
        """Return the random numbers of an iteration."""
        return torch.Generator().manual_seed(_seed_of(self.seed, 0, iteration))

    def places(self, number: int, first_batch: int) -> Iterator[list[int]]:
        """Yield which samples are in a batch and in those after it: shuffled epochs, end to end.

        Args:
            number: Samples there are.
            first_batch: Counted from 0, from the beginning of the run.
        """
        place = first_batch * self.batch_size
        while True:
            places = range(place, place + self.batch_size)
            order = {epoch: self._order(epoch, number) for epoch in {at // number for at in places}}
            yield [int(order[at // number][at % number]) for at in places]
            place += self.batch_size

    def _order(self, epoch: int, number: int) -> NDArray[np.int64]:
        return np.random.default_rng((self.seed, 1, epoch)).permutation(number)


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Return a state of Adam's in the memory layout of its parameter, channels last.

    The fused Adam of torch 2.13 walks through memory and does not look at strides: of a state in another layout it
    would take each element for another one's.
    """
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
