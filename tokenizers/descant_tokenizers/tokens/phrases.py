"""Guess where the phrases of a melody end, where nothing marks them.

A line is cut into phrases that follow one another without gaps (a semi-Markov model; Sarawagi and Cohen, NIPS 2004):
the score of a cut is the sum of what speaks for each phrase's last note (`END_WEIGHTS`: it is long, a rest follows,
the next phrase starts as the melody did, ...) and for each phrase's length (`LENGTH_WEIGHTS`, `BEATS_WEIGHTS`). The
best cut is found by dynamic programming. `records/phrase_ends.py` fits the weights to the fermatas of the chorales and
the lines of verse of hymns, and says how many phrase ends are found on other pieces.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from itertools import pairwise

from descant_tokenizers.tokens.harmony import SoundingNote, beat_ticks, sounding_notes
from descant_tokenizers.tokens.piece import Piece

MAX_BEATS = 24
"""Length of the longest phrase, except for a phrase of one note."""

END_WEIGHTS = {
    "beats to the next note": -2.5,
    "longer than most": 2.2,
    "before a rest": 3.56,
    "under a beat": -0.49,
    "longer than the next": 1.14,
    "reached by step": 0.12,
    "reached by leap": -1.08,
    "left by leap": 1.35,
    "repeated": 1.05,
    "on a bar line": -1.25,
    "next where the melody began": -0.71,
    "next in the opening's rhythm": 1.23,
    "next on the opening's pitches": 1.22,
}
"""Weight of what speaks for a note as the last of its phrase (nats)."""

LENGTH_WEIGHTS = {
    "whole bars": 0.29,
    "two bars": 1.41,
    "four bars": 0.12,
    "longer than 8": 2.35,
    "between beats": -0.9,
}
"""Weight of what speaks for a phrase's length (nats)."""

BEATS_WEIGHTS = (
    -1.18, -3.08, -3.35, -3.43, -1.52, -1.87, -0.82, 0.09, 1.2, 0.85, 1.66, 1.0, 1.33, 1.11, 0.83, 0.64, 0.04
)  # fmt: skip
"""Weight of each length in beats, rounded: 0 to 15, and 16 or more (nats)."""


def guess_phrase_ends(piece: Piece, voice: int) -> tuple[int, ...]:
    """Guess the onsets of the last notes of a melody's phrases.

    Args:
        piece: The piece.
        voice: Rank of the melody.

    Returns:
        The onsets in grid ticks, in order; the last note always ends a phrase. Empty for a silent voice.
    """
    line = [note for note in sounding_notes(piece) if note.voice == voice]
    if not line:
        return ()
    spans = phrase_spans(piece, line)
    best, before = [0.0], list[int]()
    for known, found in zip(end_features(piece, line), spans, strict=True):
        scores = {first: best[first] + length_score(*span) for first, span in found.items()}
        first = max(scores, key=scores.__getitem__)
        before.append(first)
        best.append(scores[first] + sum(weight * known[name] for name, weight in END_WEIGHTS.items()))
    ends, place = list[int](), len(line)
    while place:
        ends.append(line[place - 1].start_ticks)
        place = before[place - 1]
    return tuple(reversed(ends))


def end_features(piece: Piece, line: Sequence[SoundingNote]) -> list[dict[str, float]]:
    """Return for each note what speaks for it as the last of its phrase, by the names of `END_WEIGHTS`.

    Args:
        piece: The piece.
        line: The melody, one note or more.
    """
    starts = piece.bar_starts_ticks()
    bars = [min(bisect.bisect_right(starts, note.start_ticks), len(piece.bars)) - 1 for note in line]
    offsets = [note.start_ticks - starts[bar] for note, bar in zip(line, bars, strict=True)]
    lengths = [note.end_ticks - note.start_ticks for note in line]
    usual = sorted(lengths)[len(lengths) // 2]
    onsets = [*(note.start_ticks for note in line), line[-1].end_ticks]
    rhythm = [end - start for start, end in pairwise(onsets)]
    pitches = [note.pitch for note in line]
    found = []
    for place, (bar, length, until) in enumerate(zip(bars, lengths, rhythm, strict=True)):
        beat = beat_ticks(piece.bars[bar].meter)
        after = place + 1
        is_last = after == len(line)
        reached = abs(pitches[place] - pitches[place - 1]) if place else 0
        left = None if is_last else abs(pitches[after] - pitches[place])
        found.append(
            {
                "beats to the next note": min(until / beat, 4) / 4,
                "longer than most": max(-2.0, min(2.0, math.log2(length / usual))),
                "before a rest": float((until - length) * 2 >= beat),
                "under a beat": float(until < beat),
                "longer than the next": math.log2(until / (length if is_last else lengths[after])) / 2,
                "reached by step": float(1 <= reached <= 2),
                "reached by leap": float(reached > 4),
                "left by leap": float(left is not None and left > 4),
                "repeated": float(left == 0),
                "on a bar line": float(offsets[place] == 0),
                "next where the melody began": float(not is_last and offsets[after] == offsets[0]),
                "next in the opening's rhythm": float(rhythm[after : after + 3] == rhythm[:3]),
                "next on the opening's pitches": float(pitches[after : after + 3] == pitches[:3]),
            }
        )
    return found


def phrase_spans(piece: Piece, line: Sequence[SoundingNote]) -> list[dict[int, tuple[float, float]]]:
    """Return for each note the phrases that may end with it: the place of the first note, with beats and bars.

    A phrase lasts until the next one begins, or for a bar after its last note; the last one ends with its last note.

    Args:
        piece: The piece.
        line: The melody, one note or more.
    """
    starts = piece.bar_starts_ticks()
    onsets = [*(note.start_ticks for note in line), line[-1].end_ticks]
    found = []
    for place, note in enumerate(line):
        bar = piece.bars[min(bisect.bisect_right(starts, note.start_ticks), len(piece.bars)) - 1]
        until = min(onsets[place + 1], note.end_ticks + bar.meter.bar_ticks)
        beat = beat_ticks(bar.meter)
        earliest = min(bisect.bisect_left(onsets, until - MAX_BEATS * beat), place)
        ticks = {first: until - onsets[first] for first in range(earliest, place + 1)}
        found.append({first: (length / beat, length / bar.meter.bar_ticks) for first, length in ticks.items()})
    return found


def length_features(beats: float, bars: float) -> dict[str, float]:
    """Return what speaks for a phrase of a length, by the names of `LENGTH_WEIGHTS`."""
    return {
        "whole bars": float(bars % 1 == 0),
        "two bars": float(bars % 2 == 0),
        "four bars": float(bars % 4 == 0),
        "longer than 8": max(0.0, math.log2(max(beats, 1) / 8)),
        "between beats": float(beats % 1 != 0),
    }


def length_score(beats: float, bars: float) -> float:
    """Return the score of a phrase's length, in nats."""
    known = length_features(beats, bars)
    return BEATS_WEIGHTS[beats_class(beats)] + sum(weight * known[name] for name, weight in LENGTH_WEIGHTS.items())


def beats_class(beats: float) -> int:
    """Return the index of a length into `BEATS_WEIGHTS`."""
    return min(round(beats), len(BEATS_WEIGHTS) - 1)
