"""Repeats, endings and jumps: the order in which music is played, and a score written out in that order.

This knows nothing about file formats: a reader gives the score as written with its measures and signs (`Notation`).

Units: quarter notes, as exact fractions; ticks where a name says so.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import numpy as np
from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.marks import Marks, PartPlace, RepeatSign
from descant_tokenizers.scores.measures import Measure, end_of, signature_changes
from descant_tokenizers.scores.validation import Limits

_MAX_SPANS = 5_000
_STEPS_PER_SPAN = 100  # signs that are passed
_MAX_ITEMS = 200_000  # notes or marks of a kind, written out
_MAX_JUMPS = 32
_MAX_BYTE = 255  # symusic keeps each part of a time signature in a byte

_T = TypeVar("_T")


class Span(NamedTuple):
    """A stretch of music as written."""

    start: Fraction
    end: Fraction


@dataclass(frozen=True)
class Notation:
    """A score as a notation file writes it, before its repeats are unfolded and its bars are settled.

    Attributes:
        score: Tracks, key signatures and tempos; no time signatures.
        measures: Measures of all parts, as engraved.
        signs: Repeat signs in order of time; of those at one time, the ends come first.
        marks: Its marks, without the signs.
        fermatas_ticks: Onsets of notes under a fermata, ascending.
        part_order: Letters of the parts in the order in which they are played; empty for the order as written.
    """

    score: ScoreTick
    measures: Sequence[Measure]
    signs: Sequence[RepeatSign] = ()
    marks: Marks = field(default_factory=Marks)
    fermatas_ticks: tuple[int, ...] = ()
    part_order: Sequence[str] = ""


def with_bars(notation: Notation, limits: Limits, *, unfold: bool) -> Notation:
    """Settle the bars of a score, as written or with its repeats unfolded; its marks keep the signs only as written.

    Raises:
        InputError: A time signature is impossible, or, unfolded, the score exceeds the limits.
    """
    marks = dataclasses.replace(notation.marks, repeats=tuple(notation.signs))
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


def play_order(signs: Sequence[RepeatSign], end: Fraction, part_order: Sequence[str] = "") -> list[Span]:
    """Return the stretches of a score in the order in which they are played; adjacent ones are joined.

    - A section without a start begins at the latest end of a section or double bar line, else at the beginning.
    - Of several endings, each pass plays its own. An ending whose section is not closed by a repeat sign counts as
      closed where the ending of the next pass begins.
    - After a da capo or dal segno, repeats are not taken, and the last ending is played. Each jump is taken once, and
      32 jumps at most.
    - With `part_order`, each part is played with its own repeats whenever its letter comes up; what stands before the
      first part is played once, at the beginning.

    Args:
        signs: The signs in order of time.
        end: End of the score.
        part_order: Letters of parts.

    Raises:
        InputError: The order has more than 5,000 stretches.
    """
    starts = {sign.label: sign.time for sign in reversed(signs) if sign.kind == "part"}
    if not part_order or not starts:
        return _joined(_Walk(signs, Fraction(0), end).spans())
    bounds = sorted({*(sign.time for sign in signs if sign.kind == "part"), end})
    played = list(_Walk(_within(signs, Fraction(0), bounds[0]), Fraction(0), bounds[0]).spans())
    orders: dict[str, list[Span]] = {}
    for label in part_order:
        if label in starts and label not in orders:
            start = starts[label]
            stop = bounds[min(bisect.bisect_right(bounds, start), len(bounds) - 1)]
            orders[label] = list(_Walk(_within(signs, start, stop), start, stop).spans())
        played += orders.get(label, [])
        _check_spans(len(played))
    return _joined(played)


def _within(signs: Sequence[RepeatSign], start: Fraction, stop: Fraction) -> list[RepeatSign]:
    """Return the signs of a part; at its bounds, those that belong to the music inside it."""
    closing = ("end", "double", "fine", "da capo", "dal segno", "to coda")
    first = bisect.bisect_left(signs, start, key=lambda sign: sign.time)
    last = bisect.bisect_right(signs, stop, key=lambda sign: sign.time)
    return [
        sign
        for sign in signs[first:last]
        if (start < sign.time < stop)
        or (sign.time == stop and sign.kind in closing and stop > start)
        or (sign.time == start and sign.kind not in closing)
    ]


def _joined(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].end == span.start:
            joined[-1] = Span(joined[-1].start, span.end)
        elif span.end > span.start:
            joined.append(span)
    return joined


def _check_spans(num_spans: int) -> None:
    if num_spans > _MAX_SPANS:
        raise InputError(f"The file repeats music more than {_MAX_SPANS:,} times. Read it as written (--no-repeats).")


class _Walk:
    """A player's way through the signs of a score or part."""

    def __init__(self, signs: Sequence[RepeatSign], begin: Fraction, end: Fraction) -> None:
        self._signs, self._begin, self._end = signs, begin, end
        self._last_pass = _last_passes(signs)
        self._played: list[Span] = []
        self._cursor = begin
        self._is_playing = True
        self._section = (0, begin)  # index of the first sign inside it, and its onset
        self._pass = 1
        self._is_explicit = False  # the section has a start sign
        self._in_ending = False
        self._jumps: set[int] = set()
        self._places = {sign.kind: index for index, sign in reversed(list(enumerate(signs)))}  # the first of each kind

    def spans(self) -> list[Span]:
        index: int | None = 0
        num_steps = 0
        while index is not None and index < len(self._signs):
            index = self._next(index)
            num_steps += 1
            _check_spans(max(len(self._played), num_steps // _STEPS_PER_SPAN))
        if index is not None:
            self._pause(self._end)
        return self._played

    def _next(self, index: int) -> int | None:
        """Take a sign; return the index of the next one, None at the end of the music."""
        sign = self._signs[index]
        if sign.kind == "start":
            self._begin_section(index, sign.time)
            self._is_explicit = True
        elif sign.kind == "double":
            is_between = _is_before_ending(self._signs, index)
            if not is_between and (self._in_ending or not self._is_explicit):
                self._begin_section(index, sign.time)
        elif sign.kind == "ending":
            return self._take_ending(index)
        elif sign.kind == "end":
            return self._take_end(index)
        elif self._is_playing:
            return self._take_jump(index)
        return index + 1

    def _begin_section(self, index: int, time: Fraction) -> None:
        self._play_from(time)
        self._section, self._pass = (index + 1, time), 1
        self._is_explicit = self._in_ending = False

    def _take_ending(self, index: int) -> int:
        sign = self._signs[index]
        last = self._last_pass[index]
        number = last if self._jumps else self._pass
        if number in sign.passes:
            self._play_from(sign.time)
        elif self._in_ending and self._is_playing and number + 1 in sign.passes:
            return self._go_back(sign.time)
        else:
            self._pause(sign.time)
        self._in_ending = True
        return index + 1

    def _take_end(self, index: int) -> int:
        sign = self._signs[index]
        is_more = _is_before_ending(self._signs, index)
        last = max(2, self._last_pass[index]) if self._in_ending else max(sign.passes, default=2)
        if self._is_playing and not self._jumps and sign.time > self._section[1] and self._pass < last:
            return self._go_back(sign.time)
        if not is_more:
            self._begin_section(index, sign.time)
        return index + 1

    def _go_back(self, time: Fraction) -> int:
        self._pause(time)
        self._pass += 1
        self._in_ending = False
        self._play_from(self._section[1])
        return self._section[0]

    def _take_jump(self, index: int) -> int | None:
        """Take a fine, coda or jump while playing."""
        sign = self._signs[index]
        if sign.kind == "fine" and self._jumps:
            self._pause(sign.time)
            return None
        target: int | None = None
        if sign.kind == "to coda" and self._jumps:
            target = self._places.get("coda")
        elif sign.kind in ("da capo", "dal segno") and index not in self._jumps and len(self._jumps) < _MAX_JUMPS:
            self._jumps.add(index)
            target = self._places.get("segno", -1) if sign.kind == "dal segno" else -1
        if target is None:
            return index + 1
        time = self._begin if target < 0 else self._signs[target].time
        self._pause(sign.time)
        self._begin_section(target, time)
        return target + 1

    def _pause(self, time: Fraction) -> None:
        if self._is_playing and time > self._cursor:
            self._played.append(Span(self._cursor, time))
        self._is_playing = False

    def _play_from(self, time: Fraction) -> None:
        if not self._is_playing:
            self._cursor, self._is_playing = time, True


def _is_before_ending(signs: Sequence[RepeatSign], index: int) -> bool:
    """Return True if an ending begins where a sign stands."""
    for sign in signs[index + 1 : index + 8]:  # fewer kinds of signs stand between them
        if sign.time != signs[index].time or sign.kind == "start":
            return False
        if sign.kind == "ending":
            return True
    return False


def _last_passes(signs: Sequence[RepeatSign]) -> list[int]:
    """Return, for each sign, the highest pass of the endings around it."""
    last = [1] * len(signs)
    group: list[int] = []
    for index, sign in enumerate(signs):
        group.append(index)
        closes = sign.kind in ("end", "double") and not _is_before_ending(signs, index)
        if closes or sign.kind == "start" or index + 1 == len(signs):
            highest = max((max(signs[i].passes, default=1) for i in group if signs[i].kind == "ending"), default=1)
            for i in group:
                last[i] = highest
            group = []
    return last


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
        ((first[0], moved(copy, first[1]), first[2]), (last[0], moved(copy, last[1]), last[2]))
        for copy, (first, last) in copied(marks.slurs, lambda slur: slur[0][1])
        if _ticks(last[1], score) < copy.end
    )
    grace_slurs = tuple(
        ((first[0], moved(copy, first[1]), *first[2:]), (last[0], moved(copy, last[1]), last[2]))
        for copy, (first, last) in copied(marks.grace_slurs, lambda slur: slur[0][1])
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
        grace_slurs=grace_slurs,
        symbols=moved_notes(marks.symbols),
        hairpins=hairpins,
        words=words,
        chords=chords,
        repeats=(),
    )
