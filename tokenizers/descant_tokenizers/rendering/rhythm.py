"""Rhythm in notation: note values that show the beats, tuplets, and times moved to where note values reach.

Units: quarter notes, as exact fractions. Places are counted from where a full bar would begin: a pickup of one quarter
in 4/4 begins at 3.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

_FINEST = 16  # of a quarter: 64th notes
_FINEST_TUPLET = Fraction(1, 24)
_FINEST_SNAPPED = Fraction(1, 6)
_SHORTEST_HALF = Fraction(1, 8)
_LONGEST = 12  # a dotted breve
_TUPLETS = {3: 2, 5: 4, 7: 4, 9: 8, 11: 8, 13: 8, 15: 8}  # three notes in the time of two, ...
_WIDE, _WIDE_COMPOUND = (3, 5, 7, 11, 13), (5, 7, 10, 11, 13, 14)
_ROUNDED = (7, 9, 11, 13, 14, 18, 22, 26)  # parts of a quarter that no number of ticks reaches
# Grids for times that no note value reaches, and the cost of reading each, in quarters of distance.
_GRIDS = {Fraction(1, 4): 0.0, Fraction(1, 3): 0.02, Fraction(1, 8): 0.1, Fraction(1, 6): 0.08}
_MERGED = 0.125  # cost of two times becoming one


@dataclass(frozen=True)
class TimeSignature:
    """A time signature: a number of units in a bar, and the unit (4 is a quarter)."""

    numerator: int
    denominator: int

    @property
    def is_compound(self) -> bool:
        """True if three units are a beat, as in 6/8."""
        return self.denominator >= 8 and self.numerator % 3 == 0

    @property
    def groups(self) -> tuple[int, ...]:
        """The beats in units where they are unequal, as in 7/8 (2 + 2 + 3) or 13/8 (3 + 3 + 3 + 2 + 2); else empty."""
        if self.denominator < 8 or self.is_compound or self.numerator == 1:
            return ()
        num_threes = next(n for n in range(self.numerator // 3, -1, -1) if (self.numerator - 3 * n) % 2 == 0)
        twos, threes = (2,) * ((self.numerator - 3 * num_threes) // 2), (3,) * num_threes
        return twos + threes if num_threes <= 1 else threes + twos

    @property
    def unit(self) -> Fraction:
        """The unit that is halved, or divided by a tuplet: a quarter, an eighth in 6/8."""
        return Fraction(4, max(self.denominator, 4))

    @property
    def beat(self) -> Fraction:
        """The beat that note values must not hide; a quarter even in 2/2 and 3/2."""
        return 3 * self.unit if self.is_compound else self.unit

    @property
    def length(self) -> Fraction:
        """Length of a bar."""
        return Fraction(4 * self.numerator, self.denominator)

    @property
    def middle(self) -> Fraction | None:
        """The strong beat inside a bar of 4/4 or 12/8; None in other meters."""
        num_beats = self.length / self.beat
        return self.length / 2 if num_beats % 2 == 0 and num_beats >= 4 else None


@dataclass(frozen=True)
class Tuplet:
    """A stretch of time divided into `actual` notes (3 in a triplet) in the time of `normal` ones (2 in a triplet).

    `unit` is the sounding length of the shortest note.
    """

    start: Fraction
    length: Fraction
    actual: int
    normal: int
    unit: Fraction

    @property
    def end(self) -> Fraction:
        """End of the tuplet."""
        return self.start + self.length


@dataclass(frozen=True)
class NoteValue:
    """A note value: its place, its sounding length, and the tuplet that it belongs to."""

    start: Fraction
    length: Fraction
    tuplet: Tuplet | None = None

    @property
    def written(self) -> Fraction:
        """Its written length: an eighth of a triplet is 1/2."""
        return self.length if self.tuplet is None else self.length * self.tuplet.actual / self.tuplet.normal


def tuplets_of(meter: TimeSignature, points: Collection[Fraction], length: Fraction | None = None) -> list[Tuplet]:
    """Find the tuplets that a voice needs in a bar.

    Args:
        meter: The bar's meter.
        points: Where notes begin and end; those after the end of the bar are ignored.
        length: Length of the bar, if it is not that of its meter.

    Raises:
        ValueError: No note values reach one of the points.
    """
    end = length or meter.length
    points = [min(point, end) for point in points]
    found: list[Tuplet] = []
    at = Fraction(0)
    while at < end:
        wide = _wide_tuplet(meter, at, points, end)
        found += [wide] if wide else _tuplets_in(at, min(meter.unit, end - at), points, meter.unit)
        at = found[-1].end if wide else at + meter.unit
    return found


def _wide_tuplet(meter: TimeSignature, start: Fraction, points: Collection[Fraction], end: Fraction) -> Tuplet | None:
    """Find a tuplet over two units from an odd one on, or over the beat of a compound meter, before the end of the bar.

    That is a triplet of quarters in 4/4, or more even notes: five eighths in the time of four, seven in that of six.
    """
    length = meter.beat if meter.is_compound else 2 * meter.unit
    if start % length or start + length > end:
        return None
    parts = math.lcm(*(((point - start) / length).denominator for point in points if start < point < start + length))
    if parts not in (_WIDE_COMPOUND if meter.is_compound else _WIDE):
        return None
    normal = max(n for n in (3, 6, 12) if n <= parts) if meter.is_compound else _TUPLETS[parts]
    return Tuplet(start, length, parts, normal, length / parts) if length / normal >= Fraction(1, _FINEST) else None


def _tuplets_in(
    start: Fraction,
    length: Fraction,
    points: Collection[Fraction],
    unit: Fraction | None = None,
    finest: Fraction = _FINEST_TUPLET,
) -> list[Tuplet]:
    """Find the tuplets in a unit; in less than a `unit`, at the end of a bar, there are none."""
    inside = sorted({point for point in points if start < point < start + length})
    if unit is not None and length < unit:
        if any((point * _FINEST).denominator > 1 for point in inside):
            raise ValueError(f"No note value reaches {inside}.")
        return []
    parts = math.lcm(*(((point - start) / length).denominator for point in inside))
    odd = parts
    while odd % 2 == 0:
        odd //= 2
    if odd == 1:
        if any((point * _FINEST).denominator > 1 for point in inside):
            raise ValueError(f"No note value reaches {inside}.")
        return []
    half, unit, normal = length / 2, length / parts, _TUPLETS.get(odd)
    is_exact = finest == _FINEST_TUPLET
    if start + half not in inside:
        is_fine = normal is None or unit * odd / normal < Fraction(1, _FINEST)
        if normal and not is_fine and unit >= (finest if odd == 3 else length / odd / (1 + is_exact)):
            return [Tuplet(start, length, odd, normal, unit)]
        if not is_exact or half < _SHORTEST_HALF:
            raise ValueError(f"No tuplet reaches {inside}.")
    return [*_tuplets_in(start, half, points, None, finest), *_tuplets_in(start + half, half, points, None, finest)]


def note_values(
    meter: TimeSignature, start: Fraction, end: Fraction, tuplets: Sequence[Tuplet] = (), *, is_rest: bool = False
) -> Iterator[NoteValue]:
    """Write a note or rest inside a bar as one value if that shows the beats, else as several; rests are stricter."""
    cuts = {place for tuplet in tuplets for place in (tuplet.start, tuplet.end) if start < place < end}
    for first, second in itertools.pairwise(sorted({start, end, *cuts})):
        tuplet = next((each for each in tuplets if each.start <= first < each.end), None)
        yield from _values_in(tuplet, first, second) if tuplet else _values(meter, first, second, is_rest)


def _values(meter: TimeSignature, start: Fraction, end: Fraction, is_rest: bool) -> Iterator[NoteValue]:
    if meter.groups:
        yield from _values_in_groups(meter, start, end, is_rest)
        return
    if (_is_plain_rest if is_rest else _is_plain)(meter, start, end):
        yield NoteValue(start, end - start)
        return
    cut = _cut(meter, start, end)
    yield from _values(meter, start, cut, is_rest)
    yield from _values(meter, cut, end, is_rest)


def _values_in_groups(meter: TimeSignature, start: Fraction, end: Fraction, is_rest: bool) -> Iterator[NoteValue]:
    """Write a note or rest where beats are unequal: only whole beats of a note share a value."""
    bounds = [sum(meter.groups[:count]) * meter.unit for count in range(len(meter.groups) + 1)]
    index = bisect.bisect_right(bounds, start) - 1
    if end <= bounds[min(index + 1, len(meter.groups))] or start >= bounds[-1]:
        size = meter.groups[min(index, len(meter.groups) - 1)]
        beat = TimeSignature(size, meter.denominator) if size == 3 else TimeSignature(1, meter.denominator // 2)
        for value in _values(beat, start - bounds[index], end - bounds[index], is_rest):
            yield NoteValue(bounds[index] + value.start, value.length)
    elif not is_rest and start in bounds and end in bounds and _is_dotted_or_plain(end - start):
        yield NoteValue(start, end - start)
    else:
        inside = [bound for bound in bounds if start < bound < end]
        is_whole = not is_rest and start in bounds
        cut = max(bound for bound in inside if _is_dotted_or_plain(bound - start)) if is_whole else inside[0]
        yield from _values_in_groups(meter, start, cut, is_rest)
        yield from _values_in_groups(meter, cut, end, is_rest)


def _values_in(tuplet: Tuplet, start: Fraction, end: Fraction) -> Iterator[NoteValue]:
    while start < end:
        count = int((end - start) / tuplet.unit)
        if count < 1:
            raise ValueError(f"No note value reaches {end} in a tuplet.")
        while not _is_dotted_or_plain(Fraction(count)):
            count -= 1
        yield NoteValue(start, count * tuplet.unit, tuplet)
        start += count * tuplet.unit


def _is_dotted_or_plain(length: Fraction) -> bool:
    top = length.numerator // 3 if length.numerator % 3 == 0 else length.numerator
    return 0 < length <= _LONGEST and top.bit_count() == length.denominator.bit_count() == 1


def _is_plain(meter: TimeSignature, start: Fraction, end: Fraction) -> bool:
    """Return True if one note value can cover this stretch."""
    beat, length = meter.beat, end - start
    if not _is_dotted_or_plain(length):
        return False
    if start // beat == -(-end // beat) - 1 or (start % beat == 0 and end % beat == 0):
        return True
    if meter.is_compound:
        return False
    half = beat / 2
    if start % beat == 0 or end % beat == 0:
        return length == 3 * half and (start % half == 0 and end % half == 0)
    is_syncope = start % beat == half and length == beat
    return is_syncope and end - half != meter.middle


def _is_plain_rest(meter: TimeSignature, start: Fraction, end: Fraction) -> bool:
    beat, length = meter.beat, end - start
    if not _is_dotted_or_plain(length):
        return False
    if start // beat == -(-end // beat) - 1:  # inside a beat
        return meter.is_compound or start % length == 0 or end % beat == 0
    is_half_bar = meter.middle is not None and length == meter.middle and start % length == 0
    return is_half_bar or (length in (2 * beat, 4 * beat) and start % length == 0 and meter.length % (2 * beat) == 0)


def _cut(meter: TimeSignature, start: Fraction, end: Fraction) -> Fraction:
    """Return the strongest place inside a stretch: the middle of the bar, else a beat, else a part of one."""
    beat = meter.beat
    first, last = -(-start // beat) * beat, end // beat * beat
    if first == start and start < last < end:
        return last  # whole beats stay together
    if start < first < end:
        return first
    if first == start and last == end:  # whole beats that no single value covers
        if meter.middle is not None and start < meter.middle < end:
            return meter.middle
        length = end - start
        while length > beat and (length == end - start or not _is_dotted_or_plain(length)):
            length -= beat
        return start + length
    step = meter.unit if meter.is_compound else beat / 2
    while True:
        place = (start // step + 1) * step
        if place < end:
            return place
        step /= 2


def meant(time: Fraction, ticks_per_quarter: int) -> Fraction:
    """Return the time in a tuplet of 7, 9, 11 or 13 that a score rounds to a tick; others stay."""
    if _FINEST % time.denominator and 48 % time.denominator:
        for parts in _ROUNDED:
            near = Fraction(round(time * parts), parts)
            if 2 * abs(near - time) * ticks_per_quarter <= 1:
                return near
    return time


def snapped(meter: TimeSignature, points: Iterable[Fraction]) -> Mapping[Fraction, Fraction]:
    """Map points of a bar to the nearest ones that note values reach; most do not move."""
    moved: dict[Fraction, Fraction] = {}
    for index, group in itertools.groupby(sorted(set(points)), key=lambda point: point // meter.unit):
        start, own = index * meter.unit, list(group)
        moved |= dict(zip(own, _snapped_in(start, meter.unit, own), strict=True))
    return moved


def _snapped_in(start: Fraction, length: Fraction, points: Sequence[Fraction]) -> Sequence[Fraction]:
    try:
        _tuplets_in(start, length, points, None, _FINEST_SNAPPED)
    except ValueError:
        pass
    else:
        return points

    def moved(grid: Fraction) -> list[Fraction]:
        return [start + round((point - start) / grid) * grid for point in points]

    def cost(grid: Fraction) -> float:
        places = moved(grid)
        distance = sum(abs(float(place - point)) for place, point in zip(places, points, strict=True))
        return distance + len(points) * _GRIDS[grid] + _MERGED * (len(points) - len(set(places)))

    return moved(min((grid for grid in _GRIDS if length % grid == 0), key=cost, default=length))
