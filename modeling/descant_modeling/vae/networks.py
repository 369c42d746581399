"""A recurrent variational autoencoder (after MusicVAE, Roberts et al. 2018), of one or four voices on the 16ths grid.

A bidirectional GRU reads a window and gives the mean and the variance of a latent vector; a GRU that sees the vector at
every step writes the window again, each step from the one before, each voice given those above it. For two bars
MusicVAE has a flat decoder as well; its hierarchical one is for sixteen.

As our windows are few, two things differ: the latent vector is read from the states of all steps instead of the last
ones, and the decoder sees a part of its own at each step. So nothing need be learned through 32 steps.

Shapes: B windows, V voices, T = 32 sixteenths, K values of a cell (0 for a rest, then the pitches upwards), D width,
Z latent.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from descant_modeling.families.networks import GridNetwork
from descant_modeling.jsb_grid.data import REST, GridVocabulary
from descant_modeling.vae.config import VaeModelConfig
from descant_tokenizers.pianoroll.rolls import WINDOW_STEPS


class Latent(NamedTuple):
    """Distribution of the latent vectors of windows: mean and ln of the variance, each (B, Z)."""

    mean_BZ: Tensor
    log_variance_BZ: Tensor

    def draw(self, rng: torch.Generator) -> Tensor:
        """Draw a vector of each window."""
        noise_BZ = torch.randn(self.mean_BZ.shape, generator=rng).to(self.mean_BZ.device)
        return self.mean_BZ + noise_BZ * (0.5 * self.log_variance_BZ).exp()

    def divergence(self) -> Tensor:
        """Return the KL divergence of each window from the standard normal prior, in nats, (B,)."""
        squares_BZ = self.mean_BZ.square() + self.log_variance_BZ.exp()
        return 0.5 * (squares_BZ - 1 - self.log_variance_BZ).sum(1)


class VaeNetwork(GridNetwork[VaeModelConfig]):
    """Encoder and decoder."""

    objective = "vae"
    sizes_type = VaeModelConfig

    def __init__(self, sizes: VaeModelConfig, vocabulary: GridVocabulary) -> None:
        super().__init__(sizes, vocabulary)
        width, number = sizes.width, vocabulary.size - REST
        voices = range(sizes.num_voices)
        self.read = nn.ModuleList(nn.Embedding(number, width) for _ in voices)
        self.encoder = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.to_latent = nn.Linear(WINDOW_STEPS * 2 * width, 2 * sizes.latent_size)
        self.from_latent = nn.Linear(sizes.latent_size, (1 + WINDOW_STEPS) * width)
        self.previous = nn.ModuleList(nn.Embedding(number, width) for _ in voices)
        self.decoder = nn.GRU(width, width, batch_first=True)
        self.above = nn.ModuleList(nn.Embedding(number, width) for _ in voices[1:])
        self.out = nn.ModuleList(nn.Linear(width, number) for _ in voices)

    def encode(self, cells_BVT: Tensor) -> Latent:
        """Return the distribution of each window's latent vector."""
        states_BTD, _ = self.encoder(_embedded(self.read, cells_BVT))
        return Latent(*self.to_latent(states_BTD.flatten(1)).chunk(2, dim=1))

    def cell_losses(self, cells_BVT: Tensor, latent_BZ: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return -ln p of every cell given a latent vector and all cells before it, (B, V, T).

        Args:
            cells_BVT: Windows.
            latent_BZ: Their latent vectors.
            rng: Draws the steps that the decoder does not see, in training mode.
        """
        before_BTD = F.pad(_embedded(self.previous, cells_BVT)[:, :-1], (0, 0, 1, 0))
        if self.training and self.sizes.input_dropout:
            seen_BT1 = torch.rand(*before_BTD.shape[:2], 1, generator=rng) >= self.sizes.input_dropout
            before_BTD = before_BTD * seen_BT1.to(before_BTD.device)
        start_1BD, parts_BTD = self._parts(latent_BZ)
        hidden_BTD, _ = self.decoder(before_BTD + parts_BTD, start_1BD)
        losses = []
        for voice, out in enumerate(self.out):
            if voice:
                hidden_BTD = hidden_BTD + self.above[voice - 1](cells_BVT[:, voice - 1])
            logits_BTK = out(hidden_BTD.relu())
            losses.append(F.cross_entropy(logits_BTK.transpose(1, 2), cells_BVT[:, voice], reduction="none"))
        return torch.stack(losses, dim=1)

    @torch.no_grad()
    def decode(self, latent_BZ: Tensor) -> Tensor:
        """Return the likeliest cell of each voice and step in turn, (B, V, T)."""
        state_1BD, parts_BTD = self._parts(latent_BZ)
        before_BD, columns = torch.zeros_like(state_1BD[0]), []
        for part_BD in parts_BTD.unbind(1):
            hidden_B1D, state_1BD = self.decoder((before_BD + part_BD)[:, None], state_1BD)
            hidden_BD = hidden_B1D[:, 0]
            cells: list[Tensor] = []
            for voice, out in enumerate(self.out):
                if voice:
                    hidden_BD = hidden_BD + self.above[voice - 1](cells[-1])
                cells.append(out(hidden_BD.relu()).argmax(1))
            columns.append(torch.stack(cells, dim=1))
            before_BD = _embedded(self.previous, columns[-1][..., None])[:, 0]
        return torch.stack(columns, dim=2)

    def _parts(self, latent_BZ: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoder's first state (1, B, D), and what it sees of the latent vector at each step, (B, T, D)."""
        parts_BSD = self.from_latent(latent_BZ).unflatten(1, (1 + WINDOW_STEPS, -1))
        return parts_BSD[:, 0].tanh()[None].contiguous(), parts_BSD[:, 1:]


def _embedded(tables: nn.ModuleList, cells_BVT: Tensor) -> Tensor:
    """Add up the embeddings of all voices, (B, T, D)."""
    return torch.stack([table(cells_BVT[:, voice]) for voice, table in enumerate(tables)]).sum(0)


def between(first_Z: Tensor, second_Z: Tensor, steps: int) -> Tensor:
    """Return `steps` latent vectors from one to another on the great circle between them, ends included, (steps, Z).

    Their lengths are interpolated in equal steps.
    """
    lengths = first_Z.norm(), second_Z.norm()
    unit_first, unit_second = first_Z / lengths[0], second_Z / lengths[1]
    angle = torch.acos((unit_first @ unit_second).clamp(-1, 1))
    shares = torch.linspace(0, 1, steps, device=first_Z.device)[:, None]
    if float(angle.sin()) < 1e-4:
        return torch.lerp(first_Z, second_Z, shares)
    directions = (((1 - shares) * angle).sin() * unit_first + (shares * angle).sin() * unit_second) / angle.sin()
    found: Tensor = directions * torch.lerp(*lengths, shares)
    return found
