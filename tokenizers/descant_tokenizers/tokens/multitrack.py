"""From multitrack scores to pieces on the token grid.

A voice is an instrument: tracks of one program become one voice, because a one-stream miditok tokenizer cannot tell
them apart. Quantization is done here, not by miditok's `encode`, which rounds time signatures down and to the next bar,
rounds twice, and fails on some scores whose beat changes (miditok 3.1.0: a KeyError for a length that the new beat does
not have). The tokens are those that it would write. Everything that is rounded or dropped is counted and reported.

Notes are quantized all at once as arrays, each value to the nearest in the vocabulary. All numbers are whole, so that
ties are exact: before they are compared, ticks of the score (`fine` to the quarter note) are multiplied by the grid's
resolution, and ticks of the grid by `fine`.

Shapes: B bars, N notes, T tracks, V values to choose from. Units: grid ticks, unless a name says otherwise.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from symusic.core import ScoreTick, TrackTick, TrackTickList

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores import Bar, bars_of
from descant_tokenizers.scores.tracks import Notes, notes_of, track_indices, track_label
from descant_tokenizers.tokens.piece import GridBar, GridNote, GridTempo, Piece
from descant_tokenizers.tokens.vocabulary import Meter, Vocabulary

Ints = NDArray[np.int64]
_DEFAULT_TEMPO = 120.0  # of MIDI, in quarters per minute


def encode_multitrack(
    vocabulary: Vocabulary, score: ScoreTick, bars: Sequence[Bar] | None = None
) -> tuple[Piece, tuple[str, ...]]:
    """Put a score of any tracks on the token grid.

    Onsets, durations, velocities and tempos are rounded to the nearest in the vocabulary. Of the notes of an instrument
    and pitch that then begin together the longest is kept, and a note ends where its pitch is struck again.

    Args:
        vocabulary: The vocabulary of the preset `gm`, or of an ensemble, by whose parts the tracks are then named.
        score: A score in ticks.
        bars: Its bars; by default those up to the end of its last note.

    Returns:
        The piece, and a phrase for each kind of change.

    Raises:
        InputError: There are no notes, or a bar is longer or shorter than all time signatures of the vocabulary.
    """
    if not any(track.notes for track in score.tracks):
        raise InputError("The score has no notes. Give one with notes.")
    bars = bars_of(score) if bars is None else bars
    meters = bar_meters(vocabulary, bars, score.ticks_per_quarter)
    respelled = tuple(_respelled(score, bars, meters))
    score, bars, rounded = _snap_bars(score, bars, meters)
    piece, changes = _on_grid(vocabulary, score, bars, meters)
    merged = _merged_tracks(vocabulary, score) if vocabulary.ensemble is None else ()
    tempos = _tempo_changes(score, piece) if vocabulary.tempo_id else ()
    return piece, (*merged, *respelled, *rounded, *changes, *tempos)


def choose_tracks(score: ScoreTick, track: int | str | None = None) -> tuple[ScoreTick, str]:
    """Return a score of all tracks or of one, given by number from 1 or by name, and a sentence that says which."""
    if track is None:
        return score, f"tracks: all {len(score.tracks)}"
    chosen = score.copy()
    index = track_indices(score, str(track))[0]
    chosen.tracks = TrackTickList([score.tracks[index]])
    return chosen, f"track: {track_label(score, index)}"


def _rank(vocabulary: Vocabulary, track: TrackTick) -> int:
    rank = vocabulary.rank_of(track)
    if rank is None and vocabulary.ensemble is not None:
        names = ", ".join(vocabulary.ensemble.tracks)
        raise InputError(f"Track {printable(track.name, 40)!r} is no part of the model. Name it one of {names}.")
    if rank is None:
        raise InputError(f"Program {track.program} of track {track.name!r} is not in the vocabulary. Choose another.")
    return rank


def _on_grid(
    vocabulary: Vocabulary, score: ScoreTick, bars: Sequence[Bar], meters: Sequence[Meter]
) -> tuple[Piece, Iterator[str]]:
    """Round everything to the nearest values of the vocabulary; also return how many notes changed."""
    meters = [*meters, meters[-1]]  # a note at the very end may be rounded up into one more bar
    quantizer = Quantizer(vocabulary, bars, meters, score.ticks_per_quarter)
    notes = notes_of(score.tracks)
    rank_T = np.array([_rank(vocabulary, track) if track.notes else -1 for track in score.tracks])
    _check_pitches(vocabulary, notes)
    voice_N = rank_T[notes.track_N]
    found = quantizer.without_clashes(quantizer.round(notes, voice_N))
    tempos = _tempos_on_grid(vocabulary, score, quantizer)
    changes = [index for index in range(1, len(bars)) if meters[index] != meters[index - 1]]
    last = max([int(found.bar_N.max()), *tempos, *changes])  # later bars are left out, as by miditok
    piece = Piece(found.in_bars(meters[: last + 1], [tempos.get(index, []) for index in range(last + 1)]))
    counts = quantizer.count_changes(notes, voice_N, found)
    return piece, (phrase for what, count in counts.items() for phrase in _counted(count, what))


def _check_pitches(vocabulary: Vocabulary, notes: Notes) -> None:
    low, high = min(vocabulary.pitch_of.values()), max(vocabulary.pitch_of.values())
    wrong = notes.pitch_N[(notes.pitch_N < low) | (notes.pitch_N > high)]
    if wrong.size:
        raise InputError(f"The model has no MIDI pitch {wrong[0]}, only {low} to {high}. Transpose the music.")


def _tempos_on_grid(vocabulary: Vocabulary, score: ScoreTick, quantizer: Quantizer) -> dict[int, list[GridTempo]]:
    """Return the tempos of each bar that has any: one at the beginning (120 by default), and each change."""
    if not vocabulary.tempo_id:
        return {}
    known = np.array(sorted(vocabulary.tempo_id))
    tempos = {(0, 0): _DEFAULT_TEMPO}
    ordered = sorted(score.tempos, key=lambda tempo: tempo.time)
    places = zip(*(column.tolist() for column in quantizer.place([tempo.time for tempo in ordered])), strict=True)
    tempos.update(zip(places, (tempo.qpm for tempo in ordered), strict=True))
    found: dict[int, list[GridTempo]] = defaultdict(list)
    current = 0.0
    for (bar, offset), qpm in sorted(tempos.items()):
        nearest = float(_nearest_values(known, 1, qpm))
        if nearest != current:
            found[bar].append(GridTempo(offset, nearest))
            current = nearest
    return found


def _merged_tracks(vocabulary: Vocabulary, score: ScoreTick) -> Iterator[str]:
    players: dict[int, list[int]] = defaultdict(list)
    for number, track in enumerate(score.tracks, start=1):
        if track.notes:
            players[_rank(vocabulary, track)].append(number)
    for rank, numbers in sorted(players.items()):
        if len(numbers) > 1:
            yield f"tracks {', '.join(map(str, numbers))} are one voice: {vocabulary.voice_name(rank)}"
    kits = sum(track.is_drum and track.program != 0 and len(track.notes) > 0 for track in score.tracks)
    yield from _counted(kits, "drum tracks without their own kit")


def _respelled(score: ScoreTick, bars: Sequence[Bar], meters: Sequence[Meter]) -> Iterator[str]:
    """Report whole bars that got another signature; a short bar always has the signature of its own length."""
    respelled = {
        f"{bar.numerator}/{bar.denominator} as {meter.numerator}/{meter.denominator}"
        for bar, meter in zip(bars, meters, strict=True)
        if (bar.numerator, bar.denominator) != (meter.numerator, meter.denominator)
        and bar.length_ticks * bar.denominator == 4 * score.ticks_per_quarter * bar.numerator
    }
    for change in sorted(respelled):
        yield f"bars written in another time signature: {change}"


def _tempo_changes(score: ScoreTick, piece: Piece) -> Iterator[str]:
    kept = [tempo.quarters_per_minute for bar in piece.bars for tempo in bar.tempos]
    rounded = sum(min((abs(tempo.qpm - own) for own in kept), default=tempo.qpm) > 0.01 for tempo in score.tempos)
    yield from _counted(rounded, "tempos rounded")
    yield from _counted(len(score.tempos) - len(kept), "tempos dropped that the rounded ones repeat")


def _counted(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield f"{what}: {count}"


def bar_meters(vocabulary: Vocabulary, bars: Sequence[Bar], ticks_per_quarter: int) -> tuple[Meter, ...]:
    """Return the meter of each bar on the grid; a bar that is cut short gets the signature of its own length.

    In multitrack music a signature that the vocabulary lacks is replaced by one of equal length (24/16 by 12/8), and a
    bar line less than a 32nd from a 16th (after a grace note, for example) is moved there, see `_snap_bars`.

    Raises:
        InputError: A bar has a length that no time signature of the vocabulary has.
    """
    return tuple(_meter(vocabulary, bar, ticks_per_quarter) for bar in bars)


def _meter(vocabulary: Vocabulary, bar: Bar, ticks_per_quarter: int) -> Meter:
    length = Fraction(bar.length_ticks, 4 * ticks_per_quarter)
    is_whole = length == Fraction(bar.numerator, bar.denominator)
    if is_whole and (bar.numerator, bar.denominator) in vocabulary.meter_id:
        return vocabulary.meter_of[vocabulary.meter_id[bar.numerator, bar.denominator]]
    if not is_whole or not vocabulary.voices:
        nearest = bar.denominator // 2 if is_whole else bar.denominator
        for denominator in (nearest, 4, 8, 16, 2):
            numerator = length * denominator
            if numerator.denominator == 1 and (int(numerator), denominator) in vocabulary.meter_id:
                return vocabulary.meter_of[vocabulary.meter_id[int(numerator), denominator]]
    if not vocabulary.voices and (near := _nearest(vocabulary, bar, length)) is not None:
        return near
    if is_whole:
        raise InputError(
            f"The model does not know the time signature {bar.numerator}/{bar.denominator} (bar {bar.number}). "
            f"Write the piece in one of {vocabulary.meter_ranges}."
        )
    raise InputError(f"A time signature in the middle of a beat cuts bar {bar.number} short. Put it on a bar line.")


def _nearest(vocabulary: Vocabulary, bar: Bar, length: Fraction) -> Meter | None:
    """Return the nearest meter less than a 32nd from a length, if any; of equals, the one in the bar's own beats."""
    near = [(abs(Fraction(m.numerator, m.denominator) - length), m) for m in vocabulary.meter_of.values()]
    fitting = [(distance, m.denominator != bar.denominator, m) for distance, m in near if distance < Fraction(1, 32)]
    return min(fitting)[2] if fitting else None


def _snap_bars(
    score: ScoreTick, bars: Sequence[Bar], meters: Sequence[Meter]
) -> tuple[ScoreTick, Sequence[Bar], tuple[str, ...]]:
    """Give each bar exactly the length of its meter; events keep their distance from the bar line.

    Returns:
        The score and its bars, unchanged if they have those lengths, and a phrase about the changes.
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
    snapped = [
        dataclasses.replace(bar, start_ticks=start, length_ticks=length)
        for bar, start, length in zip(bars, new_starts, lengths, strict=False)
    ]
    changed = sum(length != bar.length_ticks * factor for bar, length in zip(bars, lengths, strict=True))
    return fine, snapped, (f"bars whose length was rounded to a 16th: {changed}",)


def _ticks(meter: Meter, ticks_per_quarter: int) -> Fraction:
    return Fraction(4 * ticks_per_quarter * meter.numerator, meter.denominator)


class GridNotes(NamedTuple):
    """Notes on the grid; offsets count from the beginning of a note's bar."""

    bar_N: Ints
    offset_N: Ints
    voice_N: Ints
    pitch_N: Ints
    duration_N: Ints
    velocity_N: Ints

    def at(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> GridNotes:
        """Return some of the notes, or all of them in another order."""
        return GridNotes(*(column[chosen] for column in self))

    def in_bars(self, meters: Sequence[Meter], tempos: Sequence[Sequence[GridTempo]]) -> tuple[GridBar, ...]:
        """Return bars with these notes, given the meter and tempos of each bar."""
        ordered = self.at(np.lexsort((self.pitch_N, self.voice_N, self.offset_N, self.bar_N)))
        notes = list(map(GridNote._make, zip(*(column.tolist() for column in ordered[1:]), strict=True)))
        bounds = np.searchsorted(ordered.bar_N, np.arange(len(meters) + 1)).tolist()
        return tuple(
            GridBar(meter, tuple(notes[start:end]), tuple(inside))
            for meter, start, end, inside in zip(meters, bounds[:-1], bounds[1:], tempos, strict=True)
        )


class Quantizer:
    """The onsets and durations that the grid allows in a piece.

    The bars of the score are as long as their meters. There is one more meter, for a bar into which events at the very
    end may be rounded up. `fine` is the number of the score's ticks to the quarter note.
    """

    def __init__(self, vocabulary: Vocabulary, bars: Sequence[Bar], meters: Sequence[Meter], fine: int) -> None:
        assert len(meters) == len(bars) + 1
        self._vocabulary, self._grid, self._fine = vocabulary, vocabulary.ticks_per_quarter, fine
        self._fine_start_B = np.array([bar.start_ticks for bar in bars])
        self._bar_ticks_B = np.array([meter.bar_ticks for meter in meters])
        self._position_ticks_B = np.array([meter.position_ticks for meter in meters])
        self._denominator_B = np.array([meter.denominator for meter in meters])
        self._start_B = np.cumsum(self._bar_ticks_B) - self._bar_ticks_B

    def place(self, fine_ticks: ArrayLike) -> tuple[Ints, Ints]:
        """Return the nearest bar and offset for each time in ticks of the score."""
        time_N = np.asarray(fine_ticks, dtype=np.int64)
        bar_N = np.searchsorted(self._fine_start_B, time_N, side="right") - 1
        step_N = self._position_ticks_B[bar_N]
        unit_N = step_N * self._fine
        offset_N = (2 * (time_N - self._fine_start_B[bar_N]) * self._grid + unit_N) // (2 * unit_N) * step_N
        is_next_N = offset_N >= self._bar_ticks_B[bar_N]
        return bar_N + is_next_N, np.where(is_next_N, 0, offset_N)

    def round(self, notes: Notes, voice_N: Ints) -> GridNotes:
        """Round the notes of a score; several may coincide."""
        bar_N, offset_N = self.place(notes.time_N)
        duration_N = np.empty_like(bar_N)
        for denominator, mine in self._by_denominator(bar_N):
            lengths = self._lengths(denominator)
            duration_N[mine] = _nearest_values(lengths, self._fine, notes.duration_N[mine] * self._grid)
        velocity_N = np.zeros_like(notes.velocity_N)
        if known := sorted(self._vocabulary.velocity_id):
            velocity_N = _nearest_values(np.array(known), 1, notes.velocity_N)
        return GridNotes(bar_N, offset_N, voice_N, notes.pitch_N, duration_N, velocity_N)

    def without_clashes(self, notes: GridNotes) -> GridNotes:
        """Keep the longest of notes of one pitch that begin together, and end a note when its pitch is struck again."""
        onset_N = self.onsets(notes)
        order = np.lexsort((notes.velocity_N, notes.duration_N, onset_N, notes.pitch_N, notes.voice_N))
        notes, onset_N = notes.at(order), onset_N[order]
        is_last_N = np.append(~_has_same_next(notes) | (np.diff(onset_N) > 0), True)
        notes, onset_N = notes.at(is_last_N), onset_N[is_last_N]
        duration_N = notes.duration_N.copy()
        room_N = np.append(np.where(_has_same_next(notes), np.diff(onset_N), duration_N[:-1]), duration_N[-1:])
        for denominator, mine in self._by_denominator(notes.bar_N):
            cut = mine & (duration_N > room_N)
            lengths = self._lengths(denominator)
            duration_N[cut] = lengths[np.searchsorted(lengths, room_N[cut], side="right") - 1]
        return notes._replace(duration_N=duration_N)

    def onsets(self, notes: GridNotes) -> Ints:
        """Return onsets from the beginning of the piece."""
        onset_N: Ints = self._start_B[notes.bar_N] + notes.offset_N
        return onset_N

    def count_changes(self, before: Notes, voice_N: Ints, after: GridNotes) -> dict[str, int]:
        """Count the changed notes of a score by the kind of change."""
        keys_before = _keys(voice_N, before.pitch_N, before.time_N * self._grid)
        keys_after = _keys(after.voice_N, after.pitch_N, self.onsets(after) * self._fine)
        _, last = np.unique(keys_before[::-1], return_index=True)  # the last of notes that begin together
        last = keys_before.size - 1 - last
        both, at, new = np.intersect1d(keys_before[last], keys_after, assume_unique=True, return_indices=True)
        old = last[at]
        resized = before.duration_N[old] * self._grid != after.duration_N[new] * self._fine
        return {
            "notes dropped to fit the grid": keys_before.size - keys_after.size,
            "notes moved to fit the grid": keys_after.size - both.size,
            "notes given another length to fit the grid": int(resized.sum()),
            "velocities rounded": int((before.velocity_N[old] != after.velocity_N[new]).sum())
            if self._vocabulary.velocity_id
            else 0,
        }

    def _by_denominator(self, bar_N: Ints) -> list[tuple[int, NDArray[np.bool_]]]:
        """Return each denominator and a mask of the notes in its bars."""
        denominator_N = self._denominator_B[bar_N]
        return [(denominator, denominator_N == denominator) for denominator in np.unique(denominator_N).tolist()]

    def _lengths(self, denominator: int) -> Ints:
        return np.array(sorted(self._vocabulary.duration_id[denominator]))


def _nearest_values(value_V: NDArray[Any], factor: int, target_N: Any) -> Any:
    """Return the values, of rising ones, whose products with a factor are nearest; of two equally near, the larger."""
    middle = (value_V[1:] + value_V[:-1]) * factor
    return value_V[np.searchsorted(middle, 2 * target_N, side="right")]


def _has_same_next(notes: GridNotes) -> NDArray[np.bool_]:
    """Return a mask of the notes, without the last, whose next note has the same voice and pitch."""
    same: NDArray[np.bool_] = (np.diff(notes.voice_N) == 0) & (np.diff(notes.pitch_N) == 0)
    return same


def _keys(voice_N: Ints, pitch_N: Ints, onset_N: Ints) -> Ints:
    """Return one number for voice, pitch and onset; at most 2^26 ticks times the grid's resolution need 33 bits."""
    return (voice_N << 7 | pitch_N) << 44 | onset_N
