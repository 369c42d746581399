"""What the generators of the families share.

Shapes: V = 4 voices from high to low, T 16ths, K pitches of the vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.families.networks import GridNetwork
from descant_modeling.generation.base import GenerationResult, Request, refuse_hints, refuse_instruments
from descant_modeling.generation.grid import read_grid_prompt
from descant_modeling.generation.networks import NetworkGenerator, refuse_token_options, rng_of_each_sample
from descant_modeling.models.checkpoints import FoundCheckpoint
from descant_modeling.models.networks import LoadedNetwork, load_network
from descant_tokenizers.pianoroll.frames import Ints

LOWEST_TEMPERATURE = 1e-3

NetworkT = TypeVar("NetworkT", bound=GridNetwork[Any])


class GridGenerator(NetworkGenerator, ABC, Generic[NetworkT]):
    """A family as a `MusicGenerator`: it writes the free cells of a prompt.

    Args:
        found: Its checkpoint.
        device: ``cpu``, ``cuda`` or ``mps``.

    Raises:
        InputError: Its folder is incomplete or damaged.
    """

    network_type: ClassVar[type[GridNetwork[Any]]]
    #: Options of token sampling that it takes.
    sampling: tuple[str, ...] = ("temperature",)

    def __init__(self, found: FoundCheckpoint, device: str = "cpu") -> None:
        loaded: LoadedNetwork[Any] = load_network(found, self.network_type.build, device)
        self.network: NetworkT = loaded.network
        self.ranges = loaded.meta.voice_ranges

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Write what is free in a prompt; see `MusicGenerator`."""
        self.check(request, config)
        prompt = read_grid_prompt(request, self.ranges)
        samples = (self.write(prompt.pitches_VT, config, rng) for rng in rng_of_each_sample(config))
        return prompt.result(samples, config)

    def check(self, request: Request, config: GenerationConfig) -> None:
        """Raise an `InputError` if a request or its options ask for what the family does not have."""
        refuse_instruments(request.write)
        refuse_hints(request, config)
        refuse_token_options(config, self.sampling)

    @abstractmethod
    def write(self, pitches_VT: Ints, config: GenerationConfig, rng: torch.Generator) -> Ints:
        """Return pitches with all `FREE` ones written."""

    def illegal(self) -> Tensor:
        """Return for each voice which cells it may not have: pitches outside its range in training, (V, 1 + K)."""
        pitches_K = torch.arange(self.network.vocabulary.lowest, self.network.vocabulary.highest + 1)
        lows_V1, highs_V1 = torch.tensor(self.ranges).T[..., None]
        return F.pad((pitches_K < lows_V1) | (pitches_K > highs_V1), (1, 0)).to(self.network.device)
