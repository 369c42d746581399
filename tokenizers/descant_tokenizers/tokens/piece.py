"""A piece on the token grid, and its exact correspondence with a REMI token stream.

A `Piece` is what a stream of base tokens says, neither more nor less: bars with a time signature, notes with a
voice. Tasks (layout.py) rearrange pieces; the grammar (grammar.py) decides which streams are pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from descant_tokenizers.tokens.vocabulary import Meter, TokenTable


class GridNote(NamedTuple):
    """A note in grid ticks. Tuples sort by onset, then voice: the order of the token stream."""

    offset_ticks: int
    """Onset, from the beginning of its bar."""
    voice: int
    """Rank of the voice, 0 = highest (Soprano)."""
    pitch: int
    """MIDI pitch, 0-127."""
    duration_ticks: int


@dataclass(frozen=True, slots=True)
class GridBar:
    """One bar: its meter and its notes in stream order."""

    meter: Meter
    notes: tuple[GridNote, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Bars in order. The first may be a pickup, which is a bar like any other here."""

    bars: tuple[GridBar, ...]

    @property
    def num_notes(self) -> int:
        """Number of notes in all voices."""
        return sum(len(bar.notes) for bar in self.bars)

    @property
    def voices(self) -> tuple[int, ...]:
        """Ranks of the voices that have notes, ascending."""
        return tuple(sorted({note.voice for bar in self.bars for note in bar.notes}))

    def bar_starts_ticks(self) -> list[int]:
        """Onset of every bar from the beginning of the piece, and the end of the last one: `len(bars) + 1` values."""
        starts = [0]
        for bar in self.bars:
            starts.append(starts[-1] + bar.meter.bar_ticks)
        return starts

    def end_ticks(self) -> int:
        """End of the last sounding note, from the beginning of the first bar."""
        starts = self.bar_starts_ticks()
        ends = (starts[b] + n.offset_ticks + n.duration_ticks for b, bar in enumerate(self.bars) for n in bar.notes)
        return max(ends, default=0)

    def keep_voices(self, voices: Sequence[int]) -> Piece:
        """Return the piece with only these voices; bars stay."""
        kept = frozenset(voices)
        return Piece(tuple(replace(b, notes=tuple(n for n in b.notes if n.voice in kept)) for b in self.bars))

    def transpose(self, semitones: int) -> Piece:
        """Return the piece moved by `semitones`."""
        if semitones == 0:
            return self
        return Piece(
            tuple(replace(b, notes=tuple(n._replace(pitch=n.pitch + semitones) for n in b.notes)) for b in self.bars)
        )

    def merge(self, other: Piece) -> Piece:
        """Return both pieces' notes in one; the bars must agree."""
        bars = []
        for mine, theirs in zip(self.bars, other.bars, strict=True):
            assert mine.meter == theirs.meter, "pieces to merge have other meters"
            bars.append(GridBar(mine.meter, tuple(sorted(mine.notes + theirs.notes))))
        return Piece(tuple(bars))


class StreamError(ValueError):
    """A token stream that the grammar does not allow, with the place where it goes wrong."""

    def __init__(self, table: TokenTable, ids: Sequence[int], index: int, expected: str) -> None:
        found = table.names[ids[index]] if index < len(ids) else "the end"
        super().__init__(f"token {index} is {found}, expected {expected}")
        self.index = index


def bar_ids(table: TokenTable, bar: GridBar) -> list[int]:
    """Return the tokens that open a bar: `Bar TimeSig`."""
    return [table.bar_id, table.meter_id[bar.meter.numerator, bar.meter.denominator]]


def note_ids(table: TokenTable, bar: GridBar) -> list[int]:
    """Return the tokens of a bar's notes: `Position (Program Pitch Duration)+` for each onset.

    Raises:
        KeyError: An onset, pitch or length is not in the vocabulary.
    """
    ids: list[int] = []
    durations = table.duration_id[bar.meter.denominator]
    offset = -1
    for note in bar.notes:
        if note.offset_ticks != offset:
            offset = note.offset_ticks
            position, rest = divmod(offset, bar.meter.position_ticks)
            assert rest == 0, "onset off the grid"
            ids.append(table.position_id[position])
        ids += (table.voice_id[note.voice], table.pitch_id[note.pitch], durations[note.duration_ticks])
    return ids


def piece_ids(table: TokenTable, piece: Piece) -> list[int]:
    """Return the REMI stream of a piece (no special tokens), equal to miditok's own."""
    return [i for bar in piece.bars for i in (*bar_ids(table, bar), *note_ids(table, bar))]


def read_bar(table: TokenTable, ids: Sequence[int], start: int) -> tuple[Meter, int]:
    """Read `Bar TimeSig` at `start`; return the meter and the index after it.

    Raises:
        StreamError: Something else stands there.
    """
    if start >= len(ids) or ids[start] != table.bar_id:
        raise StreamError(table, ids, start, "Bar")
    if start + 1 >= len(ids) or ids[start + 1] not in table.meter_of:
        raise StreamError(table, ids, start + 1, "TimeSig")
    return table.meter_of[ids[start + 1]], start + 2


def read_notes(table: TokenTable, ids: Sequence[int], start: int, meter: Meter) -> tuple[tuple[GridNote, ...], int]:
    """Read the notes of one bar from `start` up to the first token that is no note token.

    Raises:
        StreamError: Note tokens in a wrong order.
    """
    notes: list[GridNote] = []
    durations = table.duration_ticks[meter.denominator]
    offset = None
    i = start
    while i < len(ids):
        if (position := table.position_of.get(ids[i])) is not None:
            offset = position * meter.position_ticks
            i += 1
        elif (voice := table.voice_of.get(ids[i])) is not None:
            if offset is None:
                raise StreamError(table, ids, i, "Position")
            if i + 2 >= len(ids) or ids[i + 1] not in table.pitch_of or ids[i + 2] not in durations:
                raise StreamError(table, ids, min(i + 1, len(ids)), "Pitch and Duration")
            notes.append(GridNote(offset, voice, table.pitch_of[ids[i + 1]], durations[ids[i + 2]]))
            i += 3
        else:
            break
    return tuple(sorted(notes)), i


def parse_piece(table: TokenTable, ids: Sequence[int]) -> Piece:
    """Read a whole REMI stream (no special tokens) into a piece.

    Raises:
        StreamError: The stream is not one that `piece_ids` could write.
    """
    bars: list[GridBar] = []
    i = 0
    while i < len(ids):
        meter, i = read_bar(table, ids, i)
        notes, i = read_notes(table, ids, i, meter)
        bars.append(GridBar(meter, notes))
    return Piece(tuple(bars))
