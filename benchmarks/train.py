"""Compare the speed of our training with transformers' `Trainer` and with the machine's peak of matrix products.

    python benchmarks/train.py                                    # the published configuration, about a minute
    python benchmarks/train.py --config configs/chorales-gpt2.yaml --repeats 9
    python benchmarks/train.py --clock cpu --threads 1            # while the machine does other work
    python benchmarks/train.py --processes 2                      # ours in two processes of one thread (CPU)
    python benchmarks/train.py --device cuda data.batch_tokens=30000
    python benchmarks/train.py data.corpora='[my-dataset]'        # any corpus or folder of a built dataset

Both sides train the same model from the same weights, with the same optimizers, in the same precision, on the same
batches; both average the weights after every step. Theirs gets its batches ready-made, without a padding mask, and
neither logs, evaluates nor saves. The two take turns of a few steps, a third turn measures matrix products, and the
printed ratios are medians over the turns, so that other load on the machine affects all three. On a busy CPU, `--clock
cpu --threads 1` counts seconds of CPU time, which other load hardly changes.

With `--processes`, ours trains in several processes that exchange gradients through gloo, one thread in each; `Trainer`
keeps its threads. Each process gets batches of as many times fewer tokens, from the same examples, so that a step has
as many tokens as before; padding does not count in the speeds.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import torch
from torch.optim.swa_utils import AveragedModel
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from descant_modeling.common.console import quiet_libraries
from descant_modeling.models.likelihood import Batch, Example
from descant_modeling.models.transformer import count_parameters
from descant_modeling.objectives import prepare_run
from descant_modeling.training.causal import CausalTask
from descant_modeling.training.config import CausalConfig
from descant_modeling.training.optim import average_of, build_optimizers
from descant_modeling.training.run import RunOptions
from descant_modeling.training.trainer import Trainer as Run

#: Shapes (rows, inner, columns) of the products whose best speed counts as the machine's peak.
PEAK_SHAPES = ((2048, 1024, 1024), (4096, 256, 1024), (3072, 1024, 256), (2048, 2048, 2048))
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Side(Protocol):
    """A training that takes turns with the other one."""

    def turn(self) -> float:
        """Train on every batch once; return the seconds."""


@dataclass
class Turns:
    """Seconds of our turns and of theirs, and the peaks measured between them."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)


class Now:
    """Reads a clock once all work on a device is done.

    Args:
        device: The device.
        clock: Returns seconds.
    """

    def __init__(self, device: torch.device, clock: Callable[[], float]) -> None:
        self.device, self._clock = device, clock

    def __call__(self) -> float:
        """Return the seconds."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self._clock()


class Theirs:
    """transformers' `Trainer` over ready-made batches; each turn continues with its weights and optimizer states."""

    def __init__(
        self, model: PreTrainedModel, config: CausalConfig, batches: list[Batch], now: Now, *, in_bf16: bool
    ) -> None:
        self.seconds = 0.0
        model.train()
        *others, adamw = build_optimizers(model, config.optimizer, in_bf16=in_bf16)
        schedule = torch.optim.lr_scheduler.LambdaLR(adamw, lambda _: 1.0)
        self._scratch = tempfile.TemporaryDirectory()
        arguments = TrainingArguments(
            output_dir=self._scratch.name,
            per_device_train_batch_size=1,
            max_steps=len(batches),
            max_grad_norm=config.optimizer.clip_norm,
            bf16=in_bf16,
            use_cpu=now.device.type == "cpu",
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        self.trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=[_labelled(batch) for batch in batches],
            data_collator=lambda items: items[0],
            optimizers=(adamw, schedule),
            callbacks=[_Clock(self, others, average_of(model, config.optimizer.ema_decay), now)],
        )

        self.trainer.remove_callback(PrinterCallback)

    def turn(self) -> float:
        """Train on every batch once, in any order; return the seconds between the first step's start and the end."""
        self.trainer.train()
        return self.seconds


class _Clock(TrainerCallback):
    """Measures training without its preparations, takes Muon's steps and averages the weights as ours does."""

    def __init__(
        self, owner: Theirs, others: list[torch.optim.Optimizer], average: AveragedModel | None, now: Now
    ) -> None:
        self._owner, self._others, self._average, self._now, self._start = owner, others, average, now, 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock with the first step."""
        if state.global_step == 0:
            self._start = self._now()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the steps of the optimizers besides the trainer's own, after gradients are clipped."""
        for optimizer in self._others:
            optimizer.step()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Average the weights; stop the clock with the last step."""
        if self._average is not None:
            self._average.update_parameters(kwargs["model"])
        if state.global_step == state.max_steps:
            self._owner.seconds = self._now() - self._start


def _labelled(batch: Batch) -> dict[str, torch.Tensor]:
    return {"input_ids": batch.ids_BT, "labels": batch.ids_BT.masked_fill(~batch.loss_mask_BT, -100)}


class Ours:
    """Our training over ready-made batches, in this process.

    Args:
        task: The task.
        groups: Batches of each step; those of this process only.
        now: Clock.
    """

    def __init__(self, task: CausalTask, groups: list[list[Batch]], now: Now) -> None:
        self._task, self._groups, self._now = task, groups, now

    def turn(self) -> float:
        """Train on every batch once; return the seconds."""
        start = self._now()
        for group in self._groups:
            self._task.step_on(group)
            self._task.progress.step += 1
        return self._now() - start


class OurProcesses:
    """The same in several processes, which sleep while the other side takes its turn.

    Args:
        number: Number of processes.
        config: YAML file of the run.
        overrides: Its overrides.
        num_steps: Optimizer steps of a turn.
        clock: `wall`, of the slowest process, or `cpu`, of all together.
    """

    def __init__(
        self, number: int, config: Path | None, overrides: tuple[str, ...], num_steps: int, clock: str
    ) -> None:
        self._total: Callable[[list[float]], float] = max if clock == "wall" else sum
        context = multiprocessing.get_context("spawn")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        world = {"WORLD_SIZE": str(number), "LOCAL_WORLD_SIZE": str(number), "MASTER_ADDR": "127.0.0.1"}
        self._pipes = []
        for rank in range(number):
            mine, theirs = context.Pipe()
            place = {
                **world,
                "MASTER_PORT": port,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "ACCELERATE_USE_CPU": "1",
            }
            arguments = (theirs, place, config, overrides, num_steps, clock)
            context.Process(target=_serve_turns, args=arguments, daemon=True).start()
            theirs.close()
            self._pipes.append(mine)
        facts = [pipe.recv() for pipe in self._pipes]
        self.line, self.num_tokens = facts[0][0], sum(tokens for _, tokens in facts)

    def turn(self) -> float:
        """Train on every batch once; return the seconds."""
        for pipe in self._pipes:
            pipe.send(None)
        return self._total([pipe.recv() for pipe in self._pipes])


def _serve_turns(
    pipe: Connection, place: dict[str, str], config: Path | None, overrides: tuple[str, ...], num_steps: int, clock: str
) -> None:
    """Take a turn for each message, in one of several processes, and answer with its seconds."""
    os.environ |= {**place, "OMP_NUM_THREADS": "1"}
    number = int(place["WORLD_SIZE"])
    with tempfile.TemporaryDirectory() as scratch, quiet_libraries():
        trainer = prepare_run(config, options_of((*overrides, f"out_dir={scratch}"), "cpu", 1, number))
        task = causal_task(trainer)
        line, _ = task.warm_up()
        batches = batches_of(task, num_steps, number)
        groups = [batches[first : first + number] for first in range(0, len(batches) - number + 1, number)]
        mine = [[group[task.accelerator.process_index]] for group in groups]
        pipe.send((line, sum(num_tokens(task, group) for group in mine)))
        ours = Ours(task, mine, Now(task.accelerator.device, CLOCKS[clock]))
        with contextlib.suppress(EOFError):  # the benchmark has ended
            while True:
                pipe.recv()
                pipe.send(ours.turn())


def options_of(overrides: tuple[str, ...], device: str | None, threads: int | None, number: int) -> RunOptions:
    """Return the options of a run in a number of processes, each with one micro-batch a step."""
    return RunOptions((*overrides, f"data.micro_batches={number}"), None, device, threads, quiet=True)


def causal_task(trainer: Run) -> CausalTask:
    """Return the task of a run, or end the benchmark if it is not a causal model's."""
    if isinstance(trainer.task, CausalTask):
        return trainer.task
    sys.exit("error: The configuration is not a causal model's. transformers' Trainer trains no other objective.")


def batches_of(task: CausalTask, num_steps: int, number: int) -> list[Batch]:
    """Return batches of the first examples, enough for about this many steps in a number of processes."""
    source, step_tokens = task.source, task.config.data.batch_tokens
    examples: list[Example] = []
    left = 0.95 * num_steps * step_tokens  # the rest is padding
    for index in source.order(0).tolist():
        if left <= 0:
            break
        examples.append(Example.of(source.example(index, 0)))
        left -= len(examples[-1].ids)
    return list(source.batches_of(examples, 0, 0, step_tokens // number))


def num_tokens(task: CausalTask, batches: list[Batch]) -> int:
    """Return the number of tokens, without padding."""
    return sum(int((batch.ids_BT != task.source.pad).sum()) for batch in batches)


def matmul_peak(now: Now, dtype: torch.dtype, budget_seconds: float = 0.6) -> float:
    """Return the highest rate of a plain matrix product on this machine, in floating-point operations per second."""
    best = 0.0
    for rows, inner, columns in PEAK_SHAPES:
        a = torch.ones(rows, inner, dtype=dtype, device=now.device)
        b = torch.ones(inner, columns, dtype=dtype, device=now.device)
        end = now() + budget_seconds / len(PEAK_SHAPES)
        while now() < end:
            start = now()
            a @ b
            best = max(best, 2 * rows * inner * columns / (now() - start))
    return best


def operations(model: PreTrainedModel, batches: list[Batch]) -> float:
    """Return the floating-point operations of training on the batches: 6 per parameter and token, and attention.

    The optimizer and recomputation do not count (the model FLOPs of Chowdhery et al. 2022, "PaLM", with half of the
    attention matrix). Position tables take no products.
    """
    width, layers = model.config.hidden_size, model.config.num_hidden_layers
    tables = [p for name, p in model.named_parameters() if "wpe" in name]
    parameters = count_parameters(model) - sum(p.numel() for p in tables)
    tokens = sum(b.ids_BT.numel() for b in batches)
    squares = sum(b.ids_BT.shape[0] * b.ids_BT.shape[1] ** 2 for b in batches)
    return float(6 * parameters * tokens + 6 * layers * width * squares)


def take_turns(ours: Side, theirs: Side, repeats: int, dtype: torch.dtype, now: Now) -> Turns:
    """Train both in turns, after one turn each to warm up."""
    turns = Turns()
    for repeat in range(repeats + 1):
        seconds = ours.turn(), theirs.turn()
        peak = matmul_peak(now, dtype)
        if repeat > 0:
            turns.ours.append(seconds[0])
            turns.theirs.append(seconds[1])
            turns.peaks.append(peak)
    return turns


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the two speeds, their ratio and the share of the peak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("overrides", nargs="*", help="key=value of the configuration")
    parser.add_argument("--config", type=Path, help="YAML file of a run; default: the published model")
    parser.add_argument("--steps", type=int, default=4, help="optimizer steps of a turn")
    parser.add_argument("--repeats", type=int, default=5, help="turns, after one to warm up")
    parser.add_argument("--device", help="cpu, cuda or mps; default: the best available one")
    parser.add_argument("--threads", type=int, help="CPU threads; default: torch's choice")
    parser.add_argument("--processes", type=int, default=1, help="processes of ours, of one thread each if several")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="seconds of the clock or of CPU time")
    options = parser.parse_args(arguments)
    if options.processes > 1 and options.device not in (None, "cpu"):
        parser.error("--processes is for CPUs. Omit it or --device.")
    overrides, device = tuple(options.overrides), "cpu" if options.processes > 1 else options.device
    with tempfile.TemporaryDirectory() as scratch, quiet_libraries():
        run_options = options_of((*overrides, f"out_dir={scratch}"), device, options.threads, 1)
        trainer = prepare_run(options.config, run_options)
        task = causal_task(trainer)
        batches = batches_of(task, options.steps, 1)
        twin = type(task.model)(task.model.config.__class__.from_dict(task.model.config.to_dict()))
        twin.load_state_dict(task.model.state_dict())
        now = Now(task.accelerator.device, CLOCKS[options.clock])
        in_bf16 = task.accelerator.mixed_precision == "bf16"
        theirs = Theirs(twin, task.config, batches, now, in_bf16=in_bf16)
        their_tokens = num_tokens(task, batches)
        ours: Ours | OurProcesses
        if options.processes > 1:
            ours = OurProcesses(options.processes, options.config, overrides, options.steps, options.clock)
            line, our_tokens = ours.line, ours.num_tokens
        else:
            ours = Ours(task, [[batch] for batch in batches], now)
            line, our_tokens = task.warm_up()[0], their_tokens
        turns = take_turns(ours, theirs, options.repeats, torch.bfloat16 if in_bf16 else torch.float32, now)
        trainer.log.close()
    work = operations(twin, batches) * our_tokens / their_tokens
    shares = [work / seconds / peak for seconds, peak in zip(turns.ours, turns.peaks, strict=True)]
    speeds = [our_tokens / seconds for seconds in turns.ours], [their_tokens / seconds for seconds in turns.theirs]
    ratios = [mine / other for mine, other in zip(*speeds, strict=True)]
    processes = f", {options.processes} processes of one thread" if options.processes > 1 else ""
    print(
        f"{count_parameters(twin) / 1e6:.2f} M parameters, {their_tokens / len(batches):,.0f} tokens a step, "
        f"{'bf16' if in_bf16 else 'fp32'}, {task.accelerator.device}, {torch.get_num_threads()} CPU threads"
        f"{processes}{line and ', '}{line}\n"
        f"ours          {statistics.median(speeds[0]):10,.0f} tokens/s\n"
        f"transformers  {statistics.median(speeds[1]):10,.0f} tokens/s\n"
        f"ratio         {statistics.median(ratios):10.2f}  (turns: {', '.join(f'{r:.2f}' for r in sorted(ratios))})\n"
        f"matmul peak   {max(turns.peaks) / 1e9:10,.0f} GFLOP/s, of which our training uses "
        f"{statistics.median(shares):.0%}"
    )


if __name__ == "__main__":
    main()
