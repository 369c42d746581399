"""From multitrack scores to pieces on the token grid, and the bars of a score in the meters of a vocabulary.

A voice is an instrument: tracks of one program become one voice, because a one-stream miditok tokenizer cannot tell
them apart. Quantization is done here, not by miditok's `encode`: it rounds time signatures down and to the next bar,
rounds twice, and fails on some scores whose beat changes (miditok 3.1.0: a KeyError for a length that the new beat does
not have). The tokens are those that it would write. Everything that is rounded or dropped is counted and reported.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from symusic.core import ScoreTick, TrackTick, TrackTickList

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Bar, bars_of
from descant_tokenizers.scores.tracks import notes_of, track_indices, track_label
from descant_tokenizers.tokens.piece import GridTempo, Piece
from descant_tokenizers.tokens.quantize import Quantizer
from descant_tokenizers.tokens.vocabulary import Meter, Vocabulary


def bar_meters(vocabulary: Vocabulary, bars: Sequence[Bar], ticks_per_quarter: int) -> tuple[Meter, ...]:
    """Return the meter of each bar on the grid; a bar that is cut short gets the signature of its own length.

    In multitrack music a signature that the vocabulary lacks is replaced by one of equal length (24/16 by 12/8), and a
    bar line less than a 32nd off a 16th (after a grace note, for example) is moved there, see `snap_bars`.

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
    """Return the meter less than a 32nd from a length, if there is one; of equals the one in the bar's own beats."""
    near = [(abs(Fraction(m.numerator, m.denominator) - length), m) for m in vocabulary.meter_of.values()]
    fitting = [(distance, m.denominator != bar.denominator, m) for distance, m in near if distance < Fraction(1, 32)]
    return min(fitting)[2] if fitting else None


def snap_bars(
    score: ScoreTick, bars: Sequence[Bar], meters: Sequence[Meter]
) -> tuple[ScoreTick, Sequence[Bar], tuple[str, ...]]:
    """Give each bar exactly the length of its meter, from `bar_meters`; events keep their distance from the bar line.

    Returns:
        The score and its bars, untouched if they have those lengths; and a phrase about what was changed.
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


_DEFAULT_TEMPO = 120.0  # of MIDI, in quarters per minute


def encode_multitrack(
    vocabulary: Vocabulary, score: ScoreTick, bars: Sequence[Bar] | None = None
) -> tuple[Piece, tuple[str, ...]]:
    """Put a score of any tracks on the token grid.

    Onsets, durations, velocities and tempos are rounded to the nearest in the vocabulary. Of notes of one instrument
    and pitch that then begin together the longest stays, and one that still sounds when its pitch is struck again ends
    there.

    Args:
        vocabulary: The vocabulary, of the preset `gm`.
        score: A score in ticks.
        bars: Its bars; by default those up to the end of its last note.

    Returns:
        The piece, and one phrase for each kind of change.

    Raises:
        InputError: There are no notes, or no time signature of the vocabulary is as long as some bar.
    """
    if not any(track.notes for track in score.tracks):
        raise InputError("The score has no notes. Give a score with notes.")
    bars = bars_of(score) if bars is None else bars
    meters = bar_meters(vocabulary, bars, score.ticks_per_quarter)
    respelled = tuple(_respelled(score, bars, meters))
    score, bars, rounded = snap_bars(score, bars, meters)
    piece, changes = _on_grid(vocabulary, score, bars, meters)
    return piece, (*_merged_tracks(vocabulary, score), *respelled, *rounded, *changes, *_tempo_changes(score, piece))


def choose_tracks(score: ScoreTick, track: int | str | None = None) -> tuple[ScoreTick, str]:
    """Return a score of all tracks, or of the one given by number from 1 or by name, and a sentence that says so."""
    if track is None:
        return score, f"tracks: all {len(score.tracks)}"
    chosen = score.copy()
    index = track_indices(score, str(track))[0]
    chosen.tracks = TrackTickList([score.tracks[index]])
    return chosen, f"track: {track_label(score, index)}"


def _rank(vocabulary: Vocabulary, track: TrackTick) -> int:
    rank = vocabulary.rank_of(track)
    if rank is None:
        raise InputError(f"Program {track.program} of track '{track.name}' is not in the vocabulary. Choose another.")
    return rank


def _on_grid(
    vocabulary: Vocabulary, score: ScoreTick, bars: Sequence[Bar], meters: Sequence[Meter]
) -> tuple[Piece, Iterator[str]]:
    """Round everything to the nearest in the vocabulary; return also how many notes changed."""
    meters = [*meters, meters[-1]]  # a note at the very end may be rounded up into one more bar
    quantizer = Quantizer(vocabulary, bars, meters, score.ticks_per_quarter)
    notes = notes_of(score.tracks)
    rank_T = np.array([_rank(vocabulary, track) if track.notes else -1 for track in score.tracks])
    voice_N = rank_T[notes.track_N]
    found = quantizer.without_clashes(quantizer.round(notes, voice_N))
    tempos = _tempos_on_grid(vocabulary, score, quantizer)
    changes = [index for index in range(1, len(bars)) if meters[index] != meters[index - 1]]
    last = max(int(found.bar_N.max()), *tempos, *changes)  # later bars are left out, as by miditok
    piece = Piece(found.in_bars(meters[: last + 1], [tempos.get(index, []) for index in range(last + 1)]))
    counts = quantizer.count_changes(notes, voice_N, found)
    return piece, (phrase for what, count in counts.items() for phrase in _counted(count, what))


def _tempos_on_grid(vocabulary: Vocabulary, score: ScoreTick, quantizer: Quantizer) -> dict[int, list[GridTempo]]:
    """Return the tempos of each bar that has any: one at the beginning (120 by default), and each change."""
    known = sorted(vocabulary.tempo_id)
    tempos = {(0, 0): _DEFAULT_TEMPO}
    ordered = sorted(score.tempos, key=lambda tempo: tempo.time)
    places = zip(*(column.tolist() for column in quantizer.place([tempo.time for tempo in ordered])), strict=True)
    tempos.update(zip(places, (tempo.qpm for tempo in ordered), strict=True))
    found: dict[int, list[GridTempo]] = defaultdict(list)
    current = 0.0
    for (bar, offset), qpm in sorted(tempos.items()):
        nearest = _nearest_value(known, qpm)
        if nearest != current:
            found[bar].append(GridTempo(offset, nearest))
            current = nearest
    return found


def _nearest_value(values: Sequence[float], target: float) -> float:
    """Return the nearest of rising values; of two equally near, the larger."""
    after = min(max(bisect.bisect_left(values, target), 1), len(values) - 1)
    below, above = values[after - 1], values[after]
    return below if target - below < above - target else above


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
    """Say which whole bars got another signature; a short one always has that of its own length."""
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
