"""A melody from nothing, bar by bar: MidiNet behind `generate.py`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from descant_modeling.gan.metrics import Rolls
from descant_modeling.gan.midinet_learner import draw_midinet_noise
from descant_modeling.gan.midinet_networks import MidinetGenerator
from descant_modeling.gan.networks import NUM_PITCHES
from descant_tokenizers.rolls import BAR_STEPS


def melody_cells(bars: Tensor) -> Rolls:
    """Of each step the pitch with the highest value alone: (B, 1, 16, 128) -> (B, 16, 128, 1)."""
    highest = bars[:, 0].argmax(2).cpu().numpy()
    cells: Rolls = np.eye(NUM_PITCHES, dtype=np.bool_)[highest][..., None]
    return cells


@torch.no_grad()
def compose_bars(generator: MidinetGenerator, chords: Tensor, rng: torch.Generator) -> Rolls:
    """Write bars one after the other, each with the one before as its condition; the first with silence.

    Args:
        generator: In eval mode.
        chords: (bars, 13), one for each bar.
        rng: Draws each bar's noise.

    Returns:
        (16 * bars, 128), one pitch at each step.
    """
    device = next(generator.parameters()).device
    previous = torch.zeros(1, 1, BAR_STEPS, NUM_PITCHES)
    written = []
    for chord in chords.cpu():
        noise = draw_midinet_noise(1, rng)
        bar = generator(noise.to(device), chord[None].to(device), previous.to(device))
        written.append(melody_cells(bar)[0, ..., 0])
        previous = torch.from_numpy(written[-1]).float()[None, None]
    return np.concatenate(written)
