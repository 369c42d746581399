"""Coconet as a generator: it harmonizes any voices, continues and infills, by blocked Gibbs sampling.

All free cells begin unknown. In each step they are drawn on their own, given the known ones; then a share of them is
made unknown again and drawn again. The share falls from step to step (annealing), so that the first steps try and the
last ones polish (Huang et al. 2017, after Yao et al. 2014).

Shapes: see `networks`.
"""

from __future__ import annotations

import numpy as np
import torch

from descant_modeling.cnn.networks import UNKNOWN, CnnNetwork
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.families.data import cells_of, pitches_of
from descant_modeling.families.generate import LOWEST_TEMPERATURE, GridGenerator
from descant_modeling.generation.base import TASKS
from descant_modeling.generation.grid import FREE
from descant_tokenizers.pianoroll.frames import SILENT, Ints

#: Gibbs steps by default.
NUM_STEPS = 32
#: Share of the free cells that are drawn again: at first, at last, and the share of the steps until the last value.
FIRST_SHARE, LAST_SHARE, ANNEALED_STEPS = 0.9, 0.02, 0.85


class CnnMusicGenerator(GridGenerator[CnnNetwork]):
    """Coconet as a `MusicGenerator`: it writes the free cells of a prompt."""

    tasks: tuple[str, ...] = TASKS
    own_options: tuple[str, ...] = ("steps",)
    network_type = CnnNetwork

    @torch.inference_mode()
    def write(self, pitches_VT: Ints, config: GenerationConfig, rng: torch.Generator) -> Ints:
        """See `GridGenerator`."""
        network, illegal_V1K = self.network, self.illegal()[:, None].cpu()
        free_VT = torch.from_numpy(pitches_VT == FREE)
        cells_VT = torch.from_numpy(cells_of(network.vocabulary, np.where(pitches_VT == FREE, SILENT, pitches_VT)))
        temperature, unknown_VT = max(config.temperature, LOWEST_TEMPERATURE), free_VT
        steps = NUM_STEPS if config.steps is None else config.steps
        for step in range(steps):
            logits_VTK = network(torch.where(unknown_VT, UNKNOWN, cells_VT)[None].to(network.device))[0].cpu()
            logits_VTK = logits_VTK.masked_fill(illegal_V1K, -torch.inf) / temperature
            drawn_N = torch.multinomial(logits_VTK[unknown_VT].softmax(-1), 1, generator=rng)[:, 0]
            cells_VT[unknown_VT] = drawn_N
            done = min(1.0, (step + 1) / max(1.0, ANNEALED_STEPS * steps))
            share = FIRST_SHARE + (LAST_SHARE - FIRST_SHARE) * done
            unknown_VT = free_VT & (torch.rand(free_VT.shape, generator=rng) < share)
            if not unknown_VT.any():
                break
        return pitches_of(network.vocabulary, cells_VT.numpy())
