"""A piece on the token grid, its exact correspondence with a REMI token stream, and its transpositions.

A `Piece` holds exactly the contents of a stream of base tokens: bars with a time signature, notes with a voice and, if
the vocabulary has them, velocities and tempos. Tasks (tasks.py) rearrange pieces; the grammar (grammar.py) defines
which streams are pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from descant_tokenizers.tokens.vocabulary import Meter, Vocabulary

PitchRange = tuple[int, int]
NO_PITCH = (127, 0)
"""Range of a voice without notes."""
_MAX_SHIFT = 6  # largest transposition, in semitones


class GridNote(NamedTuple):
    """A note in grid ticks. Tuples sort by onset, then voice, then pitch: the order of the token stream.

    Attributes:
        offset_ticks: Onset, from the beginning of its bar.
        voice: Rank of the voice in the vocabulary.
        pitch: MIDI pitch, 0-127.
        duration_ticks: Length.
        velocity: MIDI velocity, 1-127; 0 if the vocabulary has none.
    """

    offset_ticks: int
    voice: int
    pitch: int
    duration_ticks: int
    velocity: int = 0


class GridTempo(NamedTuple):
    """A tempo of the vocabulary, and its distance from the beginning of its bar."""

    offset_ticks: int
    quarters_per_minute: float


@dataclass(frozen=True, slots=True)
class GridBar:
    """One bar: its meter, and its notes and tempos in stream order."""

    meter: Meter
    notes: tuple[GridNote, ...] = ()
    tempos: tuple[GridTempo, ...] = ()

    def with_notes(self, notes: Iterable[GridNote]) -> GridBar:
        """Return the bar with these notes instead of its own, in stream order."""
        return replace(self, notes=tuple(sorted(notes)))


@dataclass(frozen=True, slots=True)
class Piece:
    """Bars in order. A pickup is a bar like any other."""

    bars: tuple[GridBar, ...]

    @property
    def num_bars(self) -> int:
        """Number of bars."""
        return len(self.bars)

    @property
    def num_notes(self) -> int:
        """Number of notes in all voices."""
        return sum(len(bar.notes) for bar in self.bars)

    @property
    def voices(self) -> tuple[int, ...]:
        """Ranks of the voices that have notes, ascending."""
        return tuple(sorted({note.voice for bar in self.bars for note in bar.notes}))

    def bar_starts_ticks(self) -> list[int]:
        """Return the onset of every bar from the beginning of the piece, then the end of the last one."""
        starts = [0]
        for bar in self.bars:
            starts.append(starts[-1] + bar.meter.bar_ticks)
        return starts

    def end_ticks(self) -> int:
        """Return the end of the last sounding note, from the beginning of the first bar."""
        starts = self.bar_starts_ticks()
        ends = (starts[b] + n.offset_ticks + n.duration_ticks for b, bar in enumerate(self.bars) for n in bar.notes)
        return max(ends, default=0)

    def keep_voices(self, voices: Sequence[int]) -> Piece:
        """Return the piece with only these voices, in all its bars."""
        kept = frozenset(voices)
        if kept.issuperset(self.voices):
            return self
        return Piece(tuple(replace(b, notes=tuple(n for n in b.notes if n.voice in kept)) for b in self.bars))

    def transpose(self, semitones: int, fixed_voice: int = -1) -> Piece:
        """Return the piece with all voices but a fixed one (drums) moved by `semitones`."""
        if semitones == 0:
            return self

        def moved(note: GridNote) -> GridNote:
            return note if note.voice == fixed_voice else note._replace(pitch=note.pitch + semitones)

        return Piece(tuple(replace(bar, notes=tuple(map(moved, bar.notes))) for bar in self.bars))

    def merge(self, other: Piece) -> Piece:
        """Return a piece with the notes of both; their meters must be equal."""
        bars = []
        for mine, theirs in zip(self.bars, other.bars, strict=True):
            assert mine.meter == theirs.meter, "pieces to merge have other meters"
            bars.append(mine.with_notes(mine.notes + theirs.notes))
        return Piece(tuple(bars))


class StreamError(ValueError):
    """A token stream that the grammar does not allow; `index` is that of the wrong token in place of `expected`."""

    def __init__(self, vocabulary: Vocabulary, ids: Sequence[int], index: int, expected: str) -> None:
        found = vocabulary.names[ids[index]] if index < len(ids) else "the end"
        super().__init__(f"Token {index} is {found}, expected {expected}")
        self.index, self.expected = index, expected


def bar_ids(vocabulary: Vocabulary, bar: GridBar) -> list[int]:
    """Return the tokens that open a bar: `Bar TimeSig`."""
    return [vocabulary.bar_id, vocabulary.meter_id[bar.meter.numerator, bar.meter.denominator]]


def note_ids(vocabulary: Vocabulary, bar: GridBar) -> list[int]:
    """Return the tokens of a bar's contents: `Position [Tempo] (Program Pitch [Velocity] Duration)*` for each onset.

    Raises:
        KeyError: An onset, pitch, length, velocity or tempo is not in the vocabulary.
    """
    ids: list[int] = []
    durations = vocabulary.duration_id[bar.meter.denominator]
    tempos = dict(bar.tempos)
    offset = -1
    for note in bar.notes:
        if note.offset_ticks != offset:
            for earlier in sorted(place for place in tempos if place < note.offset_ticks) if tempos else ():
                ids += _onset_ids(vocabulary, bar.meter, earlier, tempos.pop(earlier))
            offset = note.offset_ticks
            ids += _onset_ids(vocabulary, bar.meter, offset, tempos.pop(offset, None))
        ids += (vocabulary.voice_id[note.voice], vocabulary.pitch_ids(note.voice)[note.pitch])
        if vocabulary.velocity_id:
            ids.append(vocabulary.velocity_id[note.velocity])
        ids.append(durations[note.duration_ticks])
    for later in sorted(tempos):
        ids += _onset_ids(vocabulary, bar.meter, later, tempos[later])
    return ids


def _onset_ids(vocabulary: Vocabulary, meter: Meter, offset_ticks: int, tempo: float | None) -> Iterator[int]:
    position, rest = divmod(offset_ticks, meter.position_ticks)
    assert rest == 0, "onset off the grid"
    yield vocabulary.position_id[position]
    if tempo is not None:
        yield vocabulary.tempo_id[tempo]


def piece_ids(vocabulary: Vocabulary, piece: Piece) -> list[int]:
    """Return the REMI stream of a piece (no special tokens), equal to miditok's own."""
    return [i for bar in piece.bars for i in (*bar_ids(vocabulary, bar), *note_ids(vocabulary, bar))]


def read_bar(vocabulary: Vocabulary, ids: Sequence[int], start: int) -> tuple[Meter, int]:
    """Read `Bar TimeSig` at `start`; return the meter and the index after it. Raises `StreamError`."""
    if start >= len(ids) or ids[start] != vocabulary.bar_id:
        raise StreamError(vocabulary, ids, start, "Bar")
    if start + 1 >= len(ids) or ids[start + 1] not in vocabulary.meter_of:
        raise StreamError(vocabulary, ids, start + 1, "TimeSig")
    return vocabulary.meter_of[ids[start + 1]], start + 2


def read_content(vocabulary: Vocabulary, ids: Sequence[int], start: int, meter: Meter) -> tuple[GridBar, int]:
    """Read a bar's contents from `start` to the first token that cannot belong to it, whose index is also returned.

    Raises:
        StreamError: Tokens are in a wrong order.
    """
    notes: list[GridNote] = []
    tempos: list[GridTempo] = []
    durations = vocabulary.duration_ticks[meter.denominator]
    offset = None
    i = start
    while i < len(ids):
        if (position := vocabulary.position_of.get(ids[i])) is not None:
            offset = position * meter.position_ticks
            i += 1
            continue
        voice, tempo = vocabulary.voice_of.get(ids[i]), vocabulary.tempo_of.get(ids[i])
        if voice is None and tempo is None:
            break
        if offset is None:
            raise StreamError(vocabulary, ids, i, "Position")
        if tempo is not None:
            tempos.append(GridTempo(offset, tempo))
            i += 1
        elif voice is not None:
            notes.append(_read_note(vocabulary, ids, i, durations, offset, voice))
            i += vocabulary.tokens_per_note
    return GridBar(meter, tuple(sorted(notes)), tuple(tempos)), i


def _read_note(
    vocabulary: Vocabulary, ids: Sequence[int], start: int, durations: Mapping[int, int], offset: int, voice: int
) -> GridNote:
    """Read `Program Pitch [Velocity] Duration` at `start`."""
    pitch_at, duration_at = start + 1, start + vocabulary.tokens_per_note - 1
    velocity = 0
    if duration_at < len(ids):
        pitch = vocabulary.pitch_of.get(ids[pitch_at])
        if vocabulary.velocity_of:
            velocity = vocabulary.velocity_of.get(ids[pitch_at + 1], -1)
        if pitch is not None and vocabulary.pitch_ids(voice)[pitch] == ids[pitch_at] and velocity >= 0:
            duration = durations.get(ids[duration_at])
            if duration is not None:
                return GridNote(offset, voice, pitch, duration, velocity)
    expected = "Pitch, Velocity and Duration" if vocabulary.velocity_of else "Pitch and Duration"
    raise StreamError(vocabulary, ids, min(pitch_at, len(ids)), expected)


def parse_piece(vocabulary: Vocabulary, ids: Sequence[int]) -> Piece:
    """Read a whole REMI stream (no special tokens) into a piece.

    Raises:
        StreamError: The stream is not one that `piece_ids` could write.
    """
    bars: list[GridBar] = []
    i = 0
    while i < len(ids):
        meter, i = read_bar(vocabulary, ids, i)
        bar, i = read_content(vocabulary, ids, i, meter)
        bars.append(bar)
    return Piece(tuple(bars))


class PitchTable(NamedTuple):
    """The pitches and sizes of many pieces, N, as arrays: an entry for each of the K voices in them.

    Attributes:
        piece_K: Index of the piece.
        voice_K: Rank of the voice.
        range_K2: Its (lowest, highest) MIDI pitch in the piece.
        num_notes_N: Notes of each piece.
    """

    piece_K: NDArray[np.int64]
    voice_K: NDArray[np.int64]
    range_K2: NDArray[np.int64]
    num_notes_N: NDArray[np.int64]

    def pitch_table(self) -> PitchTable:
        """Return the table itself."""
        return self


class Transpositions(Sequence[range]):
    """The transpositions of each of many pieces, in semitones.

    Attributes:
        lowest_N: The lowest one of each piece.
        highest_N: The highest one of each piece.
    """

    def __init__(self, lowest_N: NDArray[np.int8], highest_N: NDArray[np.int8]) -> None:
        self.lowest_N, self.highest_N = lowest_N, highest_N

    def __len__(self) -> int:
        return len(self.lowest_N)

    @overload
    def __getitem__(self, index: int) -> range: ...
    @overload
    def __getitem__(self, index: slice) -> Transpositions: ...
    def __getitem__(self, index: int | slice) -> range | Transpositions:
        if isinstance(index, slice):
            return Transpositions(self.lowest_N[index], self.highest_N[index])
        return range(int(self.lowest_N[index]), int(self.highest_N[index]) + 1)


@runtime_checkable
class StoredTable(Protocol):
    """Pieces whose `PitchTable` is stored, so that they need not be read for it."""

    def pitch_table(self) -> PitchTable:
        """Return the table."""


def pitch_table(pieces: Iterable[Piece] | StoredTable) -> PitchTable:
    """Return the pitches and sizes of pieces; they are read once, unless their table is stored."""
    if isinstance(pieces, StoredTable):
        return pieces.pitch_table()
    found = [(pitch_ranges(piece), piece.num_notes) for piece in pieces]
    entries = [(index, rank, *pair) for index, (ranges, _) in enumerate(found) for rank, pair in ranges.items()]
    table_K4 = np.array(entries, dtype=np.int64).reshape(-1, 4)
    num_notes_N = np.array([num_notes for _, num_notes in found], dtype=np.int64)
    return PitchTable(table_K4[:, 0], table_K4[:, 1], table_K4[:, 2:], num_notes_N)


def survey_pitches(
    pieces: Iterable[Piece] | StoredTable, vocabulary: Vocabulary
) -> tuple[list[PitchRange], Transpositions]:
    """Find the voices' ranges and each piece's transpositions, reading every piece at most once.

    Returns:
        The (lowest, highest) MIDI pitch of each voice, and the transpositions of each piece in semitones that stay
        inside these ranges; drums are not transposed.
    """
    table = pitch_table(pieces)
    lowest_V, highest_V = (np.full(vocabulary.num_voices, pitch) for pitch in NO_PITCH)
    np.minimum.at(lowest_V, table.voice_K, table.range_K2[:, 0])
    np.maximum.at(highest_V, table.voice_K, table.range_K2[:, 1])
    ranges = [(int(low), int(high)) for low, high in zip(lowest_V, highest_V, strict=True)]
    is_moved_K = table.voice_K != vocabulary.drum_voice
    piece_K, voice_K, range_K2 = (column[is_moved_K] for column in table[:3])
    lowest_N = np.full(len(table.num_notes_N), -_MAX_SHIFT, dtype=np.int8)
    np.maximum.at(lowest_N, piece_K, np.maximum(lowest_V[voice_K] - range_K2[:, 0], -_MAX_SHIFT).astype(np.int8))
    highest_N = np.full(len(table.num_notes_N), _MAX_SHIFT, dtype=np.int8)
    np.minimum.at(highest_N, piece_K, np.minimum(highest_V[voice_K] - range_K2[:, 1], _MAX_SHIFT).astype(np.int8))
    has_pitch_N = np.zeros(len(table.num_notes_N), dtype=bool)
    has_pitch_N[table.piece_K] = True
    lowest_N[~has_pitch_N] = highest_N[~has_pitch_N] = 0
    return ranges, Transpositions(lowest_N, highest_N)


def pitch_ranges(piece: Piece) -> dict[int, PitchRange]:
    """Return the (lowest, highest) MIDI pitch of each voice that has notes, by rank."""
    ranges: dict[int, PitchRange] = {}
    for bar in piece.bars:
        for note in bar.notes:
            low, high = ranges.get(note.voice, NO_PITCH)
            ranges[note.voice] = (min(low, note.pitch), max(high, note.pitch))
    return ranges


def join_ranges(all_ranges: Iterable[Mapping[int, PitchRange]], num_voices: int) -> list[PitchRange]:
    """Return the range of each voice over all pieces, by rank; (127, 0) for a voice without notes."""
    joined = [NO_PITCH] * num_voices
    for ranges in all_ranges:
        for rank, (low, high) in ranges.items():
            joined[rank] = (min(low, joined[rank][0]), max(high, joined[rank][1]))
    return joined


def shifts_within(own: Mapping[int, PitchRange], ranges: Sequence[PitchRange]) -> range:
    """Return the transpositions of at most 6 semitones that keep a piece's own ranges inside others; 0 always."""
    low = max((ranges[rank][0] - lowest for rank, (lowest, _) in own.items()), default=0)
    high = min((ranges[rank][1] - highest for rank, (_, highest) in own.items()), default=0)
    return range(max(low, -_MAX_SHIFT), min(high, _MAX_SHIFT) + 1) or range(1)
