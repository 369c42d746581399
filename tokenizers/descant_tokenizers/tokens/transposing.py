"""Which transpositions of a piece stay where its voices sing."""

from __future__ import annotations

from collections.abc import Sequence

from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.vocabulary import TokenTable

#: Drums are never transposed, so their range forbids nothing.
_ANY_PITCH = (-128, 255)


def voice_ranges(pieces: Sequence[Piece], num_voices: int) -> list[tuple[int, int]]:
    """Return the (lowest, highest) MIDI pitch of each voice; a voice without notes gets the empty range (127, 0)."""
    ranges = [(127, 0)] * num_voices
    for piece in pieces:
        for bar in piece.bars:
            for note in bar.notes:
                low, high = ranges[note.voice]
                ranges[note.voice] = (min(low, note.pitch), max(high, note.pitch))
    return ranges


def transpositions(piece: Piece, ranges: Sequence[tuple[int, int]], limit: int = 6) -> list[int]:
    """Return the shifts in semitones, within `limit`, that keep every voice of a piece inside its range; 0 always."""
    own = voice_ranges([piece], len(ranges))
    used = [(mine, whole) for mine, whole in zip(own, ranges, strict=True) if mine[0] <= mine[1]]
    low = max((whole[0] - mine[0] for mine, whole in used), default=0)
    high = min((whole[1] - mine[1] for mine, whole in used), default=0)
    return list(range(max(low, -limit), min(high, limit) + 1)) or [0]


def shifts_of(pieces: Sequence[Piece], table: TokenTable) -> list[list[int]]:
    """Return the transpositions of each piece, in semitones, that stay where the voices of all pieces sing.

    Args:
        pieces: The corpus.
        table: Its vocabulary, which says what is drums.
    """
    ranges = voice_ranges(pieces, table.num_voices)
    if table.drum_voice >= 0:
        ranges[table.drum_voice] = _ANY_PITCH
    return [transpositions(piece, ranges) for piece in pieces]
