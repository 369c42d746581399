"""Everything a GAN's run needs before its first step: rolls or bars, and networks.

Keep freed memory, so that large tensors cost no page faults.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from accelerate import Accelerator

from descant_modeling.gan.config import AdversarialConfig, GanConfig, MidinetConfig, RollGanConfig
from descant_modeling.gan.data import load_melodies, load_rolls
from descant_modeling.gan.trainer import GanTrainer
from descant_modeling.gan.variants import ConditionalVariant, MidinetVariant, RollGanVariant
from descant_modeling.models.transformer import count_parameters
from descant_modeling.training.run import Run, RunOptions, open_run
from descant_tokenizers.common.errors import InputError

# Names and values from glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_INT = 2**31 - 1


def keep_freed_memory(top_pad_bytes: int = 256 * 2**20) -> bool:
    """Ask glibc to reuse freed memory instead of handing it back to the system.

    A tensor of some megabytes is otherwise mapped and unmapped each time, and its first writes are page faults. The
    results are the same to the bit. `benchmarks/gan.py` measures what it brings.

    Returns:
        Whether the C library understood; elsewhere than on Linux with glibc nothing happens.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library, such as musl
        return False
    settings = {M_MMAP_THRESHOLD: LARGEST_INT, M_TRIM_THRESHOLD: LARGEST_INT, M_TOP_PAD: top_pad_bytes}
    return all([mallopt(name, value) == 1 for name, value in settings.items()])


AnyVariant = ConditionalVariant | RollGanVariant | MidinetVariant

CONFIGS: dict[str, type[AdversarialConfig]] = {"gan": GanConfig, "roll-gan": RollGanConfig, "midinet": MidinetConfig}


def prepare_run(values: dict[str, Any], where: str, options: RunOptions) -> Run:
    """Read configuration and data of a GAN, build or restore its trainer; see `objectives.prepare_run`.

    The run folder is made last, so that a mistake leaves none behind.
    """
    opening = open_run(CONFIGS[values["objective"]], values, where, options)
    config, accelerator = opening.config, opening.accelerator
    check_batch_size(config.data.batch_size, accelerator.num_processes)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    with accelerator.main_process_first():
        study = open_variant(config, accelerator, quiet=opening.is_quiet)
    folder, log = opening.open_folder()
    counts = {"train": len(study.data.train), "valid": len(study.data.valid)}
    header = opening.header(
        num_parameters={
            "generator": count_parameters(study.learner.generator),
            "critic": count_parameters(study.learner.critic),
        },
        num_samples=counts,
        corpora=study.data.corpora,
    )
    facts = {"seed": config.seed, "git": header["git"]}
    trainer = GanTrainer(config, accelerator, study, folder, facts, log)
    return opening.finish(trainer, header, f"{counts['train']} samples")


def open_variant(config: AdversarialConfig, accelerator: Accelerator, *, quiet: bool) -> AnyVariant:
    """Load what a configuration trains on, and build its networks.

    Args:
        config: The run.
        accelerator: Device, precision and processes.
        quiet: No progress bar while a corpus is read for the first time.

    Raises:
        InputError: There is no such corpus.
    """
    if isinstance(config, MidinetConfig):
        return MidinetVariant(config, accelerator, load_melodies(config.data.corpus, config.data.shifts, quiet=quiet))
    data = load_rolls(config.data.corpus, quiet=quiet, is_long=isinstance(config, RollGanConfig))
    if isinstance(config, RollGanConfig):
        return RollGanVariant(config, accelerator, data)
    assert isinstance(config, GanConfig)
    return ConditionalVariant(config, accelerator, data)


def check_batch_size(size: int, processes: int) -> None:
    """Refuse batches that cannot be dealt out evenly.

    Raises:
        InputError: Their size is not a multiple of the processes.
    """
    if size % processes:
        raise InputError(f"data.batch_size is {size} for {processes} processes: set a multiple of {processes}")
