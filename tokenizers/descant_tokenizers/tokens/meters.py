"""The bars of a score in the time signatures of a vocabulary."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Sequence
from fractions import Fraction

from symusic.core import ScoreTick

from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import Bar
from descant_tokenizers.tokens.vocabulary import Meter, TokenTable


def bar_meters(table: TokenTable, bars: Sequence[Bar], ticks_per_quarter: int) -> tuple[Meter, ...]:
    """Return the meter of each bar on the grid; a bar that is cut short gets the signature of its own length.

    Where the vocabulary is for music of any kind, a signature that it lacks is replaced by one of equal length
    (24/16 by 12/8), and a bar line less than a 32nd off a 16th (after a grace note, say) gets the length that it must
    have meant: see `straightened`.

    Raises:
        InputError: A bar has a length that no time signature of the vocabulary has.
    """
    return tuple(_meter(table, bar, ticks_per_quarter) for bar in bars)


def _meter(table: TokenTable, bar: Bar, ticks_per_quarter: int) -> Meter:
    length = Fraction(bar.length_ticks, 4 * ticks_per_quarter)
    is_whole = length == Fraction(bar.numerator, bar.denominator)
    if is_whole and (bar.numerator, bar.denominator) in table.meter_id:
        return table.meter_of[table.meter_id[bar.numerator, bar.denominator]]
    if not is_whole or not table.is_four_part:
        nearest = bar.denominator // 2 if is_whole else bar.denominator
        for denominator in (nearest, 4, 8, 16, 2):
            numerator = length * denominator
            if numerator.denominator == 1 and (int(numerator), denominator) in table.meter_id:
                return table.meter_of[table.meter_id[int(numerator), denominator]]
    if not table.is_four_part and (near := _nearest(table, bar, length)) is not None:
        return near
    if is_whole:
        raise InputError(
            f"time signature {bar.numerator}/{bar.denominator} (bar {bar.number}) is none that the model knows "
            f"({_known_meters(table)}); write the piece in one of those."
        )
    raise InputError(f"a time signature in the middle of a beat cuts bar {bar.number} short; put it on a bar line.")


def _nearest(table: TokenTable, bar: Bar, length: Fraction) -> Meter | None:
    """Return the meter less than a 32nd from a length, if there is one; of equals the one in the bar's own beats."""
    near = [(abs(Fraction(m.numerator, m.denominator) - length), m) for m in table.meter_of.values()]
    fitting = [(distance, m.denominator != bar.denominator, m) for distance, m in near if distance < Fraction(1, 32)]
    return min(fitting)[2] if fitting else None


def straightened(
    score: ScoreTick, bars: Sequence[Bar], meters: Sequence[Meter]
) -> tuple[ScoreTick, Sequence[Bar], tuple[str, ...]]:
    """Give each bar just the length of its meter; what is in it keeps its place from the bar line on.

    Args:
        score: The score.
        bars: Its bars.
        meters: Their meters, from `bar_meters`.

    Returns:
        The score and its bars, untouched if they have those lengths; and what was changed, a phrase.
    """
    if all(_ticks(meter, score.tpq) == bar.length_ticks for bar, meter in zip(bars, meters, strict=True)):
        return score, bars, ()
    fine = score.resample(4 * score.tpq) if score.tpq % 4 else score.copy()  # a 16th must be whole ticks
    factor = fine.tpq // score.tpq
    lengths = [int(_ticks(meter, fine.tpq)) for meter in meters]
    new_starts = list(itertools.accumulate(lengths, initial=0))
    old_starts = [bar.start_ticks * factor for bar in bars]

    def moved(time: int) -> int:
        index = max(bisect.bisect_right(old_starts, time) - 1, 0)
        return new_starts[index] + min(time - old_starts[index], lengths[index] - 1)

    for track in fine.tracks:
        for note in track.notes:
            note.time = moved(note.time)
    for tempo in fine.tempos:
        tempo.time = moved(tempo.time)
    straight = [
        dataclasses.replace(bar, start_ticks=start, length_ticks=length)
        for bar, start, length in zip(bars, new_starts, lengths, strict=False)
    ]
    changed = sum(length != bar.length_ticks * factor for bar, length in zip(bars, lengths, strict=True))
    return fine, straight, (f"bars whose length was rounded to a 16th: {changed}",)


def _ticks(meter: Meter, ticks_per_quarter: int) -> Fraction:
    return Fraction(4 * ticks_per_quarter * meter.numerator, meter.denominator)


def _known_meters(table: TokenTable) -> str:
    most: dict[int, int] = {}
    for numerator, denominator in table.meter_id:
        most[denominator] = max(numerator, most.get(denominator, 0))
    return ", ".join(f"1-{most[denominator]}/{denominator}" for denominator in sorted(most))
