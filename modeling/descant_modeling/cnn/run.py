"""Training of Coconet, and its two likelihoods of whole pieces.

The length of a piece is given to it, and there is no EOS, so neither figure compares with those of the models that
write from left to right without saying so.

Shapes: see `networks`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from descant_modeling.cnn.config import CnnConfig
from descant_modeling.cnn.networks import UNKNOWN, CnnNetwork, draw_unknown
from descant_modeling.families.data import Window, cells_of
from descant_modeling.families.task import FamilyTask
from descant_modeling.jsb_grid.checkpoints import grid_likelihood
from descant_modeling.jsb_grid.data import Grid
from descant_modeling.models.likelihood import Likelihood
from descant_modeling.training.trainer import Figures
from descant_tokenizers.scores import NUM_VOICES

#: Masks of each piece that the orderless bound is estimated with, and fewer during training.
NUM_MASKS, NUM_MASKS_IN_TRAINING = 16, 2
#: 16ths before and after a cell that its chronological likelihood is computed with; those after are unknown.
PAST_16THS, FUTURE_16THS = 24, 8
_BATCH = 64

OnProgress = Callable[[float], None]


class CnnTask(FamilyTask[CnnConfig, CnnNetwork]):
    """Training of Coconet on windows with unknown cells."""

    network_type = CnnNetwork
    headline = "orderless_nats_per_voice_16th"

    def losses(self, windows: list[Window], rng: torch.Generator) -> tuple[Tensor, Figures]:
        """Return the mean over windows of the mean of -ln p over their unknown cells."""
        longest = max(window.pitches_VT.shape[1] for window in windows)
        cells_BVT = torch.full((len(windows), NUM_VOICES, longest), UNKNOWN)
        for row, window in enumerate(windows):
            cells_VT = cells_of(self.model.vocabulary, window.pitches_VT)
            cells_BVT[row, :, : cells_VT.shape[1]] = torch.from_numpy(cells_VT)
        starts_B = torch.tensor([window.start for window in windows])
        unknown_BVT = draw_unknown((len(windows), NUM_VOICES, longest), rng)
        inputs = (tensor.to(self.model.device) for tensor in (cells_BVT, unknown_BVT, starts_B))
        counts_B = (unknown_BVT & (cells_BVT != UNKNOWN)).sum((1, 2)).clamp(min=1).to(self.model.device)
        return (self.model.cell_losses(*inputs).sum((1, 2)) / counts_B).mean(), {}

    def measure(self, network: CnnNetwork) -> Figures:
        """Estimate the orderless bound on valid, always with the same masks."""
        return {self.headline: score_orderless(network, self.data.valid, num_masks=NUM_MASKS_IN_TRAINING).headline}


@torch.inference_mode()
def score_orderless(
    network: CnnNetwork, grids: Sequence[Grid], progress: OnProgress | None = None, *, num_masks: int = NUM_MASKS
) -> Likelihood:
    """Estimate -ln p of whole pieces, averaged over all orders in which their cells may be written.

    By Jensen's inequality it is an upper bound of -ln p under the mixture of all orders (Uria et al. 2014). With n
    cells it is n times the mean, over the number of known cells, of the mean loss of an unknown one; the numbers are
    stratified.

    Args:
        network: A network in eval mode.
        grids: Pieces.
        progress: Called with the share done, 0-1.
        num_masks: Random sets of unknown cells of each piece.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    nats = []
    for number, grid in enumerate(grids):
        rng = np.random.default_rng((number, num_masks))
        cells_VT = torch.from_numpy(cells_of(network.vocabulary, grid.pitches_VT, grid.name))
        size, means = cells_VT.numel(), []
        for index in range(num_masks):
            num_known = int((index + rng.random()) / num_masks * size)
            unknown = torch.from_numpy(rng.permutation(size) >= num_known).view(1, *cells_VT.shape)
            losses = network.cell_losses(cells_VT[None].to(network.device), unknown.to(network.device))
            means.append(float(losses.double().sum()) / (size - num_known))
        nats.append(size * float(np.mean(means)))
        if progress is not None:
            progress((number + 1) / len(grids))
    return grid_likelihood(grids, nats, max(grid.num_16ths for grid in grids))


@torch.inference_mode()
def score_chronological(network: CnnNetwork, grids: Sequence[Grid], progress: OnProgress | None = None) -> Likelihood:
    """Score whole pieces from left to right: soprano, alto, tenor and bass of each 16th in turn.

    Each cell is predicted from the cells before it, as far back as `PAST_16THS`.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    nats, size = [], _BATCH // NUM_VOICES
    for number, grid in enumerate(grids):
        cells_VT = cells_of(network.vocabulary, grid.pitches_VT, grid.name)
        parts = [range(first, min(first + size, grid.num_16ths)) for first in range(0, grid.num_16ths, size)]
        nats.append(sum(_chronological_nats(network, cells_VT, places) for places in parts))
        if progress is not None:
            progress((number + 1) / len(grids))
    return grid_likelihood(grids, nats, PAST_16THS)


def _chronological_nats(network: CnnNetwork, cells_VT: np.ndarray, places: range) -> float:
    """Return the sum of -ln p of all cells of some 16ths, each given the cells before it."""
    rows, starts, targets = [], [], []
    for place in places:
        begin = max(0, place - PAST_16THS)
        for voice in range(NUM_VOICES):
            row = np.full((NUM_VOICES, PAST_16THS + 1 + FUTURE_16THS), UNKNOWN)
            row[:, : place - begin] = cells_VT[:, begin:place]
            row[:voice, place - begin] = cells_VT[:voice, place]
            rows.append(row)
            starts.append(begin)
            targets.append((voice, place - begin, cells_VT[voice, place]))
    device = network.device
    logits_BVTK = network(torch.from_numpy(np.stack(rows)).to(device), torch.tensor(starts, device=device))
    voices, steps, values = (torch.tensor(column, device=device) for column in zip(*targets, strict=True))
    logits_BK = logits_BVTK[torch.arange(len(rows), device=device), voices, steps]
    return float(torch.nn.functional.cross_entropy(logits_BK, values, reduction="none").double().sum())
