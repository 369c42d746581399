"""Bars of a score, derived only from its time signature events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from symusic.core import ScoreTick, TimeSignatureTick, TimeSignatureTickList

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.tracks import notes_of

_MAX_DENOMINATOR = 64
DEFAULT_SIGNATURE = (4, 4)
"""Assumed by the MIDI specification where a file has no time signature."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        number: 0 for a pickup; the first full bar is 1.
        start_ticks: Onset of the bar in ticks of its score.
        length_ticks: Distance to the next bar line in ticks; shorter than the time signature where the next time
            signature event cuts the bar.
        numerator: Numerator of the time signature in force.
        denominator: Its denominator, a power of two.
    """

    number: int
    start_ticks: int
    length_ticks: int
    numerator: int
    denominator: int

    @property
    def end_ticks(self) -> int:
        """Onset of the next bar in ticks."""
        return self.start_ticks + self.length_ticks


@dataclass(frozen=True, slots=True)
class _Section:
    """Bars under one time signature event, from `start` up to but not including `end`, in ticks."""

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
        """Return the onset of bar `index` of this section; the next time signature moves the last bar line back."""
        ticks = self.start + round(index * self.bar_ticks)
        return ticks if self.is_last else min(ticks, self.end)


def bars_of(score: ScoreTick, until_ticks: int = 0) -> list[Bar]:
    """List the bars of a score up to the one in which its last note ends, or further up to a time.

    Every time signature event begins a bar, and 4/4 is assumed where there is none. A first bar that is shorter than
    the second one and ends at a time signature event is a pickup and has the number 0.

    Returns:
        Consecutive bars from tick 0; an empty list if the score has no notes.
    """
    sections = list(_sections(score, until_ticks))
    number = 0 if _starts_with_pickup(sections) else 1
    bars: list[Bar] = []
    for section in sections:
        for index in range(section.num_bars):
            start, end = section.line(index), section.line(index + 1)
            bars.append(Bar(number + len(bars), start, end - start, section.numerator, section.denominator))
    return bars


def with_pickup(score: ScoreTick, beats: float | str | Fraction) -> ScoreTick:
    """Return a copy of a score whose first beats are a pickup; the first time signature counts from their end.

    Args:
        score: A score without a pickup.
        beats: Length of the pickup, in units of the first time signature (eighths in 6/8), such as 1, 0.5 or `"1/2"`.

    Raises:
        InputError: The score has a pickup, or `beats` is not between 0 and a bar, or cannot be written as a bar.
    """
    try:
        beats = Fraction(beats)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise InputError(f"The pickup is '{beats}'. Give a number of beats, such as 1 or 0.5.") from None
    sections = list(_sections(score))
    if _starts_with_pickup(sections):
        raise InputError("The score already begins with a pickup. Leave --pickup out.")
    first = sections[0]
    if not 0 < beats < first.numerator:
        raise InputError(f"The pickup is {float(beats):g} beats. Give more than 0 and less than {first.numerator}.")
    numerator, denominator = beats.numerator, first.denominator * beats.denominator
    ticks = Fraction(4 * score.ticks_per_quarter * numerator, denominator)
    if ticks.denominator > 1 or denominator.bit_count() > 1 or denominator > _MAX_DENOMINATOR:
        raise InputError(f"The pickup is {float(beats):g} beats, which no note value has. Give 1, 0.5 or the like.")
    result = score.copy()
    later = [event for event in score.time_signatures if event.time > ticks]
    result.time_signatures = TimeSignatureTickList(
        [
            TimeSignatureTick(0, numerator, denominator),
            TimeSignatureTick(int(ticks), first.numerator, first.denominator),
            *later,
        ]
    )
    return result


def count_bars(score: ScoreTick) -> int:
    """Return the number of bars in `bars_of`, in time that does not depend on it."""
    return sum(section.num_bars for section in _sections(score))


def signature_ticks(score: ScoreTick) -> dict[tuple[int, int], int]:
    """Return the ticks under each time signature (numerator, denominator), not counting a pickup."""
    ticks: dict[tuple[int, int], int] = {}
    sections = list(_sections(score))
    for index, section in enumerate(sections):
        length = 0 if index == 0 and _starts_with_pickup(sections) else section.line(section.num_bars) - section.start
        signature = (section.numerator, section.denominator)
        ticks[signature] = ticks.get(signature, 0) + length
    return ticks


def last_note_end(score: ScoreTick) -> int:
    """Return the end of the last note in ticks, 0 if there is none."""
    tracks = [track for track in score.tracks if track.notes]
    if any(track.controls or track.pitch_bends or track.pedals or track.lyrics for track in tracks):
        return int(notes_of(tracks).ends.max())
    return max((track.end() for track in tracks), default=0)  # counts events of every kind, and is faster


def _sections(score: ScoreTick, until_ticks: int = 0) -> Iterator[_Section]:
    end = max(last_note_end(score), until_ticks)
    signatures = {0: DEFAULT_SIGNATURE}  # of several events at one tick, the last one counts
    for event in sorted(score.time_signatures, key=lambda event: event.time):
        if event.time < end:
            signatures[event.time] = (event.numerator, event.denominator)
    starts = list(signatures)
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        numerator, denominator = signatures[start]
        whole, rest = divmod(4 * score.ticks_per_quarter * numerator, denominator)
        bar_ticks = whole + Fraction(rest, denominator) if rest else whole
        if stop > start:
            yield _Section(start, stop, numerator, denominator, bar_ticks, is_last=stop == end)


def _starts_with_pickup(sections: list[_Section]) -> bool:
    if len(sections) < 2 or sections[0].num_bars != 1:
        return False
    first, second = sections[:2]
    return first.line(1) < second.line(1) - second.start
