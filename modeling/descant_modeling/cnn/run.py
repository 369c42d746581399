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
from descant_modeling.families.checkpoints import family_card
from descant_modeling.families.data import Window, cells_of, load_family_data
from descant_modeling.families.task import FamilyTask, check_one_process
from descant_modeling.jsb_grid.data import Grid
from descant_modeling.models.likelihood import VOICE_16TH, Likelihood, PieceScore
from descant_modeling.models.networks import NetworkMeta
from descant_modeling.training.run import PreparedRun, RunContext
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

    headline = "orderless_nats_per_voice_16th"

    def losses(self, windows: list[Window], rng: torch.Generator) -> tuple[Tensor, Figures]:
        """Return the mean over windows of the mean of -ln p over their unknown cells."""
        longest = max(window.pitches_VT.shape[1] for window in windows)
        cells_BVT = torch.full((len(windows), NUM_VOICES, longest), UNKNOWN)
        for row, window in enumerate(windows):
            cells_VT = cells_of(self.network.vocabulary, window.pitches_VT)
            cells_BVT[row, :, : cells_VT.shape[1]] = torch.from_numpy(cells_VT)
        starts_B = torch.tensor([window.start for window in windows])
        unknown_BVT = draw_unknown((len(windows), NUM_VOICES, longest), rng)
        inputs = (tensor.to(self.device) for tensor in (cells_BVT, unknown_BVT, starts_B))
        counts_B = (unknown_BVT & (cells_BVT != UNKNOWN)).sum((1, 2)).clamp(min=1).to(self.device)
        return (self.network.cell_losses(*inputs).sum((1, 2)) / counts_B).mean(), {}

    def measure(self, network: CnnNetwork) -> Figures:
        """Estimate the orderless bound on valid, always with the same masks."""
        return {self.headline: score_orderless(network, self.data.valid, num_masks=NUM_MASKS_IN_TRAINING).headline}

    def card(self, meta: NetworkMeta) -> str:
        """See `FamilyTask`."""
        return family_card(meta, self.published)


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
    scores, device = [], network.last.weight.device
    for number, grid in enumerate(grids):
        rng = np.random.default_rng((number, num_masks))
        cells_VT = torch.from_numpy(cells_of(network.vocabulary, grid.pitches_VT, grid.name))
        size, means = cells_VT.numel(), []
        for index in range(num_masks):
            num_known = int((index + rng.random()) / num_masks * size)
            unknown = torch.from_numpy(rng.permutation(size) >= num_known).view(1, *cells_VT.shape)
            losses = network.cell_losses(cells_VT[None].to(device), unknown.to(device))
            means.append(float(losses.double().sum()) / (size - num_known))
        scores.append(PieceScore(grid.name, size * float(np.mean(means)), size, grid.num_notes))
        if progress is not None:
            progress((number + 1) / len(grids))
    return Likelihood(VOICE_16TH, max(grid.num_16ths for grid in grids), scores)


@torch.inference_mode()
def score_chronological(network: CnnNetwork, grids: Sequence[Grid], progress: OnProgress | None = None) -> Likelihood:
    """Score whole pieces from left to right: soprano, alto, tenor and bass of each 16th in turn.

    Each cell is predicted from the cells before it, as far back as `PAST_16THS`.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    scores = []
    for number, grid in enumerate(grids):
        cells_VT = cells_of(network.vocabulary, grid.pitches_VT, grid.name)
        nats = 0.0
        for first in range(0, grid.num_16ths, _BATCH // NUM_VOICES):
            places = range(first, min(first + _BATCH // NUM_VOICES, grid.num_16ths))
            nats += _chronological_nats(network, cells_VT, places)
        scores.append(PieceScore(grid.name, nats, cells_VT.size, grid.num_notes))
        if progress is not None:
            progress((number + 1) / len(grids))
    return Likelihood(VOICE_16TH, PAST_16THS, scores)


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
    device = network.last.weight.device
    logits_BVTK = network(torch.from_numpy(np.stack(rows)).to(device), torch.tensor(starts, device=device))
    voices, steps, values = (torch.tensor(column, device=device) for column in zip(*targets, strict=True))
    logits_BK = logits_BVTK[torch.arange(len(rows), device=device), voices, steps]
    return float(torch.nn.functional.cross_entropy(logits_BK, values, reduction="none").double().sum())


def prepare_cnn_run(context: RunContext[CnnConfig]) -> PreparedRun:
    """Load data and network of a run.

    Raises:
        InputError: A corpus does not exist, or the run has several processes.
    """
    check_one_process(context)
    data = load_family_data(context.config.data)
    torch.manual_seed(context.config.seed)
    return CnnTask(context, CnnNetwork(context.config.model, data.vocabulary()), data).prepared()
