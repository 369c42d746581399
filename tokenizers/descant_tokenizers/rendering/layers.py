"""From a score's tracks to what stands on staves: chords in layers, at times that note values reach.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.rhythm import MeterGroups, snapped, tuplets_of
from descant_tokenizers.scores import Bar, bars_of

__all__ = ["GivenRule", "Layer", "Moved", "Staved", "StavedBar", "layers_of", "staved_bars"]

GivenRule = Callable[[str, NoteTick], bool]
"""Takes the name of a track and one of its notes; tells whether the note was given (True) or added."""

_CLOSED_GAP = Fraction(1, 4)  # a rest shorter than a 16th that nobody wrote
_SHORTEST = Fraction(1, 8)
_BAR_GRID = 16  # parts of a quarter at which bars may begin


@dataclass(frozen=True)
class StavedBar:
    """A bar as it is printed.

    Attributes:
        number: As `Bar` has it.
        start: Its onset.
        length: Its length.
        meter: The time signature to print: a pickup has that of the bar after it.
    """

    number: int
    start: Fraction
    length: Fraction
    meter: MeterGroups

    @property
    def end(self) -> Fraction:
        """Where it ends."""
        return self.start + self.length

    @property
    def first_place(self) -> Fraction:
        """Its onset's place in a whole bar: a pickup is the end of one."""
        return self.meter.length - self.length if self.number == 0 else Fraction(0)


@dataclass(frozen=True)
class Staved:
    """Notes of one track that begin and end together.

    Attributes:
        onset: Where they begin.
        end: Where they end.
        pitches: MIDI pitches, rising, each with whether it was given.
        time: Their onset as the score has it.
    """

    onset: Fraction
    end: Fraction
    pitches: tuple[tuple[int, bool], ...]
    time: Fraction


Layer = Sequence[Staved]
"""Chords of which none overlaps the next."""


@dataclass(frozen=True)
class Moved:
    """How far a score had to be moved to note values.

    Attributes:
        num_notes: Notes whose onset was moved.
        furthest: The longest way.
    """

    num_notes: int
    furthest: Fraction


def staved_bars(score: ScoreTick) -> list[StavedBar]:
    """List a score's bars as they are printed.

    Raises:
        InputError: A time signature cuts a bar short where no note value ends.
    """
    bars = bars_of(score)
    staved = [_staved_bar(bars, index, score.ticks_per_quarter) for index in range(len(bars))]
    for bar in staved:
        if (bar.start * _BAR_GRID).denominator > 1 or (bar.length * _BAR_GRID).denominator > 1:
            raise InputError(
                f"a time signature cuts bar {bar.number} short where no note value ends, so there is no sheet music; "
                "correct it."
            )
    return staved


def _staved_bar(bars: Sequence[Bar], index: int, unit: int) -> StavedBar:
    bar = bars[index]
    shown = bars[1] if bar.number == 0 and len(bars) > 1 else bar
    meter = MeterGroups(shown.numerator, shown.denominator)
    return StavedBar(bar.number, Fraction(bar.start_ticks, unit), Fraction(bar.length_ticks, unit), meter)


def layers_of(
    track: TrackTick, ticks_per_quarter: int, bars: Sequence[StavedBar], is_given: GivenRule | None
) -> tuple[list[list[Staved]], Moved]:
    """Gather a track's notes to chords, and chords to layers.

    Args:
        track: The track.
        ticks_per_quarter: Of its score.
        bars: The score's bars.
        is_given: Which notes were given; by default all.

    Returns:
        The layers, and how far notes were moved.
    """
    exact = [(Fraction(n.time, ticks_per_quarter), Fraction(n.end, ticks_per_quarter)) for n in track.notes]
    given = [is_given is None or is_given(track.name, note) for note in track.notes]
    coarse: set[int] = set()
    while True:
        places = _places(bars, exact, coarse)
        layers = _layered(track, exact, given, places)
        found = {index for layer in layers for index in _unwritable(bars, layer)} - coarse
        if not found:
            break
        coarse |= found
    moved = [abs(places[onset] - onset) for onset, _ in exact if places[onset] != onset]
    return layers, Moved(len(moved), max(moved, default=Fraction(0)))


def _layered(
    track: TrackTick,
    exact: Sequence[tuple[Fraction, Fraction]],
    given: Sequence[bool],
    places: Mapping[Fraction, Fraction],
) -> list[list[Staved]]:
    ends = _ends(exact, places)
    gathered: dict[tuple[Fraction, Fraction], dict[int, bool]] = {}
    times: dict[Fraction, Fraction] = {}
    for note, (onset, end), is_given in zip(track.notes, exact, given, strict=True):
        gathered.setdefault((places[onset], ends[onset, end]), {})[note.pitch] = is_given
        times.setdefault(places[onset], onset)
    layers: list[list[Staved]] = []
    for (onset, end), pitches in sorted(gathered.items(), key=lambda item: (item[0][0], -max(item[1]))):
        new = Staved(onset, end, tuple(sorted(pitches.items())), times[onset])
        layer = next((layer for layer in layers if layer[-1].end <= onset), None)
        if layer is None:
            layers.append([new])
        else:
            layer.append(new)
    return layers


def _unwritable(bars: Sequence[StavedBar], layer: Layer) -> Iterator[int]:
    """Bars in which a layer needs what notation does not have: a triplet's note that ends with a 16th, for one."""
    points: dict[int, set[Fraction]] = {}
    for item in layer:
        for point in (item.onset, item.end):
            index = _bar_at(bars, point)
            points.setdefault(index, set()).add(point - bars[index].start + bars[index].first_place)
    for index, own in points.items():
        try:
            tuplets_of(bars[index].meter, own)
        except ValueError:
            yield index


def _bar_at(bars: Sequence[StavedBar], point: Fraction) -> int:
    return max(bisect.bisect_right(bars, point, key=lambda bar: bar.start) - 1, 0)


def _places(
    bars: Sequence[StavedBar], notes: Iterable[tuple[Fraction, Fraction]], coarse: Collection[int]
) -> dict[Fraction, Fraction]:
    """Where each onset and end is printed: where it is, if note values reach it; in coarse bars on 32nds."""
    inside: dict[int, list[Fraction]] = {}
    for point in sorted({point for note in notes for point in note}):
        inside.setdefault(_bar_at(bars, point), []).append(point)
    places: dict[Fraction, Fraction] = {}
    for index, own in inside.items():
        bar = bars[index]
        shift = bar.first_place - bar.start
        if index in coarse:
            printed = {point: round((point + shift) / _SHORTEST) * _SHORTEST - shift for point in own}
        else:
            found = snapped(bar.meter, [point + shift for point in own])
            printed = {point: found[point + shift] - shift for point in own}
        places |= {point: min(place, bar.end) if point <= bar.end else place for point, place in printed.items()}
    return places


def _ends(
    notes: Sequence[tuple[Fraction, Fraction]], places: Mapping[Fraction, Fraction]
) -> dict[tuple[Fraction, Fraction], Fraction]:
    """Where each note is printed to end; one that was moved goes on to the next onset, if that is near."""
    onsets = sorted({places[onset] for onset, _ in notes})
    ends = {}
    for onset, end in notes:
        first, last = places[onset], places[end]
        following = onsets[bisect.bisect_right(onsets, first) :][:1]
        if last != end and following and 0 < following[0] - last <= _CLOSED_GAP:
            last = following[0]
        if last <= first:
            last = min(first + _SHORTEST, *following) if following else first + _SHORTEST
        ends[onset, end] = last
    return ends
