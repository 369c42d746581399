"""Which device to compute on, and with how many CPU threads."""

from __future__ import annotations

import os

import torch

from descant_tokenizers.common.errors import InputError


def available_devices() -> list[str]:
    """Return the kinds of device of this machine, best first; ``cpu`` is always there."""
    kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [kind for kind, there in kinds.items() if there]


def pick_device(wished: str | None) -> str:
    """Return the wished kind of device, or the best one.

    Raises:
        InputError: It is not there.
    """
    available = available_devices()
    if wished is not None and wished not in available:
        raise InputError(f"device {wished!r} is not available here: use {' or '.join(available)}")
    return wished or available[0]


def use_cores(wished: int | None = None) -> int:
    """Set the CPU threads of this process, and return their number.

    `accelerate launch` and torchrun start processes with one thread unless OMP_NUM_THREADS is set, which wastes every
    other core. Where a launcher left one thread, the cores are shared out between the processes of this machine.

    Args:
        wished: Number of threads; None to leave what the user or torch chose.

    Raises:
        InputError: Fewer than one.
    """
    if wished is not None and wished < 1:
        raise InputError(f"--threads is {wished}: give 1 or more")
    launched = "ACCELERATE_MIXED_PRECISION" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ
    if wished is None and launched and os.environ.get("OMP_NUM_THREADS") == "1":
        wished = max(1, available_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    if wished is not None:
        torch.set_num_threads(wished)
    return torch.get_num_threads()


def available_cores() -> int:
    """Number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
