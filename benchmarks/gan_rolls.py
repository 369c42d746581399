"""Print the metrics of a GAN's rolls for the valid windows, and those of the data, as one line of JSON.

    python benchmarks/gan_rolls.py                      # the embedded model
    python benchmarks/gan_rolls.py --model runs/gan

Two sets of noise are drawn. Of the cells that sound in the lower three tracks with either noise, `noise_changes` is the
share that does not sound with both: 0 if noise changes nothing, 1 if no note stays.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import torch
from torch import Tensor

from descant_modeling.gan.checkpoints import load_gan
from descant_modeling.gan.data import load_rolls, sounding
from descant_modeling.gan.metrics import roll_metrics
from descant_modeling.gan.networks import UNetGenerator, draw_noise
from descant_modeling.gan.wgan import melody_of
from descant_tokenizers.pianoroll.rolls import Rolls


@torch.no_grad()
def generate(generator: UNetGenerator, melodies: Tensor, seed: int) -> Rolls:
    """Generate rolls with one set of noise, (N, 1, T, P) to (N, T, P, 4); True where a cell sounds."""
    noise = draw_noise(len(melodies), torch.Generator().manual_seed(seed))
    return sounding(generator(melodies, noise))


def changed(one: Rolls, other: Rolls) -> float:
    """Return the share of the cells sounding in either, in the lower three tracks, that do not sound in both."""
    either, both = (one | other)[..., 1:], (one & other)[..., 1:]
    return 1 - float(both.sum() / either.sum())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Metrics of a GAN's rolls for the valid windows.")
    parser.add_argument("--model", default="gan")
    generator = load_gan(parser.parse_args().model).network
    assert isinstance(generator, UNetGenerator), "this measures a GAN that harmonizes"
    data = load_rolls("chorales-rolls")
    melodies, train, valid = melody_of(data.valid), sounding(data.train), sounding(data.valid)
    first, again, second = (generate(generator, melodies, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again), "the same noise gives different music"
    sounding_melodies = sounding(melodies)[..., 0]
    figures = {
        "written": roll_metrics(first, sounding_melodies, train),
        "valid_data": roll_metrics(valid, sounding_melodies, train),
        "noise_changes": changed(first, second),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
