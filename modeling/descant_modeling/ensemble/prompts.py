"""A prompt of any instruments, as people read it and as the model sees it.

The score keeps everything as it was; the model sees its notes on the grid, tracks of equal program as one voice. Bars
of the two agree, one by one.

Units: ticks of the score, unless a name says grid.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from symusic.core import NoteTick, NoteTickList, ScoreTick, TimeSignatureTick, TrackTick, TrackTickList

from descant_modeling.prompts import refined
from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import Bar, bars_of
from descant_tokenizers.scores.tracks import track_label
from descant_tokenizers.tokens.ensemble import encode_ensemble
from descant_tokenizers.tokens.meters import bar_meters
from descant_tokenizers.tokens.piece import GridBar, Piece
from descant_tokenizers.tokens.vocabulary import Meter, TokenTable

Keeps = Callable[[int, NoteTick], bool]
"""Takes the index of a track and one of its notes; tells whether the model sees it."""


@dataclass(frozen=True)
class EnsemblePrompt:
    """A prompt and how it lies on the grid.

    Attributes:
        score: The prompt, unchanged but for its resolution, which is that of the output.
        bars: Its bars.
        meters: Their lengths on the grid.
        table: The vocabulary.
        ranks: For each track, the voice that it is part of.
        remarks: What the model does not see as it is, a phrase each.
    """

    score: ScoreTick
    bars: tuple[Bar, ...]
    meters: tuple[Meter, ...]
    table: TokenTable
    ranks: tuple[int, ...]
    remarks: tuple[str, ...]

    @property
    def ticks_per_grid_tick(self) -> Fraction:
        """Length of a tick of the grid."""
        return Fraction(self.score.ticks_per_quarter, self.table.ticks_per_quarter)

    @property
    def end_ticks(self) -> int:
        """End of the last note."""
        return max(note.end for track in self.score.tracks for note in track.notes)

    def bar_start(self, index: int) -> int:
        """Return where a bar begins; those behind the prompt's last one are as long as it."""
        beyond = index - len(self.bars) + 1
        if beyond <= 0:
            return self.bars[index].start_ticks
        return self.bars[-1].start_ticks + beyond * self.bars[-1].length_ticks

    def grid_time(self, time: int) -> int:
        """Return where a time lies on the grid, rounded up to a 16th."""
        starts = [self.bar_start(index) for index in range(len(self.bars) + 1)]
        index = max(bisect.bisect_right(starts, time) - 1, 0)
        grid_16th = self.table.ticks_per_quarter // 4
        before = sum(meter.bar_ticks for meter in self.meters[:index])
        return before + ceil((time - starts[index]) / (self.ticks_per_grid_tick * grid_16th)) * grid_16th

    def players(self, rank: int) -> list[int]:
        """Return the indices of the tracks that are part of a voice."""
        return [index for index, own in enumerate(self.ranks) if own == rank]

    def labels(self, indices: Collection[int]) -> tuple[str, ...]:
        """Name tracks for people."""
        return tuple(track_label(self.score, index) for index in sorted(indices))

    def piece(self, keeps: Keeps = lambda index, note: True) -> Piece:
        """Return the prompt on the grid, or those of its notes that a rule keeps."""
        return _on_grid(self.table, self.score, self.bars, self.meters, keeps)[0]


def read_ensemble_prompt(table: TokenTable, score: ScoreTick, indices: Sequence[int] | None = None) -> EnsemblePrompt:
    """Find a prompt's place on the grid.

    Args:
        table: The vocabulary.
        score: A validated score.
        indices: The tracks to keep; the others are left out, and the prompt ends where these end. All by default.

    Raises:
        InputError: The model cannot hear the prompt.
    """
    bar_meters(table, bars_of(score), score.ticks_per_quarter)  # refuses what could overflow when it is refined
    fine = refined(score, table.ticks_per_quarter)
    if indices is not None:
        fine.tracks = TrackTickList([fine.tracks[index] for index in indices])
    bars = tuple(bars_of(fine))
    meters = bar_meters(table, bars, fine.ticks_per_quarter)
    ranks = [table.rank_of(track) for track in fine.tracks]
    if None in ranks:
        raise InputError(f"the model does not know the instrument of track {track_label(fine, ranks.index(None))}.")
    _, changes = _on_grid(table, fine, bars, meters, lambda index, note: True)
    remarks = tuple(f"the model sees: {change}" for change in changes)
    return EnsemblePrompt(fine, bars, meters, table, tuple(rank for rank in ranks if rank is not None), remarks)


def _on_grid(
    table: TokenTable, score: ScoreTick, bars: Sequence[Bar], meters: Sequence[Meter], keeps: Keeps
) -> tuple[Piece, tuple[str, ...]]:
    """Put notes on the grid, in the score's bars; return what the grid changed, too."""
    sung = ScoreTick(score.ticks_per_quarter)
    for bar, meter, before in zip(bars, meters, (None, *meters), strict=False):
        if meter != before:
            sung.time_signatures.append(TimeSignatureTick(bar.start_ticks, meter.numerator, meter.denominator))
    sung.tempos = score.tempos.copy()
    for index, own in enumerate(score.tracks):
        kept = [note for note in own.notes if keeps(index, note)]
        if kept:
            track = TrackTick(own.name, own.program, own.is_drum)
            track.notes = NoteTickList(kept)
            sung.tracks.append(track)
    if not sung.tracks:
        return Piece(tuple(GridBar(meter) for meter in meters)), ()
    piece, changes = encode_ensemble(table, sung, bars)
    heard = piece.bars[: len(meters)]  # a note at the very end may have been moved behind it
    assert [bar.meter for bar in heard] == list(meters[: len(heard)]), "bars on the grid are not those of the score"
    return Piece((*heard, *(GridBar(meter) for meter in meters[len(heard) :]))), changes
