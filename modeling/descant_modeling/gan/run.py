"""The three GANs as training tasks, and the preparation of their runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from accelerate import Accelerator
from torch import Tensor

from descant_modeling.gan.checkpoints import gan_card
from descant_modeling.gan.config import AdversarialConfig, GanConfig, MidinetConfig, RollGanConfig
from descant_modeling.gan.data import GanData, MelodyData, load_melodies, load_rolls, sounding
from descant_modeling.gan.metrics import draw_run, free_roll_metrics, melody_metrics, roll_metrics
from descant_modeling.gan.midinet import MidinetStep, compose_bars, draw_midinet_noise, melody_rolls
from descant_modeling.gan.networks import GeneratorCriticPair, draw_noise
from descant_modeling.gan.wgan import ConditionalStep, RollGanStep, melody_of
from descant_modeling.models.networks import NetworkMeta, save_network
from descant_modeling.models.publishing import try_generating
from descant_modeling.models.transformer import count_parameters
from descant_modeling.training.log import git_revision
from descant_modeling.training.run import PreparedRun, RunContext
from descant_modeling.training.trainer import Figures, Progress, Validation
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.rolls import Rolls
from descant_tokenizers.scores.key import NUM_PITCH_CLASSES

#: Samples kept at each of `sample_steps`.
NUM_KEPT = 3
#: Bars of each of MidiNet's melodies in the picture at the end.
SAMPLE_BARS = 8
#: Measured samples of the unconditional GAN.
NUM_MEASURED = 128

SamplesT = TypeVar("SamplesT", Tensor, MelodyData)


class GanTask(ABC, Generic[SamplesT]):
    """Training of a GAN, a `TrainingTask` whose steps are iterations of its two networks."""

    def __init__(self, pair: GeneratorCriticPair[Any, Any, Any], data: GanData[SamplesT]) -> None:
        self.pair = pair
        self.data: GanData[SamplesT] = data
        self.progress = Progress()
        facts = {"seed": pair.config.seed, "git": git_revision()}
        self.meta = NetworkMeta(data.corpora, data.voice_ranges, facts, pair.config.objective)
        self._metrics: Figures = {}

    @abstractmethod
    def measure(self) -> Figures:
        """Measure the generator's samples for the valid split, always with the same noise."""

    @abstractmethod
    def measure_data(self) -> Figures:
        """Measure the valid data in the same way."""

    @abstractmethod
    def samples(self, number: int) -> dict[str, Rolls]:
        """Generate `rolls` (number, T, P, C); also return their `melodies` (number, T, P), if any."""

    def first_command(self, folder: Path) -> str:
        """Return a command that tries the trained model."""
        return f"python generate.py --model {folder}"

    def warm_up(self) -> tuple[str, Figures]:
        """Do nothing: torch.compile cannot differentiate the gradient penalty."""
        return "", {}

    def step(self) -> Figures:
        """Run one iteration."""
        return self.pair.iterate(self.data.train, self.progress.step)

    def log_values(self) -> Figures:
        """Return the time spent."""
        return {"seconds": self.progress.seconds}

    def validate(self) -> Validation:
        """Measure the generator; the result names no best checkpoint."""
        self._metrics = self.measure()
        return Validation(self._metrics)

    def publish(self, folder: Path) -> None:
        """Write the generator, with its latest metrics."""
        own = self.measure_data()
        metrics = {name: (round(value, 4), round(own[name], 4)) for name, value in self._metrics.items()}
        facts = {**self.meta.training, "step": self.progress.step, "metrics": metrics}
        meta = replace(self.meta, training=facts)
        save_network(folder, self.pair.generator, meta, gan_card(meta))

    def tensors(self) -> dict[str, Tensor]:
        """Return the state of both networks and their optimizers."""
        return self.pair.tensors()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` returned."""
        self.pair.load_tensors(tensors)

    def plot(self, folder: Path) -> None:
        """Keep samples after some steps, and draw losses, metrics and samples after the last one."""
        step, config = self.progress.step, self.pair.config
        if step in config.sample_steps:
            samples = folder / "samples"
            samples.mkdir(exist_ok=True)
            arrays: dict[str, Any] = dict(self.samples(NUM_KEPT))
            np.savez_compressed(samples / f"step-{step:05}.npz", **arrays)
        if step == config.max_steps:
            draw_run(folder, self.measure_data())

    def summary(self) -> str:
        """Return an empty string: the figures are in the pictures."""
        return ""

    def _rng(self) -> torch.Generator:
        """Return the random numbers of a measurement, always the same."""
        return torch.Generator().manual_seed(self.pair.config.seed)


class ConditionalTask(GanTask[Tensor]):
    """The conditional GAN, a `GanTask`."""

    pair: ConditionalStep

    def measure(self) -> Figures:
        """See `GanTask`."""
        return self._figures(self.generate())

    def measure_data(self) -> Figures:
        """See `GanTask`."""
        return self._figures(self.data.valid)

    def first_command(self, folder: Path) -> str:
        """See `GanTask`."""
        return try_generating(folder)

    def samples(self, number: int) -> dict[str, Rolls]:
        """See `GanTask`."""
        melodies = sounding(melody_of(self.data.valid[:number]))[..., 0]
        return {"rolls": sounding(self.generate(number)), "melodies": melodies}

    def generate(self, number: int | None = None) -> Tensor:
        """Generate for the first melodies of valid (by default all), always with the same noise."""
        melodies = melody_of(self.data.valid[:number])
        return self.pair.generate(melodies, draw_noise(len(melodies), self._rng()))

    def _figures(self, rolls: Tensor) -> Figures:
        melodies = sounding(melody_of(self.data.valid))[..., 0]
        return roll_metrics(sounding(rolls), melodies, sounding(self.data.train))


class RollGanTask(GanTask[Tensor]):
    """The unconditional roll GAN, a `GanTask`; its rolls have 64 steps."""

    pair: RollGanStep

    def measure(self) -> Figures:
        """See `GanTask`."""
        return free_roll_metrics(self._generate(NUM_MEASURED), sounding(self.data.train))

    def measure_data(self) -> Figures:
        """See `GanTask`."""
        valid = sounding(self.data.valid)
        shuffled = valid[np.random.default_rng(0).permutation(len(valid))]  # so that neighbors are different pieces
        return free_roll_metrics(shuffled, sounding(self.data.train))

    def samples(self, number: int) -> dict[str, Rolls]:
        """See `GanTask`."""
        return {"rolls": self._generate(number)}

    def _generate(self, number: int) -> Rolls:
        return sounding(self.pair.generate(None, self.pair.draw_noise(number, self._rng())))


class MidinetTask(GanTask[MelodyData]):
    """MidiNet, a `GanTask`."""

    pair: MidinetStep

    def measure(self) -> Figures:
        """See `GanTask`; each bar of valid is generated from its own chord and the bar before it."""
        _, chords, previous = self.data.valid.at(self._order)
        bars = self.pair.generate(draw_midinet_noise(len(chords), self._rng()), chords, previous)
        return self._figures(bars, chords)

    def measure_data(self) -> Figures:
        """See `GanTask`."""
        bars, chords, _ = self.data.valid.at(self._order)
        return self._figures(bars, chords)

    def samples(self, number: int) -> dict[str, Rolls]:
        """See `GanTask`: eight bars from silence, with the chords of the first eight bars of a piece of valid."""
        valid = self.data.valid
        firsts = torch.nonzero(valid.previous[:, 0] < 0)[:, 0][:number]
        _, chords, _ = valid.at(torch.cat([torch.arange(first, first + SAMPLE_BARS) for first in firsts]) % len(valid))
        generator, rng = self.pair.generator.train(False), self._rng()
        rolls = [compose_bars(generator, part, rng) for part in torch.split(chords, SAMPLE_BARS)]
        return {"rolls": np.stack(rolls)[..., None]}

    @cached_property
    def _order(self) -> Tensor:
        """The bars of valid in random order, so that neighbors are of different pieces."""
        return torch.randperm(len(self.data.valid), generator=self._rng())

    @cached_property
    def _reference(self) -> Rolls:
        train = self.data.train
        return melody_rolls(replace(train, shifts=(0,)).at(torch.arange(len(train.pitches)))[0])

    def _figures(self, bars: Tensor, chords: Tensor) -> Figures:
        return melody_metrics(melody_rolls(bars), _pitch_classes(chords), self._reference)


def _pitch_classes(chords: Tensor) -> Rolls:
    """(N, 13) -> (N, 12): root, third and fifth."""
    roots = chords[:, :NUM_PITCH_CLASSES].argmax(1).cpu()
    thirds = roots + torch.where(chords[:, NUM_PITCH_CLASSES].cpu() > 0, 3, 4)
    members = torch.stack([roots, thirds, roots + 7], dim=1) % NUM_PITCH_CLASSES
    found: Rolls = F.one_hot(members, NUM_PITCH_CLASSES).any(1).numpy()
    return found


def prepare_gan_run(context: RunContext[AdversarialConfig]) -> PreparedRun:
    """Load data and networks of a GAN's run.

    Raises:
        InputError: The corpus is invalid, or the batch size is not a multiple of the number of processes.
    """
    config, accelerator = context.config, context.accelerator
    size, processes = config.data.batch_size, accelerator.num_processes
    if size % processes:
        raise InputError(f"data.batch_size is {size} for {processes} processes. Set a multiple of {processes}.")
    with accelerator.main_process_first():
        task = open_task(config, accelerator, quiet=context.is_quiet)
    counts = {"train": len(task.data.train), "valid": len(task.data.valid)}
    facts = {
        "num_parameters": {
            "generator": count_parameters(task.pair.generator),
            "critic": count_parameters(task.pair.critic),
        },
        "num_samples": counts,
        "corpora": task.data.corpora,
    }
    return PreparedRun(task, facts, (f"{counts['train']} samples",))


def open_task(config: AdversarialConfig, accelerator: Accelerator, *, quiet: bool) -> GanTask[Any]:
    """Load the training data of a configuration, and build its networks; `quiet` hides the progress bar.

    Raises:
        InputError: The corpus does not exist.
    """
    if isinstance(config, MidinetConfig):
        bars = load_melodies(config.data.corpus, config.data.shifts, quiet=quiet)
        return MidinetTask(MidinetStep(config, accelerator), bars)
    rolls = load_rolls(config.data.corpus, quiet=quiet, is_long=isinstance(config, RollGanConfig))
    if isinstance(config, RollGanConfig):
        return RollGanTask(RollGanStep(config, accelerator), rolls)
    assert isinstance(config, GanConfig)
    return ConditionalTask(ConditionalStep(config, accelerator), rolls)
