"""Training of causal models on any number of processes, through Accelerate.

Batches are a function of (seed, epoch), dropout of (seed, step, micro-batch). So a resumed run continues bit for bit,
and several processes see the same global batches as one.

The loss of a step is the mean of -ln p over the target tokens of all its micro-batches on all processes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import reduce
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from descant_modeling.models.likelihood import Batch, Likelihood, Unit, style_contrast
from descant_modeling.models.transformer import count_parameters
from descant_modeling.training.config import CausalConfig
from descant_modeling.training.examples import BatchSource
from descant_modeling.training.loader import Place, Share, stream
from descant_modeling.training.one_model import BestProgress, OneModelTask
from descant_modeling.training.run import PreparedRun, RunContext
from descant_modeling.training.step_model import StepModel, has_cpp_compiler
from descant_modeling.training.trainer import Figures, Progress, Validation
from descant_tokenizers.common.errors import InputError, printable

#: Steps of a run from which on `compile: auto` compiles: before, it takes longer than it saves.
COMPILED_STEPS = 1000


class Representation(Protocol):
    """A token representation of music: scores models of it and writes their checkpoints."""

    @property
    def unit(self) -> Unit:
        """The unit of its likelihood."""

    def score_valid(self, model: PreTrainedModel) -> Likelihood | None:
        """Score the validation pieces; return None if there are none."""

    def write_checkpoint(self, folder: Path, model: PreTrainedModel, training: dict[str, Any]) -> None:
        """Write a complete checkpoint into an existing empty folder, with the progress of the run among its facts."""

    def first_command(self, folder: Path) -> str:
        """Return a command that tries the trained model."""


@dataclass
class CausalProgress(BestProgress):
    """State of a causal model's run.

    Attributes:
        epoch: Current epoch, from 0.
        pool: Pieces of this epoch in the pools that were used up (see `loader.Place`).
        batch: Micro-batches that were used since, over all processes.
        tokens: Tokens read, padding included, over all processes.
        history: (step, value) of every validation.
    """

    epoch: int = 0
    pool: int = 0
    batch: int = 0
    tokens: int = 0
    history: list[tuple[int, float]] = field(default_factory=list)


class CausalTask(OneModelTask[PreTrainedModel]):
    """Training of a causal model, a `TrainingTask`; `data.micro_batches` is a multiple of the number of processes."""

    def __init__(
        self,
        config: CausalConfig,
        accelerator: Accelerator,
        model: PreTrainedModel,
        source: BatchSource,
        representation: Representation,
    ) -> None:
        in_bf16 = accelerator.mixed_precision == "bf16"
        super().__init__(config, accelerator, model, in_bf16=in_bf16)
        self.config, self.source, self.representation = config, source, representation
        source.packing = config.data.packing
        self._step_model = StepModel(
            self.model, in_bf16=in_bf16, checkpointing=config.gradient_checkpointing, packing=config.data.packing
        )
        self._wrapped = accelerator.prepare(self._step_model)  # autocast included
        self.progress: Progress = CausalProgress()
        self._batches: Iterator[list[Batch]] | None = None
        self._per_process = config.data.micro_batches // accelerator.num_processes

    @property
    def state(self) -> CausalProgress:
        """State of the run."""
        assert isinstance(self.progress, CausalProgress)
        return self.progress

    @property
    def compiles(self) -> bool:
        """True if the configuration asks for a compiled step: by default in bf16 on a CPU, for runs long enough."""
        if self.config.compile != "auto":
            return self.config.compile == "true"
        on_cpu_in_bf16 = self.accelerator.device.type == "cpu" and self.accelerator.mixed_precision == "bf16"
        pays = on_cpu_in_bf16 and not (self.config.gradient_checkpointing or self.config.data.packing)
        return pays and self.config.max_steps >= COMPILED_STEPS

    def warm_up(self) -> tuple[str, Figures]:
        """Compile the step, if the configuration asks for it."""
        if not self.compiles:
            return "", {}
        if self.accelerator.device.type == "cpu" and not has_cpp_compiler():
            return (
                "No C++ compiler is found, so training goes on without torch.compile. Install g++ to train faster.",
                {},
            )
        start = time.perf_counter()
        try:
            num_graphs = self._step_model.compile_blocks(self.config.data.batch_tokens)
        except (RuntimeError, OSError) as error:
            torch.compiler.set_stance("force_eager")
            reason = printable(str(error), 120).rstrip(".")
            return f"torch.compile failed ({reason}), so training goes on without it. Set compile=false.", {}
        figures = {"seconds": time.perf_counter() - start, "graphs": float(num_graphs)}
        return f"compiled for all lengths: {num_graphs} graphs in {figures['seconds']:.0f} s", figures

    def step(self) -> Figures:
        """Take an optimizer step; the loss is in nats per token."""
        if self._batches is None:
            self._batches = self.batches()
        return {"loss": self.step_on(next(self._batches))}

    def batches(self) -> Iterator[list[Batch]]:
        """Yield each step's micro-batches of this process, starting at the state of the run.

        Raises:
            InputError: An epoch has too few batches for a step, or a worker process ended.
        """
        data, state = self.config.data, self.state
        first = self.accelerator.process_index * self._per_process
        start = Place(state.epoch, state.pool, state.batch)
        group: list[Batch] = []
        epoch, has_stepped = start.epoch, start.batch > 0 or start.pool > 0
        share = Share(self.accelerator.process_index, self.accelerator.num_processes)
        for place, batch in stream(self.source, data.batch_tokens, start, data.num_workers, share):
            if place.epoch > epoch:  # a step that the last batches do not fill is left out; every piece returns
                if not has_stepped:
                    raise InputError(
                        f"An epoch has under {data.micro_batches} batches. "
                        "Lower data.micro_batches or data.batch_tokens."
                    )
                group, epoch, has_stepped = [], place.epoch, False
            group.append(batch)
            if len(group) == data.micro_batches:
                state.epoch, state.pool, state.batch = place.epoch, place.pool, place.batch + 1
                yield group[first : first + self._per_process]
                group, has_stepped = [], True

    def step_on(self, batches: list[Batch]) -> float:
        """Take an optimizer step on this process's micro-batches; return the loss over all processes."""
        counts = [sum(batch.num_targets for batch in batches), sum(batch.ids_BT.numel() for batch in batches)]
        num_targets, num_read = reduce(torch.tensor(counts, device=self.accelerator.device), "sum").tolist()
        total = self._accumulate_gradients(batches, num_targets)
        self.apply_gradients()
        self.state.tokens += num_read
        return float(reduce(total, "sum")) / int(num_targets)

    def _accumulate_gradients(self, batches: list[Batch], num_targets: int) -> torch.Tensor:
        """Add up the gradients of this process's micro-batches; return the sum of -ln p over their target tokens."""
        device = self.accelerator.device
        total = torch.zeros((), device=device)
        for index, batch in enumerate(batches):
            batch = batch.to(device)
            self._step_model.seed_dropout(self._dropout_seed(index), batch.ids_BT)
            is_last = index == len(batches) - 1
            with nullcontext() if is_last else self.accelerator.no_sync(self._wrapped):
                nll_N = self._wrapped(batch.ids_BT, batch.loss_mask_BT, batch.positions_BT)
                loss = nll_N.sum()
                total += loss.detach()
                if batch.rivals_BT is not None:
                    loss = loss + batch.contrast * self._style_contrast(batch, nll_N, index)
                # DDP averages gradients over processes, so multiply by their number to get the sum.
                self.accelerator.backward(loss * self.accelerator.num_processes / num_targets)
        return total

    def _style_contrast(self, batch: Batch, nll_N: torch.Tensor, index: int) -> torch.Tensor:
        """Return the contrast of a micro-batch, from a second pass over the sequences that have a style."""
        rows_B = batch.has_rival
        if not self._step_model.has_dropout_by_row:
            rows_B = torch.ones_like(rows_B)
        if not rows_B.any():
            return torch.zeros((), device=nll_N.device)
        rivals = batch.only(rows_B)
        # The same dropout, whose effect exceeds that of styles.
        self._step_model.seed_dropout(self._dropout_seed(index), batch.ids_BT, rows_B)
        rival_nll_N = self._wrapped(rivals.rivals_BT, rivals.loss_mask_BT)
        return style_contrast(nll_N[rows_B[batch.rows]], rival_nll_N, rivals)

    def _dropout_seed(self, index: int) -> int:
        micro_batch = self.accelerator.process_index * self._per_process + index
        sequence = np.random.SeedSequence((self.config.seed, self.progress.step, micro_batch))
        return int(sequence.generate_state(1, np.uint64)[0])

    def log_values(self) -> Figures:
        """Return learning rate, speed and epoch."""
        state = self.state
        return {"learning_rate": self.rate, "tokens_per_second": state.tokens / state.seconds, "epoch": state.epoch}

    def validate(self) -> Validation:
        """Score the validation pieces with the published model."""
        score, state = self.representation.score_valid(self.published_model), self.state
        if score is None:
            return Validation({})
        state.history.append((state.step, score.headline))
        figures = {score.unit.key: score.headline, "bits_per_note": score.bits_per_note}
        return Validation(figures, state.note(score.headline))

    def publish(self, folder: Path) -> None:
        """Write the published model."""
        state = self.state
        key = f"valid_{self.representation.unit.key}"
        training = {"step": state.step, "tokens": state.tokens, key: state.history[-1][1] if state.history else None}
        self.representation.write_checkpoint(folder, self.published_model, training)

    def plot(self, folder: Path) -> None:
        """Draw nothing: TensorBoard shows the curves."""

    def summary(self) -> str:
        """Return tokens and the best likelihood."""
        state, tokens = self.state, f"{self.state.tokens / 1e6:.2f} M tokens"
        if state.best is None:
            return tokens
        return f"{tokens}; best {state.best:.4f} {self.representation.unit.name} at step {state.best_step}"

    def first_command(self, folder: Path) -> str:
        """Return a command that tries the trained model."""
        return self.representation.first_command(folder)


Config = TypeVar("Config", bound=CausalConfig)


def begin_causal_run(context: RunContext[Config]) -> None:
    """Check the number of processes, and silence transformers.

    Raises:
        InputError: The micro-batches cannot be shared out evenly between the processes.
    """
    number, processes = context.config.data.micro_batches, context.accelerator.num_processes
    if number % processes:
        raise InputError(f"data.micro_batches is {number} for {processes} processes. Set a multiple of {processes}.")
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # GPT-2 warns about a missing attention mask wherever it sees padding. Ours is at the end, where a causal model does
    # not need one, and a mask would leave the fused kernel.
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def prepare_causal_run(
    context: RunContext[Config],
    model: PreTrainedModel,
    source: BatchSource,
    representation: Representation,
    *remarks: str,
    **facts: Any,
) -> PreparedRun:
    """Assemble a run, with lines to print before it starts and entries of `run.json` about the data."""
    config = context.config
    task = CausalTask(config, context.accelerator, model, source, representation)
    is_main = context.accelerator.is_main_process  # only it reports
    padding = round(padding_share(source, config.data.batch_tokens), 4) if is_main else 0.0
    number = count_parameters(model)
    size = f"{number / 1e6:.2f} M parameters, {source.num_pieces} pieces, padding {padding:.1%}"
    return PreparedRun(task, {"num_parameters": number, "padding_share": padding, **facts}, (*remarks, size))


def padding_share(source: BatchSource, batch_tokens: int) -> float:
    """Return the share of padding in the first batches of epoch 0."""
    total = padded = 0
    for batch in source.batches(0, batch_tokens):
        total += batch.ids_BT.numel()
        padded += int((batch.ids_BT == source.pad).sum())
        if total > 1_000_000:
            break
    return padded / total
