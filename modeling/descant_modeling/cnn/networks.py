"""Coconet (Huang et al. 2017, "Counterpoint by Convolution"), smaller: convolutions that fill in masked cells.

A cell is what one voice sounds in one 16th. The network sees the known cells of a piece and predicts all others, each
on its own. It was trained with any cells missing, so it can write them in any order.

Unlike the original it has dilations instead of depth, residual layers instead of batch norm, a row for rests, and
planes that say which of the four 16ths of its beat each step is.

Shapes: B pieces, V = 4 voices from high to low, T 16ths, K values of a cell: 0 for a rest, then the pitches upwards.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from descant_modeling.cnn.config import CnnModelConfig
from descant_modeling.families.networks import GridNetwork
from descant_modeling.jsb_grid.data import REST, GridVocabulary
from descant_tokenizers.pianoroll.rolls import STEPS_PER_BEAT
from descant_tokenizers.scores import NUM_VOICES

#: Value of a cell that is not known.
UNKNOWN = -1
DILATIONS = (1, 2, 4)


class CnnNetwork(GridNetwork[CnnModelConfig]):
    """Convolutions over (time, pitch), each added to its input after a ReLU, then one logit for each voice and cell."""

    objective = "cnn"
    sizes_type = CnnModelConfig

    def __init__(self, sizes: CnnModelConfig, vocabulary: GridVocabulary) -> None:
        super().__init__(sizes, vocabulary)
        self.num_values = vocabulary.size - REST
        self.first = nn.Conv2d(2 * NUM_VOICES + STEPS_PER_BEAT, sizes.filters, 3, padding=1)
        dilations = [DILATIONS[index % len(DILATIONS)] for index in range(sizes.num_layers)]
        self.layers = nn.ModuleList(
            nn.Conv2d(sizes.filters, sizes.filters, 3, padding=dilation, dilation=dilation) for dilation in dilations
        )
        self.last = nn.Conv2d(sizes.filters, NUM_VOICES, 1)

    def forward(self, cells_BVT: Tensor, starts_B: Tensor | None = None) -> Tensor:
        """Predict every cell.

        Args:
            cells_BVT: Known cells, and `UNKNOWN` for the others.
            starts_B: Place of the first 16th in its piece; 0 by default.

        Returns:
            Logits (B, V, T, K); those of known cells mean nothing.
        """
        known_BVT1 = (cells_BVT != UNKNOWN)[..., None]
        rolls_BVTK = F.one_hot(cells_BVT.clamp(min=0), self.num_values) * known_BVT1
        steps_T = torch.arange(cells_BVT.shape[2], device=cells_BVT.device)
        places_BT = steps_T[None] + (steps_T.new_zeros(len(cells_BVT)) if starts_B is None else starts_B)[:, None]
        beats_B4T1 = F.one_hot(places_BT % STEPS_PER_BEAT, STEPS_PER_BEAT).transpose(1, 2)[..., None]
        planes = [part.expand(-1, -1, -1, self.num_values) for part in (rolls_BVTK, known_BVT1, beats_B4T1)]
        x = F.relu(self.first(torch.cat([plane.float() for plane in planes], dim=1)))
        for layer in self.layers:
            x = x + F.relu(layer(x))
        logits: Tensor = self.last(x)
        return logits

    def cell_losses(self, cells_BVT: Tensor, unknown_BVT: Tensor, starts_B: Tensor | None = None) -> Tensor:
        """Return -ln p of the unknown cells given the others, (B, V, T), 0 elsewhere; a cell may be `UNKNOWN`."""
        logits_BVTK = self(torch.where(unknown_BVT, UNKNOWN, cells_BVT), starts_B)
        targets_BVT = torch.where(unknown_BVT, cells_BVT, UNKNOWN)
        return F.cross_entropy(logits_BVTK.permute(0, 3, 1, 2), targets_BVT, reduction="none", ignore_index=UNKNOWN)


def draw_unknown(shape: torch.Size, rng: torch.Generator) -> Tensor:
    """Draw the unknown cells of training windows (B, V, T), at least one in each.

    In half of the windows every cell is unknown with the same probability, uniform over windows. In the others some
    voices are known, and of the rest either all cells are unknown or such a share: as a harmony is while it is written.
    """
    batch, voices, _ = shape
    share_B11 = torch.rand(batch, 1, 1, generator=rng)
    is_by_voice_B11 = torch.rand(batch, 1, 1, generator=rng) < 0.5
    is_whole_B11 = torch.rand(batch, 1, 1, generator=rng) < 0.5
    is_missing_BV1 = torch.rand(batch, voices, 1, generator=rng) < 0.5
    by_voice_BV1 = is_missing_BV1 * torch.where(is_whole_B11, 1.0, share_B11)
    unknown_BVT = torch.rand(shape, generator=rng) < torch.where(is_by_voice_B11, by_voice_BV1, share_B11)
    unknown_BVT[:, 1, 0] |= ~unknown_BVT.any(dim=(1, 2))
    return unknown_BVT
