"""A prompt as a score, and as the model sees it.

The score keeps everything. The model sees its notes on the grid: in four-part music at a pitch known from training, in
multitrack music with all tracks of an instrument as one voice. The bars of both are the same.

Units: ticks of the score, unless a name says grid.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from symusic.core import NoteTick, NoteTickList, ScoreTick, TimeSignatureTick, TrackTick, TrackTickList

from descant_modeling.generation.base import Request
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES, Bar, bars_of, last_note_end
from descant_tokenizers.scores.names import voice_names
from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.harmony import PieceKey
from descant_tokenizers.tokens.kinds import kind_of
from descant_tokenizers.tokens.multitrack import bar_meters, encode_multitrack
from descant_tokenizers.tokens.piece import GridBar, Piece
from descant_tokenizers.tokens.vocabulary import Meter, Vocabulary

#: Largest resolution of a MIDI file, in ticks per quarter.
MAX_TICKS_PER_QUARTER = 0x7FFF
MAX_PITCH = 127

Ranges = Sequence[tuple[int, int]]
"""Lowest and highest MIDI pitch of each voice in training, by rank."""


class TickSpan(NamedTuple):
    """Times between which new notes of a voice may sound."""

    begin: int
    end: int


@dataclass(frozen=True)
class Prompt:
    """A prompt and its place on the grid.

    Attributes:
        vocabulary: The vocabulary.
        score: The prompt at the resolution of the result, otherwise unchanged.
        bars: Its bars.
        meters: Their meters on the grid.
        parts: By index of its track in the score, each part as the model sees it: its notes, name and pitch.
        shift: Semitones by which the model sees the prompt moved up.
        pitches: Lowest and highest pitch of new notes of each voice, as the model sees them.
        piece: The parts on the grid.
        remarks: Choices and changes, a sentence each.
        key: The key in which it ends, as the model sees it, for a layout with hints.
    """

    vocabulary: Vocabulary
    score: ScoreTick
    bars: tuple[Bar, ...]
    meters: tuple[Meter, ...]
    parts: Mapping[int, TrackTick]
    shift: int
    pitches: tuple[tuple[int, int], ...]
    piece: Piece
    remarks: tuple[str, ...]
    key: PieceKey | None = None

    @property
    def ranks(self) -> dict[int, int]:
        """The rank of the voice that each part belongs to, by index of its track."""
        return {index: _rank(self.vocabulary, part) for index, part in self.parts.items()}

    @property
    def ticks_per_grid_tick(self) -> Fraction:
        """Length of a grid tick."""
        return Fraction(self.score.ticks_per_quarter, self.vocabulary.ticks_per_quarter)

    @property
    def end_ticks(self) -> int:
        """End of the last note of its parts."""
        return max(note.end for note in self.notes(self.parts))

    def players(self, rank: int) -> list[int]:
        """Return the indices of the tracks that belong to a voice."""
        return [index for index, own in self.ranks.items() if own == rank]

    def notes(self, indices: Iterable[int]) -> list[NoteTick]:
        """Return all notes of some tracks of the score."""
        return [note for index in indices for note in self.score.tracks[index].notes]

    def velocity(self, rank: int) -> int:
        """Return the mean velocity of a voice, or of all parts for a voice that the prompt does not have."""
        return round(statistics.fmean(note.velocity for note in self.notes(self.players(rank) or self.parts)))

    def bar_start(self, index: int) -> int:
        """Return the onset of a bar; bars after the prompt's last one are as long as that one."""
        beyond = index - len(self.bars) + 1
        if beyond <= 0:
            return self.bars[index].start_ticks
        return self.bars[-1].start_ticks + beyond * self.bars[-1].length_ticks

    def grid_time(self, time: int) -> int:
        """Return a time on the grid, rounded up to a 16th, so that music that stops early ends cleanly."""
        starts = [self.bar_start(index) for index in range(len(self.bars) + 1)]
        index = max(bisect.bisect_right(starts, time) - 1, 0)
        grid_16th = self.vocabulary.ticks_per_quarter // 4
        before = sum(meter.bar_ticks for meter in self.meters[:index])
        return before + math.ceil((time - starts[index]) / (self.ticks_per_grid_tick * grid_16th)) * grid_16th

    def rewritable(self, rank: int, start: int, end: int) -> TickSpan:
        """Return where new notes of a voice may sound if its notes that begin in a stretch are taken out.

        They end with the stretch (with the music, if it ends earlier), or where the replaced notes did. New notes of a
        single line never overlap a note that stays.
        """
        notes = self.notes(self.players(rank))
        replaced = [note.end for note in notes if start <= note.time < end]
        latest = max([min(end, last_note_end(self.score)), *replaced])
        if kind_of(self.vocabulary).is_polyphonic:
            return TickSpan(start, latest)
        begin = max((note.end for note in notes if note.time < start), default=0)
        return TickSpan(begin, min([latest, *(note.time for note in notes if note.time >= end)]))

    def on_grid(self, parts: Iterable[TrackTick]) -> Piece:
        """Return other parts on the grid of the prompt's bars; they are named as its own, at the pitch of the model."""
        return _on_grid(self.vocabulary, self.score, self.bars, self.meters, parts)[0]

    def piece_without(self, indices: Collection[int], start: int, end: int) -> Piece:
        """Return the parts on the grid without the notes of some tracks that begin in a stretch."""
        kept = [
            _with_notes(part, [n for n in part.notes if index not in indices or not start <= n.time < end])
            for index, part in self.parts.items()
        ]
        return self.on_grid(kept)


def refine_prompt(vocabulary: Vocabulary, score: ScoreTick) -> ScoreTick:
    """Return a copy of a prompt at a resolution that holds the grid.

    Raises:
        InputError: A bar has a length that no time signature of the vocabulary has.
    """
    bar_meters(vocabulary, bars_of(score), score.ticks_per_quarter)  # refuses what could overflow when it is refined
    return refined(score, vocabulary.ticks_per_quarter)


def make_prompt(
    vocabulary: Vocabulary,
    score: ScoreTick,
    parts: Mapping[int, TrackTick],
    ranges: Ranges,
    shift: int = 0,
    remarks: Sequence[str] = (),
) -> Prompt:
    """Put a prompt from `refine_prompt` on the grid.

    The parts, by index of their track, are as the model should see them, but at their own pitch; `shift` moves them up
    by semitones.

    Raises:
        InputError: The vocabulary cannot hold the prompt.
    """
    bars = tuple(bars_of(score))
    meters = bar_meters(vocabulary, bars, score.ticks_per_quarter)
    seen = {
        index: _with_notes(part, [NoteTick(n.time, n.duration, n.pitch + shift, n.velocity) for n in part.notes])
        for index, part in parts.items()
    }
    pitches = list(ranges)
    for part in seen.values():
        rank, own = _rank(vocabulary, part), [note.pitch for note in part.notes]
        pitches[rank] = min(pitches[rank][0], *own), max(pitches[rank][1], *own)
    lowest, highest = max(min(vocabulary.pitch_of.values()), shift), max(vocabulary.pitch_of.values())
    highest = min(highest, MAX_PITCH + shift)  # MIDI pitches once moved back
    piece, changes = _on_grid(vocabulary, score, bars, meters, seen.values())
    return Prompt(
        vocabulary,
        score,
        bars,
        meters,
        seen,
        shift,
        tuple((max(low, lowest), min(high, highest)) for low, high in pitches),
        piece,
        (*remarks, *changes),
    )


def refined(score: ScoreTick, grid_ticks: int) -> ScoreTick:
    """Return a copy at the least multiple of its resolution that holds the grid, or at its own if that is too fine."""
    fine = math.lcm(score.ticks_per_quarter, grid_ticks)
    if fine == score.ticks_per_quarter or fine > MAX_TICKS_PER_QUARTER:
        return score.copy()
    return score.resample(fine)


def without_controls(score: ScoreTick) -> ScoreTick:
    """Return a copy without controllers and pitch bends, which four-part music does not carry."""
    plain = score.copy()
    for track in plain.tracks:
        track.controls = type(track.controls)()
        track.pitch_bends = type(track.pitch_bends)()
        track.pedals = type(track.pedals)()
    return plain


def pitch_extent(track: TrackTick) -> tuple[int, int]:
    """Return the lowest and highest pitch of a track with notes."""
    pitches = [note.pitch for note in track.notes]
    return min(pitches), max(pitches)


def shift_into(extents: Mapping[int, tuple[int, int]], ranges: Ranges, lowest: int, highest: int) -> int:
    """Return the semitones that bring voices inside the ranges of training, or as near as possible.

    Args:
        extents: Lowest and highest pitch of each given voice, by the index of its range.
        ranges: Ranges of training.
        lowest: Lowest pitch that the model knows.
        highest: Highest pitch that the model knows.

    Raises:
        InputError: The voices do not fit between these two.
    """
    legal = [
        shift
        for shift in range(-MAX_PITCH, MAX_PITCH + 1)
        if all(lowest <= low + shift and high + shift <= highest for low, high in extents.values())
    ]
    if not legal:
        low, high = min(low for low, _ in extents.values()), max(high for _, high in extents.values())
        raise InputError(
            f"The given voices reach from MIDI pitch {low} to {high}, more than the model's {highest - lowest} "
            "semitones. Give a narrower prompt."
        )

    def outside(shift: int) -> int:
        total = 0
        for rank, (low, high) in extents.items():
            bottom, top = ranges[rank]
            total += max(0, bottom - low - shift) + max(0, high + shift - top)
        return total

    return min(legal, key=lambda shift: (outside(shift), abs(shift), shift))


def shift_remark(shift: int) -> str:
    """Say that the model sees a prompt moved up or down."""
    distance = f"{abs(shift)} semitone{'s' * (abs(shift) > 1)}"
    return f"transposed {distance} {'up' if shift > 0 else 'down'} for the model, and back"


def given_voices(request: Request) -> tuple[str, ...] | None:
    """Return the voices of the tracks of a four-part prompt; to harmonize, the soprano by default.

    Raises:
        InputError: A name is not a voice, or all four are given to harmonize.
    """
    given = voice_names(request.given) if request.given else None
    if request.task != "harmonize":
        return given
    if given == VOICES:
        raise InputError("All four voices are given. Leave one out of --given.")
    return given or VOICES[:1]


def bar_indices(bars: Sequence[Bar], numbers: tuple[int, int]) -> tuple[int, int]:
    """Return the indices of two of a prompt's bars given by number.

    Raises:
        InputError: The prompt has no such bars.
    """
    first, last = numbers
    known = [bar.number for bar in bars]
    if not known[0] <= first <= last <= known[-1]:
        raise InputError(
            f"The bars to write are {first}-{last}. Choose from the prompt's bars {known[0]} to {known[-1]}."
        )
    return known.index(first), known.index(last)


def _rank(vocabulary: Vocabulary, part: TrackTick) -> int:
    rank = vocabulary.rank_of(part)
    assert rank is not None, "parts have voices of the vocabulary"
    return rank


def _with_notes(part: TrackTick, notes: Sequence[NoteTick]) -> TrackTick:
    track = TrackTick(part.name, part.program, part.is_drum)
    track.notes = NoteTickList(notes)
    return track


def _on_grid(
    vocabulary: Vocabulary,
    score: ScoreTick,
    bars: Sequence[Bar],
    meters: Sequence[Meter],
    parts: Iterable[TrackTick],
) -> tuple[Piece, tuple[str, ...]]:
    """Encode parts in the score's bars; return also what the grid changed."""
    seen = ScoreTick(score.ticks_per_quarter)
    for bar, meter, before in zip(bars, meters, (None, *meters), strict=False):
        if meter != before:
            seen.time_signatures.append(TimeSignatureTick(bar.start_ticks, meter.numerator, meter.denominator))
    seen.tempos = score.tempos.copy()
    seen.tracks = TrackTickList([part for part in parts if part.notes])
    if not seen.tracks:
        return Piece(tuple(GridBar(meter) for meter in meters)), ()
    if kind_of(vocabulary).is_polyphonic:
        piece, changes = encode_multitrack(vocabulary, seen, bars)
    else:
        encoded = encode_score(vocabulary, seen)
        piece, changes = encoded.piece, encoded.changes
    inside = piece.bars[: len(meters)]  # a note at the very end may have been moved past it
    assert [bar.meter for bar in inside] == list(meters[: len(inside)]), "bars on the grid are not those of the score"
    return Piece((*inside, *(GridBar(meter) for meter in meters[len(inside) :]))), changes
