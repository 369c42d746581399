"""Bars of a score, derived from its time signature events alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from symusic.core import ScoreTick

from descant_tokenizers.scores.tracks import notes_of

__all__ = ["Bar", "bars_of", "count_bars", "last_note_end", "signature_ticks"]

DEFAULT_SIGNATURE = (4, 4)
"""What the MIDI specification assumes where a file gives no time signature."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        number: 0 for a pickup, else counted from 1 at the first full bar.
        start_ticks: Onset of the bar in ticks of its score.
        length_ticks: Distance to the next bar line in ticks. Less than the signature says where the next time
            signature event cuts the bar short.
        numerator: Beats of the time signature in force.
        denominator: Beat unit of the time signature in force (a power of two).
    """

    number: int
    start_ticks: int
    length_ticks: int
    numerator: int
    denominator: int

    @property
    def end_ticks(self) -> int:
        """Onset of the bar that follows, in ticks."""
        return self.start_ticks + self.length_ticks


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of bars under one time signature event, from `start` up to (not including) `end`, in ticks."""

    start: int
    end: int
    numerator: int
    denominator: int
    bar_ticks: int | Fraction
    is_last: bool

    @property
    def num_bars(self) -> int:
        return -(-(self.end - self.start) // self.bar_ticks)

    def line(self, index: int) -> int:
        """Onset of bar number `index` of this span; a change of signature moves the last line back."""
        ticks = self.start + round(index * self.bar_ticks)
        return ticks if self.is_last else min(ticks, self.end)


def bars_of(score: ScoreTick) -> list[Bar]:
    """List the bars of a score, up to the one in which its last note ends.

    Every time signature event begins a bar. A first bar that is shorter than the one after it, and ends at a time
    signature event, is a pickup and has the number 0.

    Args:
        score: Any score in ticks; without a time signature it counts as 4/4.

    Returns:
        Consecutive bars from tick 0 on; an empty list if the score has no notes.
    """
    spans = list(_spans(score))
    number = 0 if _starts_with_pickup(spans) else 1
    bars: list[Bar] = []
    for span in spans:
        for index in range(span.num_bars):
            start, end = span.line(index), span.line(index + 1)
            bars.append(Bar(number + len(bars), start, end - start, span.numerator, span.denominator))
    return bars


def count_bars(score: ScoreTick) -> int:
    """Count the bars that `bars_of` would list, in time that does not grow with their number."""
    return sum(span.num_bars for span in _spans(score))


def signature_ticks(score: ScoreTick) -> dict[tuple[int, int], int]:
    """Return how long each time signature (numerator, denominator) holds, in ticks, the pickup counting 0."""
    ticks: dict[tuple[int, int], int] = {}
    spans = list(_spans(score))
    for index, span in enumerate(spans):
        length = 0 if index == 0 and _starts_with_pickup(spans) else span.line(span.num_bars) - span.start
        signature = (span.numerator, span.denominator)
        ticks[signature] = ticks.get(signature, 0) + length
    return ticks


def last_note_end(score: ScoreTick) -> int:
    """Return the end of the last note in ticks, 0 if there is none."""
    tracks = [track for track in score.tracks if track.notes]
    if any(track.controls or track.pitch_bends or track.pedals or track.lyrics for track in tracks):
        return int(notes_of(tracks).ends.max())
    return max((track.end() for track in tracks), default=0)  # symusic counts events of every kind, and is faster


def _spans(score: ScoreTick) -> Iterator[_Span]:
    end = last_note_end(score)
    signatures = {0: DEFAULT_SIGNATURE}  # of several events at one tick, the last one holds
    for event in sorted(score.time_signatures, key=lambda event: event.time):
        if event.time < end:
            signatures[event.time] = (event.numerator, event.denominator)
    starts = list(signatures)
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        numerator, denominator = signatures[start]
        whole, rest = divmod(4 * score.ticks_per_quarter * numerator, denominator)
        bar_ticks = whole + Fraction(rest, denominator) if rest else whole
        if stop > start:
            yield _Span(start, stop, numerator, denominator, bar_ticks, is_last=stop == end)


def _starts_with_pickup(spans: list[_Span]) -> bool:
    if len(spans) < 2 or spans[0].num_bars != 1:
        return False
    first, second = spans[:2]
    return first.line(1) < second.line(1) - second.start
