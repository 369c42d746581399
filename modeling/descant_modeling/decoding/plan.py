"""What is to be written: given tokens and empty bars, in the order in which the model sees them.

Units: grid ticks of the vocabulary. Bars are indices from 0 (a pickup is bar 0 here).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from descant_tokenizers.tokens.layout import Task, TaskLayout, cut
from descant_tokenizers.tokens.piece import GridBar, Piece, bar_ids, piece_ids


@dataclass(frozen=True, slots=True)
class EmptyBar:
    """A bar that the model fills.

    Attributes:
        index: Which bar.
        start_ticks: Where it begins in the piece.
        meter_id: Its time signature token.
        closing_ids: The tokens that end it; whichever of them is written counts as the first token of what follows.
    """

    index: int
    start_ticks: int
    meter_id: int
    closing_ids: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """A stream with holes.

    Attributes:
        given: Runs of given ids; one before each empty bar.
        bars: The empty bars. What follows the last one's closing token is not needed.
        voices: Ranks of the voices that are written.
        busy_ticks: For each voice, until when a note that was given before the first empty bar sounds.
        latest_end_ticks: For each voice, when its written notes must have ended.
        pitches: For each voice, lowest and highest MIDI pitch to be written.
    """

    given: tuple[tuple[int, ...], ...]
    bars: tuple[EmptyBar, ...]
    voices: tuple[int, ...]
    busy_ticks: tuple[int, ...]
    latest_end_ticks: tuple[int, ...]
    pitches: tuple[tuple[int, int], ...]


def plan_harmonize(layout: TaskLayout, given: Piece, voices: Sequence[int], pitches: Sequence[tuple[int, int]]) -> Plan:
    """Plan to write ``voices`` beside the given notes, to the end of the last given note."""
    return _plan_blocks(layout, given, Task.HARMONIZE, voices, range(len(given.bars)), given.end_ticks(), pitches)


def plan_infill(
    layout: TaskLayout, piece: Piece, voices: Sequence[int], bars: Sequence[int], pitches: Sequence[tuple[int, int]]
) -> Plan:
    """Plan to write some bars of ``voices`` anew; notes that begin in them are left out, all others stay.

    New notes end with the last bar of the hole, or where a removed note that sounded beyond it ended.
    """
    starts = piece.bar_starts_ticks()
    end = starts[max(bars) + 1]
    for index in bars:
        for note in piece.bars[index].notes:
            if note.voice in voices:
                end = max(end, starts[index] + note.offset_ticks + note.duration_ticks)
    return _plan_blocks(layout, cut(piece, voices, bars), Task.INFILL, voices, bars, end, pitches)


def plan_continue(layout: TaskLayout, piece: Piece, num_bars: int, pitches: Sequence[tuple[int, int]]) -> Plan:
    """Plan to write ``num_bars`` bars behind a piece, in its voices and its last meter."""
    table, last = layout.table, piece.bars[-1]
    opening = tuple(bar_ids(table, GridBar(last.meter)))
    start = piece.bar_starts_ticks()[-1]
    header = layout.header(Task.CONTINUE, piece.voices)
    given = [(*header, *piece_ids(table, piece), *opening)] + [opening] * (num_bars - 1)
    bars = [
        EmptyBar(len(piece.bars) + i, start + i * last.meter.bar_ticks, opening[1], (table.bar_id,))
        for i in range(num_bars)
    ]
    bars[-1] = EmptyBar(bars[-1].index, bars[-1].start_ticks, opening[1], (table.bar_id, layout.eos))
    end = start + num_bars * last.meter.bar_ticks
    return _make_plan(layout, given, bars, piece.voices, piece, end, pitches)


def _plan_blocks(
    layout: TaskLayout,
    given: Piece,
    task: Task,
    voices: Sequence[int],
    hole: Sequence[int],
    end_ticks: int,
    pitches: Sequence[tuple[int, int]],
) -> Plan:
    starts = given.bar_starts_ticks()
    runs: list[list[int]] = [layout.header(task, voices)]
    empty: list[int] = []
    for block in layout.blocks(given, task, list(hole)):
        if block.written:
            empty.append(block.bar)
            runs.append([])
        else:
            runs[-1] += block.ids
    meters = [layout.table.meter_id[b.meter.numerator, b.meter.denominator] for b in given.bars]
    bars = [EmptyBar(b, starts[b], meters[b], (runs[i + 1][0],)) for i, b in enumerate(empty)]
    return _make_plan(layout, [tuple(run) for run in runs[:-1]], bars, voices, given, end_ticks, pitches)


def _make_plan(
    layout: TaskLayout,
    given: Sequence[tuple[int, ...]],
    bars: Sequence[EmptyBar],
    voices: Sequence[int],
    piece: Piece,
    end_ticks: int,
    pitches: Sequence[tuple[int, int]],
) -> Plan:
    """Add what given notes of the written voices forbid: sounding into the hole, or beginning before it ends."""
    busy = [0] * layout.table.num_voices
    latest = [end_ticks] * layout.table.num_voices
    starts = piece.bar_starts_ticks()
    for index, bar in enumerate(piece.bars):
        for note in bar.notes:
            onset = starts[index] + note.offset_ticks
            if onset < bars[0].start_ticks:
                busy[note.voice] = max(busy[note.voice], onset + note.duration_ticks)
            elif note.voice in voices:
                latest[note.voice] = min(latest[note.voice], onset)
    return Plan(tuple(given), tuple(bars), tuple(voices), tuple(busy), tuple(latest), tuple(pitches))


