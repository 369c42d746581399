"""Device and number of CPU threads to compute with."""

from __future__ import annotations

import os
from importlib.util import find_spec

from descant_tokenizers.common.errors import InputError


def available_devices() -> list[str]:
    """Return the kinds of device of this machine, best first; ``cpu`` is always among them, and alone without torch."""
    if find_spec("torch") is None:
        return ["cpu"]
    import torch

    kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [kind for kind, is_available in kinds.items() if is_available]


def pick_device(requested: str | None) -> str:
    """Return the requested kind of device, or the best one.

    Raises:
        InputError: It is not available.
    """
    if requested == "cpu":
        return requested  # without importing torch
    available = available_devices()
    if requested is not None and requested not in available:
        raise InputError(f"The device {requested!r} is not available here. Use {' or '.join(available)}.")
    return requested or available[0]


def use_cores(requested: int | None = None) -> int:
    """Set the CPU threads of this process, and return their number.

    `accelerate launch` and torchrun start processes with one thread unless OMP_NUM_THREADS is set, which wastes every
    other core. Where a launcher left one thread, the cores are shared out between the processes of this machine.

    Args:
        requested: Number of threads; None to keep the choice of the user or of torch.

    Raises:
        InputError: Fewer than one.
    """
    import torch

    if requested is not None and requested < 1:
        raise InputError(f"--threads is {requested}. Give 1 or more.")
    is_launched = "ACCELERATE_MIXED_PRECISION" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ
    if requested is None and is_launched and os.environ.get("OMP_NUM_THREADS") == "1":
        requested = max(1, available_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    if requested is not None:
        torch.set_num_threads(requested)
    return torch.get_num_threads()


def available_cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
