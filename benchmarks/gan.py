"""Seconds of one GAN iteration as written down in the article and as trained here, side by side in one run.

    python benchmarks/gan.py                                 # batch 16, one repeat: some minutes on two cores
    python benchmarks/gan.py --batch-size 64 --repeats 3
    python benchmarks/gan.py --batch-size 64 --last 2       # what kept memory alone does

*Naive* is fp32, the upsampled picture convolved with 4x4 kernels, and autograd twice through the critic for the
penalty, which sees real, fake and mixed rolls one after the other. Each line that follows adds one thing to the line
before; the last is what `configs/gan.yaml` does where bf16 is faster. None changes what is computed, bf16's rounding
aside.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from descant_modeling.gan.config import GanOptimizerConfig
from descant_modeling.gan.networks import UpConv, draw_noise
from descant_modeling.gan.wgan import WganStep, melody_of, naive_critic_loss


def random_rolls(number: int) -> Tensor:
    """Rolls as full as four voices are; what they are does not change the time."""
    rng = torch.Generator().manual_seed(0)
    rolls = torch.where(torch.rand(number, 4, 32, 128, generator=rng) < 1 / 128, 1.0, -1.0)
    return rolls.contiguous(memory_format=torch.channels_last)


@contextmanager
def naive_upsampling() -> Iterator[None]:
    """Let every generator upsample and convolve, as the article does."""
    folded = UpConv.forward
    UpConv.forward = UpConv.naive_forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        UpConv.forward = folded  # type: ignore[method-assign]


def with_autograd(learner: WganStep, rolls: Tensor) -> None:
    """Run one iteration with autograd alone."""
    rng = torch.Generator().manual_seed(0)
    melody = melody_of(rolls)
    for _ in range(learner.critic_steps):
        fake = learner.write(melody, draw_noise(len(rolls), rng))
        loss = naive_critic_loss(learner.critic, rolls, fake, melody, torch.rand(len(rolls), generator=rng))
        learner.critic_optimizer.zero_grad()
        loss.total.backward()  # type: ignore[no-untyped-call]
        learner.critic_optimizer.step()
    learner._generator_step(rolls, rng)


def measure(name: str, iteration: Callable[[], object], repeats: int, first: float | None) -> float:
    """Print and return the median seconds of an iteration, after one that does not count."""
    iteration()
    seconds, processor = [], []
    for _ in range(repeats):
        start, start_processor = time.perf_counter(), time.process_time()
        iteration()
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_processor)
    wall, busy = statistics.median(seconds), statistics.median(processor)
    gain = "" if first is None else f"{first / busy:6.2f} x"
    print(f"{name:<44}{wall:8.2f} s {busy:8.2f} processor s {gain}", flush=True)
    return busy


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds of one GAN iteration, naive and as trained here.")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--last", type=int, default=4, help="measure only the last lines, this many of the four")
    arguments = parser.parse_args()
    size = arguments.batch_size
    rolls = random_rolls(size)
    plain, half = (WganStep(1, GanOptimizerConfig(), size, dtype) for dtype in (torch.float32, torch.bfloat16))

    def naive() -> None:
        with naive_upsampling():
            with_autograd(plain, rolls)

    lines: dict[str, Callable[[], object]] = {
        "naive": naive,
        "+ upsampling folded into the convolution": lambda: with_autograd(plain, rolls),
        "+ critic's gradients in one pass": lambda: plain.iterate(rolls, 0),
        "+ bf16": lambda: half.iterate(rolls, 0),
    }
    print(f"batch {size}, {torch.get_num_threads()} threads, torch {torch.__version__}; gain in processor time")
    first: float | None = None
    for name, iteration in list(lines.items())[-arguments.last :]:
        busy = measure(name, iteration, arguments.repeats, first)
        first = first or busy


if __name__ == "__main__":
    main()
