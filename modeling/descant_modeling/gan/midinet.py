"""MidiNet (Yang et al. 2017): its two networks, one training iteration, and melodies bar by bar.

The layers are those of the authors' code, version 1. The chord is concatenated with the features before every layer
but the last; in the generator, so is the conditioner's map of the previous bar at that size.

Shapes: B batch, H steps, C channels. A bar is (B, 1, 16, 128), sixteenths and MIDI pitches, 0 or 1, and so is the
previous bar, all zeros for a first bar; a chord is (B, 13), the root one-hot and 1 for minor; noise is (B, 100).

No kernel slides along the pitches: it spans either all 128 of them or a single column. So feature maps are (B, H, C),
and each convolution is one matrix product with the weights of a stock layer. A test compares them with the stock
layers' own forward, which is five times slower.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from descant_modeling.gan.config import MidinetConfig
from descant_modeling.gan.data import MelodyData
from descant_modeling.gan.networks import LEAK, GeneratorCriticPair
from descant_tokenizers.pianoroll.chords import CHORD_SIZE
from descant_tokenizers.pianoroll.rolls import BAR_STEPS, NUM_PITCHES, Rolls

NOISE_SIZE = 100
DENSE_SIZE = 1024
CHANNELS = 128
CONDITIONER_CHANNELS = 16
#: Steps of the generator's feature maps before each transposed convolution.
MAP_STEPS = (2, 4, 8, 16)
CRITIC_CHANNELS = 64 + CHORD_SIZE
#: Standard deviation of the initial weights.
WEIGHT_SCALE = 0.02


class ChannelNorm(nn.BatchNorm1d):
    """Batch norm of each channel over all axes but the last."""

    def __init__(self, channels: int, *, track_running_stats: bool = True) -> None:
        super().__init__(channels, eps=1e-5, momentum=0.1, track_running_stats=track_running_stats)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return super().forward(x.reshape(-1, x.shape[-1])).view_as(x)


def with_chord(x: Tensor, chord: Tensor) -> Tensor:
    """(B, C), (B, 13) -> (B, C + 13); or (B, H, C) -> (B, H, C + 13)."""
    if x.dim() == 3:
        chord = chord[:, None].expand(-1, x.shape[1], -1)
    return torch.cat([x, chord], dim=-1)


def column_conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Convolve a column with a (k, 1) kernel: (B, H, C) -> (B, H', filters)."""
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    patches = x.unfold(1, kernel, stride).flatten(2)  # (B, H', C * k)
    return F.linear(patches, conv.weight.flatten(1), conv.bias)


def column_deconv(conv: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """Transpose a convolution of a (k, 1) kernel and stride k: (B, H, C) -> (B, k * H, filters)."""
    filters, kernel = conv.out_channels, conv.kernel_size[0]
    pieces = x @ conv.weight[..., 0].transpose(1, 2).flatten(1)  # (B, H, k * filters)
    assert conv.bias is not None
    return pieces.view(len(x), kernel * x.shape[1], filters) + conv.bias


class Conditioner(nn.Module):
    """Network from the previous bar to maps of 16 channels, one for each size of the generator's maps."""

    def __init__(self) -> None:
        super().__init__()
        number = CONDITIONER_CHANNELS
        self.first = nn.Conv2d(1, number, (1, NUM_PITCHES))
        self.convs = nn.ModuleList(nn.Conv2d(number, number, (2, 1), stride=(2, 1)) for _ in MAP_STEPS[1:])
        self.norms = nn.ModuleList(ChannelNorm(number) for _ in MAP_STEPS)

    def forward(self, previous: Tensor) -> list[Tensor]:
        """(B, 1, 16, 128) -> (B, H, 16) for H = 2, 4, 8, 16."""
        x = F.linear(previous[:, 0], self.first.weight.flatten(1), self.first.bias)
        maps = [F.leaky_relu(self.norms[0](x), LEAK)]
        for conv, norm in zip(self.convs, list(self.norms)[1:], strict=True):
            assert isinstance(conv, nn.Conv2d)
            maps.append(F.leaky_relu(norm(column_conv(conv, maps[-1])), LEAK))
        return maps[::-1]


class MidinetGenerator(nn.Module):
    """Network from noise, a chord and the previous bar to a bar of melody: 530,625 parameters."""

    #: Contents of config.json: the sizes of the only architecture.
    architecture: ClassVar[dict[str, Any]] = {
        "model_type": "descant-midinet",
        "num_steps": BAR_STEPS,
        "num_pitches": NUM_PITCHES,
        "noise_size": NOISE_SIZE,
        "chord_size": CHORD_SIZE,
    }

    def __init__(self) -> None:
        super().__init__()
        sizes = (NOISE_SIZE, DENSE_SIZE, MAP_STEPS[0] * CHANNELS)
        self.conditioner = Conditioner()
        self.dense = nn.ModuleList(nn.Linear(inputs + CHORD_SIZE, outputs) for inputs, outputs in pairwise(sizes))
        self.dense_norms = nn.ModuleList(ChannelNorm(outputs) for outputs in sizes[1:])
        inputs = CHANNELS + CHORD_SIZE + CONDITIONER_CHANNELS
        self.ups = nn.ModuleList(nn.ConvTranspose2d(inputs, CHANNELS, (2, 1), stride=(2, 1)) for _ in MAP_STEPS[1:])
        self.up_norms = nn.ModuleList(ChannelNorm(CHANNELS) for _ in MAP_STEPS[1:])
        self.out = nn.ConvTranspose2d(inputs, 1, (1, NUM_PITCHES))
        self.apply(_initialize)

    def forward(self, noise: Tensor, chord: Tensor, previous: Tensor) -> Tensor:
        """(B, 100), (B, 13), (B, 1, 16, 128) -> (B, 1, 16, 128), values 0 to 1."""
        x = noise
        for dense, norm in zip(self.dense, self.dense_norms, strict=True):
            x = F.relu(norm(dense(with_chord(x, chord))))
        x = x.view(-1, MAP_STEPS[0], CHANNELS)
        first, *maps = self.conditioner(previous)
        x = torch.cat([with_chord(x, chord), first], dim=2)
        for up, norm, seen in zip(self.ups, self.up_norms, maps, strict=True):
            assert isinstance(up, nn.ConvTranspose2d)
            x = torch.cat([with_chord(F.relu(norm(column_deconv(up, x))), chord), seen], dim=2)
        assert self.out.bias is not None
        return torch.sigmoid(x @ self.out.weight.flatten(1) + self.out.bias).unsqueeze(1)


class MidinetDiscriminator(nn.Module):
    """Network that distinguishes real from generated bars, given their chords: 312,703 parameters.

    Its batch norm keeps no running statistics, since it always sees whole batches.
    """

    def __init__(self) -> None:
        super().__init__()
        features = 1 + CHORD_SIZE
        self.first = nn.Conv2d(1 + CHORD_SIZE, features, (2, NUM_PITCHES), stride=2)
        self.second = nn.Conv2d(features + CHORD_SIZE, CRITIC_CHANNELS, (4, 1), stride=2)
        self.second_norm = ChannelNorm(CRITIC_CHANNELS, track_running_stats=False)
        flat = CRITIC_CHANNELS * 3  # the strides reduce 16 steps to 8, then 3
        self.dense = nn.Linear(flat + CHORD_SIZE, DENSE_SIZE)
        self.dense_norm = ChannelNorm(DENSE_SIZE, track_running_stats=False)
        self.score = nn.Linear(DENSE_SIZE + CHORD_SIZE, 1)
        self.apply(_initialize)

    def forward(self, bars: Tensor, chord: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, 16, 128), (B, 13) -> logits (B,), larger for bars that look real; features to match (B, 8, 14)."""
        features = self.features(bars, chord)
        x = F.leaky_relu(self.second_norm(column_conv(self.second, with_chord(features, chord))), LEAK)
        x = F.leaky_relu(self.dense_norm(self.dense(with_chord(x.flatten(1), chord))), LEAK)
        return self.score(with_chord(x, chord)).squeeze(1), features

    def features(self, bars: Tensor, chord: Tensor) -> Tensor:
        """Apply the first layer, whose features are matched: (B, 1, 16, 128), (B, 13) -> (B, 8, 14).

        The chord fills 13 of its 14 input channels with one constant each, so the sum of their weights is enough.
        """
        weight = self.first.weight
        sounding = F.linear(bars.reshape(len(bars), BAR_STEPS // 2, 2 * NUM_PITCHES), weight[:, 0].flatten(1))
        constant = F.linear(chord, weight[:, 1:].sum((2, 3)), self.first.bias)
        return F.leaky_relu(sounding + constant[:, None], LEAK)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=WEIGHT_SCALE, a=-2 * WEIGHT_SCALE, b=2 * WEIGHT_SCALE)
    elif isinstance(module, nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, std=WEIGHT_SCALE)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        assert module.bias is not None
        nn.init.zeros_(module.bias)


class MidinetStep(GeneratorCriticPair[MidinetConfig, MidinetGenerator, MidinetDiscriminator]):
    """MidiNet's two networks, in training; see `GeneratorCriticPair`.

    The discriminator takes one step, then the generator two (by default) with the same bars and noise, which keeps the
    discriminator from winning. Two further terms of the generator's loss match the means of a batch to those of the
    data: of the features of the discriminator's first layer, and of the bars themselves.
    """

    epsilon: ClassVar[float] = 1e-8  # TensorFlow's default

    def build(self) -> tuple[MidinetGenerator, MidinetDiscriminator]:
        """See `GeneratorCriticPair`."""
        return MidinetGenerator(), MidinetDiscriminator()

    def iterate(self, data: MelodyData, iteration: int) -> dict[str, float]:
        """Run one discriminator step and `generator_steps` generator steps.

        Args:
            data: Training bars, in all their keys.
            iteration: Counted from 0.

        Returns:
            The losses `discriminator` and `generator`, and the parts of the latter: `adversarial` and `matching`, which
            is weighted. The generator's losses are means over its steps.
        """
        indices = torch.tensor(next(self.batches(len(data), iteration)))
        bars, chords, previous = self.batch(data, indices)
        noise = self.local(draw_midinet_noise(len(indices), self.rng(iteration)))
        self.generator.train()
        fake = self.fake(noise, chords, previous)
        discriminator = self.discriminator_step(bars, fake.detach(), chords)
        parts = [self.generator_step(bars, fake, chords)]
        for _ in range(1, self.config.optimizer.generator_steps):
            parts.append(self.generator_step(bars, self.fake(noise, chords, previous), chords))
        means = torch.tensor([[discriminator, a + m, a, m] for a, m in parts], device=self.device).mean(0)
        self.average([means])
        return dict(zip(("discriminator", "generator", "adversarial", "matching"), means.tolist(), strict=True))

    def batch(self, data: MelodyData, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return this process's share of some bars, their chords and their previous bars; see `MelodyData.at`."""
        bars, chords, previous = data.at(self.local(indices).cpu())
        return bars.to(self.device), chords.to(self.device), previous.to(self.device)

    def fake(self, noise: Tensor, chords: Tensor, previous: Tensor) -> Tensor:
        """Generate bars, with a graph for autograd."""
        with self.precision():
            bars: Tensor = self.generator(noise, chords, previous)
        return bars

    def discriminator_step(self, bars: Tensor, fake: Tensor, chords: Tensor) -> Tensor:
        """Raise the discriminator's scores of real bars, lower those of fake ones, and return its loss."""
        self.critic_optimizer.zero_grad(set_to_none=True)
        with self.precision():
            real_logits, _ = self.critic(bars, chords)
            fake_logits, _ = self.critic(fake, chords)
        loss = _cross_entropy(real_logits, self.config.optimizer.real_target) + _cross_entropy(fake_logits, 0.0)
        loss.backward()  # type: ignore[no-untyped-call]
        self.descend(self.critic, self.critic_optimizer)
        return loss.detach()

    def generator_step(self, bars: Tensor, fake: Tensor, chords: Tensor) -> tuple[Tensor, Tensor]:
        """Step the generator towards bars that look real; return its adversarial and matching losses."""
        weights = self.config.optimizer
        with self.generator_turn():
            with self.precision():
                logits, features = self.critic(fake, chords)
                real_features = self.critic.features(bars, chords)
            adversarial = _cross_entropy(logits, 1.0)
            matching = weights.feature_weight * mean_distance(features, real_features)
            matching = matching + weights.bar_weight * mean_distance(fake, bars)
            (adversarial + matching).backward()  # type: ignore[no-untyped-call]
        return adversarial.detach(), matching.detach()

    @torch.no_grad()
    def generate(self, noise: Tensor, chords: Tensor, previous: Tensor) -> Tensor:
        """Generate in eval mode: (B, 100), (B, 13), (B, 1, 16, 128) -> (B, 1, 16, 128)."""
        self.generator.train(False)
        bars: Tensor = self.generator(*(tensor.to(self.device) for tensor in (noise, chords, previous)))
        return bars


def draw_midinet_noise(batch: int, rng: torch.Generator) -> Tensor:
    """Draw noise vectors: (batch, 100), standard normal."""
    return torch.randn(batch, NOISE_SIZE, generator=rng)


def mean_distance(one: Tensor, other: Tensor) -> Tensor:
    """Return half the squared distance between the means of two batches, as TensorFlow's `l2_loss`."""
    return (one.float().mean(0) - other.float().mean(0)).square().sum() / 2


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits, target, dtype=torch.float32))


def melody_rolls(bars: Tensor) -> Rolls:
    """(B, 1, 16, 128) -> (B, 16, 128, 1): True at the pitch with the highest value of each step."""
    rolls: Rolls = np.eye(NUM_PITCHES, dtype=np.bool_)[bars[:, 0].argmax(2).cpu().numpy()][..., None]
    return rolls


@torch.no_grad()
def compose_bars(generator: MidinetGenerator, chords: Tensor, rng: torch.Generator) -> Rolls:
    """Generate bars one after the other, each from the bar before; the first from silence.

    Args:
        generator: The generator, in eval mode.
        chords: (bars, 13), one for each bar.
        rng: Source of each bar's noise.

    Returns:
        (16 * bars, 128), one pitch at each step.
    """
    device = next(generator.parameters()).device
    previous = torch.zeros(1, 1, BAR_STEPS, NUM_PITCHES)
    bars = []
    for chord in chords.cpu():
        noise = draw_midinet_noise(1, rng)
        bar = generator(noise.to(device), chord[None].to(device), previous.to(device))
        bars.append(melody_rolls(bar)[0, ..., 0])
        previous = torch.from_numpy(bars[-1]).float()[None, None]
    return np.concatenate(bars)
