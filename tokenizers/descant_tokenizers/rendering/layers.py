"""A score's tracks as notation needs them: chords in layers, at times that note values reach, and voices on staves.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering import Layout
from descant_tokenizers.rendering.rhythm import TimeSignature, meant, snapped, tuplets_of
from descant_tokenizers.scores import VOICES, bars_of, last_note_end
from descant_tokenizers.scores.ensembles import ENSEMBLES
from descant_tokenizers.scores.marks import Marks
from descant_tokenizers.scores.measures import Measure, end_of
from descant_tokenizers.scores.voices import line_of

GivenRule = Callable[[str, NoteTick], bool]
"""Takes a track's name and one of its notes; returns True if the note was given, False if it was added."""

_CLOSED_GAP = Fraction(1, 4)  # a rest shorter than a 16th is not intended
_SHORTEST = Fraction(1, 8)
_COARSEST = 2
_ZERO = Fraction(0)
_CUTTING = ("start", "end", "ending", "da capo", "dal segno", "to coda", "fine", "segno", "coda", "movement")
_MEASURE_GRID = 16  # parts of a quarter at which measures may begin


@dataclass(frozen=True)
class PrintedMeasure:
    """A bar as printed; a pickup has the time signature of the bar after it.

    Attributes:
        number: Number of the bar, 0 for a pickup.
        start: Its onset.
        length: Its length.
        meter: Its time signature.
        offset: Its onset inside a full bar: a pickup is the end of one.
        is_continued: It is the rest of a bar in which a repeat sign stands.
    """

    number: int
    start: Fraction
    length: Fraction
    meter: TimeSignature
    offset: Fraction = Fraction(0)
    is_continued: bool = False

    @property
    def end(self) -> Fraction:
        """End of the measure."""
        return self.start + self.length


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


class Notated(NamedTuple):
    """A score in notation.

    Attributes:
        text: The text of a MusicXML file.
        moved: Notes that were moved to times that note values reach.
        num_slurs: Slurs between parts or notes of one chord, which MusicXML does not have; they are left out.
    """

    text: str
    moved: Displacement
    num_slurs: int = 0


@dataclass(frozen=True)
class Voice:
    """A track in notation.

    Attributes:
        name: Its name.
        layers: Its layers; a silent track has none.
        part: Index of its part in the marks, if it is one.
        program: Its General MIDI program.
    """

    name: str
    layers: Sequence[Layer]
    part: int | None = None
    program: int = 0


Staff = Sequence[Voice]


def measures_of(score: ScoreTick, marks: Marks, *, is_folded: bool = False) -> list[PrintedMeasure]:
    """List a score's bars as they are printed.

    The last one is as short as the pickup asks for. With repeat signs, it ends as in the file, if all of its notes are
    there, and a sign in the middle of a bar ends a measure.

    Args:
        score: The score.
        marks: Its marks.
        is_folded: It is all that is played of its file.

    Raises:
        InputError: A time signature cuts a bar short where no note value ends.
    """
    unit = score.ticks_per_quarter
    heard = Fraction(last_note_end(score), unit)
    end = end_of(marks.measures)
    is_whole = end >= heard and (is_folded or all(onset < heard for notes in marks.notes for onset, _ in notes))
    end = end if is_whole else heard
    bars = bars_of(score, round(end * unit))
    measures: list[PrintedMeasure] = []
    for bar in bars:
        shown = bars[1] if bar.number == 0 and len(bars) > 1 else bar
        meter = TimeSignature(shown.numerator, shown.denominator)
        start, length = Fraction(bar.start_ticks, unit), Fraction(bar.length_ticks, unit)
        measure = PrintedMeasure(bar.number, start, length, meter, meter.length - length if bar.number == 0 else _ZERO)
        if any((place * _MEASURE_GRID).denominator > 1 for place in (measure.start, measure.length)):
            raise InputError(
                f"A time signature cuts bar {bar.number} short where no note value ends, so it cannot be engraved. "
                "Correct the time signature."
            )
        measures.append(measure)
    if len(measures) > 1 and measures[0].offset > 0 and not is_whole:
        measures[-1] = _paid_back(measures[-1], measures[0].length, heard)
    cuts = {sign.time for sign in marks.repeats if sign.kind in _CUTTING}
    cuts |= {end} if is_whole else set()
    measures = _as_stated(measures, marks.measures, cuts)
    for cut in sorted(cuts):
        _split(measures, cut)
    if len(measures) > 1 and measures[-1].start >= end:
        measures.pop()  # the rest of the last bar
    return _numbered(measures, {sign.time for sign in marks.repeats if sign.kind == "movement"})


def _as_stated(
    measures: Iterable[PrintedMeasure], written: Iterable[Measure], cuts: Set[Fraction]
) -> list[PrintedMeasure]:
    """Print short measures beside repeat signs under the time signature of the file, not under one of their own."""
    stated = {own.onset: TimeSignature(own.numerator, own.denominator) for own in written}
    printed: list[PrintedMeasure] = []
    for own in measures:
        meter = stated.get(own.start, own.meter)
        if own.length >= meter.length or cuts.isdisjoint((own.start, own.end)) or own.offset:
            meter = own.meter
        is_end = meter != own.meter and own.end not in cuts
        printed.append(replace(own, meter=meter, offset=meter.length - own.length if is_end else own.offset))
    return printed


def _numbered(measures: Iterable[PrintedMeasure], starts: Collection[Fraction]) -> list[PrintedMeasure]:
    """Number the measures of each movement from 1, or from 0 if it begins with a pickup."""
    numbered: list[PrintedMeasure] = []
    before = 0
    for own in measures:
        if own.start in starts:
            before = own.number - (own.length == own.meter.length)
        numbered.append(replace(own, number=own.number - before))
    return numbered


def _paid_back(last: PrintedMeasure, pickup: Fraction, end: Fraction) -> PrintedMeasure:
    """Shorten the last bar by the length of the pickup, if the music ends before."""
    length = last.meter.length - pickup
    is_full = last.length == last.meter.length
    return replace(last, length=length) if is_full and end - last.start <= length else last


def _split(measures: list[PrintedMeasure], cut: Fraction) -> None:
    """Divide a measure in which a repeat sign stands."""
    index = measure_at(measures, cut)
    whole = measures[index]
    if whole.start < cut < whole.end and ((cut - whole.start) * _MEASURE_GRID).denominator == 1:
        done = cut - whole.start
        rest = replace(whole, start=cut, length=whole.length - done, offset=whole.offset + done, is_continued=True)
        measures[index : index + 1] = [replace(whole, length=done), rest]


def measure_at(measures: Sequence[PrintedMeasure], point: Fraction) -> int:
    """Return the index of the measure in which a point lies; one after the end is in the last measure."""
    return max(bisect.bisect_right(measures, point, key=lambda measure: measure.start) - 1, 0)


def layers_of(
    track: TrackTick,
    ticks_per_quarter: int,
    measures: Sequence[PrintedMeasure],
    is_given: GivenRule | None,
    *,
    is_notated: bool = False,
) -> tuple[list[list[NoteGroup]], Displacement]:
    """Group a track's notes into chords, and the chords into layers.

    Args:
        track: The track.
        ticks_per_quarter: Resolution of the score.
        measures: Its measures.
        is_given: Tells given notes; by default all are.
        is_notated: The notes come from a notation file. In others, notes of a line that are played legato end where the
            next one begins (see `line_of`).
    """
    line = None if is_notated else line_of(track, ticks_per_quarter)
    ends = {(n.time, n.pitch): n.end for n in line.track.notes} if line is not None else {}
    exact = [
        (Fraction(n.time, ticks_per_quarter), Fraction(ends.get((n.time, n.pitch), n.end), ticks_per_quarter))
        for n in track.notes
    ]
    if is_notated:
        exact = [(meant(onset, ticks_per_quarter), meant(end, ticks_per_quarter)) for onset, end in exact]
    given = [is_given is None or is_given(track.name, note) for note in track.notes]
    steps = [0 if is_notated else 1] * len(measures)  # towards a coarser grid
    while True:
        places = _printed_places(measures, exact, steps)
        layers = _layered(track, ticks_per_quarter, exact, given, places)
        found = {index for layer in layers for index in _unwritable(measures, layer) if steps[index] < _COARSEST}
        if not found:
            break
        for index in found:
            steps[index] += 1
    moved = [abs(places[onset] - onset) for onset, _ in exact if places[onset] != onset]
    return layers, Displacement(len(moved), max(moved, default=Fraction(0)))


def _layered(
    track: TrackTick,
    ticks_per_quarter: int,
    exact: Sequence[tuple[Fraction, Fraction]],
    given: Sequence[bool],
    places: Mapping[Fraction, Fraction],
) -> list[list[NoteGroup]]:
    ends = _printed_ends(exact, places)
    grouped: dict[tuple[Fraction, Fraction], dict[int, bool]] = {}
    times: dict[Fraction, Fraction] = {}
    for note, (onset, end), is_given in zip(track.notes, exact, given, strict=True):
        grouped.setdefault((places[onset], ends[onset, end]), {})[note.pitch] = is_given
        times.setdefault(places[onset], Fraction(note.time, ticks_per_quarter))
    layers: list[list[NoteGroup]] = []
    for (onset, end), pitches in sorted(grouped.items(), key=lambda item: (item[0][0], -max(item[1]))):
        group = NoteGroup(onset, end, tuple(sorted(pitches.items())), times[onset])
        layer = next((layer for layer in layers if layer[-1].end <= onset), None)
        if layer is None:
            layers.append([group])
        else:
            layer.append(group)
    return layers


def _unwritable(measures: Sequence[PrintedMeasure], layer: Layer) -> Iterator[int]:
    """Yield the measures in which notation cannot express a layer, such as a triplet note that ends on a 16th."""
    points: dict[int, set[Fraction]] = {}
    for group in layer:
        for point in (group.onset, group.end):
            index = measure_at(measures, point)
            points.setdefault(index, set()).add(point - measures[index].start + measures[index].offset)
    for index, own in points.items():
        try:
            measure = measures[index]
            tuplets_of(measure.meter, own | {measure.offset}, measure.offset + measure.length)
        except ValueError:
            yield index


def _printed_places(
    measures: Sequence[PrintedMeasure], notes: Iterable[tuple[Fraction, Fraction]], steps: Sequence[int]
) -> dict[Fraction, Fraction]:
    """Map each onset and end to its printed place.

    None moves in measures of step 0, whose layers may have different tuplets; at step 1, those move that note values do
    not reach beside the others; then all are on 32nds.
    """
    inside: dict[int, list[Fraction]] = {}
    for point in sorted({point for note in notes for point in note}):
        inside.setdefault(measure_at(measures, point), []).append(point)
    places: dict[Fraction, Fraction] = {}
    for index, own in inside.items():
        measure = measures[index]
        shift = measure.offset - measure.start
        if not steps[index]:
            printed = {point: point for point in own}
        elif steps[index] == _COARSEST:
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


def engraved_tracks(score: ScoreTick) -> list[TrackTick]:
    """Return the pitched tracks that have notes, and silent ones of four voices."""
    pitched = [track for track in score.tracks if not track.is_drum]
    kept = VOICES if {track.name for track in pitched} >= set(VOICES) else ()
    return [track for track in pitched if track.notes or track.name in kept]


def staves_of(voices: Sequence[Voice], layout: Layout | None, marks: Marks) -> list[Staff]:
    """Distribute the voices among staves.

    By default four voices have two staves, unless a voice has overlapping notes or a lower voice of a staff has lyrics.

    Raises:
        InputError: A closed score is requested, and these are not four voices.
    """
    open_score: list[Staff] = [[voice] for voice in voices]
    if sorted(voice.name for voice in voices) != sorted(VOICES):
        if layout == "closed":
            raise InputError(f"A closed score holds {', '.join(VOICES)}. Choose an open one.")
        return open_score
    soprano, alto, tenor, bass = sorted(voices, key=lambda voice: VOICES.index(voice.name))
    is_simple = all(len(voice.layers) <= 1 for voice in voices)
    # Two lines of lyrics do not fit below a staff.
    has_low_lyrics = any(_has_lyrics(voice, marks) for voice in (alto, bass))
    is_closed = is_simple and not has_low_lyrics if layout is None else layout == "closed"
    return [[soprano, alto], [tenor, bass]] if is_closed else open_score


def braced(staves: Sequence[Staff]) -> dict[int, str]:
    """Return who plays each pair of staves that one reads, such as the hands of a song, by the upper index."""
    names = ["" if len(staff) > 1 else staff[0].name for staff in staves]
    players = {ensemble.staves: ensemble.player for ensemble in ENSEMBLES.values() if ensemble.staves}
    return {index: players[pair] for index, pair in enumerate(pairwise(names)) if pair in players}


def groups_inside(layer: Layer, own: PrintedMeasure) -> Layer:
    """Return the groups of a layer that sound in a measure."""
    first = bisect.bisect_right(layer, own.start, key=lambda group: group.end)
    return layer[first : bisect.bisect_left(layer, own.end, key=lambda group: group.onset)]


def height_of(layer: Layer) -> Fraction:
    """Return the mean pitch of a layer."""
    pitches = [pitch for group in layer for pitch, _ in group.pitches]
    return Fraction(sum(pitches), len(pitches))


def is_covered(start: Fraction, end: Fraction, layers: Iterable[Layer]) -> bool:
    """Return True if some layers sound from a time to another without a break."""
    for group in sorted((group for layer in layers for group in layer), key=lambda group: group.onset):
        if group.onset > start:
            break
        start = max(start, group.end)
    return start >= end


def staves_of_one(staves: Sequence[Staff], marks: Marks) -> set[int]:
    """Return the index of the upper one of each pair of staves that are one part of the file."""
    parts = [staff[0].part if len(staff) == 1 else None for staff in staves]
    names = [staff[0].name for staff in staves]
    return {
        index for index, pair in enumerate(pairwise(parts)) if pair in marks.pairs and names[index] == names[index + 1]
    }


def _has_lyrics(voice: Voice, marks: Marks) -> bool:
    if voice.part is None:
        return False
    notes = ((group.time, pitch) for layer in voice.layers for group in layer for pitch, _ in group.pitches)
    return any((voice.part, *note) in marks.lyrics for note in notes)
