"""What every run needs before its first step, whatever its objective: cores, device, precision, folder, header."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list

from descant_modeling.common.config import CommonConfig, build_config
from descant_modeling.common.devices import pick_device, use_cores
from descant_modeling.models.checkpoints import recover_folder
from descant_modeling.training.loop import STATE_FILE, RunLog, Stepwise, run_header
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import silence_datasets

HEADER_FILE = "run.json"

Config = TypeVar("Config", bound=CommonConfig)


@dataclass(frozen=True)
class RunOptions:
    """What is said about a run beside its configuration file.

    Attributes:
        overrides: `key=value`; of a resumed run only `max_steps`.
        resume: Folder of a run to go on with.
        device: `cpu`, `cuda` or `mps`; None for the best there is.
        threads: CPU threads of this process; None for its share of the machine's cores.
        quiet: No progress line and no progress bars.
    """

    overrides: tuple[str, ...] = ()
    resume: Path | None = None
    device: str | None = None
    threads: int | None = None
    quiet: bool = False


@dataclass(frozen=True)
class Run:
    """A run ready to train."""

    folder: Path
    trainer: Stepwise


@dataclass(frozen=True)
class RunContext(Generic[Config]):
    """A run whose configuration, device and precision stand, and nothing else; see `open_run`.

    Attributes:
        config: The configuration, its precision as measured or as given.
        options: What else was said.
        accelerator: Device, precision and processes.
        num_threads: CPU threads of this process.
    """

    config: Config
    options: RunOptions
    accelerator: Accelerator
    num_threads: int

    @property
    def is_quiet(self) -> bool:
        """Whether this process shows no progress bars."""
        return self.options.quiet or not self.accelerator.is_main_process

    def open_folder(self) -> tuple[Path, RunLog]:
        """Return the run folder, a new one unless the run is resumed, and its log.

        Raises:
            InputError: It cannot be made.
        """
        folder = self.options.resume or new_folder(self.config.out_dir, self.config.name, self.accelerator)
        is_main = self.accelerator.is_main_process
        return folder, RunLog(folder, self.config.max_steps, active=is_main, quiet=self.options.quiet)

    def header(self, **facts: Any) -> dict[str, Any]:
        """Return what `run.json` says: the objective's facts about model and data, and what holds for any run."""
        return run_header(
            self.config.to_dict(),
            **facts,
            device=str(self.accelerator.device),
            precision=self.accelerator.mixed_precision,
            num_processes=self.accelerator.num_processes,
            num_threads=self.num_threads,
        )

    def finish(self, trainer: Stepwise, header: dict[str, Any], *remarks: str) -> Run:
        """Write the header, take up the last checkpoint of a resumed run, and say what is about to be trained.

        Args:
            trainer: The trainer, in its folder.
            header: See `header`.
            *remarks: Said line by line; the last one goes with folder, device and precision.

        Raises:
            InputError: The folder to go on with has no checkpoint.
        """
        if self.accelerator.is_main_process:
            write_header(trainer.folder, header, resumed=self.options.resume is not None)
        if self.options.resume is not None:
            trainer.resume()
            trainer.log.rewind(trainer.progress.step)
        *before, last = remarks
        for remark in before:
            trainer.log.say(remark)
        trainer.log.say(f"{trainer.folder}: {last}, {header['device']}, {header['precision']}")
        return Run(trainer.folder, trainer)


def open_run(kind: type[Config], values: dict[str, Any], where: str, options: RunOptions) -> RunContext[Config]:
    """Read a configuration, and settle cores, device and precision; no more progress bars where there should be none.

    Args:
        kind: The objective's configuration.
        values: The configuration as YAML gives it; overrides are written into it.
        where: Names the values in errors.
        options: What else was said.

    Raises:
        InputError: A wrong configuration or device.
    """
    num_threads = use_cores(options.threads)
    config = build_config(kind, values, where, options.overrides)
    accelerator = make_accelerator(config.precision, options.device)
    # What was measured once holds for the whole run, wherever it is resumed.
    config = replace(config, precision="bf16" if accelerator.mixed_precision == "bf16" else "fp32")
    opening = RunContext(config, options, accelerator, num_threads)
    silence_datasets(quiet=opening.is_quiet)
    return opening


def write_header(folder: Path, header: dict[str, Any], *, resumed: bool) -> None:
    """Write what was run on what; a resumed run keeps the first one too."""
    name = f"run-resumed-{int(time.time())}.json" if resumed else HEADER_FILE
    (folder / name).write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")


def make_accelerator(precision: str, device: str | None) -> Accelerator:
    """Create the Accelerator for a precision and a device, both chosen by themselves if not given.

    Raises:
        InputError: The device is not there.
    """
    state = PartialState(cpu=pick_device(device) == "cpu")
    kind = state.device.type
    if precision == "auto":
        precision = "bf16" if kind == "cuda" or (kind == "cpu" and bf16_is_faster()) else "fp32"
        (precision,) = broadcast_object_list([precision])  # measured by each process, decided by one
    return Accelerator(mixed_precision="bf16" if precision == "bf16" else "no")


@cache
def bf16_is_faster() -> bool:
    """Measure, in a few milliseconds, whether this CPU multiplies bf16 matrices faster than fp32 ones.

    It is measured once a process: a second run beside other work might find otherwise, and Accelerate keeps the
    precision of the first one.
    """

    def seconds(dtype: torch.dtype) -> float:
        a, b = torch.ones(512, 256, dtype=dtype), torch.ones(256, 512, dtype=dtype)
        best = float("inf")
        for _ in range(4):
            start = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - start)
        return best

    return seconds(torch.bfloat16) < 0.8 * seconds(torch.float32)


def new_folder(out_dir: str, name: str, accelerator: Accelerator) -> Path:
    """Make the run folder; a name that is taken gets a number. All processes agree on it.

    Raises:
        InputError: It cannot be made.
    """
    folder = Path(out_dir, name)
    number = 1
    while folder.exists() and accelerator.is_main_process:
        number += 1
        folder = Path(out_dir, f"{name}-{number}")
    folder = Path(*broadcast_object_list([str(folder)]))
    if accelerator.is_main_process:
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"run folder {folder} cannot be made ({error.strerror}): set out_dir elsewhere") from None
    return folder


def resumed_values(folder: Path, overrides: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Return the configuration that the last checkpoint of a run was written under, and its file.

    Raises:
        InputError: There is none, or an override other than `max_steps`.
    """
    refused = [override for override in overrides if not override.startswith("max_steps=")]
    if refused:
        raise InputError(f"override {refused[0]!r}: a resumed run keeps its configuration, except max_steps")
    recover_folder(folder / "last")
    path = folder / "last" / STATE_FILE
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["config"]
        if "tasks" in values:
            values["tasks"] = {key.rstrip("_"): share for key, share in values["tasks"].items()}
    except FileNotFoundError:
        raise InputError(
            f"{folder} has no checkpoint to resume from: give a run folder, or start without --resume"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read ({error!r}): start a new run") from None
    return values, str(path)


os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
