"""Piano rolls: notes as a grid of time steps and pitches, and the windows and bars that the GANs learn from."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from descant_tokenizers.pianoroll.chords import ALL_CHORDS, CHORD_SIZE, Chord, parse_chord
from descant_tokenizers.pianoroll.grid import (
    BAR_STEPS,
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
    from descant_tokenizers.pianoroll.melodies import MELODY_CORPUS, MelodyReport, build_melody_bars
    from descant_tokenizers.pianoroll.windows import (
        LONG_ROLLS_CORPUS,
        ROLL_CORPORA,
        ROLLS_CORPUS,
        SPLITS,
        RollReport,
        build_rolls,
        read_stored,
    )

__all__ = [
    "ALL_CHORDS",
    "BAR_STEPS",
    "CHORD_SIZE",
    "LONG_ROLLS_CORPUS",
    "MELODY_CORPUS",
    "NUM_PITCHES",
    "ROLLS_CORPUS",
    "ROLL_CORPORA",
    "SPLITS",
    "STEPS_PER_BEAT",
    "WINDOW_BARS",
    "WINDOW_STEPS",
    "Chord",
    "MelodyReport",
    "RollReport",
    "build_melody_bars",
    "build_rolls",
    "count_lost",
    "even_edges",
    "notes_of_roll",
    "parse_chord",
    "read_stored",
    "roll_of_notes",
]

_LATER = {
    "melodies": ("MELODY_CORPUS", "MelodyReport", "build_melody_bars"),
    "windows": (
        "LONG_ROLLS_CORPUS",
        "ROLLS_CORPUS",
        "ROLL_CORPORA",
        "SPLITS",
        "RollReport",
        "build_rolls",
        "read_stored",
    ),
}


def __getattr__(name: str) -> Any:
    """Import what needs datasets (two seconds) only when somebody asks for it."""
    for module, names in _LATER.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
