"""Generator and critic of the conditional GAN, layer for layer as in the source article (after AWS DeepComposer).

Shapes: B batch, T = 32 time steps (four a beat, two bars of 4/4), P = 128 MIDI pitches. Rolls are (B, 4, T, P), the
melody (B, 1, T, P), values -1 (silent) and +1 (sounding); the noise z is (B, 512, 2, 8). The layers and the critic
serve the unconditional GAN too (`roll_networks`).

The article is Keras. What its layers do by default and torch's don't is spelled out: 'same' padding (for stride 1 and
a 4x4 kernel 1 before and 2 after), batch norm with momentum 0.8 (torch counts it the other way round: 0.2) and epsilon
1e-3, Glorot-uniform weights, zero biases.

The unconditional roll GAN's generator: a noise vector to four bars of four tracks, the article's other sketch.

The article gives no layers for it. It is built from those of the conditional GAN's decoder; its critic is that GAN's
critic without a melody.

Shapes: B batch, T = 64 time steps (four a beat, four bars of 4/4), P = 128 MIDI pitches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from descant_modeling.gan.config import RollGanModelConfig

NUM_TRACKS, NUM_STEPS, NUM_PITCHES = 4, 32, 128
ENCODER_FILTERS = (64, 128, 256, 512)
DECODER_FILTERS = (256, 128, 64)
CRITIC_FILTERS = (64, 128, 256, 512)
NOISE_SHAPE = (512, 2, 8)
LEAK = 0.2
KERNEL = 4


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Keras' batch norm, as torch counts its momentum."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.2)


class Down(nn.Module):
    """Convolution 4x4 of stride 2, LeakyReLU, then (after the activation, as in the article) batch norm."""

    def __init__(self, inputs: int, filters: int, *, normalized: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, filters, KERNEL, stride=2, padding=1)
        self.norm = batch_norm(filters) if normalized else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, filters, H / 2, W / 2)."""
        out: Tensor = self.norm(F.leaky_relu(self.conv(x), LEAK))
        return out


#: How a 4-tap kernel over a nearest-upsampled line acts on the line itself: [phase, tap on the line, tap of the
#: kernel]. Output 2i sees inputs i-1, i, i, i+1, output 2i+1 sees i, i, i+1, i+1 ('same': 1 before, 2 after).
PHASE_TAPS = (
    ((1, 0, 0, 0), (0, 1, 1, 0), (0, 0, 0, 1)),
    ((0, 0, 0, 0), (1, 1, 0, 0), (0, 0, 1, 1)),
)


class UpConv(nn.Conv2d):
    """Nearest upsampling by 2, then a 4x4 convolution with Keras 'same' padding.

    Of the 16 taps of each output, four (at the edges of a phase two) always meet equal neighbours, so both steps are
    one 3x3 convolution of the small input with four times the filters, one for each phase of the output: 36 products
    an input cell instead of 64, and no upsampled copy of the input. `naive_forward` is the form to compare with.
    """

    phase_taps: Tensor

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__(inputs, filters, KERNEL)
        self.register_buffer("phase_taps", torch.tensor(PHASE_TAPS, dtype=torch.float32), persistent=False)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return weight (4 * filters, inputs, 3, 3) and bias (4 * filters) of the folded convolution."""
        taps = self.phase_taps
        rows = torch.einsum("ptk,oikl->opitl", taps, self.weight)
        weight = torch.einsum("qsl,opitl->pqoits", taps, rows).reshape(-1, self.in_channels, 3, 3)
        assert self.bias is not None
        return weight.contiguous(memory_format=torch.channels_last), self.bias.repeat(4)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, filters, 2 H, 2 W)."""
        return interleave(F.conv2d(x, *self.folded(), padding=1))

    def naive_forward(self, x: Tensor) -> Tensor:
        """Do as the article does: upsample, pad, convolve."""
        upsampled = F.interpolate(x, scale_factor=2, mode="nearest")
        return F.conv2d(F.pad(upsampled, (1, 2, 1, 2)), self.weight, self.bias)


def interleave(phases: Tensor) -> Tensor:
    """Put the four phases into place: (B, 4 C, H, W) -> (B, C, 2 H, 2 W), channels last in memory."""
    batch, channels, height, width = phases.shape
    grid = phases.permute(0, 2, 3, 1).reshape(batch, height, width, 2, 2, channels // 4).permute(0, 1, 3, 2, 4, 5)
    return grid.reshape(batch, 2 * height, 2 * width, channels // 4).permute(0, 3, 1, 2)


class Up(nn.Module):
    """Upsampling, convolution, batch norm, ReLU, then the encoder's layer of the same size on the channel axis."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.conv = UpConv(inputs, filters)
        self.norm = batch_norm(filters)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, inputs, H, W), (B, S, 2 H, 2 W) -> (B, filters + S, 2 H, 2 W)."""
        return torch.cat([F.relu(self.norm(self.conv(x))), skip], dim=1)


class UNetGenerator(nn.Module):
    """U-Net from a melody and noise to four tracks: 8,270,852 parameters."""

    #: What config.json says: there is one architecture, and these are its sizes.
    architecture: ClassVar[dict[str, Any]] = {
        "model_type": "descant-gan",
        "num_tracks": NUM_TRACKS,
        "num_steps": NUM_STEPS,
        "num_pitches": NUM_PITCHES,
        "noise_shape": list(NOISE_SHAPE),
    }

    def __init__(self) -> None:
        super().__init__()
        sizes = (1, *ENCODER_FILTERS)
        self.encoder = nn.ModuleList(
            Down(inputs, filters, normalized=index > 0) for index, (inputs, filters) in enumerate(pairwise(sizes))
        )
        inputs = ENCODER_FILTERS[-1] + NOISE_SHAPE[0]
        decoder = []
        for filters, skip in zip(DECODER_FILTERS, ENCODER_FILTERS[-2::-1], strict=True):
            decoder.append(Up(inputs, filters))
            inputs = filters + skip
        self.decoder = nn.ModuleList(decoder)
        self.out = UpConv(inputs, NUM_TRACKS)
        self.apply(glorot)

    def forward(self, melody: Tensor, noise: Tensor) -> Tensor:
        """Write four tracks.

        Args:
            melody: (B, 1, 32, 128).
            noise: (B, 512, 2, 8), see `draw_noise`.

        Returns:
            (B, 4, 32, 128), values -1 to +1; above 0 means sounding.
        """
        skips = []
        x = melody
        for down in self.encoder:
            x = down(x)
            skips.append(x)
        x = torch.cat([skips.pop(), noise.to(x.dtype)], dim=1)
        for up in self.decoder:
            x = up(x, skips.pop())
        return torch.tanh(self.out(x))


class UNetCritic(nn.Module):
    """Scores how real a roll is, with its melody if there is one: four convolutions and one linear layer.

    With the sizes of the article, 2,766,785 parameters.

    Args:
        num_inputs: Tracks of the roll and the melody together.
        filters: Of each convolution.
        num_steps: Steps of a roll, a multiple of 16.
    """

    def __init__(
        self,
        num_inputs: int = NUM_TRACKS + 1,
        filters: Sequence[int] = CRITIC_FILTERS,
        num_steps: int = NUM_STEPS,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(inputs, outputs, KERNEL, stride=2, padding=1)
            for inputs, outputs in pairwise((num_inputs, *filters))
        )
        shrink = 2 ** len(filters)
        #: Height, width and channels of what the linear layer sees, flattened in this order as Keras does.
        self.last_shape = (num_steps // shrink, NUM_PITCHES // shrink, filters[-1])
        self.score = nn.Linear(math.prod(self.last_shape), 1)
        self.apply(glorot)

    def layers(self) -> list[nn.Conv2d]:
        """Return the convolutions in order."""
        return [conv for conv in self.convs if isinstance(conv, nn.Conv2d)]

    def forward(self, rolls: Tensor, melody: Tensor | None = None) -> Tensor:
        """(B, 4, T, 128), (B, 1, T, 128) -> (B,), larger for what looks real."""
        x = rolls if melody is None else torch.cat([rolls, melody], dim=1)
        for conv in self.layers():
            x = F.leaky_relu(conv(x), LEAK)
        score: Tensor = self.score(x.permute(0, 2, 3, 1).flatten(1))
        return score.squeeze(1)


def draw_noise(batch: int, rng: torch.Generator) -> Tensor:
    """Draw z: (batch, 512, 2, 8), normal, cut at two standard deviations as Keras' truncated_normal."""
    noise = torch.empty(batch, *NOISE_SHAPE)
    nn.init.trunc_normal_(noise, std=1.0, a=-2.0, b=2.0, generator=rng)
    return noise.contiguous(memory_format=torch.channels_last)


def glorot(module: nn.Module) -> None:
    """Give a layer Glorot-uniform weights and zero biases."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


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
