"""The three GANs as the trainer sees them: the article's conditional one, its unconditional one, and MidiNet."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from descant_modeling.gan.checkpoints import GanMeta, gan_card, save_gan
from descant_modeling.gan.config import AdversarialConfig, GanConfig, MidinetConfig, RollGanConfig
from descant_modeling.gan.data import MelodyCorpus, RollData, sounding
from descant_modeling.gan.metrics import Rolls, free_roll_metrics, melody_metrics, roll_metrics
from descant_modeling.gan.midinet import MidinetStep, compose_bars, draw_midinet_noise, melody_cells
from descant_modeling.gan.networks import LONG_STEPS, NUM_TRACKS, RollGenerator, UNetCritic, draw_noise
from descant_modeling.gan.trainer import GeneratorCriticPair
from descant_modeling.gan.wgan import CONDITIONAL, WganParts, WganStep, melody_of
from descant_modeling.models.publishing import try_generating

#: Bars of each melody that MidiNet writes for the picture at the end.
SAMPLE_BARS = 8
#: What the unconditional GAN writes to be measured.
NUM_MEASURED = 128

Figures = dict[str, float]


def _dtype(accelerator: Accelerator) -> torch.dtype:
    return torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32


class _BaseVariant:
    """What all have in common: the seed that they measure with, and what is published.

    Args:
        config: The run.
        corpora: Names and hashes of what is trained on.
        voice_ranges: (lowest, highest) MIDI pitch of each track there.
    """

    learner: GeneratorCriticPair[Any, Any]

    def __init__(
        self, config: AdversarialConfig, corpora: dict[str, str], voice_ranges: tuple[tuple[int, int], ...]
    ) -> None:
        self._seed = config.seed
        self.meta = GanMeta(corpora=corpora, voice_ranges=voice_ranges, objective=config.objective)

    def save(self, folder: Path, facts: dict[str, Any]) -> None:
        """See `Study`."""
        meta = replace(self.meta, training={**self.meta.training, **facts})
        save_gan(folder, self.learner.generator, meta, gan_card(meta))

    def _rng(self) -> torch.Generator:
        """The same noise each time."""
        return torch.Generator().manual_seed(self._seed)


class _WganVariant(_BaseVariant):
    """What the conditional GAN and the unconditional one have in common."""

    learner: WganStep

    def __init__(
        self, config: GanConfig | RollGanConfig, accelerator: Accelerator, data: RollData, parts: WganParts
    ) -> None:
        super().__init__(config, data.corpora, data.voice_ranges)
        self.data = data
        self.learner = WganStep(
            config.seed, config.optimizer, config.data.batch_size, _dtype(accelerator), accelerator, parts
        )

    def iterate(self, iteration: int) -> Figures:
        """See `Study`."""
        return asdict(self.learner.iterate(self.data.train, iteration))

    @cached_property
    def _train(self) -> Rolls:
        return sounding(self.data.train)


class ConditionalVariant(_WganVariant):
    """The conditional GAN, a `Study`.

    Args:
        config: The run.
        accelerator: Device, precision and processes.
        data: Training and valid rolls.
    """

    def __init__(self, config: GanConfig, accelerator: Accelerator, data: RollData) -> None:
        super().__init__(config, accelerator, data, CONDITIONAL)

    def measure(self) -> Figures:
        """See `Study`."""
        melodies = sounding(melody_of(self.data.valid))[..., 0]
        return asdict(roll_metrics(sounding(self.written()), melodies, self._train))

    def own(self) -> Figures:
        """See `Study`."""
        valid = sounding(self.data.valid)
        return asdict(roll_metrics(valid, valid[..., 0], self._train))

    def first_command(self, folder: Path) -> str:
        """See `Study`."""
        return try_generating(folder)

    def samples(self, number: int) -> dict[str, NDArray[np.bool_]]:
        """See `Study`."""
        melodies = sounding(melody_of(self.data.valid[:number]))[..., 0]
        return {"rolls": sounding(self.written(number)), "melodies": melodies}

    def written(self, number: int | None = None) -> Tensor:
        """Write for the first melodies of valid (all by default), with the same noise each time."""
        melodies = melody_of(self.data.valid[:number])
        return self.learner.write(melodies, draw_noise(len(melodies), self._rng()))


class RollGanVariant(_WganVariant):
    """The unconditional roll GAN, a `Study`.

    Args:
        config: The run.
        accelerator: Device, precision and processes.
        data: Training and valid rolls of 64 steps.
    """

    def __init__(self, config: RollGanConfig, accelerator: Accelerator, data: RollData) -> None:
        super().__init__(config, accelerator, data, roll_gan_parts(config))

    def measure(self) -> Figures:
        """See `Study`."""
        return asdict(free_roll_metrics(sounding(self.written(NUM_MEASURED)), self._train))

    def own(self) -> Figures:
        """See `Study`."""
        return asdict(free_roll_metrics(_shuffled(sounding(self.data.valid)), self._train))

    def first_command(self, folder: Path) -> str:
        """See `Study`."""
        return f"python generate.py --model {folder}"

    def samples(self, number: int) -> dict[str, NDArray[np.bool_]]:
        """See `Study`."""
        return {"rolls": sounding(self.written(number))}

    def written(self, number: int) -> Tensor:
        """Write some rolls, with the same noise each time."""
        generator = self.learner.generator
        assert isinstance(generator, RollGenerator)
        return self.learner.write(None, generator.draw_noise(number, self._rng()))


def roll_gan_parts(config: RollGanConfig) -> WganParts:
    """Return what the unconditional GAN is played with."""
    model = config.model

    def build() -> tuple[RollGenerator, UNetCritic]:
        return RollGenerator(model.noise_size, model.filters), UNetCritic(NUM_TRACKS, model.critic_filters, LONG_STEPS)

    def noise(batch: int, rng: torch.Generator) -> Tensor:
        return torch.randn(batch, model.noise_size, generator=rng)

    return WganParts(build, noise, None)


class MidinetVariant(_BaseVariant):
    """MidiNet, a `Study`.

    Args:
        config: The run.
        accelerator: Device, precision and processes.
        data: Training and valid bars.
    """

    learner: MidinetStep

    def __init__(self, config: MidinetConfig, accelerator: Accelerator, data: MelodyCorpus) -> None:
        super().__init__(config, data.corpora, (data.pitch_range,))
        self.data = data
        self.learner = MidinetStep(
            config.seed, config.optimizer, config.data.batch_size, _dtype(accelerator), accelerator
        )

    def iterate(self, iteration: int) -> Figures:
        """See `Study`."""
        return asdict(self.learner.iterate(self.data.train, iteration))

    def measure(self) -> Figures:
        """See `Study`; each bar of valid is written anew, with its own chord and the bar that goes before it there."""
        _, chords, previous = self.data.valid.at(self._order)
        noise = draw_midinet_noise(len(chords), self._rng())
        bars = melody_cells(self.learner.write(noise, chords, previous))
        return self._figures(bars, chords)

    def own(self) -> Figures:
        """See `Study`."""
        bars, chords, _ = self.data.valid.at(self._order)
        return self._figures(melody_cells(bars), chords)

    def first_command(self, folder: Path) -> str:
        """See `Study`."""
        return f"python generate.py --model {folder} --bars 8"

    def samples(self, number: int) -> dict[str, NDArray[np.bool_]]:
        """See `Study`: eight bars from nothing, with the chords of the first eight bars of a piece of valid."""
        valid = self.data.valid
        firsts = torch.nonzero(valid.previous[:, 0] < 0)[:, 0][:number]
        _, chords, _ = valid.at(torch.cat([torch.arange(first, first + SAMPLE_BARS) for first in firsts]) % len(valid))
        generator = self.learner.generator.train(False)
        rng = self._rng()
        rolls = [compose_bars(generator, part, rng) for part in torch.split(chords, SAMPLE_BARS)]
        return {"rolls": np.stack(rolls)[..., None]}

    @cached_property
    def _order(self) -> Tensor:
        """Valid's bars in an order in which neighbours are of different pieces."""
        return torch.randperm(len(self.data.valid), generator=self._rng())

    @cached_property
    def _reference(self) -> Rolls:
        return melody_cells(replace(self.data.train, shifts=(0,)).at(torch.arange(len(self.data.train.pitches)))[0])

    def _figures(self, bars: Rolls, chords: Tensor) -> Figures:
        return asdict(melody_metrics(bars, _pitch_classes(chords), self._reference))


def _pitch_classes(chords: Tensor) -> NDArray[np.bool_]:
    """(N, 13) -> (N, 12): root, third and fifth."""
    roots = chords[:, :12].argmax(1).cpu().numpy()
    thirds = roots + np.where(chords[:, 12].cpu().numpy() > 0, 3, 4)
    found = np.zeros((len(chords), 12), dtype=np.bool_)
    for member in (roots, thirds % 12, (roots + 7) % 12):
        found[np.arange(len(chords)), member] = True
    return found


def _shuffled(rolls: Rolls) -> Rolls:
    """Rolls in an order in which neighbours are of different pieces."""
    return rolls[np.random.default_rng(0).permutation(len(rolls))]
