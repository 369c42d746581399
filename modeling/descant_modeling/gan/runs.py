"""Everything a GAN run needs before its first step: data, networks, folder, header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets

from descant_modeling.config import build_config
from descant_modeling.devices import use_cores
from descant_modeling.gan.checkpoints import GanMeta
from descant_modeling.gan.config import GanConfig
from descant_modeling.gan.data import load_rolls
from descant_modeling.gan.memory import keep_freed_memory
from descant_modeling.gan.training import GanTrainer
from descant_modeling.models import count_parameters
from descant_modeling.runlog import RunLog, run_header
from descant_modeling.runs import Run, make_accelerator, new_folder, write_header
from descant_tokenizers.errors import InputError


def prepare_run(
    values: dict[str, Any],
    where: str,
    overrides: Sequence[str],
    *,
    resume: Path | None,
    device: str | None,
    threads: int | None = None,
    quiet: bool,
) -> Run:
    """Read configuration and data of a GAN, build or restore its trainer.

    The run folder is made last, so that a mistake leaves none behind.

    Args:
        values: The configuration as YAML gives it.
        where: Names the values in errors.
        overrides: `key=value`; of a resumed run only `max_steps`.
        resume: Folder of a run to go on with.
        device: `cpu`, `cuda` or `mps`; None for the best there is.
        threads: CPU threads of this process; None for its share of the machine's cores.
        quiet: No progress line and no progress bars.

    Raises:
        InputError: A wrong configuration, corpus, device or run folder.
    """
    num_threads = use_cores(threads)
    config = build_config(GanConfig, values, where, overrides)
    accelerator = make_accelerator(config.precision, device)
    # What was measured once holds for the whole run, wherever it is resumed.
    config = replace(config, precision="bf16" if accelerator.mixed_precision == "bf16" else "fp32")
    size, processes = config.data.batch_size, accelerator.num_processes
    if size % processes:
        raise InputError(f"data.batch_size is {size} for {processes} processes: set a multiple of {processes}")
    if not accelerator.is_main_process or quiet:
        datasets.disable_progress_bars()
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    with accelerator.main_process_first():
        data = load_rolls(config.data.corpus, quiet=quiet or not accelerator.is_main_process)
    folder = resume or new_folder(config.out_dir, config.name, accelerator)
    log = RunLog(folder, config.max_steps, active=accelerator.is_main_process, quiet=quiet)
    meta = GanMeta(corpora=data.corpora, voice_ranges=data.voice_ranges, training={"seed": config.seed})
    trainer = GanTrainer(config, accelerator, data, folder, meta, log)
    header = run_header(
        config.to_dict(),
        num_parameters={
            "generator": count_parameters(trainer.learner.generator),
            "critic": count_parameters(trainer.learner.critic),
        },
        num_samples={"train": len(data.train), "valid": len(data.valid)},
        device=str(accelerator.device),
        precision=accelerator.mixed_precision,
        num_processes=processes,
        num_threads=num_threads,
        corpora=data.corpora,
    )
    meta.training["git"] = header["git"]
    if accelerator.is_main_process:
        write_header(folder, header, resumed=resume is not None)
    if resume is not None:
        trainer.resume()
        log.rewind(trainer.progress.step)
    log.say(f"{folder}: {len(data.train)} samples, {header['device']}, {header['precision']}")
    return Run(folder, trainer)
