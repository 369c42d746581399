"""Options that several commands have, and what is checked of them before anything is loaded."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from descant_tokenizers.errors import InputError

__all__ = [
    "AllowLeaps",
    "AllowParallels",
    "AsJson",
    "BestOf",
    "Device",
    "Quiet",
    "Temperature",
    "TopP",
    "check_drawing",
    "check_range",
]

Temperature = Annotated[float, typer.Option(help="Below 1 safer, above 1 bolder; 0 takes the likeliest.")]
TopP = Annotated[float, typer.Option(help="Draw from the likeliest tokens of this total probability.")]
AllowParallels = Annotated[
    bool, typer.Option("--allow-parallels", help="Voices may move in parallel fifths, octaves and unisons.")
]
AllowLeaps = Annotated[
    bool, typer.Option("--allow-leaps", help="Voices may leap by augmented intervals and over an octave.")
]
BestOf = Annotated[
    int | None, typer.Option(help="Write so many versions of each and keep the likelier ones; 1 is fastest.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or mps; chosen by itself if not given.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Neither progress nor remarks.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


def check_drawing(seed: int, temperature: float, top_p: float, best_of: int | None) -> None:
    """Refuse options of drawing that are out of range.

    Raises:
        InputError: One is.
    """
    check_range("--seed", seed, 0, 2**63 - 1)
    check_range("--temperature", temperature, 0, 10)
    check_range("--top-p", top_p, 1e-6, 1)
    check_range("--best-of", best_of, 1, 64)


def check_range(option: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Refuse a number outside a range; None was not given.

    Raises:
        InputError: It is outside.
    """
    if value is not None and not low <= value <= high:
        allowed = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
        raise InputError(f"{option} is {value}; give {allowed}.")
