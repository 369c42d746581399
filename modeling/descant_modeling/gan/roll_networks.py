"""The unconditional roll GAN's generator: a noise vector to four bars of four tracks, the article's other sketch.

The article gives no layers for it. It is built from those of the conditional GAN's decoder; its critic is that GAN's
critic without a melody.

Shapes: B batch, T = 64 time steps (four a beat, four bars of 4/4), P = 128 MIDI pitches.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from descant_modeling.gan.config import RollGanModelConfig
from descant_modeling.gan.networks import NUM_PITCHES, NUM_TRACKS, UpConv, batch_norm, glorot

LONG_STEPS = 64
#: Steps and pitches at which the noise becomes a picture, to be doubled four times.
FIRST_STEPS, FIRST_PITCHES = 4, 8


class RollGenerator(nn.Module):
    """A linear layer, then four times upsampling by 2 and a 4x4 convolution, batch norm and ReLU between.

    With the default sizes 957,348 parameters.

    Args:
        noise_size: Length of the noise vector, 1-1024.
        filters: Channels of the picture before each of the four doublings, 1-1024 each.

    Raises:
        ValueError: A size is out of range.
    """

    def __init__(self, noise_size: int = 128, filters: Sequence[int] = (128, 128, 64, 32)) -> None:
        RollGanModelConfig(noise_size, tuple(filters))  # refuses sizes out of range
        super().__init__()
        self.noise_size, self.filters = noise_size, tuple(filters)
        self.dense = nn.Linear(noise_size, filters[0] * FIRST_STEPS * FIRST_PITCHES)
        self.norms = nn.ModuleList(batch_norm(number) for number in filters)
        self.convs = nn.ModuleList(UpConv(inputs, outputs) for inputs, outputs in pairwise((*filters, NUM_TRACKS)))
        self.apply(glorot)

    @property
    def architecture(self) -> dict[str, Any]:
        """What config.json says."""
        return {
            "model_type": "descant-roll-gan",
            "num_tracks": NUM_TRACKS,
            "num_steps": LONG_STEPS,
            "num_pitches": NUM_PITCHES,
            "noise_size": self.noise_size,
            "filters": list(self.filters),
        }

    def forward(self, noise: Tensor) -> Tensor:
        """(B, noise_size) -> (B, 4, 64, 128), values -1 to +1; above 0 means sounding."""
        x = self.dense(noise).view(-1, FIRST_STEPS, FIRST_PITCHES, self.filters[0]).permute(0, 3, 1, 2)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = conv(F.relu(norm(x)))
        return torch.tanh(x)

    def draw_noise(self, batch: int, rng: torch.Generator) -> Tensor:
        """Draw noise vectors: (batch, noise_size), standard normal."""
        return torch.randn(batch, self.noise_size, generator=rng)
