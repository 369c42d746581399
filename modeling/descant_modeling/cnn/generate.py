"""Coconet as a generator: it harmonizes any voices, continues and infills, by blocked Gibbs sampling.

All free cells begin unknown. In each step they are drawn on their own, given the known ones; then a share of them is
made unknown again and drawn anew. The share falls from step to step (annealing), so that the first steps try and the
last ones polish (Huang et al. 2017, after Yao et al. 2014).

Shapes: see `networks`.
"""

from __future__ import annotations

import numpy as np
import torch

from descant_modeling.cnn.networks import UNKNOWN, CnnNetwork, build_cnn
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.families.data import cells_of, pitches_of
from descant_modeling.families.generate import FREE, check_request, in_ranges, read_grid_prompt
from descant_modeling.generation.base import TASKS, GenerationResult, Request
from descant_modeling.generation.networks import NetworkGenerator, rng_of_each_sample
from descant_modeling.models.checkpoints import FoundCheckpoint
from descant_modeling.models.networks import LoadedNetwork, load_network
from descant_tokenizers.pianoroll.frames import SILENT, Ints
from descant_tokenizers.scores import NUM_VOICES

#: Gibbs steps by default.
NUM_STEPS = 32
#: Share of the free cells that are drawn again: at first, at last, and the share of the steps until the last value.
FIRST_SHARE, LAST_SHARE, ANNEALED_STEPS = 0.9, 0.02, 0.85
_LOWEST_TEMPERATURE = 1e-3


class CnnMusicGenerator(NetworkGenerator):
    """Coconet as a `MusicGenerator`."""

    tasks: tuple[str, ...] = TASKS
    own_options: tuple[str, ...] = ("steps",)

    def __init__(self, checkpoint: LoadedNetwork[CnnNetwork]) -> None:
        self.checkpoint = checkpoint

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Write the free cells of a prompt; see `MusicGenerator`."""
        check_request(request, config, "temperature")
        prompt = read_grid_prompt(request, self.checkpoint.meta.voice_ranges)
        samples = (self._write(prompt.pitches_VT, config, rng) for rng in rng_of_each_sample(config))
        return prompt.result(samples, config)

    @torch.inference_mode()
    def _write(self, pitches_VT: Ints, config: GenerationConfig, rng: torch.Generator) -> Ints:
        """Return the pitches with all free ones written."""
        network, vocabulary = self.checkpoint.network, self.checkpoint.network.vocabulary
        device = network.last.weight.device
        free_VT = torch.from_numpy(pitches_VT == FREE)
        cells_VT = torch.from_numpy(cells_of(vocabulary, np.where(pitches_VT == FREE, SILENT, pitches_VT)))
        pitches = in_ranges(self.checkpoint.meta.voice_ranges, vocabulary.lowest, vocabulary.highest)
        legal_VK = torch.from_numpy(np.concatenate([np.ones((NUM_VOICES, 1), dtype=bool), pitches], axis=1))
        temperature, unknown_VT = max(config.temperature, _LOWEST_TEMPERATURE), free_VT
        steps = NUM_STEPS if config.steps is None else config.steps
        for step in range(steps):
            logits_VTK = network(torch.where(unknown_VT, UNKNOWN, cells_VT)[None].to(device))[0].cpu()
            logits_VTK = logits_VTK.masked_fill(~legal_VK[:, None], -torch.inf) / temperature
            drawn_N = torch.multinomial(logits_VTK[unknown_VT].softmax(-1), 1, generator=rng)[:, 0]
            cells_VT[unknown_VT] = drawn_N
            done = min(1.0, (step + 1) / max(1.0, ANNEALED_STEPS * steps))
            share = FIRST_SHARE + (LAST_SHARE - FIRST_SHARE) * done
            unknown_VT = free_VT & (torch.rand(free_VT.shape, generator=rng) < share)
            if not unknown_VT.any():
                break
        return pitches_of(vocabulary, cells_VT.numpy())


def load_cnn_generator(found: FoundCheckpoint, device: str = "cpu") -> CnnMusicGenerator:
    """Load a Coconet, ready to generate music.

    Raises:
        InputError: Its folder is incomplete or damaged.
    """
    return CnnMusicGenerator(load_network(found, build_cnn, device))
