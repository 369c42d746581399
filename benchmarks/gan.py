"""Measure the seconds of one iteration of the conditional GAN, in fp32 and bf16.

    python benchmarks/gan.py                                 # batch 16, one repeat: half a minute on two cores
    python benchmarks/gan.py --batch-size 64 --repeats 3

The rolls are random, with the density of four voices.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor

from descant_modeling.gan.config import GanConfig, GanDataConfig
from descant_modeling.gan.wgan import ConditionalStep


def random_rolls(num_rolls: int) -> Tensor:
    """Return random rolls; their content does not change the time."""
    rng = torch.Generator().manual_seed(0)
    return torch.where(torch.rand(num_rolls, 32, 128, 4, generator=rng) < 1 / 128, 1.0, -1.0).permute(0, 3, 1, 2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds of one iteration of the conditional GAN.")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    size = arguments.batch_size
    rolls, config = random_rolls(size), GanConfig(data=GanDataConfig(batch_size=size))
    print(f"batch {size}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for uses_bf16 in (False, True):
        step = ConditionalStep(config)
        step.uses_bf16 = uses_bf16
        step.iterate(rolls, 0)  # the first iteration is slower
        seconds, processor = [], []
        for iteration in range(1, arguments.repeats + 1):
            start, start_processor = time.perf_counter(), time.process_time()
            step.iterate(rolls, iteration)
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - start_processor)
        wall, busy = statistics.median(seconds), statistics.median(processor)
        print(f"{'bf16' if uses_bf16 else 'fp32'}  {wall:8.2f} s {busy:8.2f} processor s", flush=True)


if __name__ == "__main__":
    main()
