"""What a GAN writes for the valid windows, measured on piano rolls beside the data's own values, as one line of JSON.

    python benchmarks/gan_rolls.py                      # the embedded model
    python benchmarks/gan_rolls.py --model runs/gan

Two sets of noise are drawn. `noise_changes` is the share of the cells sounding in the lower three tracks under either
noise that do not sound under both: 0 if noise did nothing, 1 if no note stayed.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from descant_modeling.gan.checkpoints import load_gan
from descant_modeling.gan.data import load_rolls, sounding
from descant_modeling.gan.metrics import Rolls, roll_metrics
from descant_modeling.gan.networks import UNetGenerator, draw_noise
from descant_modeling.gan.wgan import melody_of


@torch.no_grad()
def written(generator: UNetGenerator, melodies: Tensor, seed: int) -> Rolls:
    """(N, 1, T, P) -> (N, T, P, 4): what sounds in what is written with one set of noise."""
    noise = draw_noise(len(melodies), torch.Generator().manual_seed(seed))
    return sounding(generator(melodies, noise))


def changed(one: Rolls, other: Rolls) -> float:
    """Share of the cells that sound in either, in the lower three tracks, that do not sound in both."""
    either, both = (one | other)[..., 1:], (one & other)[..., 1:]
    return 1 - float(both.sum() / either.sum())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Metrics of what a GAN writes for the valid windows.")
    parser.add_argument("--model", default="gan")
    generator = load_gan(parser.parse_args().model).generator
    assert isinstance(generator, UNetGenerator), "this measures what is written to melodies"
    data = load_rolls("chorales-rolls")
    melodies, train, valid = melody_of(data.valid), sounding(data.train), sounding(data.valid)
    first, again, second = (written(generator, melodies, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again), "the same noise gave other music"
    heard = sounding(melodies)[..., 0]
    figures = {
        "written": asdict(roll_metrics(first, heard, train)),
        "valid_data": asdict(roll_metrics(valid, heard, train)),
        "noise_changes": changed(first, second),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
