"""Chord symbols of a file, as a request states chords: what a lead sheet tells of its accompaniment.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from symusic.core import ScoreTick

from descant_modeling.generation.base import Request
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Bar, ReadResult, bars_of
from descant_tokenizers.scores.chords import NO_CHORD_SYMBOL
from descant_tokenizers.scores.marks import Words
from descant_tokenizers.tokens.harmony import beat_units, parse_chord_name

_MAX_LISTED = 3


def with_written_chords(request: Request, music: ReadResult) -> tuple[Request, tuple[str, ...]]:
    """Return a request to harmonize with the chord symbols of its file, and remarks about them.

    A request that states chords stays as it is; so does one for a file without symbols.
    """
    form = music.form
    symbols = music.marks.chords if form is None else form.written.marks.chords
    if request.chords or request.task != "harmonize" or not symbols:
        return request, ()
    unknown = list(dict.fromkeys(symbol.text for symbol in symbols if not _is_known(symbol.text)))
    score = music.score if form is None else form.fold(music.score).score
    request = replace(request, chords=tuple(" ".join(own) for own in _symbols_of_bars(score, symbols)))
    if not unknown:
        return request, ("over the chord symbols of the file",)
    listed = ", ".join(unknown[:_MAX_LISTED]) + (", ..." if len(unknown) > _MAX_LISTED else "")
    return request, (f"over the chord symbols of the file; free where they are {listed}",)


def _is_known(symbol: str) -> bool:
    try:
        parse_chord_name(symbol)
    except InputError:
        return False
    return True


def _symbols_of_bars(score: ScoreTick, symbols: Sequence[Words]) -> Iterator[list[str]]:
    """Yield the symbols of each bar but a pickup, one a beat; before the first one there is none."""
    onsets = [symbol.onset for symbol in symbols]
    for bar in bars_of(score):
        if not bar.number:
            continue
        own = []
        for beat in _beats(bar, score.ticks_per_quarter):
            place = bisect.bisect_right(onsets, beat) - 1
            text = symbols[place].text if place >= 0 else NO_CHORD_SYMBOL
            own.append(text if _is_known(text) else NO_CHORD_SYMBOL)
        yield own if len(set(own)) > 1 else own[:1]


def _beats(bar: Bar, ticks_per_quarter: int) -> Iterator[Fraction]:
    """Yield the beats of a bar as they are felt."""
    beat = 4 * ticks_per_quarter * beat_units(bar.numerator, bar.denominator) // bar.denominator
    for ticks in range(bar.start_ticks, bar.end_ticks, beat):
        yield Fraction(ticks, ticks_per_quarter)
