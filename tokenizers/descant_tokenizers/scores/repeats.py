"""Repeats, endings and jumps: a score as written with its signs, and the order in which it is played.

This knows nothing about file formats: a reader gives the score as written with its measures and signs (`Notation`).

Units: quarter notes, as exact fractions; ticks where a name says so.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.jumps import sorted_signs
from descant_tokenizers.scores.marks import Marks, RepeatSign, SignKind
from descant_tokenizers.scores.measures import Measure, end_of

_MAX_SPANS = 5_000
_STEPS_PER_SPAN = 100  # signs that are passed
_MAX_JUMPS = 32
_CLOSING = ("end", "double", "fine", "da capo", "dal segno", "to coda")  # signs that belong to the music before them


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


def play_order(signs: Sequence[RepeatSign], end: Fraction, part_order: Sequence[str] = "") -> list[Span]:
    """Return the stretches of a score in the order in which they are played; adjacent ones are joined.

    - A section without a start begins at the latest end of a section or double bar line, else at the beginning.
    - Of several endings, each pass plays its own. An ending whose section is not closed by a repeat sign counts as
      closed where the ending of the next pass begins.
    - After a da capo or dal segno, repeats are not taken, and the last ending is played. Each jump is taken once, and
      32 jumps at most. A dal segno goes back to the latest segno, or to that with its label, and so on to a coda.
    - Music behind a da capo or dal segno goes on after the fine, unless a coda stands there.
    - Each movement is played with its own repeats and jumps.
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
        return _joined(_movements(signs, end))
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


def repeats_of(spans: Sequence[Span]) -> Iterator[RepeatSign]:
    """Yield repeat signs for the places at which an order of stretches goes back; they do not say every order."""
    back = ((before.end, after.start) for before, after in itertools.pairwise(spans) if after.start < before.end)
    for (end, start), count in Counter(back).items():
        yield RepeatSign(end, "end", (count + 1,))
        if start:
            yield RepeatSign(start, "start")


def with_starts(notation: Notation) -> Notation:
    """Return a score with start signs where its repeats begin without one, if sheet music needs them.

    It does where a section begins at a double bar line, see `printed`.
    """
    signs = list(notation.signs)
    if notation.part_order or not any(sign.kind == "double" for sign in signs):
        return notation
    end = end_of(notation.measures)
    spans = play_order(signs, end)
    if play_order(printed(signs, end), end) == spans:
        return notation
    places = {sign.time for sign in signs if sign.kind == "start"}
    starts = [sign for sign in repeats_of(spans) if sign.kind == "start" and sign.time not in places]
    replaced = {sign.time for sign in starts}
    kept = (sign for sign in signs if sign.kind != "double" or sign.time not in replaced)
    found = sorted_signs([*kept, *starts])
    is_same = play_order(found, end) == play_order(printed(found, end), end) == spans
    return replace(notation, signs=found) if is_same else notation


def printed(signs: Iterable[RepeatSign], end: Fraction) -> list[RepeatSign]:
    """Return what sheet music says of signs: one of a kind at each place, no label, and no section after a double bar.

    Args:
        signs: The signs.
        end: End of the score.
    """
    kept = {
        (sign.time, sign.kind): replace(sign, label="")
        for sign in signs
        if sign.kind not in ("double", "part") and (sign.time > 0 if sign.kind in _CLOSING else sign.time < end)
    }
    return sorted_signs(kept.values())


def _movements(signs: Sequence[RepeatSign], end: Fraction) -> Iterator[Span]:
    """Yield the stretches of each movement."""
    bounds = [Fraction(0), *(sign.time for sign in signs if sign.kind == "movement"), end]
    num_spans = 0
    for start, stop in itertools.pairwise(bounds):
        own = _within(signs, start, stop) if len(bounds) > 2 else signs
        played = _Walk(own, start, stop).spans()
        num_spans += len(played)
        _check_spans(num_spans)
        yield from played


def _within(signs: Sequence[RepeatSign], start: Fraction, stop: Fraction) -> list[RepeatSign]:
    """Return the signs of a part; at its bounds, those that belong to the music inside it."""
    first = bisect.bisect_left(signs, start, key=lambda sign: sign.time)
    last = bisect.bisect_right(signs, stop, key=lambda sign: sign.time)
    return [
        sign
        for sign in signs[first:last]
        if (start < sign.time < stop)
        or (sign.time == stop and sign.kind in _CLOSING and stop > start)
        or (sign.time == start and sign.kind not in _CLOSING)
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
        self._signs, self._end = signs, end
        self._last_pass = _last_passes(signs)
        self._played: list[Span] = []
        self._cursor = begin
        self._is_playing = True
        self._origin = self._section = (0, begin)  # index of the first sign inside it, and its onset
        self._pass = 1
        self._is_explicit = False  # the section has a start sign
        self._in_ending = False
        self._jumps: set[int] = set()
        self._latest_jump: int | None = None  # until a fine
        self._targets: dict[tuple[SignKind, str], list[int]] = defaultdict(list)  # of jumps: by kind, and by label too
        for index, sign in enumerate(signs):
            if sign.kind in ("segno", "coda"):
                for label in {"", sign.label}:
                    self._targets[sign.kind, label].append(index)

    def spans(self) -> list[Span]:
        """Walk to the end; return the stretches in the order in which they are played."""
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
        if self._pass == 1 and _has_start(self._signs, index):
            self._play_from(sign.time)
            return index + 1
        last = self._last_pass[index]
        number = self._pass if self._latest_jump is None else last
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
        if self._is_playing and self._latest_jump is None and sign.time > self._section[1] and self._pass < last:
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
        if sign.kind == "fine" and self._latest_jump is not None:
            self._pause(sign.time)
            return self._go_on(max(index, self._latest_jump))
        target: tuple[int, Fraction] | None = None
        if sign.kind == "to coda" and self._latest_jump is not None:
            target = self._target(index, "coda")
        elif sign.kind in ("da capo", "dal segno") and index not in self._jumps and len(self._jumps) < _MAX_JUMPS:
            self._jumps.add(index)
            self._latest_jump = index
            segno = self._target(index, "segno") if sign.kind == "dal segno" else None
            target = segno or self._origin
        if target is None:
            return index + 1
        self._pause(sign.time)
        self._begin_section(target[0] - 1, target[1])
        return target[0]

    def _target(self, index: int, kind: SignKind) -> tuple[int, Fraction] | None:
        """Return where a jump goes: the index after its sign, and its time; None if there is none.

        It is the latest segno before the jump, else the first one; the next coda behind it. Of labeled ones, only those
        with the label of the jump count.
        """
        places = self._targets.get((kind, self._signs[index].label)) or self._targets.get((kind, ""), [])
        place = bisect.bisect(places, index)
        if kind == "segno":
            place = max(place - 1, 0)
        if place >= len(places):
            return None
        return places[place] + 1, self._signs[places[place]].time

    def _go_on(self, index: int) -> int | None:
        """Go on behind a fine and the jump to it; return the next sign, None if there is no more music."""
        time = self._signs[index].time
        if time >= self._end or any(sign.kind == "coda" for sign in self._signs[index:]):
            return None
        self._latest_jump = None
        self._begin_section(index, time)
        self._origin = self._section
        return index + 1

    def _pause(self, time: Fraction) -> None:
        if self._is_playing and time > self._cursor:
            self._played.append(Span(self._cursor, time))
        self._is_playing = False

    def _play_from(self, time: Fraction) -> None:
        if not self._is_playing:
            self._cursor, self._is_playing = time, True


def _is_before_ending(signs: Sequence[RepeatSign], index: int) -> bool:
    """Return True if an ending of the section before begins where a sign stands."""
    for place in range(index + 1, min(index + 8, len(signs))):  # fewer kinds of signs stand between them
        sign = signs[place]
        if sign.time != signs[index].time:
            return False
        if sign.kind == "ending":
            return signs[place - 1].kind != "start" or _has_start(signs, place)
    return False


def _has_start(signs: Sequence[RepeatSign], index: int) -> bool:
    """Return True if a second ending begins together with the next section, which repeats it."""
    sign, before = signs[index], signs[index - 1]
    return index > 0 and before.kind == "start" and before.time == sign.time and 1 not in sign.passes


def _last_passes(signs: Sequence[RepeatSign]) -> list[int]:
    """Return, for each sign, the highest pass of the endings around it."""
    last = [1] * len(signs)
    group: list[int] = []
    for index, sign in enumerate(signs):
        group.append(index)
        closes = sign.kind in ("end", "double") and not _is_before_ending(signs, index)
        closes = closes or (sign.kind == "start" and not _has_start(signs, min(index + 1, len(signs) - 1)))
        if closes or index + 1 == len(signs):
            highest = max((max(signs[i].passes, default=1) for i in group if signs[i].kind == "ending"), default=1)
            for i in group:
                last[i] = highest
            group = []
    return last
