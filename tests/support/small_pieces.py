"""Small pieces, written as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from chorale_examples import midi

from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece
from descant_tokenizers.tokens.vocabulary import Vocabulary


def small_piece(vocabulary: Vocabulary, meters: Sequence[tuple[int, int]], **lines: str) -> Piece:
    """Return a piece from the meter of each bar and the line of each voice: `soprano="C5 D5:2 -:1/2"`.

    A note is its name and its length in quarters, by default 1; `-` is a rest.
    """
    bars = [vocabulary.meter_of[vocabulary.meter_id[meter]] for meter in meters]
    starts = [0]
    for meter in bars:
        starts.append(starts[-1] + meter.bar_ticks)
    notes: list[list[GridNote]] = [[] for _ in bars]
    for name, line in lines.items():
        voice, now = vocabulary.voices.index(name.capitalize()), 0
        for word in line.split():
            pitch, _, length = word.partition(":")
            top, _, bottom = (length or "1").partition("/")
            ticks = vocabulary.ticks_per_quarter * int(top) // int(bottom or 1)
            if pitch != "-":
                bar = max(index for index, start in enumerate(starts[:-1]) if start <= now)
                notes[bar].append(GridNote(now - starts[bar], voice, midi(pitch), ticks))
            now += ticks
    return Piece(tuple(GridBar(meter, tuple(sorted(own))) for meter, own in zip(bars, notes, strict=True)))
