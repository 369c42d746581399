"""What is to be written: given tokens and empty bars, in the order in which the model sees them.

Units: grid ticks of the vocabulary. Bars are indices from 0 (a pickup is bar 0 here).
"""

from __future__ import annotations

from dataclasses import dataclass

from descant_tokenizers.tokens.piece import GridNote, Piece, bar_ids, piece_ids
from descant_tokenizers.tokens.tasks import Task, TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary

#: More than any bar of four voices can have: 288 positions, each with four notes of three tokens.
MAX_BAR_TOKENS = 1 << 12


@dataclass(frozen=True, slots=True)
class Span:
    """What is missing from a piece.

    Attributes:
        task: How the model is asked for it.
        voices: Ranks of the voices to be written.
        first: First bar to be written.
        stop: The bar behind the last one to be written.
        end_ticks: For each voice of the vocabulary, when its written notes must have ended.
        pitches: For each voice of the vocabulary, lowest and highest MIDI pitch to be written.
        to_the_end: Whether written voices have to sound until `end_ticks`, not just may.
        max_bar_tokens: A bar of so many written base tokens is closed.
        style: In whose manner, if that is told.
    """

    task: Task
    voices: tuple[int, ...]
    first: int
    stop: int
    end_ticks: tuple[int, ...]
    pitches: tuple[tuple[int, int], ...]
    to_the_end: bool = False
    max_bar_tokens: int = MAX_BAR_TOKENS
    style: str | None = None

    @property
    def bars(self) -> range:
        """The bars to be written."""
        return range(self.first, self.stop)


@dataclass(frozen=True, slots=True)
class TargetBar:
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
class Template:
    """A stream with spans.

    Attributes:
        given: Runs of given ids; one before each empty bar.
        bars: The empty bars. What follows the last one's closing token is not needed.
        voices: Ranks of the voices that are written.
        held: Given notes that begin before the first empty bar, or with it, with their onsets.
        latest_end_ticks: For each voice, when its written notes must have ended.
        pitches: For each voice, lowest and highest MIDI pitch to be written.
        to_the_end: Whether each written voice sounds until its `latest_end_ticks`.
        fills_last_bar: Whether something sounds in the last bar.
        tempos: Whether tempos may be written.
        max_bar_tokens: A bar of so many base tokens is closed.
        inside: Of each empty bar, given notes that stand between the written ones, in the order of the stream.
    """

    given: tuple[tuple[int, ...], ...]
    bars: tuple[TargetBar, ...]
    voices: tuple[int, ...]
    held: tuple[tuple[int, GridNote], ...]
    latest_end_ticks: tuple[int, ...]
    pitches: tuple[tuple[int, int], ...]
    to_the_end: bool = False
    fills_last_bar: bool = False
    tempos: bool = False
    max_bar_tokens: int = MAX_BAR_TOKENS
    inside: tuple[tuple[GridNote, ...], ...] = ()


def make_template(layout: TaskLayout, piece: Piece, span: Span, low: int = 0, high: int | None = None) -> Template:
    """Plan how a span is filled.

    Args:
        layout: The layout the model was trained with.
        piece: All bars, those of the span included, with the given notes.
        span: What is missing; to *continue*, the last of the bars that the model sees, to *harmonize*, all of them.
            What other voices have in the bars to *continue* is given at its onsets, in other tasks if the layout
            has it so.
        low: First bar that the model sees.
        high: The bar behind the last one that it sees; all bars by default.
    """
    seen = Piece(piece.bars[low:high])
    bars = range(span.first - low, span.stop - low)
    at_onsets = span.task is Task.CONTINUE or layout.config.given_at_onsets
    inside = [tuple(n for n in seen.bars[bar].notes if n.voice not in span.voices and at_onsets) for bar in bars]
    if span.task is Task.CONTINUE:
        voices = sorted({*span.voices, *(note.voice for notes in inside for note in notes)})
        given, closing = _continued_runs(layout, seen, layout.prefix(span.task, voices, span.style), bars)
    else:
        given, closing = _block_runs(layout, seen, span, bars)
    starts = piece.bar_starts_ticks()
    meters = [layout.vocabulary.meter_id[bar.meter.numerator, bar.meter.denominator] for bar in piece.bars]
    held, latest = _neighbours(layout.vocabulary, piece, span, at_onsets=at_onsets)
    return Template(
        given=tuple(given),
        bars=tuple(TargetBar(b, starts[b], meters[b], ids) for b, ids in zip(span.bars, closing, strict=True)),
        voices=span.voices,
        held=held,
        latest_end_ticks=latest,
        pitches=span.pitches,
        to_the_end=span.to_the_end,
        fills_last_bar=span.task is Task.CONTINUE,
        tempos=span.task is Task.CONTINUE,
        max_bar_tokens=span.max_bar_tokens,
        inside=tuple(inside) if any(inside) else (),
    )


Runs = tuple[list[tuple[int, ...]], list[tuple[int, ...]]]
"""Given ids before each empty bar, and the ids that close it."""


def _continued_runs(layout: TaskLayout, seen: Piece, header: list[int], bars: range) -> Runs:
    vocabulary = layout.vocabulary
    assert bars.stop == len(seen.bars), "what is continued ends with its span"
    openings = [tuple(bar_ids(vocabulary, seen.bars[index])) for index in bars]
    before = piece_ids(vocabulary, Piece(seen.bars[: bars.start]))
    given = [(*header, *before, *openings[0]), *openings[1:]]
    closing = [(vocabulary.bar_id,)] * (len(openings) - 1)
    return given, [*closing, (vocabulary.bar_id, layout.eos)]


def _block_runs(layout: TaskLayout, seen: Piece, span: Span, bars: range) -> Runs:
    assert span.task is Task.INFILL or len(bars) == len(seen.bars), "a harmony has no gaps"
    runs: list[list[int]] = [layout.prefix(span.task, span.voices, span.style)]
    for block in layout.blocks(seen, span.task, bars):
        if block.is_target:
            runs.append([])
        else:
            runs[-1] += block.ids
    return [tuple(run) for run in runs[:-1]], [(run[0],) for run in runs[1:]]


def _neighbours(
    vocabulary: Vocabulary, piece: Piece, span: Span, *, at_onsets: bool
) -> tuple[tuple[tuple[int, GridNote], ...], tuple[int, ...]]:
    """Which given notes may sound into the span, and when written ones of each voice must have ended.

    A given note of a written voice can stand at the very beginning of the span: it began a little earlier, and the grid
    moved it there. It counts as one from before.
    """
    starts = piece.bar_starts_ticks()
    held, latest = [], list(span.end_ticks)
    for start, bar in zip(starts, piece.bars, strict=False):
        for note in bar.notes:
            onset = start + note.offset_ticks
            is_inside = at_onsets and note.voice not in span.voices
            if onset < starts[span.first] + (not is_inside):
                held.append((onset, note))
            elif note.voice in span.voices and vocabulary.is_four_part:  # a single line
                latest[note.voice] = min(latest[note.voice], onset)
    return tuple(held), tuple(latest)
