"""Between scores of any instruments and pieces on the token grid.

A voice is an instrument: tracks of equal program become one, because a one-stream miditok tokenizer cannot tell them
apart. Rounding is done here, not by miditok's `encode`: it rounds time signatures down and to the next bar, rounds
twice, and fails on some scores whose beat changes (miditok 3.1.0: a KeyError for a length that is none of the new
beat's). The tokens are those that it would write. Whatever is rounded or dropped is counted and reported.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import Bar, bars_of
from descant_tokenizers.tokens.meters import bar_meters, straightened
from descant_tokenizers.tokens.piece import GridBar, GridNote, GridTempo, Piece, piece_ids
from descant_tokenizers.tokens.vocabulary import Meter, TokenTable

_DEFAULT_TEMPO = 120.0  # what MIDI assumes, in quarters per minute

_Number = TypeVar("_Number", int, float)
_Lane = tuple[int, int]
"""Voice and pitch: what MIDI cannot sound twice at once."""


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
    piece = _without_clashes(table, _on_grid(table, score, bars, meters))
    changes = (*_merged_tracks(table, score), *respelled, *rounded, *_note_changes(table, score, piece))
    return piece, (*changes, *_tempo_changes(score, piece))


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


def _on_grid(table: TokenTable, score: ScoreTick, bars: Sequence[Bar], meters: Sequence[Meter]) -> Piece:
    """Round everything to the nearest that the vocabulary has; bars behind the last event are left out."""
    starts, scale = [bar.start_ticks for bar in bars], Fraction(table.ticks_per_quarter, score.ticks_per_quarter)
    meters = [*meters, meters[-1]]  # a note at the very end may be rounded up into one bar more

    def place(time: int) -> tuple[int, int]:
        index = bisect.bisect_right(starts, time) - 1
        meter = meters[index]
        offset = _round((time - starts[index]) * scale / meter.position_ticks) * meter.position_ticks
        return (index, offset) if offset < meter.bar_ticks else (index + 1, 0)

    notes: list[list[GridNote]] = [[] for _ in meters]
    lengths = {denominator: sorted(ticks) for denominator, ticks in table.duration_id.items()}
    velocities = sorted(table.velocity_id)
    for track in score.tracks:
        rank = _rank(table, track) if track.notes else -1
        for note in track.notes:
            index, offset = place(note.time)
            length = _nearest(lengths[meters[index].denominator], note.duration * scale)
            notes[index].append(GridNote(offset, rank, note.pitch, length, _nearest(velocities, note.velocity)))
    tempos: list[list[GridTempo]] = [[] for _ in meters]
    for (index, offset), tempo in _tempos_on_grid(table, score, place).items():
        tempos[index].append(GridTempo(offset, tempo))
    last = max(index for index in range(len(meters)) if notes[index] or tempos[index])
    content = zip(meters[: last + 1], notes, tempos, strict=False)
    return Piece(tuple(GridBar(meter, tuple(sorted(n)), tuple(t)) for meter, n, t in content))


def _tempos_on_grid(
    table: TokenTable, score: ScoreTick, place: Callable[[int], tuple[int, int]]
) -> dict[tuple[int, int], float]:
    """Return `{(bar, offset): tempo}` in order: one at the beginning (120 if none is given), and each that is new."""
    known = sorted(table.tempo_id)
    wanted = {(0, 0): _DEFAULT_TEMPO}
    for tempo in sorted(score.tempos, key=lambda tempo: tempo.time):
        wanted[place(tempo.time)] = tempo.qpm
    found: dict[tuple[int, int], float] = {}
    present = 0.0
    for where, qpm in sorted(wanted.items()):
        nearest = _nearest(known, qpm)
        if nearest != present:
            found[where] = present = nearest
    return found


def _nearest(values: Sequence[_Number], wanted: float | Fraction) -> _Number:
    """Return the nearest of rising values, of two equally near the larger."""
    after = min(max(bisect.bisect_left(values, wanted), 1), len(values) - 1)
    below, above = values[after - 1], values[after]
    return below if wanted - below < above - wanted else above


def _round(value: Fraction) -> int:
    """Round to the nearest whole number, a half up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def _without_clashes(table: TokenTable, piece: Piece) -> Piece:
    """Return a piece in which no instrument strikes a pitch that it still sounds."""
    lanes: dict[_Lane, list[tuple[int, int, GridNote]]] = defaultdict(list)
    for index, (start, bar) in enumerate(zip(piece.bar_starts_ticks(), piece.bars, strict=False)):
        for note in bar.notes:
            lanes[note.voice, note.pitch].append((start + note.offset_ticks, index, note))
    kept: list[list[GridNote]] = [[] for _ in piece.bars]
    for struck in lanes.values():
        longest = {onset: (index, note) for onset, index, note in struck}  # of one onset the last sorts as the longest
        onsets = list(longest)
        for onset, following in zip(onsets, [*onsets[1:], None], strict=True):
            index, note = longest[onset]
            if following is not None and following < onset + note.duration_ticks:
                lengths = table.duration_id[piece.bars[index].meter.denominator]
                note = note._replace(duration_ticks=max(ticks for ticks in lengths if ticks <= following - onset))
            kept[index].append(note)
    return Piece(tuple(replace(bar, notes=tuple(sorted(notes))) for bar, notes in zip(piece.bars, kept, strict=True)))


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


def _note_changes(table: TokenTable, score: ScoreTick, piece: Piece) -> Iterator[str]:
    """Compare the notes of a score with those of its piece; say how many differ, and how."""
    wanted = _exact_notes(table, score)
    starts = piece.bar_starts_ticks()
    found = {
        (note.voice, note.pitch, Fraction(starts[index] + note.offset_ticks)): (note.duration_ticks, note.velocity)
        for index, bar in enumerate(piece.bars)
        for note in bar.notes
    }
    kept = [(found[key], values) for key, values in wanted.items() if key in found]
    dropped = sum(len(track.notes) for track in score.tracks) - piece.num_notes
    yield from _counted(dropped, "notes dropped to fit the grid")
    yield from _counted(len(found.keys() - wanted.keys()), "notes moved to fit the grid")
    yield from _counted(sum(mine[0] != his[0] for mine, his in kept), "notes given another length to fit the grid")
    yield from _counted(sum(mine[1] != his[1] for mine, his in kept), "velocities rounded")


def _exact_notes(table: TokenTable, score: ScoreTick) -> dict[tuple[int, int, Fraction], tuple[Fraction, int]]:
    """Return `{(voice, pitch, onset): (duration, velocity)}` of a score, times in exact grid ticks."""
    scale = Fraction(table.ticks_per_quarter, score.ticks_per_quarter)
    return {
        (_rank(table, track), note.pitch, note.time * scale): (note.duration * scale, note.velocity)
        for track in score.tracks
        for note in track.notes
    }


def _tempo_changes(score: ScoreTick, piece: Piece) -> Iterator[str]:
    kept = [tempo.quarters_per_minute for bar in piece.bars for tempo in bar.tempos]
    wanted = [tempo.qpm for tempo in score.tempos]
    rounded = sum(min((abs(qpm - mine) for mine in kept), default=qpm) > 0.01 for qpm in wanted)
    yield from _counted(rounded, "tempos rounded")
    yield from _counted(len(wanted) - len(kept), "tempos dropped that the rounded ones repeat")


def _counted(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield f"{what}: {count}"
