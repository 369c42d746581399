"""Networks of the two GANs on piano rolls, and the pair of networks that every GAN trains.

The conditional GAN has the source article's generator and critic, layer for layer (after AWS DeepComposer). The article
also sketches an unconditional GAN but gives no layers: here its generator is built from the layers of the conditional
GAN's decoder, and its critic is that GAN's critic without a melody.

Shapes: B batch, T time steps (four a beat: 32 for two bars of 4/4, 64 for the unconditional GAN's four), P = 128 MIDI
pitches. Rolls are (B, 4, T, P), the melody (B, 1, T, P), values -1 (silent) and +1 (sounding); the conditional GAN's
noise is (B, 512, 2, 8).

The article uses Keras. Defaults of Keras that torch does not share are explicit: 'same' padding (for stride 1 and a
4x4 kernel, 1 before and 2 after), batch norm with momentum 0.8 (0.2 in torch's definition) and epsilon 1e-3,
Glorot-uniform weights, zero biases.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from accelerate import Accelerator
from accelerate.utils import reduce
from torch import Tensor, nn
from torch.optim import Adam

from descant_modeling.gan.config import AdversarialConfig, RollGanModelConfig
from descant_modeling.models.networks import seeded_rng
from descant_tokenizers.pianoroll.rolls import NUM_PITCHES, WINDOW_STEPS
from descant_tokenizers.scores import NUM_VOICES

NUM_TRACKS, NUM_STEPS, LONG_STEPS = NUM_VOICES, WINDOW_STEPS, 2 * WINDOW_STEPS
ENCODER_FILTERS = (64, 128, 256, 512)
DECODER_FILTERS = (256, 128, 64)
CRITIC_FILTERS = (64, 128, 256, 512)
NOISE_SHAPE = (512, 2, 8)
#: Size of the first feature map of the unconditional GAN, which is doubled four times.
FIRST_STEPS, FIRST_PITCHES = 4, 8
LEAK = 0.2
KERNEL = 4
#: Adam's state of each parameter.
OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq")

ConfigT = TypeVar("ConfigT", bound=AdversarialConfig)
GeneratorT = TypeVar("GeneratorT", bound=nn.Module)
CriticT = TypeVar("CriticT", bound=nn.Module)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Return Keras' batch norm, with its momentum in torch's definition."""
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


class UpConv(nn.Conv2d):
    """Nearest upsampling by 2, then a 4x4 convolution with Keras 'same' padding."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__(inputs, filters, KERNEL)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, filters, 2 H, 2 W)."""
        return super().forward(F.pad(F.interpolate(x, scale_factor=2), (1, 2, 1, 2)))


class Up(nn.Module):
    """Upsampling, convolution, batch norm, ReLU, then concatenation with the encoder's layer of the same size."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.conv = UpConv(inputs, filters)
        self.norm = batch_norm(filters)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, inputs, H, W), (B, S, 2 H, 2 W) -> (B, filters + S, 2 H, 2 W)."""
        return torch.cat([F.relu(self.norm(self.conv(x))), skip], dim=1)


class UNetGenerator(nn.Module):
    """U-Net from a melody and noise to four tracks: 8,270,852 parameters."""

    #: Contents of config.json: the sizes of the only architecture.
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
        """Generate four tracks.

        Args:
            melody: (B, 1, 32, 128).
            noise: (B, 512, 2, 8), see `draw_noise`.

        Returns:
            (B, 4, 32, 128), values -1 to +1; a pitch sounds above 0.
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
    """Four convolutions and a linear layer that score how real a roll looks, with its melody if there is one.

    2,766,785 parameters with the article's sizes.

    Args:
        num_inputs: Tracks of the roll and the melody together.
        filters: Filters of each convolution.
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
        #: Height, width and channels of the linear layer's input, flattened in this order as in Keras.
        self.last_shape = (num_steps // shrink, NUM_PITCHES // shrink, filters[-1])
        self.score = nn.Linear(math.prod(self.last_shape), 1)
        self.apply(glorot)

    def forward(self, rolls: Tensor, melody: Tensor | None = None) -> Tensor:
        """(B, 4, T, 128), (B, 1, T, 128) -> (B,), larger where the rolls look real."""
        x = rolls if melody is None else torch.cat([rolls, melody], dim=1)
        for conv in self.convs:
            x = F.leaky_relu(conv(x), LEAK)
        score: Tensor = self.score(x.permute(0, 2, 3, 1).flatten(1))
        return score.squeeze(1)


def draw_noise(batch: int, rng: torch.Generator) -> Tensor:
    """Draw noise: (batch, 512, 2, 8), normal, cut at two standard deviations as Keras' truncated_normal."""
    noise = torch.empty(batch, *NOISE_SHAPE)
    nn.init.trunc_normal_(noise, std=1.0, a=-2.0, b=2.0, generator=rng)
    return noise.contiguous(memory_format=torch.channels_last)


def glorot(module: nn.Module) -> None:
    """Give a layer Glorot-uniform weights and zero biases."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


class RollGenerator(nn.Module):
    """A linear layer, then four times batch norm, ReLU, upsampling by 2 and a 4x4 convolution.

    957,348 parameters with the default sizes.

    Args:
        noise_size: Length of the noise vector, 1-1024.
        filters: Channels of the feature map before each of the four doublings, 1-1024 each.

    Raises:
        ValueError: A size is out of range.
    """

    def __init__(self, noise_size: int = 128, filters: Sequence[int] = (128, 128, 64, 32)) -> None:
        RollGanModelConfig(noise_size, tuple(filters))  # checks the sizes
        super().__init__()
        self.noise_size, self.filters = noise_size, tuple(filters)
        self.dense = nn.Linear(noise_size, filters[0] * FIRST_STEPS * FIRST_PITCHES)
        self.norms = nn.ModuleList(batch_norm(number) for number in filters)
        self.convs = nn.ModuleList(UpConv(inputs, outputs) for inputs, outputs in pairwise((*filters, NUM_TRACKS)))
        self.apply(glorot)

    @property
    def architecture(self) -> dict[str, Any]:
        """Contents of config.json."""
        return {
            "model_type": "descant-roll-gan",
            "num_tracks": NUM_TRACKS,
            "num_steps": LONG_STEPS,
            "num_pitches": NUM_PITCHES,
            "noise_size": self.noise_size,
            "filters": list(self.filters),
        }

    def forward(self, noise: Tensor) -> Tensor:
        """(B, noise_size) -> (B, 4, 64, 128), values -1 to +1; a pitch sounds above 0."""
        x = self.dense(noise).view(-1, FIRST_STEPS, FIRST_PITCHES, self.filters[0]).permute(0, 3, 1, 2)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = conv(F.relu(norm(x)))
        return torch.tanh(x)

    def draw_noise(self, batch: int, rng: torch.Generator) -> Tensor:
        """Draw noise vectors: (batch, noise_size), standard normal."""
        return torch.randn(batch, self.noise_size, generator=rng)


class GeneratorCriticPair(ABC, Generic[ConfigT, GeneratorT, CriticT]):
    """A generator and its critic (or discriminator), each with an Adam optimizer.

    All processes draw the same batches, each takes its share of them, and the gradients are averaged; only batch norm
    sees just the share of its own process. All randomness of an iteration is a function of the seed and the iteration,
    so a resumed run continues bit for bit.

    Args:
        config: The run.
        accelerator: Device, precision and processes, whose number divides the batch size; by default one process on the
            CPU in fp32.
    """

    #: Term that Adam adds to its denominator.
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
        """Return the state that a resumed run needs: weights, batch norm statistics, Adam's moments."""
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
        """Collect gradients for the generator only, and step it on exit."""
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
        """Return a context in which networks run in bf16, if the run does."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.uses_bf16)

    def rng(self, iteration: int) -> torch.Generator:
        """Return the random numbers of an iteration."""
        return seeded_rng(self.config.seed, 0, iteration)

    def batches(self, num_samples: int, first_batch: int) -> Iterator[list[int]]:
        """Yield the sample indices of a batch (number `first_batch` of the run, from 0) and of all later ones.

        Batches come from shuffled epochs laid end to end.
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
