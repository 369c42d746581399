"""Training of the causal model on any number of processes, through Accelerate.

All randomness is a function of the seed and the place in the run: batches of (seed, epoch), dropout of (seed, step,
micro-batch). So a resumed run continues bit for bit, and several processes see the same global batches as one.

The loss of a step is the sum of -ln p over the counted tokens of all its micro-batches on all processes, divided by
their number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import reduce
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from descant_modeling.models.batching import Batch
from descant_modeling.models.checkpoints import recover_folder, replace_folder
from descant_modeling.models.likelihood import Likelihood, Unit, style_contrast, token_nll
from descant_modeling.models.transformer import use_block_attention
from descant_modeling.training.config import CausalConfig
from descant_modeling.training.examples import BatchSource
from descant_modeling.training.loop import STATE_FILE, STATE_TENSORS, RunLog, StopRequest, run_steps
from descant_modeling.training.optim import WeightAverage, build_optimizer, learning_rate
from descant_tokenizers.common.errors import InputError, printable


class TrainingTask(Protocol):
    """Music in one way of writing it as tokens."""

    @property
    def unit(self) -> Unit:
        """What likelihood is counted in."""

    @property
    def has_valid(self) -> bool:
        """Whether there are pieces to evaluate on."""

    def score_valid(self, model: PreTrainedModel) -> Likelihood:
        """Score the pieces to evaluate on."""

    def write_checkpoint(self, folder: Path, model: PreTrainedModel, training: dict[str, Any]) -> None:
        """Write a complete checkpoint folder into an existing empty one.

        Args:
            folder: Where to write.
            model: The model.
            training: How far the run has come, beside what the subject itself knows about it.
        """

    def first_command(self, folder: Path) -> str:
        """Return what to try a trained model with."""


#: What the optimizers keep for each parameter.
OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq", "momentum")


@dataclass
class TrainingProgress:
    """Where a run stands; everything that a resumed run has to know besides tensors.

    Attributes:
        step: Optimizer steps done.
        epoch: Current epoch, from 0.
        batch: Micro-batches of this epoch that were used, over all processes.
        best: Lowest nats per voice-16th on valid (see `likelihood.Unit`); None before an evaluation.
        best_step: Step that reached it.
        tokens: Tokens read, padding included, over all processes.
        seconds: Time spent, over all sessions of the run.
        history: (step, the same on valid) of every evaluation.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float | None = None
    best_step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    history: list[tuple[int, float]] = field(default_factory=list)


class Trainer:
    """Runs the optimizer steps of one configuration and keeps `last/` and `best/` checkpoint folders.

    Args:
        config: The run.
        accelerator: Prepared for device and precision; `data.micro_batches` is a multiple of its processes.
        model: Stock causal model.
        source: Training examples.
        subject: What is modelled: how it is scored, and what a checkpoint of it holds.
        folder: Run folder; exists.
        log: Where progress goes.
    """

    def __init__(
        self,
        config: CausalConfig,
        accelerator: Accelerator,
        model: PreTrainedModel,
        source: BatchSource,
        subject: TrainingTask,
        folder: Path,
        log: RunLog,
    ) -> None:
        assert config.data.micro_batches % accelerator.num_processes == 0, "uneven shares"
        self.config, self.accelerator, self.source = config, accelerator, source
        self.subject, self.folder, self.log = subject, folder, log
        self.plain_model = model.to(accelerator.device)
        in_bf16 = accelerator.mixed_precision == "bf16"
        if in_bf16 and accelerator.device.type == "cpu":
            use_block_attention(self.plain_model)
        self.optimizer = build_optimizer(self.plain_model, config.optimizer, in_bf16=in_bf16)
        self.model, self.prepared_optimizer = accelerator.prepare(self.plain_model, self.optimizer)
        # Accelerate puts autocast around the model's own forward, evaluation included. Only training is to run in bf16.
        accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        self.average = WeightAverage(self.plain_model, config.optimizer.ema_decay)
        self.progress = TrainingProgress()
        self._loss = math.nan
        self._batches: Iterator[list[Batch]] = iter(())
        self._per_process = config.data.micro_batches // accelerator.num_processes

    def train(self) -> TrainingProgress:
        """Run to `max_steps`; Ctrl-C or SIGTERM finishes the step, saves and stops (a second one stops at once).

        Returns:
            Where the run stands.

        Raises:
            KeyboardInterrupt: The run was stopped, and saved.
            InputError: An epoch is too short for one step, or the loss is no longer finite.
        """
        self._batches = self._steps()
        run_steps(self, self.config.max_steps)
        return self.progress

    def advance(self, stop: StopRequest) -> bool:
        """Do one optimizer step; return whether any process was asked to stop."""
        self._loss, tokens, stopping = self.step(next(self._batches), stop)
        self.progress.tokens += tokens
        return stopping

    def after_step(self) -> None:
        """Log, evaluate and save what is due."""
        loss = self._loss
        config, progress, step = self.config, self.progress, self.progress.step
        speed = progress.tokens / progress.seconds
        best = f"  best {progress.best:.4f}" if progress.history else ""
        self.log.progress(step, f"loss {loss:.3f}  {speed:,.0f} tokens/s{best}")
        last = step == config.max_steps
        if step % config.log_every == 0 or last:
            rate = learning_rate(config.optimizer, step - 1, config.max_steps)
            self.log.record("train", step, loss=loss, learning_rate=rate, tokens_per_second=speed, epoch=progress.epoch)
        if step % config.eval_every == 0 or last:
            self._evaluate()
        if step % config.save_every == 0 or last:
            self.save_last()

    def _steps(self) -> Iterator[list[Batch]]:
        """Yield each step's micro-batches of this process, from where the run stands."""
        first, rest = self.accelerator.process_index * self._per_process, self.config.data.micro_batches
        while True:
            batches = self.source.batches(self.progress.epoch, self.config.data.batch_tokens)
            batches = islice(batches, self.progress.batch, None)
            # A step that the epoch's last batches do not fill is left out; every piece returns next epoch.
            while len(group := list(islice(batches, rest))) == rest:
                self.progress.batch += rest
                yield group[first : first + self._per_process]
            if self.progress.batch == 0:
                raise InputError(f"an epoch has under {rest} batches: lower data.micro_batches or data.batch_tokens")
            self.progress.epoch, self.progress.batch = self.progress.epoch + 1, 0

    def step(self, batches: list[Batch], stop: StopRequest) -> tuple[float, int, bool]:
        """Run one optimizer step.

        Args:
            batches: This process's micro-batches.
            stop: Says whether this process was asked to stop.

        Returns:
            Its loss in nats per token, the tokens it read on all processes, and whether any of them was asked to stop.
        """
        self.plain_model.train()
        step = self.progress.step
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config.optimizer, step, self.config.max_steps)
        num_counted, num_read, stops = self._sum_counts(
            sum(b.num_counted for b in batches), sum(b.ids_BT.numel() for b in batches), int(stop.made)
        )
        total = self._accumulate_gradients(batches, num_counted)
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.optimizer.clip_norm)
        self.prepared_optimizer.step()
        self.prepared_optimizer.zero_grad(set_to_none=True)
        self.average.update(self.plain_model, step)
        self.progress.step += 1
        loss = float(reduce(total, "sum")) / num_counted
        if not math.isfinite(loss):
            raise InputError(f"the loss is {loss} at step {step + 1}: lower optimizer.learning_rate or use fp32")
        return loss, num_read, stops > 0

    def _sum_counts(self, *counts: int) -> list[int]:
        """Add up whole numbers over all processes."""
        return [int(total) for total in reduce(torch.tensor(counts, device=self.accelerator.device), "sum").tolist()]

    def _accumulate_gradients(self, batches: list[Batch], num_counted: int) -> torch.Tensor:
        """Add up the gradients of this process's micro-batches; return the sum of -ln p over their counted tokens."""
        device = self.accelerator.device
        total = torch.zeros((), device=device)
        for index, batch in enumerate(batches):
            torch.manual_seed(self._dropout_seed(index))
            batch = batch.to(device)
            last = index == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model), self.accelerator.autocast():
                logits = self.model(input_ids=batch.ids_BT, use_cache=False).logits
                nll_N = token_nll(logits, batch)
                loss = nll_N.sum()
                total += loss.detach()
                if batch.rivals_BT is not None:
                    torch.manual_seed(self._dropout_seed(index))  # or dropout would make more difference than styles
                    rivals = self.model(input_ids=batch.rivals_BT, use_cache=False).logits
                    loss = loss + batch.contrast * style_contrast(nll_N, token_nll(rivals, batch), batch)
                # DDP averages gradients over processes, so multiply by their number to get the sum.
                self.accelerator.backward(loss * self.accelerator.num_processes / num_counted)
        return total

    def _dropout_seed(self, index: int) -> int:
        micro_batch = self.accelerator.process_index * self._per_process + index
        sequence = np.random.SeedSequence((self.config.seed, self.progress.step, micro_batch))
        return int(sequence.generate_state(1, np.uint64)[0])

    def first_command(self) -> str:
        """Return what to try the trained model with."""
        return self.subject.first_command(self.folder)

    def summary(self) -> str:
        """Say how the run ended."""
        progress = self.progress
        best = (
            f"best {progress.best:.4f} {self.subject.unit.name} at step {progress.best_step}"
            if progress.history
            else ""
        )
        return (
            f"{progress.step} steps, {progress.tokens / 1e6:.2f} M tokens in {progress.seconds / 60:.1f} min; {best}\n"
            f"model: {self.folder / ('best' if progress.history else 'last')}"
        )

    def evaluate(self) -> Likelihood:
        """Score the valid pieces, of which there are some, with the averaged weights."""
        with self._averaged():
            return self.subject.score_valid(self.plain_model)

    def _evaluate(self) -> None:
        if not self.subject.has_valid or not self.accelerator.is_main_process:
            return
        score, progress = self.evaluate(), self.progress
        nats = score.headline
        progress.history.append((progress.step, nats))
        self.log.record("valid", progress.step, **{score.unit.key: nats}, bits_per_note=score.bits_per_note)
        self.log.say(
            f"step {progress.step}: valid {nats:.4f} {score.unit.name}, {score.bits_per_note:.3f} bits per note "
            f"({progress.seconds / 60:.1f} min, {progress.tokens / 1e6:.2f} M tokens)"
        )
        if progress.best is None or nats < progress.best:
            progress.best, progress.best_step = nats, progress.step
            with self._averaged():
                replace_folder(self.folder / "best", self._write_model)

    def _averaged(self) -> AbstractContextManager[None]:
        return self.average.applied_to(self.plain_model)

    def _write_model(self, folder: Path) -> None:
        progress = self.progress
        training = {
            "step": progress.step,
            "tokens": progress.tokens,
            f"valid_{self.subject.unit.key}": progress.history[-1][1] if progress.history else None,
        }
        self.subject.write_checkpoint(folder, self.plain_model, training)

    def save_last(self) -> None:
        """Write `last/`: the published folder plus the training state."""
        if self.accelerator.is_main_process:
            replace_folder(self.folder / "last", self._write_last)
        self.accelerator.wait_for_everyone()

    def _write_last(self, folder: Path) -> None:
        with self._averaged():
            self._write_model(folder)
        names = {id(p): name for name, p in self.plain_model.named_parameters()}
        tensors = {f"model.{name}": p.detach() for name, p in self.plain_model.named_parameters()}
        tensors |= {f"average.{name}": t for name, t in self.average.shadow.items()}
        for parameter, state in self.optimizer.state.items():
            tensors |= {f"{key}.{names[id(parameter)]}": value for key, value in state.items()}
        save_file({name: t.contiguous().cpu() for name, t in tensors.items()}, folder / STATE_TENSORS)
        state = {"progress": vars(self.progress), "config": self.config.to_dict()}
        (folder / STATE_FILE).write_text(json.dumps(state) + "\n", encoding="utf-8")

    def resume(self) -> None:
        """Take up `last/` of the run folder.

        Raises:
            InputError: There is none, or it is damaged.
        """
        last = self.folder / "last"
        recover_folder(last)
        if not (last / STATE_FILE).is_file():
            raise InputError(f"{self.folder} has no checkpoint to resume from: start without --resume")
        try:
            self._restore(last)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            reason = printable(str(error), 120).rstrip(".")
            raise InputError(
                f"{last} cannot be resumed ({reason}): start a new run, with init_from if you like"
            ) from error

    @torch.no_grad()
    def _restore(self, last: Path) -> None:
        tensors = load_file(last / STATE_TENSORS)
        state = json.loads((last / STATE_FILE).read_text(encoding="utf-8"))
        self.progress = TrainingProgress(**state["progress"])
        names = {}
        for name, parameter in self.plain_model.named_parameters():
            names[id(parameter)] = name
            parameter.copy_(tensors[f"model.{name}"])
        for name, shadow in self.average.shadow.items():
            shadow.copy_(tensors[f"average.{name}"])
        in_order = [names[id(p)] for group in self.optimizer.param_groups for p in group["params"]]
        packed = self.optimizer.state_dict()
        packed["state"] = {
            index: {key: tensors[f"{key}.{name}"] for key in OPTIMIZER_STATE if f"{key}.{name}" in tensors}
            for index, name in enumerate(in_order)
        }
        self.optimizer.load_state_dict(packed)
