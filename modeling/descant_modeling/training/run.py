"""Start of a run of any objective: configuration, cores, device, precision, run folder, header."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list

from descant_modeling.common.config import CommonConfig, build_config
from descant_modeling.common.devices import pick_device, use_cores
from descant_modeling.training.log import RunLog, Tracker, run_header
from descant_modeling.training.trainer import STATE_FILE, Trainer, TrainingTask, read_state
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import silence_datasets

HEADER_FILE = "run.json"
RESUME_KEYS = ("max_steps", "data.num_workers")
"""Keys of the configuration that may be changed when a run is resumed."""
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

Config = TypeVar("Config", bound=CommonConfig, covariant=True)


@dataclass(frozen=True)
class RunOptions:
    """Options of a run besides its configuration file.

    Attributes:
        overrides: `key=value`; of a resumed run only `RESUME_KEYS`.
        resume: Folder of a run to resume.
        device: `cpu`, `cuda` or `mps`; None for the best available one.
        threads: CPU threads of this process; None for its share of the machine's cores.
        quiet: No progress line and no progress bars.
    """

    overrides: tuple[str, ...] = ()
    resume: Path | None = None
    device: str | None = None
    threads: int | None = None
    quiet: bool = False


@dataclass(frozen=True)
class RunContext(Generic[Config]):
    """Configuration, device and precision of a run; see `open_run`.

    Attributes:
        config: The configuration, with its precision settled (`fp32` or `bf16`).
        options: The other options.
        accelerator: Device, precision and processes.
        num_threads: CPU threads of this process.
    """

    config: Config
    options: RunOptions
    accelerator: Accelerator
    num_threads: int

    @property
    def is_quiet(self) -> bool:
        """True if this process shows no progress bars."""
        return self.options.quiet or not self.accelerator.is_main_process


@dataclass(frozen=True)
class PreparedRun:
    """The task of a run, prepared by an objective from its configuration.

    Attributes:
        task: Networks, data and optimizers.
        facts: Entries of `run.json` about model and data.
        remarks: Lines to print when the run starts; the last one describes model and data.
    """

    task: TrainingTask
    facts: dict[str, Any]
    remarks: tuple[str, ...]


def open_run(kind: type[Config], values: dict[str, Any], where: str, options: RunOptions) -> RunContext[Config]:
    """Read a configuration (`where` names it in errors), and settle cores, device, precision and progress bars.

    Raises:
        InputError: A wrong configuration or device.
    """
    num_threads = use_cores(options.threads)
    config = build_config(kind, values, where, options.overrides)
    accelerator = make_accelerator(config.precision, options.device)
    # The precision holds for the whole run, wherever it is resumed.
    config = replace(config, precision="bf16" if accelerator.mixed_precision == "bf16" else "fp32")
    context = RunContext(config, options, accelerator, num_threads)
    silence_datasets(quiet=context.is_quiet)
    return context


def start_run(context: RunContext[CommonConfig], prepared: PreparedRun) -> Trainer:
    """Return the trainer of a run, with the state of a resumed run, and print what it trains.

    The folder of a new run is made last, so that a mistake leaves none behind.

    Raises:
        InputError: The folder cannot be made, or has no checkpoint to resume from.
    """
    config, options, accelerator = context.config, context.options, context.accelerator
    tracker = Tracker() if config.tracker == "wandb" and accelerator.is_main_process else None
    folder = options.resume or new_folder(config.out_dir, config.name, accelerator)
    is_main = accelerator.is_main_process
    log = RunLog(folder, config.max_steps, active=is_main, quiet=options.quiet, tracker=tracker)
    if tracker is not None:
        tracker.begin(folder, config.to_dict())
    trainer = Trainer(config, accelerator, prepared.task, folder, log)
    device, precision = str(accelerator.device), accelerator.mixed_precision
    if accelerator.is_main_process:
        header = run_header(
            config.to_dict(),
            **prepared.facts,
            device=device,
            precision=precision,
            num_processes=accelerator.num_processes,
            num_threads=context.num_threads,
        )
        # A resumed run also keeps the first header.
        name = HEADER_FILE if options.resume is None else f"run-resumed-{int(time.time())}.json"
        (folder / name).write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")
    if options.resume is not None:
        trainer.resume()
        log.rewind(trainer.progress.step)
    *remarks, size = prepared.remarks
    for remark in (*remarks, f"{folder}: {size}, {device}, {precision}"):
        log.say(remark)
    return trainer


def make_accelerator(precision: str, device: str | None) -> Accelerator:
    """Create the Accelerator for a precision (`auto` to choose) and a device (None to choose).

    Raises:
        InputError: The device is not available.
    """
    state = PartialState(cpu=pick_device(device) == "cpu")
    kind = state.device.type
    if precision == "auto":
        precision = "bf16" if kind == "cuda" or (kind == "cpu" and has_bf16_units()) else "fp32"
        (precision,) = broadcast_object_list([precision])  # machines of one run may differ
    return Accelerator(mixed_precision="bf16" if precision == "bf16" else "no")


def has_bf16_units() -> bool:
    """Return True if this CPU multiplies bf16 matrices in hardware; without, bf16 is up to a hundred times slower."""
    flags = torch.cpu.get_capabilities()
    return bool(flags.get("amx_bf16") or flags.get("avx512_bf16"))


def new_folder(out_dir: str, name: str, accelerator: Accelerator) -> Path:
    """Make the run folder, with a number after its name if that is taken; all processes agree on it.

    Raises:
        InputError: It cannot be made.
    """
    folder = Path(out_dir, name)
    number = 1
    while os.path.lexists(folder) and accelerator.is_main_process:
        number += 1
        folder = Path(out_dir, f"{name}-{number}")
    folder = Path(*broadcast_object_list([str(folder)]))
    if accelerator.is_main_process:
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise InputError(
                f"The run folder {folder} cannot be made ({error.strerror}). Set out_dir to another folder."
            ) from None
    return folder


def resumed_values(folder: Path, overrides: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Return the configuration saved with the last checkpoint of a run, and its file.

    Raises:
        InputError: There is no checkpoint, it is damaged, or an override is not of `RESUME_KEYS`.
    """
    refused = [override for override in overrides if override.partition("=")[0] not in RESUME_KEYS]
    if refused:
        raise InputError(
            f"Override {refused[0]!r} is not possible, since a resumed run keeps its configuration. "
            f"Override {' or '.join(RESUME_KEYS)} only."
        )
    values = read_state(folder)["config"]
    if isinstance(tasks := values.get("tasks"), dict):
        values["tasks"] = {key.rstrip("_"): share for key, share in tasks.items()}
    return values, str(folder / "last" / STATE_FILE)
