"""Scores: symbolic music as `symusic` scores in ticks, read from files, measured in bars and written back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from descant_tokenizers.scores.bars import Bar, bars_of, count_bars, last_note_end
from descant_tokenizers.scores.midi import write_midi
from descant_tokenizers.scores.reading import SUFFIXES, read_score, read_score_report
from descant_tokenizers.scores.validation import Limits, ReadResult
from descant_tokenizers.scores.voices import NUM_VOICES, VOICES, MelodyChoice, pick_melody

if TYPE_CHECKING:
    from descant_tokenizers.scores.music21_reader import fermatas_of, from_music21

__all__ = [
    "NUM_VOICES",
    "SUFFIXES",
    "VOICES",
    "Bar",
    "Limits",
    "MelodyChoice",
    "ReadResult",
    "bars_of",
    "count_bars",
    "fermatas_of",
    "from_music21",
    "last_note_end",
    "pick_melody",
    "read_score",
    "read_score_report",
    "write_midi",
]


def __getattr__(name: str) -> Any:
    """Import what needs music21 (half a second) on first use."""
    if name in ("fermatas_of", "from_music21"):
        from descant_tokenizers.scores import music21_reader

        return getattr(music21_reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
