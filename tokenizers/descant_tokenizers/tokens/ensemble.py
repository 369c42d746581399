"""Between scores of any instruments and pieces on the token grid, through miditok.

A voice is an instrument: tracks of equal program become one, because a one-stream miditok tokenizer cannot tell them
apart. What miditok would drop or bend silently is refused in one sentence, or counted and reported.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from symusic.core import ScoreTick, TimeSignatureTick, TrackTick, TrackTickList

from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import Bar, bars_of
from descant_tokenizers.tokens.meters import bar_meters, straightened
from descant_tokenizers.tokens.piece import GridNote, Piece, parse_piece, piece_ids
from descant_tokenizers.tokens.vocabulary import Meter, TokenTable

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
    tokens = table.tokenizer.encode(_prepared(table, score, bars, meters), encode_ids=False)
    piece = _without_clashes(table, parse_piece(table, tokens.ids))
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


def _prepared(table: TokenTable, score: ScoreTick, bars: Sequence[Bar], meters: Sequence[Meter]) -> ScoreTick:
    """Return the score at the resolution that miditok would choose, its bars exact and its tracks in token order.

    miditok rounds time signatures down to its own ticks, and moves one that misses a bar line to the next.
    """
    per_beat = table.tokenizer.config.max_num_pos_per_beat
    quarter_ticks = per_beat * max(meter.denominator for meter in meters) // 4
    labelled = score.resample(quarter_ticks, min_dur=1)
    labelled.time_signatures = type(labelled.time_signatures)()
    scale = Fraction(quarter_ticks, score.ticks_per_quarter)
    for bar, meter, before in zip(bars, meters, (None, *meters), strict=False):
        if meter != before:
            start = bar.start_ticks * scale
            assert start.denominator == 1, "a bar line off the grid"
            labelled.time_signatures.append(TimeSignatureTick(int(start), meter.numerator, meter.denominator))
    labelled.tracks = TrackTickList(sorted(labelled.tracks, key=lambda track: _rank(table, track)))
    return labelled


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
