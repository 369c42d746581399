"""Training of the autoencoder, and what is measured of it on valid.

Shapes: see `networks`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from descant_modeling.families.data import Window, batch_cells
from descant_modeling.families.task import FamilyTask
from descant_modeling.jsb_grid.data import Grid
from descant_modeling.training.trainer import Figures
from descant_modeling.vae.config import VaeConfig
from descant_modeling.vae.networks import VaeNetwork, between, divergence, draw
from descant_tokenizers.pianoroll.frames import Ints
from descant_tokenizers.pianoroll.rolls import STEPS_PER_BEAT, WINDOW_STEPS

#: Pieces of each measured interpolation, ends included.
NUM_BETWEEN = 7


class VaeTask(FamilyTask[VaeConfig, VaeNetwork]):
    """Training of the autoencoder on windows that begin on a beat."""

    network_type = VaeNetwork
    headline = "elbo_nats_per_cell"
    begin_unit = STEPS_PER_BEAT

    def losses(self, windows: list[Window], rng: torch.Generator) -> tuple[Tensor, Figures]:
        """Return the mean over windows of reconstruction and weighted divergence, in nats, and both alone."""
        cells_BVT = self._cells([window.pitches_VT for window in windows])
        latent, loss = self.model.encode(cells_BVT), self.config.loss
        reconstruction = self.model.cell_losses(cells_BVT, draw(latent, rng), rng).sum((1, 2)).mean()
        mean_divergence = divergence(latent).mean()
        beta = loss.beta * min(1.0, self.progress.step / loss.annealing_steps)
        total = reconstruction + beta * (mean_divergence - loss.free_nats).clamp(min=0)
        return total, {"reconstruction": reconstruction.item(), "divergence": mean_divergence.item()}

    @torch.inference_mode()
    def measure(self, network: VaeNetwork) -> Figures:
        """Measure the reconstruction of valid's windows, and the way between neighboring ones.

        Returns:
            `elbo_nats_per_cell`: an upper bound of -ln p of a cell, divergence included; `accuracy`: the share of cells
            that the decoder writes as they were, from the mean of the latent vector; `divergence`: in nats a window;
            `path`: cells that change on the way from one window to another in `NUM_BETWEEN` pieces, over those that
            differ between its ends (1 for the shortest way); `largest_step`: the largest share of these in one step.
        """
        cells_BVT = self._cells([part for grid in self.data.valid for part in cut_windows(grid)])
        latent = network.encode(cells_BVT)
        nats_B = network.cell_losses(cells_BVT, draw(latent, torch.Generator().manual_seed(0))).sum((1, 2))
        divergence_B = divergence(latent)
        path, largest_step = measure_ways(network, latent.mean)
        return {
            "elbo_nats_per_cell": float((nats_B + divergence_B).sum()) / cells_BVT.numel(),
            "accuracy": float((network.decode(latent.mean) == cells_BVT).float().mean()),
            "divergence": float(divergence_B.mean()),
            "path": path,
            "largest_step": largest_step,
        }

    def _cells(self, pitches: Sequence[Ints]) -> Tensor:
        """Return the cells of windows of equal length, of the network's voices, on its device."""
        cells_BVT = batch_cells(self.model.vocabulary, pitches)[:, : self.model.sizes.num_voices]
        return cells_BVT.to(self.model.device)


def cut_windows(grid: Grid) -> list[Ints]:
    """Cut a piece into windows that begin one after the other; what is left at its end is left out."""
    starts = range(0, grid.num_16ths - WINDOW_STEPS + 1, WINDOW_STEPS)
    return [grid.pitches_VT[:, start : start + WINDOW_STEPS] for start in starts]


def measure_ways(network: VaeNetwork, latents_BZ: Tensor) -> tuple[float, float]:
    """Measure the ways from every second latent vector to the next one; see `VaeTask.measure`."""
    ways_NSZ = between(latents_BZ[:-1:2], latents_BZ[1::2], NUM_BETWEEN)
    pieces_BVT = network.decode(ways_NSZ.flatten(0, 1))
    pieces_NSVT = pieces_BVT.view(*ways_NSZ.shape[:2], *pieces_BVT.shape[1:])
    changes_NS = (pieces_NSVT[:, 1:] != pieces_NSVT[:, :-1]).sum((2, 3))
    whole_N = (pieces_NSVT[:, 0] != pieces_NSVT[:, -1]).sum((1, 2))
    shares_NS = (changes_NS / whole_N[:, None])[whole_N > 0]
    return (float(shares_NS.sum(1).mean()), float(shares_NS.amax(1).mean())) if len(shares_NS) else (1.0, 0.0)
