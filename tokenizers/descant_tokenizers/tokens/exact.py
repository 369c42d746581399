"""A short way from a score to a piece or its tokens, for scores that lie on the token grid as they are.

miditok's way rounds, sorts and names every note in Python. Where nothing is to be rounded there is one right answer,
and plain arithmetic finds it in a small part of the time (a test holds it against miditok's). Any doubt is left to
miditok.

Shapes: B bars, N notes in the order of the stream (by onset, of one onset from the highest voice down), T tokens.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick

from descant_tokenizers.scores import bars_of
from descant_tokenizers.scores.notes import Notes, notes_of
from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece
from descant_tokenizers.tokens.vocabulary import Meter, TokenTable

Ints = NDArray[np.int64]


class ExactNotes(NamedTuple):
    """What a piece holds, in grid ticks; offsets count from the beginning of a note's bar."""

    meters: list[Meter]
    bar_N: Ints
    offset_N: Ints
    voice_N: Ints
    pitch_N: Ints
    duration_N: Ints

    @property
    def voices(self) -> tuple[int, ...]:
        """Ranks of the voices that have notes, ascending."""
        return tuple(np.flatnonzero(np.bincount(self.voice_N)).tolist())

    @property
    def end_ticks(self) -> int:
        """End of the last note, from the beginning of the first bar."""
        start_B = np.cumsum([0, *(meter.bar_ticks for meter in self.meters[:-1])])
        return int((start_B[self.bar_N] + self.offset_N + self.duration_N).max())


def exact_notes(table: TokenTable, score: ScoreTick, notes: Notes | None = None) -> ExactNotes | None:
    """Put a score on the token grid if that changes nothing.

    Args:
        table: The vocabulary, of a tokenizer of the `satb` preset.
        score: A score whose tracks are named after voices, in pitches and time signatures of the vocabulary.
        notes: Its notes, where they are at hand.

    Returns:
        The notes; None if one is off the grid or longer than the vocabulary says, if two notes of a voice sound at
        once, or if a bar is not as long as its time signature says.
    """
    notes = notes_of(score.tracks) if notes is None else notes
    if not notes.are_lines:
        return None
    bars = bars_of(score)
    meters = [table.meter_of[table.meter_id[bar.numerator, bar.denominator]] for bar in bars]
    grid, fine = table.ticks_per_quarter, score.ticks_per_quarter
    if any(bar.length_ticks * grid != meter.bar_ticks * fine for bar, meter in zip(bars, meters, strict=True)):
        return None
    start_B = np.array([bar.start_ticks for bar in bars])
    position_ticks_B = np.array([meter.position_ticks for meter in meters])
    bar_N = np.searchsorted(start_B, notes.time_N, side="right") - 1
    offset_N, duration_N = (notes.time_N - start_B[bar_N]) * grid, notes.duration_N * grid
    if (offset_N % (position_ticks_B[bar_N] * fine)).any() or (duration_N % fine).any():
        return None
    voice_N = np.array([table.voices.index(track.name) for track in score.tracks])[notes.track_N]
    order = np.lexsort((voice_N, offset_N, bar_N))
    columns = (column[order] for column in (bar_N, offset_N // fine, voice_N, notes.pitch_N, duration_N // fine))
    found = ExactNotes(meters, *columns)
    num_bars = int(found.bar_N[-1]) + 1  # a bar into which notes are only held has no token ...
    signed = {event.time for event in score.time_signatures}
    if any(bar.start_ticks in signed for bar in bars[num_bars:]):  # ... unless it changes the time signature
        return None
    found = found._replace(meters=meters[:num_bars])
    return found if (_duration_ids(table, found) >= 0).all() else None


def exact_piece(found: ExactNotes) -> Piece:
    """Make a piece of its notes."""
    notes: list[list[GridNote]] = [[] for _ in found.meters]
    for bar, *note in zip(*(column.tolist() for column in found[1:]), strict=True):
        notes[bar].append(GridNote(*note))
    return Piece(tuple(GridBar(meter, tuple(inside)) for meter, inside in zip(found.meters, notes, strict=True)))


def exact_ids(table: TokenTable, found: ExactNotes) -> list[int]:
    """Return the REMI stream of a piece: `piece_ids` of `exact_piece`.

    Args:
        table: The vocabulary, of a tokenizer of the `satb` preset.
        found: From `exact_notes`.
    """
    num_bars = len(found.meters)
    position_N = found.offset_N // np.array([meter.position_ticks for meter in found.meters])[found.bar_N]
    is_onset_N = np.append(True, (np.diff(found.bar_N) > 0) | (np.diff(found.offset_N) != 0))
    tokens_N = table.tokens_per_note + is_onset_N
    behind_N = np.cumsum(tokens_N)
    note_N = behind_N - table.tokens_per_note + 2 * (found.bar_N + 1)  # `Bar TimeSig` of each bar so far come before it
    before_B = np.append(0, behind_N)[np.searchsorted(found.bar_N, np.arange(num_bars))] + 2 * np.arange(num_bars)
    ids_T = np.empty(int(behind_N[-1]) + 2 * num_bars, dtype=np.int64)
    ids_T[before_B] = table.bar_id
    ids_T[before_B + 1] = [table.meter_id[meter.numerator, meter.denominator] for meter in found.meters]
    ids_T[note_N[is_onset_N] - 1] = table.id_of_position[position_N[is_onset_N]]
    ids_T[note_N] = table.id_of_voice[found.voice_N]
    ids_T[note_N + 1] = table.id_of_pitch[found.pitch_N]
    ids_T[note_N + 2] = _duration_ids(table, found)
    return ids_T.tolist()


def _duration_ids(table: TokenTable, found: ExactNotes) -> Ints:
    """Return the ids of the notes' lengths, -1 for one that no token has."""
    denominator_N = np.array([meter.denominator for meter in found.meters])[found.bar_N]
    ids_N = np.full(found.bar_N.size, -1)
    for denominator in {meter.denominator for meter in found.meters}:
        ids_of = table.id_of_duration[denominator]
        mine = (denominator_N == denominator) & (found.duration_N < ids_of.size)
        ids_N[mine] = ids_of[found.duration_N[mine]]
    return ids_N
