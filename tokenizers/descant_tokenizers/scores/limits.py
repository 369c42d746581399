"""How large a score may be, and the checks that hold before anything large is built."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from symusic.core import ScoreTick

from descant_tokenizers.errors import InputError
from descant_tokenizers.scores.bars import count_bars
from descant_tokenizers.scores.notes import Notes

__all__ = ["Limits", "check_bars", "check_count", "check_span"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is read. A file of 30 bytes can hold a note at tick 2^28, that is, thousands of empty bars.

    Attributes:
        max_bytes: Size of the file, and of the MusicXML text inside an .mxl file.
        max_notes: Notes, and apart from them tempo, time signature and key signature events.
        max_events: Events of every kind in a MIDI file.
        max_bars: Bars, counted as in `bars_of`.
        max_ticks: End of the last note in ticks: 18 hours at 480 ticks per quarter and 120 quarters per minute.
    """

    max_bytes: int = 4 * 2**20
    max_notes: int = 50_000
    max_events: int = 500_000
    max_bars: int = 2_000
    max_ticks: int = 2**26

    def __post_init__(self) -> None:
        """Refuse bounds that nothing could pass.

        Raises:
            ValueError: A bound is below 1.
        """
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} is {getattr(self, field.name)}; it must be at least 1.")


def check_count(path: Path, what: str, count: int, limit: int) -> None:
    """Raise an `InputError` if there are more than `limit` of something ("notes", "bars") in a file."""
    if count > limit:
        raise InputError(f"{path} holds {count:,} {what}, and at most {limit:,} are read; cut it into shorter files.")


def check_span(path: Path, notes: Notes, limits: Limits) -> None:
    """Raise an `InputError` if a note starts before 0 (its tick overflowed while parsing) or ends after `max_ticks`."""
    starts_early = (notes.time_N < 0).any() or (notes.duration_N < 0).any()
    if starts_early or notes.ends.max(initial=0) > limits.max_ticks:
        raise InputError(
            f"{path} has notes outside ticks 0 to {limits.max_ticks:,}; remove the silence before them or cut the file."
        )


def check_bars(path: Path, score: ScoreTick, limits: Limits) -> None:
    """Raise an `InputError` if the score has more than `max_bars` bars; none of them is built."""
    check_count(path, "bars", count_bars(score), limits.max_bars)
