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

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from descant_modeling.families.networks import GridNetwork
from descant_modeling.jsb_grid.data import REST, GridVocabulary
from descant_modeling.vae.config import VaeModelConfig
from descant_tokenizers.pianoroll.rolls import WINDOW_STEPS

#: Prior of every number of a latent vector.
PRIOR = Normal(0.0, 1.0)


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

    def encode(self, cells_BVT: Tensor) -> Normal:
        """Return the distribution of each window's latent vector, (B, Z)."""
        states_BTD, _ = self.encoder(_embedded(self.read, cells_BVT))
        mean_BZ, log_variance_BZ = self.to_latent(states_BTD.flatten(1)).chunk(2, dim=1)
        # No checks: the trainer reports losses that are not finite.
        return Normal(mean_BZ, (0.5 * log_variance_BZ).exp(), validate_args=False)

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
        logits_BKVT = self._logits(hidden_BTD, cells_BVT).permute(0, 3, 1, 2)
        return F.cross_entropy(logits_BKVT, cells_BVT, reduction="none")

    @torch.no_grad()
    def decode(self, latent_BZ: Tensor, illegal_VK: Tensor | None = None) -> Tensor:
        """Return the likeliest legal cell of each voice and step in turn, (B, V, T); by default all are legal."""
        state_1BD, parts_BTD = self._parts(latent_BZ)
        before_B1D, columns = torch.zeros_like(parts_BTD[:, :1]), []
        for part_BD in parts_BTD.unbind(1):
            hidden_B1D, state_1BD = self.decoder(before_B1D + part_BD[:, None], state_1BD)
            columns.append(self._logits(hidden_B1D, illegal_VK=illegal_VK).argmax(-1))
            before_B1D = _embedded(self.previous, columns[-1])
        return torch.cat(columns, dim=2)

    def _logits(self, hidden_BTD: Tensor, cells_BVT: Tensor | None = None, illegal_VK: Tensor | None = None) -> Tensor:
        """Predict each voice given those above it: the cells, or by default the likeliest ones, (B, V, T, K)."""
        found: list[Tensor] = []
        for voice, out in enumerate(self.out):
            if voice:
                above_BT = found[-1].argmax(-1) if cells_BVT is None else cells_BVT[:, voice - 1]
                hidden_BTD = hidden_BTD + self.above[voice - 1](above_BT)
            logits_BTK = out(hidden_BTD.relu())
            found.append(logits_BTK if illegal_VK is None else logits_BTK.masked_fill(illegal_VK[voice], -torch.inf))
        return torch.stack(found, dim=1)

    def _parts(self, latent_BZ: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoder's first state (1, B, D), and what it sees of the latent vector at each step, (B, T, D)."""
        parts_BSD = self.from_latent(latent_BZ).unflatten(1, (1 + WINDOW_STEPS, -1))
        return parts_BSD[:, 0].tanh()[None].contiguous(), parts_BSD[:, 1:]


def _embedded(tables: nn.ModuleList, cells_BVT: Tensor) -> Tensor:
    """Add up the embeddings of all voices, (B, T, D)."""
    return torch.stack([table(cells_BVT[:, voice]) for voice, table in enumerate(tables)]).sum(0)


def draw(latent: Normal, rng: torch.Generator) -> Tensor:
    """Draw a vector of each window, (B, Z)."""
    return latent.mean + latent.stddev * torch.randn(latent.mean.shape, generator=rng).to(latent.mean.device)


def divergence(latent: Normal) -> Tensor:
    """Return the KL divergence of each window's distribution from the prior, in nats, (B,)."""
    return kl_divergence(latent, PRIOR).sum(1)


def between(first_Z: Tensor, last_Z: Tensor, steps: int) -> Tensor:
    """Return `steps` latent vectors from one to another on the great circle between them, ends included, (steps, Z).

    Their lengths are interpolated in equal steps. Any axes before the last one are kept, as in (N, steps, Z).
    """
    shares_S1 = torch.linspace(0, 1, steps, device=first_Z.device)[:, None]
    ends = first_Z[..., None, :], last_Z[..., None, :]
    lengths = [end.norm(dim=-1, keepdim=True) for end in ends]
    units = [end / length for end, length in zip(ends, lengths, strict=True)]
    angle = torch.acos((units[0] * units[1]).sum(-1, keepdim=True).clamp(-1, 1))
    directions = (((1 - shares_S1) * angle).sin() * units[0] + (shares_S1 * angle).sin() * units[1]) / angle.sin()
    arcs = directions * torch.lerp(lengths[0], lengths[1], shares_S1)
    return torch.where(angle.sin() < 1e-4, torch.lerp(ends[0], ends[1], shares_S1), arcs)
