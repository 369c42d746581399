"""A score written out in the order in which it is played: notes, bars, signatures, tempos and marks.

Units: quarter notes, as exact fractions; ticks where a name says so.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import numpy as np
from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.marks import Marks, PartPlace
from descant_tokenizers.scores.measures import Measure, end_of, signature_changes
from descant_tokenizers.scores.repeats import Notation, Span, play_order
from descant_tokenizers.scores.validation import Limits

_MAX_ITEMS = 200_000  # notes or marks of a kind, written out
_MAX_BYTE = 255  # symusic keeps each part of a time signature in a byte

_T = TypeVar("_T")


def with_bars(notation: Notation, limits: Limits, *, unfold: bool) -> Notation:
    """Settle the bars of a score, as written or with its repeats unfolded; its marks keep the signs only as written.

    Raises:
        InputError: A time signature is impossible, or, unfolded, the score exceeds the limits.
    """
    measures = tuple(notation.measures) if notation.signs else ()
    marks = dataclasses.replace(notation.marks, repeats=tuple(notation.signs), measures=measures)
    result = dataclasses.replace(notation, marks=marks)
    if unfold and (notation.signs or notation.part_order):
        end = end_of(notation.measures)
        spans = play_order(notation.signs, end, notation.part_order)
        result = notation if spans == [Span(Fraction(0), end)] else unfolded(notation, spans, limits)
    for change in signature_changes(result.measures):
        if not (0 < change.numerator <= _MAX_BYTE and 0 < change.denominator <= _MAX_BYTE):
            found = f"{change.numerator}/{change.denominator}"
            raise InputError(f"The file has the time signature {found}. Correct it and export the file again.")
        time = _ticks(change.onset, result.score)
        result.score.time_signatures.append(TimeSignatureTick(time, change.numerator, change.denominator))
    return result


class _Copy(NamedTuple):
    """A stretch of the written score, in ticks, and how far it moves."""

    start: int
    end: int
    shift: int


def unfolded(notation: Notation, spans: Sequence[Span], limits: Limits) -> Notation:
    """Write out a score in the order of `spans`. A note that is held into a stretch from elsewhere is struck again.

    Raises:
        InputError: The result exceeds the limits.
    """
    score = notation.score
    copies: list[_Copy] = []
    time = 0
    for span in spans:
        start, end = _ticks(span.start, score), _ticks(span.end, score)
        copies.append(_Copy(start, end, time - start))
        time += end - start
    most = 2 * limits.max_bars
    measures = list(itertools.islice(_unfolded_measures(notation.measures, spans), min(most, 2**60) + 1))
    if len(measures) > most:
        raise InputError(
            f"The file has over {most:,} bars when its repeats are played. Read it as written (--no-repeats)."
        )
    result = ScoreTick(score.ticks_per_quarter)
    num_notes = 0
    for track in score.tracks:
        result.tracks.append(_unfolded_track(track, copies))
        num_notes += len(result.tracks[-1].notes)
        if num_notes > limits.max_notes:
            raise InputError(
                f"The file has over {limits.max_notes:,} notes when its repeats are played. Read it as written "
                "(--no-repeats)."
            )
    for key in _in_force(score.key_signatures, copies):
        result.key_signatures.append(KeySignatureTick(key.time, key.key, key.tonality))
    for tempo in _in_force(score.tempos, copies):
        result.tempos.append(TempoTick(tempo.time, mspq=tempo.mspq))
    fermatas = sorted({tick + copy.shift for copy, tick in _each(notation.fermatas_ticks, copies, lambda tick: tick)})
    return Notation(result, measures, (), _unfolded_marks(notation.marks, copies, score), tuple(fermatas))


def _check_items(num_items: int) -> None:
    if num_items > _MAX_ITEMS:
        raise InputError(
            f"The file has over {_MAX_ITEMS:,} notes or marks when its repeats are played. Read it as written "
            "(--no-repeats)."
        )


def _ticks(quarters: Fraction, score: ScoreTick) -> int:
    return round(quarters * score.ticks_per_quarter)


def _unfolded_measures(measures: Sequence[Measure], spans: Sequence[Span]) -> Iterator[Measure]:
    ends = [measure.onset + measure.length for measure in measures]
    time = Fraction(0)
    for span in spans:
        for index in range(bisect.bisect_right(ends, span.start), len(measures)):
            measure = measures[index]
            if measure.onset >= span.end:
                break
            length = min(ends[index], span.end) - max(measure.onset, span.start)
            yield Measure(time, length, measure.numerator, measure.denominator)
            time += length


def _unfolded_track(track: TrackTick, copies: Sequence[_Copy]) -> TrackTick:
    result = TrackTick(track.name, track.program, track.is_drum)
    notes = sorted(track.notes, key=lambda note: (note.time, note.pitch))
    times_N = np.array([note.time for note in notes], dtype=np.int64)
    ends_N = np.array([note.end for note in notes], dtype=np.int64)
    before: int | None = None
    for start, end, shift in copies:
        first, last = np.searchsorted(times_N, (start, end))
        held = () if before == start else np.flatnonzero(ends_N[:first] > start)
        _check_items(len(result.notes) + len(held) + last - first)
        for index in (*held, *range(first, last)):
            note = notes[index]
            begin = max(note.time, start)
            result.notes.append(NoteTick(begin + shift, min(note.end, end) - begin, note.pitch, note.velocity))
        before = end
    return result


def _each(items: Iterable[_T], copies: Sequence[_Copy], time_of: Callable[[_T], int]) -> Iterator[tuple[_Copy, _T]]:
    """Yield the items that begin in each copy."""
    ordered = sorted(items, key=time_of)
    times = [time_of(item) for item in ordered]
    num_items = 0
    for copy in copies:
        first, last = bisect.bisect_left(times, copy.start), bisect.bisect_left(times, copy.end)
        num_items += last - first
        _check_items(num_items)
        for item in ordered[first:last]:
            yield copy, item


def _in_force(events: Iterable[Any], copies: Sequence[_Copy]) -> Iterator[Any]:
    """Yield the events in their new places; a stretch begins with the event that is in force there as written."""
    ordered = sorted(events, key=lambda event: event.time)
    times = [event.time for event in ordered]
    before = None
    num_items = 0
    for start, end, shift in copies:
        first, last = max(bisect.bisect_right(times, start) - 1, 0), bisect.bisect_left(times, end)
        num_items += max(0, last - first)
        _check_items(num_items)
        for event in ordered[first:last]:
            moved = event.copy()
            moved.time = max(event.time, start) + shift
            values = [getattr(event, name, None) for name in ("key", "tonality", "mspq")]
            if values != before:
                yield moved
            before = values


def _unfolded_marks(marks: Marks, copies: Sequence[_Copy], score: ScoreTick) -> Marks:
    def moved(copy: _Copy, time: Fraction) -> Fraction:
        return time + Fraction(copy.shift, score.ticks_per_quarter)

    def copied(items: Iterable[_T], time_of: Callable[[_T], Fraction]) -> Iterator[tuple[_Copy, _T]]:
        return _each(items, copies, lambda item: _ticks(time_of(item), score))

    def moved_notes(items: Mapping[PartPlace, _T]) -> dict[PartPlace, _T]:
        return {
            (part, moved(copy, onset), pitch): value
            for copy, ((part, onset, pitch), value) in copied(items.items(), lambda item: item[0][1])
        }

    fermatas = {
        (moved(copy, onset), pitch): moved(copy, end)
        for copy, ((onset, pitch), end) in copied(marks.fermatas.items(), lambda item: item[0][0])
    }
    slurs = tuple(
        ((first[0], moved(copy, first[1]), *first[2:]), (last[0], moved(copy, last[1]), *last[2:]))
        for copy, (first, last) in copied(marks.slurs, lambda slur: slur[0][1])
        if _ticks(last[1], score) < copy.end
    )
    hairpins = tuple(
        dataclasses.replace(each, onset=moved(copy, each.onset), end=moved(copy, each.end))
        for copy, each in copied(marks.hairpins, lambda each: each.onset)
        if _ticks(each.end, score) <= copy.end
    )
    words, chords = (
        tuple(
            dataclasses.replace(each, onset=moved(copy, each.onset))
            for copy, each in copied(own, lambda each: each.onset)
        )
        for own in (marks.words, marks.chords)
    )
    return dataclasses.replace(
        marks,
        lyrics=moved_notes(marks.lyrics),
        graces=moved_notes(marks.graces),
        spellings=moved_notes(marks.spellings),
        fermatas=fermatas,
        slurs=slurs,
        symbols=moved_notes(marks.symbols),
        hairpins=hairpins,
        words=words,
        chords=chords,
        repeats=(),
    )
