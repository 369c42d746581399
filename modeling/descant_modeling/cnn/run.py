"""Training of Coconet, and its two likelihoods of whole pieces.

The length of a piece is given to it, and there is no EOS, so neither figure compares with those of the models that
write from left to right without saying so.

Shapes: see `networks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from descant_modeling.cnn.config import CnnConfig
from descant_modeling.cnn.networks import UNKNOWN, CnnNetwork, draw_unknown
from descant_modeling.decoding.config import OnProgress
from descant_modeling.families.data import Window, batch_cells, cells_of
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


class CnnTask(FamilyTask[CnnConfig, CnnNetwork]):
    """Training of Coconet on windows with unknown cells."""

    network_type = CnnNetwork
    headline = "orderless_nats_per_voice_16th"

    def losses(self, windows: list[Window], rng: torch.Generator) -> tuple[Tensor, Figures]:
        """Return the mean over windows of the mean of -ln p over their unknown cells."""
        cells_BVT = batch_cells(self.model.vocabulary, [window.pitches_VT for window in windows])
        unknown_BVT, starts_B = draw_unknown(cells_BVT.shape, rng), torch.tensor([window.start for window in windows])
        inputs = (tensor.to(self.model.device) for tensor in (cells_BVT, unknown_BVT, starts_B))
        losses_B = self.model.cell_losses(*inputs).sum((1, 2))
        return (losses_B / unknown_BVT.sum((1, 2)).to(losses_B.device)).mean(), {}

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
        progress: Takes the share done.
        num_masks: Random sets of unknown cells of each piece.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    nats = []
    for number, cells_VT in enumerate(_each_piece(network, grids, progress)):
        rng, size, means = np.random.default_rng((number, num_masks)), cells_VT.numel(), []
        for index in range(num_masks):
            num_known = int((index + rng.random()) / num_masks * size)
            unknown_BVT = torch.from_numpy(rng.permutation(size) >= num_known).view(1, *cells_VT.shape)
            losses_BVT = network.cell_losses(cells_VT[None], unknown_BVT.to(network.device))
            means.append(float(losses_BVT.double().sum()) / (size - num_known))
        nats.append(size * float(np.mean(means)))
    return grid_likelihood(grids, nats, max(grid.num_16ths for grid in grids))


@torch.inference_mode()
def score_chronological(network: CnnNetwork, grids: Sequence[Grid], progress: OnProgress | None = None) -> Likelihood:
    """Score whole pieces from left to right: soprano, alto, tenor and bass of each 16th in turn.

    Each cell is predicted from the cells before it, as far back as `PAST_16THS`.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    pieces = _each_piece(network, grids, progress)
    nats = [sum(_nats_of_16th(network, cells_VT, place) for place in range(cells_VT.shape[1])) for cells_VT in pieces]
    return grid_likelihood(grids, nats, PAST_16THS)


def _each_piece(network: CnnNetwork, grids: Sequence[Grid], progress: OnProgress | None) -> Iterator[Tensor]:
    """Yield the cells of each piece (V, T), and report progress after each."""
    for number, grid in enumerate(grids, start=1):
        yield torch.from_numpy(cells_of(network.vocabulary, grid.pitches_VT, grid.name)).to(network.device)
        if progress is not None:
            progress(number / len(grids))


def _nats_of_16th(network: CnnNetwork, cells_VT: Tensor, place: int) -> float:
    """Return the sum of -ln p of the cells of a 16th, each given the cells before it."""
    begin, voices_V = max(0, place - PAST_16THS), torch.arange(NUM_VOICES, device=cells_VT.device)
    now = place - begin
    known_VVT = cells_VT.new_full((NUM_VOICES, NUM_VOICES, PAST_16THS + 1 + FUTURE_16THS), UNKNOWN)
    known_VVT[:, :, :now] = cells_VT[:, begin:place]
    known_VVT[..., now] = torch.where(voices_V < voices_V[:, None], cells_VT[:, place], UNKNOWN)
    logits_VVTK = network(known_VVT, torch.full_like(voices_V, begin))
    return float(F.cross_entropy(logits_VVTK[voices_V, voices_V, now], cells_VT[:, place], reduction="sum"))
