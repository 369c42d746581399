"""Everything a run needs before its first step: data, model, folder, header."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from descant_modeling.checkpoints import CheckpointMeta, load_checkpoint, recover_folder
from descant_modeling.config import RunConfig, parse_config
from descant_modeling.data import load_data
from descant_modeling.devices import pick_device, use_cores
from descant_modeling.examples import ExampleSource
from descant_modeling.loop import Stepwise
from descant_modeling.models import build_model, count_parameters
from descant_modeling.runlog import RunLog, run_header
from descant_modeling.training import STATE_FILE, Trainer
from descant_tokenizers.errors import InputError
from descant_tokenizers.tokens.layout import TaskLayout
from descant_tokenizers.tokens.presets import open_tokenizer
from descant_tokenizers.tokens.transposing import voice_ranges
from descant_tokenizers.tokens.vocabulary import TokenTable

HEADER_FILE = "run.json"


@dataclass(frozen=True)
class Run:
    """A run ready to train."""

    folder: Path
    trainer: Stepwise


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
    """Read configuration and data of a causal model, build or restore model and trainer.

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
    config = parse_config(values, where, overrides)
    accelerator = make_accelerator(config.precision, device)
    # What was measured once holds for the whole run, wherever it is resumed.
    config = replace(config, precision="bf16" if accelerator.mixed_precision == "bf16" else "fp32")
    check_micro_batches(config, accelerator)
    if not accelerator.is_main_process or quiet:
        datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # GPT-2 misses an attention mask wherever it sees padding. Ours stands at the end, where a causal model has no use
    # for one, and a mask would leave the fused kernel.
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    # A resumed run goes on with its own tokenizer: the folder that it was taken from may hold another one by now.
    tokenizer = open_tokenizer(config.data.tokenizer if resume is None else str(resume / "last"))
    layout = TaskLayout(TokenTable(tokenizer), config.layout)
    with accelerator.main_process_first():
        data = load_data(config, layout, quiet=quiet or not accelerator.is_main_process)
    torch.manual_seed(config.seed)
    model = _initial_model(config, layout)
    source = ExampleSource(
        data.train,
        layout,
        config.tasks,
        seed=config.seed,
        transpose=config.data.transpose,
        max_tokens=config.model.max_tokens,
    )
    folder = resume or new_folder(config.out_dir, config.name, accelerator)
    log = RunLog(folder, config.max_steps, active=accelerator.is_main_process, quiet=quiet)
    facts = {
        "num_parameters": count_parameters(model),
        "num_pieces": {"train": len(data.train), "valid": len(data.valid)},
        "padding_share": round(padding_share(source, config.data.batch_tokens), 4),
        "device": str(accelerator.device),
        "precision": accelerator.mixed_precision,
        "num_processes": accelerator.num_processes,
        "num_threads": num_threads,
        "corpora": data.corpora,
        "vocabulary_sha256": layout.table.sha256(),
    }
    header = run_header(config.to_dict(), **facts)
    meta = CheckpointMeta(
        layout=config.layout,
        tokenizer_sha256="",
        corpora=data.corpora,
        voice_ranges=tuple(voice_ranges(data.train, layout.table.num_voices)),
        training={"seed": config.seed, "splits": list(config.data.splits), "git": header["git"]},
    )
    trainer = Trainer(config, accelerator, model, layout, source, data.valid, folder, meta, log)
    if accelerator.is_main_process:
        write_header(folder, header, resumed=resume is not None)
    if resume is not None:
        trainer.resume()
        log.rewind(trainer.progress.step)
    for remark in data.remarks:
        log.say(remark)
    log.say(
        f"{folder}: {facts['num_parameters'] / 1e6:.2f} M parameters, {len(data.train)} pieces, {facts['device']}, "
        f"{facts['precision']}, padding {facts['padding_share']:.1%}"
    )
    return Run(folder, trainer)


def write_header(folder: Path, header: dict[str, Any], *, resumed: bool) -> None:
    """Write what was run on what; a resumed run keeps the first one too."""
    name = f"run-resumed-{int(time.time())}.json" if resumed else HEADER_FILE
    (folder / name).write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")


def check_micro_batches(config: RunConfig, accelerator: Accelerator) -> None:
    """Refuse micro-batches that cannot be dealt out evenly.

    Raises:
        InputError: Their number is not a multiple of the processes.
    """
    number, processes = config.data.micro_batches, accelerator.num_processes
    if number % processes:
        raise InputError(f"data.micro_batches is {number} for {processes} processes: set a multiple of {processes}")


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


def bf16_is_faster() -> bool:
    """Measure, in a few milliseconds, whether this CPU multiplies bf16 matrices faster than fp32 ones."""

    def seconds(dtype: torch.dtype) -> float:
        a, b = torch.ones(512, 256, dtype=dtype), torch.ones(256, 512, dtype=dtype)
        best = float("inf")
        for _ in range(4):
            start = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - start)
        return best

    return seconds(torch.bfloat16) < 0.8 * seconds(torch.float32)


def padding_share(source: ExampleSource, batch_tokens: int) -> float:
    """Share of padding in the batches of the first pool of epoch 0."""
    pad = source.layout.table.special("PAD")
    total = padded = 0
    for batch in source.batches(0, batch_tokens):
        total += batch.ids_BT.numel()
        padded += int((batch.ids_BT == pad).sum())
        if total > 1_000_000:
            break
    return padded / total


def _initial_model(config: RunConfig, layout: TaskLayout) -> PreTrainedModel:
    table = layout.table
    if config.init_from is None:
        return build_model(config.model, table.size, bos=layout.bos, eos=layout.eos, pad=table.special("PAD"))
    checkpoint = load_checkpoint(config.init_from)
    if checkpoint.table.sha256() != table.sha256():
        raise InputError(f"init_from {config.init_from} has another tokenizer: use data.tokenizer of that checkpoint")
    return checkpoint.model


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
