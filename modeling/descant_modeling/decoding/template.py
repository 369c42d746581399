"""The template of a span to infill: context tokens and target bars, in the order in which the model sees them.

Units: grid ticks of the vocabulary. Bars are indices from 0 (a pickup is bar 0 here).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from descant_modeling.decoding.ending import Ending
from descant_tokenizers.tokens.hints import Annotations, Guide
from descant_tokenizers.tokens.kinds import kind_of
from descant_tokenizers.tokens.piece import GridNote, Piece, bar_ids, note_ids, piece_ids
from descant_tokenizers.tokens.tasks import Task, TaskLayout, cut
from descant_tokenizers.tokens.vocabulary import Vocabulary

#: More than any bar of four voices can have: 288 positions, each with four notes of three tokens.
MAX_BAR_TOKENS = 1 << 12


class FixedNote(NamedTuple):
    """A note that a voice to write must have. Tuples sort in the order of the token stream.

    Attributes:
        onset_ticks: Its onset in the piece.
        voice: Rank of its voice.
        duration_ticks: Its length.
        pitches: The MIDI pitches to choose from.
    """

    onset_ticks: int
    voice: int
    duration_ticks: int
    pitches: frozenset[int]


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a piece to infill.

    Attributes:
        task: Task that the model is asked for.
        voices: Ranks of the voices to write.
        first: First bar to write.
        stop: The bar after the last one to write.
        end_ticks: For each voice of the vocabulary, the latest end of its new notes.
        pitches: For each voice of the vocabulary, lowest and highest MIDI pitch of its new notes.
        to_the_end: True if the voices must sound until `end_ticks`; otherwise they may.
        max_bar_tokens: Base tokens after which a bar is closed.
        style: Style to write in; None leaves it to the model.
        annotations: What hints say of the piece, for a layout with hints; None for no hints beyond the given notes.
        ending: The chord to which the end is held, if it is.
        hint_stop: The bar at which given music goes on, where only part of the bars before it are written now.
        fixed: Notes that the voices to write must have, in order; others are written around them.
        free: First tick at which these others may begin, and the tick after the last one; None for the whole span.
        since: First bar that the model sees where bars to harmonize are written after the first ones.
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
    annotations: Annotations | None = None
    ending: Ending | None = None
    hint_stop: int | None = None
    fixed: tuple[FixedNote, ...] = ()
    free: tuple[int, int] | None = None
    since: int = 0

    @property
    def bars(self) -> range:
        """The bars to write."""
        return range(self.first, self.stop)


@dataclass(frozen=True, slots=True)
class TargetBar:
    """A bar to write.

    Attributes:
        index: Its index in the piece.
        start_ticks: Its onset in the piece.
        meter_id: Its time signature token.
        closing_ids: The tokens that end it; the one that is sampled counts as the first token of what follows.
    """

    index: int
    start_ticks: int
    meter_id: int
    closing_ids: tuple[int, ...]


@dataclass(frozen=True)
class Template:
    """A token stream in which some bars are left to write.

    Attributes:
        context: Runs of context ids, one before each target bar.
        bars: The target bars. The stream ends with the closing token of the last one.
        span: The span they belong to.
        held: Context notes that begin before or with the first target bar, with their onsets.
        latest_end_ticks: For each voice, the latest end of its new notes: that of the span, or the next context note.
        inside: For each target bar, context notes between the new ones, in the order of the stream; empty if no bar has
            any.
        following: Notes that begin where the target bars end, if any are of the voices to write.
        guide: The hints, in a layout that has them; given notes then stand before new ones at an onset.
        is_alone: True if an infill has no notes around it, so that the target bars must have some.
    """

    context: tuple[tuple[int, ...], ...]
    bars: tuple[TargetBar, ...]
    span: Span
    held: tuple[tuple[int, GridNote], ...]
    latest_end_ticks: tuple[int, ...]
    inside: tuple[tuple[GridNote, ...], ...]
    following: tuple[GridNote, ...] = ()
    guide: Guide | None = None
    is_alone: bool = False

    @property
    def is_continuation(self) -> bool:
        """True if the target bars follow the context: they may have tempos, and the last one must not be empty."""
        return self.span.task is Task.CONTINUE


def make_template(layout: TaskLayout, piece: Piece, span: Span, low: int = 0, high: int | None = None) -> Template:
    """Arrange a piece and its span as the model sees them.

    Args:
        layout: The layout the model was trained with.
        piece: All bars, those of the span included, with the context notes.
        span: The span: the last of the bars that the model sees to *continue*, all of them to *harmonize*. Notes of
            other voices in its bars come at their onsets to *continue*, and in other tasks if the layout says so.
        low: First bar that the model sees.
        high: The bar after the last one that it sees; None for all bars.
    """
    seen = Piece(piece.bars[low:high])
    bars = range(span.first - low, span.stop - low)
    at_onsets = span.task is Task.CONTINUE or layout.config.given_at_onsets or layout.config.hints
    inside = [tuple(n for n in seen.bars[bar].notes if n.voice not in span.voices and at_onsets) for bar in bars]
    guide = _guide(layout, piece, span) if layout.config.hints else None
    if guide is not None:
        context, closing = _guided_runs(layout, piece, span, low, guide)
    elif span.task is Task.CONTINUE:
        voices = sorted({*span.voices, *(note.voice for notes in inside for note in notes)})
        context, closing = _continued_runs(layout, seen, layout.prefix(span.task, voices, span.style), bars)
    else:
        context, closing = _block_runs(layout, seen, span, bars)
    starts = piece.bar_starts_ticks()
    meters = [layout.vocabulary.meter_id[bar.meter.numerator, bar.meter.denominator] for bar in piece.bars]
    held, latest = _neighbours(layout.vocabulary, piece, span, at_onsets=at_onsets)
    return Template(
        context=tuple(context),
        bars=tuple(TargetBar(b, starts[b], meters[b], ids) for b, ids in zip(span.bars, closing, strict=True)),
        span=span,
        held=held,
        latest_end_ticks=latest,
        inside=tuple(inside) if any(inside) else (),
        following=_following(piece, span),
        guide=guide,
        is_alone=span.task is Task.INFILL and not any(bar.notes for bar in piece.bars),
    )


def _following(piece: Piece, span: Span) -> tuple[GridNote, ...]:
    notes = piece.bars[span.stop].notes if span.stop < len(piece.bars) else ()
    found = tuple(note for note in notes if note.offset_ticks == 0)
    return found if any(note.voice in span.voices for note in found) else ()


Runs = tuple[list[tuple[int, ...]], list[tuple[int, ...]]]
"""Context ids before each target bar, and the ids that close it."""


def _continued_runs(layout: TaskLayout, seen: Piece, prefix: list[int], bars: range) -> Runs:
    vocabulary = layout.vocabulary
    assert bars.stop == len(seen.bars), "a continuation ends with its span"
    openings = [tuple(bar_ids(vocabulary, seen.bars[index])) for index in bars]
    before = piece_ids(vocabulary, Piece(seen.bars[: bars.start]))
    context = [(*prefix, *before, *openings[0]), *openings[1:]]
    closing = [(vocabulary.bar_id,)] * (len(openings) - 1)
    return context, [*closing, (vocabulary.bar_id, layout.eos)]


def _block_runs(layout: TaskLayout, seen: Piece, span: Span, bars: range) -> Runs:
    written = range(0)
    if span.task is Task.HARMONIZE:  # bars that are written already are target blocks too
        assert bars.stop == len(seen.bars), "a harmony spans all bars"
        written, bars = range(bars.start), range(bars.stop)
    context = cut(seen, span.voices, written)
    runs: list[list[int]] = [layout.prefix(span.task, span.voices, span.style)]
    for block in layout.blocks(context, span.task, bars):
        if block.is_target and block.bar in written:
            runs[-1] += layout.target_bar(seen.bars[block.bar], span.voices)[0]
        elif block.is_target:
            runs.append([])
        else:
            runs[-1] += block.ids
    return [tuple(run) for run in runs[:-1]], [(run[0],) for run in runs[1:]]


def _guide(layout: TaskLayout, piece: Piece, span: Span) -> Guide:
    annotations = Annotations(ends=False) if span.annotations is None else span.annotations
    bars = range(span.first, span.stop if span.hint_stop is None else span.hint_stop)
    return layout.guide(piece, span.voices, bars, annotations)


def _guided_runs(layout: TaskLayout, piece: Piece, span: Span, low: int, guide: Guide) -> Runs:
    """Return the runs of a layout with hints: the bars before the span, then each bar's opening and hints."""
    vocabulary, is_continuation = layout.vocabulary, span.task is Task.CONTINUE
    voices = sorted({*span.voices, *piece.voices}) if is_continuation else span.voices
    run = [*layout.prefix(span.task, voices, span.style), *guide.header()]
    for index in range(low, span.first):
        bar = piece.bars[index]
        hints = guide.bar(index) if is_continuation else []
        run += [*bar_ids(vocabulary, bar), *hints, *note_ids(vocabulary, bar)]
    context = [(*bar_ids(vocabulary, piece.bars[index]), *guide.bar(index)) for index in span.bars]
    context[0] = (*run, *context[0])
    closing: list[tuple[int, ...]] = [(vocabulary.bar_id,)] * len(span.bars)
    if is_continuation:
        closing[-1] = (vocabulary.bar_id, layout.eos)
    elif span.stop == len(piece.bars):
        closing[-1] = (layout.eos,)
    return context, closing


def _neighbours(
    vocabulary: Vocabulary, piece: Piece, span: Span, *, at_onsets: bool
) -> tuple[tuple[tuple[int, GridNote], ...], tuple[int, ...]]:
    """Return context notes that may sound into the span, and the latest end of the new notes of each voice.

    A context note of a voice to write can be at the very beginning of the span, if it began a little earlier and the
    quantizer moved it there. It counts as one from before.
    """
    starts = piece.bar_starts_ticks()
    is_line = not kind_of(vocabulary).is_polyphonic
    held, latest = [], list(span.end_ticks)
    for start, bar in zip(starts, piece.bars, strict=False):
        for note in bar.notes:
            onset = start + note.offset_ticks
            is_inside = at_onsets and note.voice not in span.voices
            if onset < starts[span.first] + (not is_inside):
                held.append((onset, note))
            elif note.voice in span.voices and is_line:
                latest[note.voice] = min(latest[note.voice], onset)
    return tuple(held), tuple(latest)
