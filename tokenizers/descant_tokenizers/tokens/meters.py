"""The bars of a score in the time signatures of a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import Bar
from descant_tokenizers.tokens.vocabulary import Meter, TokenTable


def bar_meters(table: TokenTable, bars: Sequence[Bar], ticks_per_quarter: int) -> tuple[Meter, ...]:
    """Return the meter of each bar on the grid; a bar that is cut short gets the signature of its own length.

    Where the vocabulary is for music of any kind, a signature that it lacks is replaced by one of equal length
    (24/16 by 12/8).

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
    if is_whole:
        raise InputError(
            f"time signature {bar.numerator}/{bar.denominator} (bar {bar.number}) is none that the model knows "
            f"({_known_meters(table)}); write the piece in one of those."
        )
    raise InputError(f"a time signature in the middle of a beat cuts bar {bar.number} short; put it on a bar line.")


def _known_meters(table: TokenTable) -> str:
    most: dict[int, int] = {}
    for numerator, denominator in table.meter_id:
        most[denominator] = max(numerator, most.get(denominator, 0))
    return ", ".join(f"1-{most[denominator]}/{denominator}" for denominator in sorted(most))
