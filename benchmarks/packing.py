"""Compare the speed of training on packed rows with that on rows of about equal length.

    python benchmarks/packing.py                                                   # the published configuration
    python benchmarks/packing.py --config configs/style.yaml data.corpora='[folk]' precision=fp32 compile=false

Both sides train the same model on the first batches of an epoch, on one thread. They take turns of a few steps, so that
other load on the machine affects both; the ratio is a median over the turns. Padding does not count, and seconds are
those of CPU time. `auto` compiles rows of equal length alone (see `compile` in docs/training.md).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

from descant_modeling.common.console import quiet_libraries
from descant_modeling.models.likelihood import Batch
from descant_modeling.objectives import prepare_run
from descant_modeling.training.causal import CausalTask
from descant_modeling.training.run import RunOptions


def open_side(config: Path | None, overrides: tuple[str, ...]) -> CausalTask:
    """Return the task of a run on one thread, compiled if its configuration asks for it."""
    trainer = prepare_run(config, RunOptions(overrides, device="cpu", threads=1, quiet=True))
    trainer.log.close()
    assert isinstance(trainer.task, CausalTask), "the configuration is that of a causal model"
    trainer.task.warm_up()
    return trainer.task


def num_tokens(task: CausalTask, batches: list[Batch]) -> int:
    """Return the number of tokens, without padding."""
    return sum(int((batch.ids_BT != task.source.pad).sum()) for batch in batches)


def turn(task: CausalTask, batches: list[Batch]) -> float:
    """Take a step on each batch; return the seconds."""
    start = time.process_time()
    for batch in batches:
        task.step_on([batch])
        task.progress.step += 1
    return time.process_time() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of training on packed rows.")
    parser.add_argument("overrides", nargs="*", help="key=value of the configuration")
    parser.add_argument("--config", type=Path, help="YAML file of a run; default: the published model")
    parser.add_argument("--steps", type=int, default=8, help="optimizer steps of a turn")
    parser.add_argument("--pieces", type=int, help="number of pieces to sort by length together, as in a small corpus")
    parser.add_argument("--repeats", type=int, default=5, help="turns, after one to warm up")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, quiet_libraries():
        overrides = (*options.overrides, f"out_dir={scratch}")
        tasks = [open_side(options.config, (*overrides, f"data.packing={flag}")) for flag in ("false", "true")]
    for task in tasks:
        task.source.pool_size = options.pieces or task.source.pool_size
    sides = [list(islice(task.source.batches(0, task.config.data.batch_tokens), options.steps)) for task in tasks]
    counts = [num_tokens(*side) for side in zip(tasks, sides, strict=True)]
    speeds: list[list[float]] = []
    for _ in range(options.repeats + 1):
        seconds = [turn(*side) for side in zip(tasks, sides, strict=True)]
        speeds.append([count / spent for count, spent in zip(counts, seconds, strict=True)])
    speeds = speeds[1:]
    padding = 1 - counts[0] / sum(batch.ids_BT.numel() for batch in sides[0])
    length = counts[0] / sum(len(batch.ids_BT) for batch in sides[0])
    print(f"{length:,.0f} tokens an example by length, padding {padding:.1%}, {tasks[0].config.precision}")
    for name, of_side in zip(("by length", "packed"), zip(*speeds, strict=True), strict=True):
        print(f"{name:10} {statistics.median(of_side):8,.0f} tokens/s")
    ratios = sorted(packed / apart for apart, packed in speeds)
    print(f"ratio      {statistics.median(ratios):8.2f}  (turns: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")


if __name__ == "__main__":
    main()
