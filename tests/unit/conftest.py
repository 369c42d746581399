"""What unit tests of networks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import Tensor, nn


@pytest.fixture(scope="session")
def random_rolls() -> Callable[..., Tensor]:
    """A function that makes rolls of four tracks, -1 and +1, as full as music."""
    import torch

    def make(number: int, num_steps: int = 32, seed: int = 0) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        return torch.where(torch.rand(number, 4, num_steps, 128, generator=rng) < 0.03, 1.0, -1.0)

    return make


@pytest.fixture(scope="session")
def watch() -> Callable[[nn.Module], Callable[[], set[str]]]:
    """A function that notes a network's state and returns one that tells which tensors have changed since."""
    import torch

    def start(network: nn.Module) -> Callable[[], set[str]]:
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        return lambda: {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}

    return start
