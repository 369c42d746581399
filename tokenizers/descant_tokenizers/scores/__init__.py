"""Symbolic music as `symusic` scores in ticks: read from files, divided into bars, and written to files."""

from __future__ import annotations

from descant_tokenizers.scores.bars import Bar, bars_of, count_bars, last_note_end, with_pickup
from descant_tokenizers.scores.midi import write_midi
from descant_tokenizers.scores.names import NUM_VOICES, VOICES
from descant_tokenizers.scores.reading import SUFFIXES, read_score, read_score_report
from descant_tokenizers.scores.result import ReadResult
from descant_tokenizers.scores.validation import Limits
from descant_tokenizers.scores.voices import MelodyChoice, pick_melody

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
    "last_note_end",
    "pick_melody",
    "read_score",
    "read_score_report",
    "with_pickup",
    "write_midi",
]
