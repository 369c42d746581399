"""Everything a GAN run needs before its first step: rolls and networks."""

from __future__ import annotations

from typing import Any

from descant_modeling.gan.checkpoints import GanMeta
from descant_modeling.gan.config import GanConfig
from descant_modeling.gan.data import load_rolls
from descant_modeling.gan.memory import keep_freed_memory
from descant_modeling.gan.training import GanTrainer
from descant_modeling.models import count_parameters
from descant_modeling.runs import Run, RunOptions, open_run
from descant_tokenizers.errors import InputError


def prepare_run(values: dict[str, Any], where: str, options: RunOptions) -> Run:
    """Read configuration and data of a GAN, build or restore its trainer; see `objectives.prepare_run`.

    The run folder is made last, so that a mistake leaves none behind.
    """
    opening = open_run(GanConfig, values, where, options)
    config, accelerator = opening.config, opening.accelerator
    check_batch_size(config.data.batch_size, accelerator.num_processes)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    with accelerator.main_process_first():
        data = load_rolls(config.data.corpus, quiet=opening.is_quiet)
    folder, log = opening.open_folder()
    meta = GanMeta(corpora=data.corpora, voice_ranges=data.voice_ranges, training={"seed": config.seed})
    trainer = GanTrainer(config, accelerator, data, folder, meta, log)
    header = opening.header(
        num_parameters={
            "generator": count_parameters(trainer.learner.generator),
            "critic": count_parameters(trainer.learner.critic),
        },
        num_samples={"train": len(data.train), "valid": len(data.valid)},
        corpora=data.corpora,
    )
    meta.training["git"] = header["git"]
    return opening.finish(trainer, header, f"{len(data.train)} samples")


def check_batch_size(size: int, processes: int) -> None:
    """Refuse batches that cannot be dealt out evenly.

    Raises:
        InputError: Their size is not a multiple of the processes.
    """
    if size % processes:
        raise InputError(f"data.batch_size is {size} for {processes} processes: set a multiple of {processes}")
