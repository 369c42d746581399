"""Which device to compute on."""

from __future__ import annotations

import torch

from descant_tokenizers.errors import InputError


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
