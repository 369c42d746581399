"""Training of the GAN, inside the same loop and run folder as the causal model."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor

from descant_modeling.checkpoints import recover_folder, replace_folder
from descant_modeling.gan.cards import gan_card
from descant_modeling.gan.checkpoints import GanMeta, save_gan
from descant_modeling.gan.config import GanConfig
from descant_modeling.gan.data import RollData, sounding
from descant_modeling.gan.learner import GanLearner, GanLosses, melody_of
from descant_modeling.gan.metrics import RollMetrics, roll_metrics
from descant_modeling.gan.networks import draw_noise
from descant_modeling.interrupts import StopRequest
from descant_modeling.loop import run_steps
from descant_modeling.runlog import RunLog
from descant_modeling.training import STATE_FILE, STATE_TENSORS
from descant_tokenizers.errors import InputError

#: Rolls that are kept at each of `sample_steps`.
NUM_KEPT = 3
SAMPLES_FOLDER = "samples"


@dataclass
class GanProgress:
    """Where a run stands.

    Attributes:
        step: Generator steps done.
        seconds: Time spent, over all sessions of the run.
    """

    step: int = 0
    seconds: float = 0.0


class GanTrainer:
    """Runs the iterations of one configuration and keeps the checkpoint folder `last/`.

    Args:
        config: The run.
        accelerator: Prepared for device and precision; its processes divide `data.batch_size`.
        data: Training and valid rolls.
        folder: Run folder; exists.
        meta: What goes into `descant.json`.
        log: Where progress goes.
    """

    def __init__(
        self,
        config: GanConfig,
        accelerator: Accelerator,
        data: RollData,
        folder: Path,
        meta: GanMeta,
        log: RunLog,
    ) -> None:
        assert config.data.batch_size % accelerator.num_processes == 0, "uneven shares"
        self.config, self.accelerator, self.data = config, accelerator, data
        self.folder, self.meta, self.log = folder, meta, log
        self.learner = GanLearner(
            config.seed,
            config.optimizer.learning_rate,
            (config.optimizer.betas[0], config.optimizer.betas[1]),
            config.data.batch_size,
            config.optimizer.critic_steps,
            torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32,
            accelerator,
        )
        self.progress = GanProgress()
        self._losses = GanLosses(math.nan, math.nan, math.nan, math.nan)
        self._metrics: RollMetrics | None = None

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
            from descant_modeling.gan.plots import draw_run

            draw_run(self.folder, self.own_metrics())
        return self.progress

    def advance(self, stop: StopRequest) -> bool:
        """Do one iteration; return whether any process was asked to stop."""
        self._losses = self.learner.iterate(self.data.train, self.progress.step)
        self.progress.step += 1
        if not all(math.isfinite(value) for value in asdict(self._losses).values()):
            raise InputError(
                f"a loss is not finite at step {self.progress.step}: lower optimizer.learning_rate or use fp32"
            )
        return self.learner.any_process(stop.made)

    def after_step(self) -> None:
        """Log, measure and save what is due."""
        config, progress, step, losses = self.config, self.progress, self.progress.step, self._losses
        last = step == config.max_steps
        speed = progress.seconds / step
        self.log.progress(
            step, f"distance {losses.wasserstein:.2f}  generator {losses.generator:.2f}  {speed:.1f} s/step"
        )
        if step % config.log_every == 0 or last:
            self.log.record("train", step, **asdict(losses), seconds=progress.seconds)
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

    def own_metrics(self) -> RollMetrics:
        """Measure the valid data itself, as what is written is measured."""
        valid = sounding(self.data.valid)
        return roll_metrics(valid, valid[..., 0], sounding(self.data.train))

    def written(self, number: int | None = None) -> Tensor:
        """Write for the first melodies of valid (all by default), with the same noise each time."""
        melodies = melody_of(self.data.valid[:number])
        return self.learner.write(melodies, draw_noise(len(melodies), torch.Generator().manual_seed(self.config.seed)))

    def _measure(self) -> None:
        melodies = sounding(melody_of(self.data.valid))[..., 0]
        self._metrics = roll_metrics(sounding(self.written()), melodies, sounding(self.data.train))
        self.log.record("valid", self.progress.step, **asdict(self._metrics))
        found = "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in asdict(self._metrics).items())
        self.log.say(f"step {self.progress.step}: {found} ({self.progress.seconds / 60:.1f} min)")

    def _keep_samples(self) -> None:
        folder = self.folder / SAMPLES_FOLDER
        folder.mkdir(exist_ok=True)
        rolls, melodies = sounding(self.written(NUM_KEPT)), sounding(melody_of(self.data.valid[:NUM_KEPT]))
        np.savez_compressed(folder / f"step-{self.progress.step:05}.npz", rolls=rolls, melodies=melodies)

    def save_last(self) -> None:
        """Write `last/`: the published folder plus the training state."""
        if self.accelerator.is_main_process:
            replace_folder(self.folder / "last", self._write_last)
        self.accelerator.wait_for_everyone()

    def _write_last(self, folder: Path) -> None:
        measured = {} if self._metrics is None else asdict(self._metrics)
        own = asdict(self.own_metrics())
        metrics = {name: (round(value, 4), round(own[name], 4)) for name, value in measured.items()}
        meta = replace(self.meta, training={**self.meta.training, "step": self.progress.step, "metrics": metrics})
        save_gan(folder, self.learner.generator, meta, gan_card(meta))
        save_file(self.learner.tensors(), folder / STATE_TENSORS)
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
        self.learner.load_tensors(load_file(last / STATE_TENSORS))
        state = json.loads((last / STATE_FILE).read_text(encoding="utf-8"))
        self.progress = GanProgress(**state["progress"])
