"""A score's tracks as notation needs them: chords in layers, at times that note values reach.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.rhythm import TimeSignature, snapped, tuplets_of
from descant_tokenizers.scores import bars_of

__all__ = ["Displacement", "GivenRule", "Layer", "Measure", "NoteGroup", "layers_of", "measures_of"]

GivenRule = Callable[[str, NoteTick], bool]
"""Takes a track's name and one of its notes; returns True if the note was given, False if it was added."""

_CLOSED_GAP = Fraction(1, 4)  # a rest shorter than a 16th that nobody wrote
_SHORTEST = Fraction(1, 8)
_MEASURE_GRID = 16  # parts of a quarter at which measures may begin


@dataclass(frozen=True)
class Measure:
    """A printed bar; a pickup has the time signature of the bar after it."""

    number: int
    start: Fraction
    length: Fraction
    meter: TimeSignature

    @property
    def end(self) -> Fraction:
        """End of the measure."""
        return self.start + self.length

    @property
    def offset(self) -> Fraction:
        """Its onset inside a full bar: a pickup is the end of one."""
        return self.meter.length - self.length if self.number == 0 else Fraction(0)


@dataclass(frozen=True)
class NoteGroup:
    """Notes of one track that begin and end together: a note, or a chord.

    Attributes:
        onset: Printed onset.
        end: Printed end.
        pitches: MIDI pitches in ascending order, each with True if it was given.
        time: Onset in the score.
    """

    onset: Fraction
    end: Fraction
    pitches: tuple[tuple[int, bool], ...]
    time: Fraction


Layer = Sequence[NoteGroup]
"""Groups of which none overlaps the next."""


@dataclass(frozen=True)
class Displacement:
    """Onsets moved to reach note values: the number of notes, and the largest distance."""

    num_notes: int
    largest: Fraction


def measures_of(score: ScoreTick) -> list[Measure]:
    """List a score's bars as they are printed.

    Raises:
        InputError: A time signature cuts a bar short where no note value ends.
    """
    bars, unit = bars_of(score), score.ticks_per_quarter
    measures = []
    for bar in bars:
        shown = bars[1] if bar.number == 0 and len(bars) > 1 else bar
        meter = TimeSignature(shown.numerator, shown.denominator)
        measure = Measure(bar.number, Fraction(bar.start_ticks, unit), Fraction(bar.length_ticks, unit), meter)
        if any((place * _MEASURE_GRID).denominator > 1 for place in (measure.start, measure.length)):
            raise InputError(
                f"A time signature cuts bar {bar.number} short where no note value ends, so it cannot be engraved. "
                "Correct the time signature."
            )
        measures.append(measure)
    return measures


def layers_of(
    track: TrackTick, ticks_per_quarter: int, measures: Sequence[Measure], is_given: GivenRule | None
) -> tuple[list[list[NoteGroup]], Displacement]:
    """Group a track's notes into chords, and the chords into layers; by default all notes are given."""
    exact = [(Fraction(n.time, ticks_per_quarter), Fraction(n.end, ticks_per_quarter)) for n in track.notes]
    given = [is_given is None or is_given(track.name, note) for note in track.notes]
    coarse: set[int] = set()
    while True:
        places = _printed_places(measures, exact, coarse)
        layers = _layered(track, exact, given, places)
        found = {index for layer in layers for index in _unwritable(measures, layer)} - coarse
        if not found:
            break
        coarse |= found
    moved = [abs(places[onset] - onset) for onset, _ in exact if places[onset] != onset]
    return layers, Displacement(len(moved), max(moved, default=Fraction(0)))


def _layered(
    track: TrackTick,
    exact: Sequence[tuple[Fraction, Fraction]],
    given: Sequence[bool],
    places: Mapping[Fraction, Fraction],
) -> list[list[NoteGroup]]:
    ends = _printed_ends(exact, places)
    grouped: dict[tuple[Fraction, Fraction], dict[int, bool]] = {}
    times: dict[Fraction, Fraction] = {}
    for note, (onset, end), is_given in zip(track.notes, exact, given, strict=True):
        grouped.setdefault((places[onset], ends[onset, end]), {})[note.pitch] = is_given
        times.setdefault(places[onset], onset)
    layers: list[list[NoteGroup]] = []
    for (onset, end), pitches in sorted(grouped.items(), key=lambda item: (item[0][0], -max(item[1]))):
        group = NoteGroup(onset, end, tuple(sorted(pitches.items())), times[onset])
        layer = next((layer for layer in layers if layer[-1].end <= onset), None)
        if layer is None:
            layers.append([group])
        else:
            layer.append(group)
    return layers


def _unwritable(measures: Sequence[Measure], layer: Layer) -> Iterator[int]:
    """Yield the measures in which a layer needs what notation lacks: such as a triplet note that ends on a 16th."""
    points: dict[int, set[Fraction]] = {}
    for group in layer:
        for point in (group.onset, group.end):
            index = _measure_at(measures, point)
            points.setdefault(index, set()).add(point - measures[index].start + measures[index].offset)
    for index, own in points.items():
        try:
            tuplets_of(measures[index].meter, own)
        except ValueError:
            yield index


def _measure_at(measures: Sequence[Measure], point: Fraction) -> int:
    return max(bisect.bisect_right(measures, point, key=lambda measure: measure.start) - 1, 0)


def _printed_places(
    measures: Sequence[Measure], notes: Iterable[tuple[Fraction, Fraction]], coarse: Collection[int]
) -> dict[Fraction, Fraction]:
    """Map each onset and end to where it is printed: unmoved if note values reach it; on 32nds in coarse measures."""
    inside: dict[int, list[Fraction]] = {}
    for point in sorted({point for note in notes for point in note}):
        inside.setdefault(_measure_at(measures, point), []).append(point)
    places: dict[Fraction, Fraction] = {}
    for index, own in inside.items():
        measure = measures[index]
        shift = measure.offset - measure.start
        if index in coarse:
            printed = {point: round((point + shift) / _SHORTEST) * _SHORTEST - shift for point in own}
        else:
            found = snapped(measure.meter, [point + shift for point in own])
            printed = {point: found[point + shift] - shift for point in own}
        places |= {
            point: min(place, measure.end) if point <= measure.end else place for point, place in printed.items()
        }
    return places


def _printed_ends(
    notes: Sequence[tuple[Fraction, Fraction]], places: Mapping[Fraction, Fraction]
) -> dict[tuple[Fraction, Fraction], Fraction]:
    """Map each note to its printed end; an end that was moved is extended to the next onset if that is near."""
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
