"""Training of the causal model on any number of processes, through Accelerate.

All randomness is a function of the seed and the place in the run: batches of (seed, epoch), dropout of (seed, step,
micro-batch). So a resumed run continues bit for bit, and several processes see the same global batches as one.

The loss of a step is the sum of -ln p over the counted tokens of all its micro-batches on all processes, divided by
their number.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import reduce
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from descant_modeling.cards import model_card
from descant_modeling.checkpoints import (
    CheckpointMeta,
    recover_folder,
    replace_folder,
    save_checkpoint,
)
from descant_modeling.config import OptimizerConfig, RunConfig
from descant_modeling.examples import Batch, ExampleSource
from descant_modeling.likelihood import Likelihood, corpus_likelihood, token_nll
from descant_modeling.optimizers import build_optimizer
from descant_modeling.runlog import RunLog
from descant_tokenizers.errors import InputError
from descant_tokenizers.tokens.layout import TaskLayout
from descant_tokenizers.tokens.piece import Piece

STATE_TENSORS = "training_state.safetensors"
STATE_FILE = "training_state.json"


@dataclass
class Progress:
    """Where a run stands; everything that a resumed run has to know besides tensors."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float = math.inf
    best_step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    history: list[tuple[int, float]] = field(default_factory=list)


def learning_rate(config: OptimizerConfig, step: int, max_steps: int) -> float:
    """Learning rate of a step (from 0): linear warm-up, then a half cosine to `final_lr_share` of the peak."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, max_steps - config.warmup_steps)
    share = config.final_lr_share + (1 - config.final_lr_share) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.learning_rate * share


class WeightAverage:
    """Exponential moving average of a model's parameters, with the early-step correction of Kingma & Ba 2015.

    The decay of step t is min(decay, (1 + t) / (10 + t)), so that the first weights are forgotten quickly.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module, step: int) -> None:
        """Move towards the model's weights after optimizer step `step` (from 0)."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        parameters = [p.detach() for p in model.parameters()]
        torch._foreach_lerp_(list(self.shadow.values()), parameters, weight)

    @torch.no_grad()
    def swap(self, model: torch.nn.Module) -> None:
        """Exchange the model's weights with the average; call twice to undo."""
        for name, parameter in model.named_parameters():
            kept = parameter.detach().clone()
            parameter.copy_(self.shadow[name])
            self.shadow[name].copy_(kept)


class Trainer:
    """Runs the optimizer steps of one configuration and keeps `last/` and `best/` checkpoint folders.

    Args:
        config: The run.
        accelerator: Prepared for device and precision.
        model: Stock causal model.
        layout: Task layout, with the tokenizer's vocabulary.
        source: Training examples.
        valid: Pieces to evaluate on.
        folder: Run folder; exists.
        meta: What goes into `descant.json`.
        log: Where progress goes.
    """

    def __init__(
        self,
        config: RunConfig,
        accelerator: Accelerator,
        model: PreTrainedModel,
        layout: TaskLayout,
        source: ExampleSource,
        valid: list[Piece],
        folder: Path,
        meta: CheckpointMeta,
        log: RunLog,
    ) -> None:
        processes = accelerator.num_processes
        if config.data.micro_batches % processes:
            raise InputError(
                f"data.micro_batches is {config.data.micro_batches}, not a multiple of the {processes} processes: "
                f"set it to {processes} or a multiple"
            )
        self.config, self.accelerator, self.layout, self.source = config, accelerator, layout, source
        self.valid, self.folder, self.meta, self.log = valid, folder, meta, log
        self.plain_model = model.to(accelerator.device)
        self.optimizer = build_optimizer(self.plain_model, config.optimizer)
        self.model, self.prepared_optimizer = accelerator.prepare(self.plain_model, self.optimizer)
        decay = config.optimizer.ema_decay
        self.average = WeightAverage(self.plain_model, decay) if decay else None
        self.progress = Progress()
        self._per_process = config.data.micro_batches // processes

    def train(self) -> Progress:
        """Run to `max_steps`; Ctrl-C saves and stops.

        Returns:
            Where the run stands.
        """
        steps = self._steps()
        started = time.perf_counter() - self.progress.seconds
        try:
            while self.progress.step < self.config.max_steps:
                loss, tokens = self._step(next(steps))
                self.progress.tokens += tokens
                self.progress.seconds = time.perf_counter() - started
                self._after_step(loss)
        except KeyboardInterrupt:
            self.log.say(f"stopped at step {self.progress.step}: saving; go on with --resume")
            self.save_last()
            raise
        return self.progress

    def _after_step(self, loss: float) -> None:
        config, progress, step = self.config, self.progress, self.progress.step
        speed = progress.tokens / progress.seconds
        self.log.progress(step, f"loss {loss:.3f}  {speed:,.0f} tokens/s  best {progress.best:.4f}")
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

    def _step(self, batches: list[Batch]) -> tuple[float, int]:
        """Run one optimizer step; return its loss in nats per token and the tokens it read on all processes."""
        self.plain_model.train()
        step, device = self.progress.step, self.accelerator.device
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config.optimizer, step, self.config.max_steps)
        counts = torch.tensor(
            [sum(b.num_counted for b in batches), sum(b.ids_BT.numel() for b in batches)], dtype=torch.float64
        ).to(device if device.type != "mps" else "cpu")
        num_counted, num_read = reduce(counts, "sum").tolist()
        total = torch.zeros((), device=device)
        for index, batch in enumerate(batches):
            torch.manual_seed(self._dropout_seed(index))
            batch = Batch(batch.ids_BT.to(device), batch.counted_BT.to(device))
            last = index == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model), self.accelerator.autocast():
                logits = self.model(input_ids=batch.ids_BT, use_cache=False).logits
                nll = token_nll(logits, batch).sum()
                # DDP averages gradients over processes, so multiply by their number to get the sum.
                self.accelerator.backward(nll * self.accelerator.num_processes / num_counted)
            total += nll.detach()
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.optimizer.clip_norm)
        self.prepared_optimizer.step()
        self.prepared_optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.plain_model, step)
        self.progress.step += 1
        loss = float(reduce(total, "sum")) / num_counted
        if not math.isfinite(loss):
            raise InputError(f"the loss is {loss} at step {step + 1}: lower optimizer.learning_rate or use fp32")
        return loss, int(num_read)

    def _dropout_seed(self, index: int) -> int:
        micro_batch = self.accelerator.process_index * self._per_process + index
        sequence = np.random.SeedSequence((self.config.seed, self.progress.step, micro_batch))
        return int(sequence.generate_state(1, np.uint64)[0])

    def evaluate(self) -> Likelihood:
        """Score the valid pieces with the averaged weights."""
        with self._averaged():
            return corpus_likelihood(self.plain_model, self.layout, self.valid)

    def _evaluate(self) -> None:
        if not self.valid or not self.accelerator.is_main_process:
            return
        score, progress = self.evaluate(), self.progress
        nats = score.nats_per_voice_16th
        progress.history.append((progress.step, nats))
        self.log.record("valid", progress.step, nats_per_voice_16th=nats, bits_per_note=score.bits_per_note)
        self.log.say(
            f"step {progress.step}: valid {nats:.4f} nats per voice-16th, {score.bits_per_note:.3f} bits per note "
            f"({progress.seconds / 60:.1f} min, {progress.tokens / 1e6:.2f} M tokens)"
        )
        if nats < progress.best:
            progress.best, progress.best_step = nats, progress.step
            with self._averaged():
                replace_folder(self.folder / "best", self._write_model)

    def _averaged(self) -> _Averaged:
        return _Averaged(self.plain_model, self.average)

    def _write_model(self, folder: Path) -> None:
        progress = self.progress
        training = {
            **self.meta.training,
            "step": progress.step,
            "tokens": progress.tokens,
            "valid_nats_per_voice_16th": progress.history[-1][1] if progress.history else None,
        }
        meta = CheckpointMeta(
            self.meta.layout, "", self.meta.corpora, self.meta.voice_ranges, training, self.meta.format_version
        )
        save_checkpoint(folder, self.plain_model, self.layout.table.tokenizer, meta, model_card(self.plain_model, meta))

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
        if self.average is not None:
            tensors |= {f"average.{name}": t for name, t in self.average.shadow.items()}
        for parameter, state in self.optimizer.state.items():
            tensors |= {f"{key}.{names[id(parameter)]}": value for key, value in state.items()}
        save_file({name: t.contiguous().cpu() for name, t in tensors.items()}, folder / STATE_TENSORS)
        state = {"progress": vars(self.progress), "config": self.config.to_dict()}
        (folder / STATE_FILE).write_text(json.dumps(state) + "\n", encoding="utf-8")

    @torch.no_grad()
    def resume(self) -> None:
        """Take up `last/` of the run folder.

        Raises:
            InputError: There is none.
        """
        last = self.folder / "last"
        recover_folder(last)
        if not (last / STATE_FILE).is_file():
            raise InputError(f"{self.folder} has no checkpoint to resume from: start without --resume")
        tensors = load_file(last / STATE_TENSORS)
        state = json.loads((last / STATE_FILE).read_text(encoding="utf-8"))
        self.progress = Progress(**state["progress"])
        for name, parameter in self.plain_model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
            if self.average is not None:
                self.average.shadow[name].copy_(tensors[f"average.{name}"])
            self.optimizer.state[parameter] = {
                key: tensors[f"{key}.{name}"].to(parameter.device if key != "step" else "cpu")
                for key in ("step", "exp_avg", "exp_avg_sq", "momentum")
                if f"{key}.{name}" in tensors
            }


class _Averaged:
    """Context in which a model holds its averaged weights."""

    def __init__(self, model: torch.nn.Module, average: WeightAverage | None) -> None:
        self.model, self.average = model, average

    def __enter__(self) -> None:
        if self.average is not None:
            self.average.swap(self.model)

    def __exit__(self, *_: object) -> None:
        if self.average is not None:
            self.average.swap(self.model)
