"""Piano rolls: notes as a grid of time steps and pitches, and the windows of chorales that the GAN learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from descant_tokenizers.rolls.grid import (
    NUM_PITCHES,
    STEPS_PER_BEAT,
    WINDOW_BARS,
    WINDOW_STEPS,
    count_lost,
    even_edges,
    notes_of_roll,
    roll_of_notes,
)

if TYPE_CHECKING:
    from descant_tokenizers.rolls.chorales import ROLLS_CORPUS, RollReport, build_rolls, read_rolls

__all__ = [
    "NUM_PITCHES",
    "ROLLS_CORPUS",
    "STEPS_PER_BEAT",
    "WINDOW_BARS",
    "WINDOW_STEPS",
    "RollReport",
    "build_rolls",
    "count_lost",
    "even_edges",
    "notes_of_roll",
    "read_rolls",
    "roll_of_notes",
]


def __getattr__(name: str) -> Any:
    """Import what needs datasets (two seconds) only when somebody asks for it."""
    if name in ("ROLLS_CORPUS", "RollReport", "build_rolls", "read_rolls"):
        from descant_tokenizers.rolls import chorales

        return getattr(chorales, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
