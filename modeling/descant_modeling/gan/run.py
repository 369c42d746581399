"""Preparation of a GAN's run: rolls or bars, and networks."""

from __future__ import annotations

from accelerate import Accelerator

from descant_modeling.gan.config import AdversarialConfig, GanConfig, MidinetConfig, RollGanConfig
from descant_modeling.gan.data import load_melodies, load_rolls
from descant_modeling.gan.task import ConditionalTask, MidinetTask, RollGanTask
from descant_modeling.models.transformer import count_parameters
from descant_modeling.training.run import PreparedRun, RunContext
from descant_tokenizers.common.errors import InputError

AnyGanTask = ConditionalTask | RollGanTask | MidinetTask


def prepare_gan_run(context: RunContext[AdversarialConfig]) -> PreparedRun:
    """Load data and networks of a GAN's run.

    Raises:
        InputError: A wrong corpus, or a batch size that cannot be shared out evenly between the processes.
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


def open_task(config: AdversarialConfig, accelerator: Accelerator, *, quiet: bool) -> AnyGanTask:
    """Load the training data of a configuration, and build its networks.

    Args:
        config: The run.
        accelerator: Device, precision and processes.
        quiet: No progress bar while a corpus is read for the first time.

    Raises:
        InputError: There is no such corpus.
    """
    if isinstance(config, MidinetConfig):
        return MidinetTask(config, accelerator, load_melodies(config.data.corpus, config.data.shifts, quiet=quiet))
    data = load_rolls(config.data.corpus, quiet=quiet, is_long=isinstance(config, RollGanConfig))
    if isinstance(config, RollGanConfig):
        return RollGanTask(config, accelerator, data)
    assert isinstance(config, GanConfig)
    return ConditionalTask(config, accelerator, data)
