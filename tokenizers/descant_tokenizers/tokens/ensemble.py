"""Between scores of any instruments and pieces on the token grid.

A voice is an instrument: tracks of equal program become one, because a one-stream miditok tokenizer cannot tell them
apart. Rounding is done here, not by miditok's `encode`: it rounds time signatures down and to the next bar, rounds
twice, and fails on some scores whose beat changes (miditok 3.1.0: a KeyError for a length that is none of the new
beat's). The tokens are those that it would write. Whatever is rounded or dropped is counted and reported.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import Bar, bars_of
from descant_tokenizers.scores.notes import notes_of
from descant_tokenizers.tokens.meters import bar_meters, straightened
from descant_tokenizers.tokens.piece import GridTempo, Piece, piece_ids
from descant_tokenizers.tokens.rounding import Raster
from descant_tokenizers.tokens.vocabulary import Meter, TokenTable

_DEFAULT_TEMPO = 120.0  # what MIDI assumes, in quarters per minute


def encode_ensemble(
    table: TokenTable, score: ScoreTick, bars: Sequence[Bar] | None = None
) -> tuple[Piece, tuple[str, ...]]:
    """Put a score of any tracks on the token grid.

    Onsets, lengths, velocities and tempos are rounded to the nearest that the vocabulary has. Of notes of one
    instrument and pitch that then begin together the longest stays, and one that still sounds when its pitch is struck
    again ends there.

    Args:
        table: The vocabulary, of a tokenizer of the `gm` preset.
        score: A score in ticks.
        bars: Its bars, if there are more than those up to the end of its last note.

    Returns:
        The piece, and what was changed: one phrase for each kind of change.

    Raises:
        InputError: No notes, or bars of a length that no time signature of the vocabulary has.
    """
    if not any(track.notes for track in score.tracks):
        raise InputError("the score has no notes: give a score with notes")
    bars = bars_of(score) if bars is None else bars
    meters = bar_meters(table, bars, score.ticks_per_quarter)
    respelled = tuple(_respelled(score, bars, meters))
    score, bars, rounded = straightened(score, bars, meters)
    piece, changes = _on_grid(table, score, bars, meters)
    return piece, (*_merged_tracks(table, score), *respelled, *rounded, *changes, *_tempo_changes(score, piece))


def decode_ensemble(table: TokenTable, piece: Piece) -> ScoreTick:
    """Turn a piece into a score with one track an instrument, through miditok's decoder.

    Args:
        table: The vocabulary.
        piece: The music.
    """
    score: ScoreTick = table.tokenizer.decode(piece_ids(table, piece))
    score.tracks.sort(key=lambda track: _rank(table, track))
    return score


def _rank(table: TokenTable, track: TrackTick) -> int:
    rank = table.rank_of(track)
    if rank is None:
        raise InputError(f"program {track.program} of track '{track.name}' is not in the vocabulary: choose another")
    return rank


def _on_grid(
    table: TokenTable, score: ScoreTick, bars: Sequence[Bar], meters: Sequence[Meter]
) -> tuple[Piece, Iterator[str]]:
    """Round everything to the nearest that the vocabulary has; return also what became of the notes."""
    meters = [*meters, meters[-1]]  # a note at the very end may be rounded up into one bar more
    raster = Raster(table, bars, meters, score.ticks_per_quarter)
    notes = notes_of(score.tracks)
    rank_T = np.array([_rank(table, track) if track.notes else -1 for track in score.tracks])
    voice_N = rank_T[notes.track_N]
    found = raster.without_clashes(raster.put(notes, voice_N))
    tempos = _tempos_on_grid(table, score, raster)
    changes = [index for index in range(1, len(bars)) if meters[index] != meters[index - 1]]
    last = max(int(found.bar_N.max()), *tempos, *changes)  # bars behind the last event are left out, as miditok does
    piece = Piece(found.in_bars(meters[: last + 1], [tempos.get(index, []) for index in range(last + 1)]))
    counts = raster.count_changes(notes, voice_N, found)
    return piece, (said for what, count in counts.items() for said in _counted(count, what))


def _tempos_on_grid(table: TokenTable, score: ScoreTick, raster: Raster) -> dict[int, list[GridTempo]]:
    """Return the tempos in each bar that has any: one at the beginning (120 if none is given), and each that is new."""
    known = sorted(table.tempo_id)
    wanted = {(0, 0): _DEFAULT_TEMPO}
    given = sorted(score.tempos, key=lambda tempo: tempo.time)
    places = zip(*(column.tolist() for column in raster.place([tempo.time for tempo in given])), strict=True)
    wanted.update(zip(places, (tempo.qpm for tempo in given), strict=True))
    found: dict[int, list[GridTempo]] = defaultdict(list)
    present = 0.0
    for (bar, offset), qpm in sorted(wanted.items()):
        nearest = _nearest(known, qpm)
        if nearest != present:
            found[bar].append(GridTempo(offset, nearest))
            present = nearest
    return found


def _nearest(values: Sequence[float], wanted: float) -> float:
    """Return the nearest of rising values, of two equally near the larger."""
    after = min(max(bisect.bisect_left(values, wanted), 1), len(values) - 1)
    below, above = values[after - 1], values[after]
    return below if wanted - below < above - wanted else above


def _merged_tracks(table: TokenTable, score: ScoreTick) -> Iterator[str]:
    players: dict[int, list[int]] = defaultdict(list)
    for number, track in enumerate(score.tracks, start=1):
        if track.notes:
            players[_rank(table, track)].append(number)
    for rank, numbers in sorted(players.items()):
        if len(numbers) > 1:
            yield f"tracks {', '.join(map(str, numbers))} are one voice: {table.voice_name(rank)}"
    kits = sum(track.is_drum and track.program != 0 and len(track.notes) > 0 for track in score.tracks)
    yield from _counted(kits, "drum tracks without their own kit")


def _respelled(score: ScoreTick, bars: Sequence[Bar], meters: Sequence[Meter]) -> Iterator[str]:
    """Say which whole bars got another signature; a short one has that of its own length as a matter of course."""
    written = {
        f"{bar.numerator}/{bar.denominator} as {meter.numerator}/{meter.denominator}"
        for bar, meter in zip(bars, meters, strict=True)
        if (bar.numerator, bar.denominator) != (meter.numerator, meter.denominator)
        and bar.length_ticks * bar.denominator == 4 * score.ticks_per_quarter * bar.numerator
    }
    for said in sorted(written):
        yield f"bars written in another time signature: {said}"


def _tempo_changes(score: ScoreTick, piece: Piece) -> Iterator[str]:
    kept = [tempo.quarters_per_minute for bar in piece.bars for tempo in bar.tempos]
    wanted = [tempo.qpm for tempo in score.tempos]
    rounded = sum(min((abs(qpm - mine) for mine in kept), default=qpm) > 0.01 for qpm in wanted)
    yield from _counted(rounded, "tempos rounded")
    yield from _counted(len(wanted) - len(kept), "tempos dropped that the rounded ones repeat")


def _counted(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield f"{what}: {count}"
