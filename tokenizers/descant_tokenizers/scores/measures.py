"""Measures as engraved, and the time signatures that put every bar line in its intended place.

Engravers end a measure at a repeat sign or a phrase end, so that a 4/4 bar may appear as one measure of three beats and
one of one beat. A bar-by-bar model needs the intended bars: `signature_changes` joins such measures, and gives only
truly irregular ones a signature of their own.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from descant_tokenizers.scores.bars import DEFAULT_SIGNATURE

TICKS_PER_QUARTER = 480
DEFAULT_VELOCITY = 80
"""Velocity of a note without one in its file: mezzo-forte."""

_MAX_FREE_MEASURE = 8  # quarters
_DENOMINATORS = (4, 8, 16, 32, 64)
_FINEST = 1_000_000  # times with a larger denominator are rounded, or fractions would grow with every note
_GRID = 6_720  # to this fraction of a quarter: a multiple of 480 and 7


def settled(time: Fraction) -> Fraction:
    """Return a time in quarter notes, rounded if its fraction is finer than any note value."""
    return time if time.denominator <= _FINEST else Fraction(round(time * _GRID), _GRID)


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure as notated; onset and length in quarter notes, with the time signature in force."""

    onset: Fraction
    length: Fraction
    numerator: int
    denominator: int

    @property
    def nominal(self) -> Fraction:
        """Length under the time signature, in quarter notes."""
        return Fraction(4 * self.numerator, self.denominator)


def end_of(measures: Sequence[Measure]) -> Fraction:
    """Return where the last measure ends, 0 without measures."""
    return max((measure.onset + measure.length for measure in measures), default=Fraction(0))


def free_signature(length: Fraction) -> tuple[int, int]:
    """Return the time signature of a measure without one: that of its length up to eight quarters, else 4/4."""
    for denominator in (4, 8, 16):
        numerator = length * denominator / 4
        if numerator.denominator == 1 and 0 < length <= _MAX_FREE_MEASURE:
            return int(numerator), denominator
    return DEFAULT_SIGNATURE


@dataclass(frozen=True, slots=True)
class SignatureChange:
    """A time signature that begins at `onset` (in quarter notes)."""

    onset: Fraction
    numerator: int
    denominator: int


def signature_changes(measures: Sequence[Measure]) -> list[SignatureChange]:
    """List the time signature events that put every bar line in its intended place.

    - A short first measure is a pickup with a signature of its own (1/4, then 4/4 a quarter later).
    - Consecutive short measures that add up to a full bar are one bar.
    - A measure longer than its signature is cut into full bars and the remainder.
    - Any other irregular measure gets its own signature, and the regular one is restated after it.
    - A short last measure needs no event.

    Args:
        measures: The measures of one part in order, without gaps; empty ones are skipped.

    Returns:
        The changes in order of time, without repetitions; the first one is at the onset of the first measure.
    """
    changes: list[SignatureChange] = []
    in_force: tuple[int, int] | None = None
    for bar in _bars([measure for measure in measures if measure.length > 0]):
        signature = _own_signature(bar)
        if signature != in_force and signature is not None:
            changes.append(SignatureChange(bar.onset, *signature))
        elif signature is None:  # no signature has this length: the next bar restates one and so sets the bar line
            changes.append(SignatureChange(bar.onset, bar.numerator, bar.denominator))
        in_force = signature
    return changes


def _bars(measures: Sequence[Measure]) -> Iterator[Measure]:
    """Join and cut measures into bars; the last one gets its full length."""
    index = 0
    while index < len(measures):
        count = _num_joined(measures, index)
        first = measures[index]
        index += count
        if count > 1:
            yield Measure(first.onset, first.nominal, first.numerator, first.denominator)
        else:
            yield from _cut(first, is_last=index == len(measures))


def _num_joined(measures: Sequence[Measure], index: int) -> int:
    """Return how many measures from `index` make one full bar, else 1; a pickup is never joined."""
    nominal = measures[index].nominal
    total = Fraction(0)
    for count, measure in enumerate(measures[index:], start=1):
        total += measure.length
        if index == 0 or measure.length >= measure.nominal or total > nominal:
            break
        if total == nominal:
            return count
    return 1


def _cut(measure: Measure, *, is_last: bool) -> Iterator[Measure]:
    """Yield the full bars of a measure as one entry, however many, and the remainder if there is one."""
    num_full, left = divmod(measure.length, measure.nominal)
    if num_full:
        yield Measure(measure.onset, measure.nominal, measure.numerator, measure.denominator)
    if left:
        onset = measure.onset + num_full * measure.nominal
        yield Measure(onset, measure.nominal if is_last else left, measure.numerator, measure.denominator)


def _own_signature(bar: Measure) -> tuple[int, int] | None:
    """Return the signature of a bar of full length, else the simplest one of its real length, if there is one."""
    if bar.length == bar.nominal:
        return bar.numerator, bar.denominator
    for denominator in (bar.denominator, *_DENOMINATORS):
        numerator = bar.length * denominator / 4
        if numerator.denominator == 1:
            return int(numerator), denominator
    return None
