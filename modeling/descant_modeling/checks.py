"""What every command checks of its options before anything is loaded."""

from __future__ import annotations

import math

from descant_tokenizers.errors import InputError

__all__ = ["check_range"]


def check_range(option: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Refuse a number outside a range; None was not given.

    Raises:
        InputError: It is outside.
    """
    if value is not None and not low <= value <= high:
        allowed = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
        raise InputError(f"{option} is {value}; give {allowed}.")
