"""Training of every GAN, inside the same loop and run folder as the causal model.

What is played with, measured and published is a `Variant`'s, one for each objective (`studies`); when, where and how it
is logged, saved and resumed is the trainer's.

Two networks that train each other, one Adam each: what every GAN here has, whatever its steps are.

All randomness of an iteration is a function of the seed and the iteration. So a resumed run continues bit for bit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import reduce
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Adam

from descant_modeling.gan.config import AdamConfig, AdversarialConfig
from descant_modeling.models.checkpoints import recover_folder, replace_folder
from descant_modeling.training.loop import STATE_FILE, STATE_TENSORS, RunLog, StopRequest, run_steps
from descant_tokenizers.common.errors import InputError

#: What Adam keeps for each parameter.
OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq")

GeneratorT = TypeVar("GeneratorT", bound=nn.Module)
CriticT = TypeVar("CriticT", bound=nn.Module)


class GeneratorCriticPair(Generic[GeneratorT, CriticT]):
    """A generator and its critic (or discriminator), and their optimizers.

    Several processes draw the same batches, take each its share of them and average the gradients. Only batch norm sees
    the share of its own process.

    Args:
        seed: Everything random follows from it.
        build: Makes generator and critic, on the CPU.
        adam: Settings of both optimizers.
        batch_size: Samples in a step.
        dtype: What convolutions compute in; fp32 or bf16.
        accelerator: Device and processes, whose number divides `batch_size`; one process on the CPU if not given.
    """

    #: What Adam adds to its denominator.
    epsilon: ClassVar[float] = 1e-8

    def __init__(
        self,
        seed: int,
        build: Callable[[], tuple[GeneratorT, CriticT]],
        adam: AdamConfig,
        batch_size: int,
        dtype: torch.dtype = torch.float32,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.device = torch.device("cpu") if accelerator is None else accelerator.device
        self.rank = 0 if accelerator is None else accelerator.process_index
        self.num_processes = 1 if accelerator is None else accelerator.num_processes
        self.seed, self.batch_size, self.dtype = seed, batch_size, dtype
        torch.manual_seed(seed)
        self.generator, self.critic = build()
        networks: tuple[nn.Module, nn.Module] = (self.generator, self.critic)
        for network in networks:
            network.to(self.device)
        optimizer = partial(
            Adam,
            lr=adam.learning_rate,
            betas=(adam.betas[0], adam.betas[1]),
            eps=self.epsilon,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self._parts: tuple[tuple[str, nn.Module, Adam], ...] = tuple(
            (part, network, optimizer(network.parameters()))
            for part, network in zip(("generator", "critic"), networks, strict=True)
        )

    @property
    def generator_optimizer(self) -> Adam:
        """The generator's."""
        return self._parts[0][2]

    @property
    def critic_optimizer(self) -> Adam:
        """The critic's."""
        return self._parts[1][2]

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that a resumed run needs: weights, batch norm's statistics, Adam's moments."""
        found: dict[str, Tensor] = {}
        for part, network, optimizer in self._parts:
            found |= {f"{part}.{name}": tensor for name, tensor in network.state_dict().items()}
            for name, parameter in network.named_parameters():
                state = optimizer.state.get(parameter, {})
                found |= {f"{part}.{key}.{name}": tensor for key, tensor in state.items()}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `tensors` returned."""
        for part, network, optimizer in self._parts:
            network.load_state_dict({name: tensors[f"{part}.{name}"] for name in network.state_dict()})
            packed = optimizer.state_dict()
            packed["state"] = {
                index: {key: _laid_out_as(parameter, tensors[f"{part}.{key}.{name}"]) for key in OPTIMIZER_STATE}
                for index, (name, parameter) in enumerate(network.named_parameters())
                if f"{part}.step.{name}" in tensors
            }
            optimizer.load_state_dict(packed)

    def any_process(self, flag: bool) -> bool:
        """Whether a flag is set on any process."""
        count = torch.tensor(float(flag), device=self.device)
        self.average([count])
        return bool(count > 0)

    def average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their means over all processes."""
        if self.num_processes > 1:
            for tensor in tensors:
                tensor.copy_(reduce(tensor, "mean"))

    def descend(self, network: nn.Module, optimizer: Adam) -> None:
        """Average a network's gradients over all processes, and take a step down them."""
        self.average([p.grad for p in network.parameters() if p.grad is not None])
        optimizer.step()

    @contextmanager
    def generator_turn(self) -> Iterator[None]:
        """Gradients of what runs inside are the generator's alone, and it takes a step down them at the end."""
        self.critic.requires_grad_(False)
        self.generator_optimizer.zero_grad(set_to_none=True)
        yield
        self.average([buffer for buffer in self.generator.buffers() if buffer.is_floating_point()])
        self.descend(self.generator, self.generator_optimizer)
        self.critic.requires_grad_(True)

    def mine(self, whole: Tensor) -> Tensor:
        """This process's share of a batch."""
        return whole[self.rank :: self.num_processes].to(self.device)

    def precision(self) -> AbstractContextManager[object]:
        """Let convolutions compute in `dtype`."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def rng(self, iteration: int) -> torch.Generator:
        """Return the random numbers of an iteration."""
        return torch.Generator().manual_seed(_seed_of(self.seed, 0, iteration))

    def places(self, number: int, first_batch: int) -> Iterator[list[int]]:
        """Yield which samples are in a batch and in those after it: shuffled epochs, end to end.

        Args:
            number: Samples there are.
            first_batch: Counted from 0, from the beginning of the run.
        """
        place = first_batch * self.batch_size
        while True:
            places = range(place, place + self.batch_size)
            order = {epoch: self._order(epoch, number) for epoch in {at // number for at in places}}
            yield [int(order[at // number][at % number]) for at in places]
            place += self.batch_size

    def _order(self, epoch: int, number: int) -> NDArray[np.int64]:
        return np.random.default_rng((self.seed, 1, epoch)).permutation(number)


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Return a state of Adam's in the memory layout of its parameter, channels last.

    The fused Adam of torch 2.13 walks through memory and does not look at strides: of a state in another layout it
    would take each element for another one's.
    """
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


#: Rolls that are kept at each of `sample_steps`.
NUM_KEPT = 3
SAMPLES_FOLDER = "samples"

Figures = dict[str, float]


class Variant(Protocol):
    """One kind of GAN with its data: what the trainer does not know about it."""

    @property
    def learner(self) -> GeneratorCriticPair[Any, Any]:
        """Both networks and their optimizers."""

    def iterate(self, iteration: int) -> Figures:
        """Run an iteration, counted from 0, and return its losses by name."""

    def measure(self) -> Figures:
        """Measure what the generator writes for the valid split, with the same noise each time."""

    def own(self) -> Figures:
        """Measure the valid data itself in the same way."""

    def samples(self, number: int) -> dict[str, NDArray[np.bool_]]:
        """Write `rolls` (number, T, P, C), and `melodies` (number, T, P) if they were written to some."""

    def save(self, folder: Path, facts: dict[str, Any]) -> None:
        """Write the published files into an empty folder, with these facts about the run."""

    def first_command(self, folder: Path) -> str:
        """Return what to try a trained model with."""


@dataclass
class GanProgress:
    """Where a run stands.

    Attributes:
        step: Iterations done.
        seconds: Time spent, over all sessions of the run.
    """

    step: int = 0
    seconds: float = 0.0


class GanTrainer:
    """Runs the iterations of one configuration and keeps the checkpoint folder `last/`.

    Args:
        config: The run.
        accelerator: Prepared for device and precision; its processes divide `data.batch_size`.
        study: What is trained.
        folder: Run folder; exists.
        facts: What goes into `descant.json` about the run.
        log: Where progress goes.
    """

    def __init__(
        self,
        config: AdversarialConfig,
        accelerator: Accelerator,
        study: Variant,
        folder: Path,
        facts: dict[str, Any],
        log: RunLog,
    ) -> None:
        assert config.data.batch_size % accelerator.num_processes == 0, "uneven shares"
        self.config, self.accelerator, self.study = config, accelerator, study
        self.folder, self.facts, self.log = folder, facts, log
        self.progress = GanProgress()
        self._losses: Figures = {}
        self._metrics: Figures = {}

    def train(self) -> GanProgress:
        """Run to `max_steps`; Ctrl-C or SIGTERM finishes the step, saves and stops (a second one stops at once).

        Returns:
            Where the run stands.

        Raises:
            KeyboardInterrupt: The run was stopped, and saved.
            InputError: A loss is no longer finite.
        """
        run_steps(self, self.config.max_steps)
        if self.accelerator.is_main_process:
            from descant_modeling.gan.metrics import draw_run

            draw_run(self.folder, self.study.own())
        return self.progress

    def advance(self, stop: StopRequest) -> bool:
        """Do one iteration; return whether any process was asked to stop."""
        self._losses = self.study.iterate(self.progress.step)
        self.progress.step += 1
        if not all(math.isfinite(value) for value in self._losses.values()):
            raise InputError(
                f"a loss is not finite at step {self.progress.step}: lower optimizer.learning_rate or use fp32"
            )
        return self.study.learner.any_process(stop.made)

    def after_step(self) -> None:
        """Log, measure and save what is due."""
        config, progress, step, losses = self.config, self.progress, self.progress.step, self._losses
        last = step == config.max_steps
        shown = "  ".join(f"{name} {value:.2f}" for name, value in losses.items())
        self.log.progress(step, f"{shown}  {progress.seconds / step:.2f} s/step")
        if step % config.log_every == 0 or last:
            self.log.record("train", step, **losses, seconds=progress.seconds)
        if self.accelerator.is_main_process and (step % config.eval_every == 0 or last):
            self._measure()
        if self.accelerator.is_main_process and step in config.sample_steps:
            self._keep_samples()
        if step % config.save_every == 0 or last:
            self.save_last()

    def summary(self) -> str:
        """Say how the run ended."""
        progress = self.progress
        return f"{progress.step} steps in {progress.seconds / 60:.1f} min\nmodel: {self.folder / 'last'}"

    def first_command(self) -> str:
        """Return what to try the trained model with."""
        return self.study.first_command(self.folder)

    def _measure(self) -> None:
        self._metrics = self.study.measure()
        self.log.record("valid", self.progress.step, **self._metrics)
        found = "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in self._metrics.items())
        self.log.say(f"step {self.progress.step}: {found} ({self.progress.seconds / 60:.1f} min)")

    def _keep_samples(self) -> None:
        folder = self.folder / SAMPLES_FOLDER
        folder.mkdir(exist_ok=True)
        arrays: dict[str, Any] = dict(self.study.samples(NUM_KEPT))
        np.savez_compressed(folder / f"step-{self.progress.step:05}.npz", **arrays)

    def save_last(self) -> None:
        """Write `last/`: the published folder plus the training state."""
        if self.accelerator.is_main_process:
            replace_folder(self.folder / "last", self._write_last)
        self.accelerator.wait_for_everyone()

    def _write_last(self, folder: Path) -> None:
        own = self.study.own()
        metrics = {name: (round(value, 4), round(own[name], 4)) for name, value in self._metrics.items()}
        self.study.save(folder, {**self.facts, "step": self.progress.step, "metrics": metrics})
        save_file(self.study.learner.tensors(), folder / STATE_TENSORS)
        state = {"progress": vars(self.progress), "config": self.config.to_dict()}
        (folder / STATE_FILE).write_text(json.dumps(state) + "\n", encoding="utf-8")

    def resume(self) -> None:
        """Take up `last/` of the run folder.

        Raises:
            InputError: There is none.
        """
        last = self.folder / "last"
        recover_folder(last)
        if not (last / STATE_FILE).is_file():
            raise InputError(f"{self.folder} has no checkpoint to resume from: start without --resume")
        self.study.learner.load_tensors(load_file(last / STATE_TENSORS))
        state = json.loads((last / STATE_FILE).read_text(encoding="utf-8"))
        self.progress = GanProgress(**state["progress"])
