"""Three tasks as one: continue, harmonize and infill all fill in missing notes of a token stream.

A stream is the prefix `BOS TASK [Style] Program+` (the voices to generate), then blocks, then `EOS`:

* *continue*: the score's own REMI stream; everything after the prefix is target.
* *harmonize*, *infill*: a **context block** `Bar TimeSig [MASK] notes` for every bar, with the given notes, and a
  **target block** `SEP notes` for every bar of the span, placed after the context block `lookahead_bars` bars later.
  For *infill*, `MASK` marks the bars of the span. A target block ends at the next `Bar`, `SEP` or `EOS`: generating
  that token is the decision that the bar is complete. With `given_at_onsets` it also repeats the given notes of its
  bar, each at its onset: context blocks show the music to come, repeated notes the music that sounds now.

With `lookahead_bars=None` all context blocks come first (the prefix layout); with a number, context and target are
interleaved bar by bar. Conditioning tokens that run ahead of the music are an idea of Thickstun et al. 2023,
"Anticipatory Music Transformer".

The notes of a span are those whose *onset* lies in its bars, in its voices. All tempos of a *harmonize* or *infill*
stream are context.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.hint_tokens import HINT_TOKENS
from descant_tokenizers.tokens.hints import Annotations, Guide, HintIds, guided_bar, has_hints
from descant_tokenizers.tokens.kinds import can_repeat_notes, has_plain_lines
from descant_tokenizers.tokens.piece import (
    GridBar,
    GridNote,
    Piece,
    StreamError,
    bar_ids,
    note_ids,
    parse_piece,
    piece_ids,
    read_bar,
    read_content,
)
from descant_tokenizers.tokens.presets import STYLES
from descant_tokenizers.tokens.vocabulary import Vocabulary

STYLE_PLACE = 2  # index of the style token, if a stream has one


class Task(StrEnum):
    """A task of the model."""

    CONTINUE = "continue"
    HARMONIZE = "harmonize"
    INFILL = "infill"


@dataclass(frozen=True)
class LayoutConfig:
    """The arrangement of context and target.

    Args:
        lookahead_bars: Context bars seen beyond the target bar; `None` for all of them (prefix layout).
        given_at_onsets: Repeat given notes at their onsets in target blocks. Only for tokens without velocities and
            merges.
        styles: Styles of `presets.STYLES` that may be requested; the vocabulary must have their tokens.
        hints: Write bars in one run with the hints of hints.py, instead of context and target blocks. Needs a
            vocabulary with hint tokens; the options above do not apply, except for `styles`.
    """

    lookahead_bars: int | None = 2
    given_at_onsets: bool = False
    styles: tuple[str, ...] = ()
    hints: bool = False

    def __post_init__(self) -> None:
        if type(self.given_at_onsets) is not bool or type(self.hints) is not bool:
            raise ValueError(
                f"given_at_onsets is {self.given_at_onsets} and hints is {self.hints}. Give true or false."
            )
        unknown = set(self.styles) - set(STYLES)
        if unknown:
            raise ValueError(f"styles has {min(unknown)}. Choose from {', '.join(STYLES)}.")
        if self.lookahead_bars is not None and not (type(self.lookahead_bars) is int and self.lookahead_bars >= 0):
            raise ValueError(f"lookahead_bars is {self.lookahead_bars}. Give 0 or more, or null for the prefix layout.")


@dataclass(frozen=True, slots=True)
class Block:
    """A run of tokens of one bar (its index from 0, pickup included; -1 at the end), all context or all target."""

    ids: tuple[int, ...]
    is_target: bool
    bar: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """A laid-out stream.

    Attributes:
        ids: All token ids, prefix and EOS included.
        loss_mask: For each id, True if it is a target to predict, False if it is context.
    """

    ids: list[int]
    loss_mask: list[bool]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The contents of a laid-out stream.

    Attributes:
        task: The task.
        voices: Ranks of the voices to generate.
        bars: Indices of the bars to generate.
        context: The given music.
        piece: All music of the stream. With hints, an *infill* stream ends with the bars to generate.
        style: The requested style, if any.
    """

    task: Task
    voices: tuple[int, ...]
    bars: tuple[int, ...]
    context: Piece
    piece: Piece
    style: str | None = None


class TaskLayout:
    """Encodes and decodes tasks over pieces.

    Raises:
        InputError: The vocabulary does not support `given_at_onsets`, `styles` or `hints`.
    """

    def __init__(self, vocabulary: Vocabulary, config: LayoutConfig | None = None) -> None:
        self.vocabulary = vocabulary
        self.config = config or LayoutConfig()
        if self.config.given_at_onsets and not can_repeat_notes(vocabulary):
            raise InputError(
                "layout.given_at_onsets is only for tokens without velocities and merges. Set it to false."
            )
        missing = [style for style in self.config.styles if style not in vocabulary.style_id]
        if missing:
            raise InputError(
                f"layout.styles names {missing[0]}, but the tokenizer has no token for it. "
                "Set data.tokenizer to satb-style or quartet."
            )
        self.bos, self.eos, self.sep, self.mask = (vocabulary.special(name) for name in ("BOS", "EOS", "SEP", "MASK"))
        self.task_id = {task: vocabulary.special(task.upper()) for task in Task}
        if self.config.hints and not (has_hints(vocabulary) and has_plain_lines(vocabulary)):
            raise InputError(
                "layout.hints needs a tokenizer with hint tokens and without merged ones. "
                "Set data.tokenizer to sbat-hints."
            )
        self.hint_ids = HintIds(vocabulary) if self.config.hints else None
        self._hints = frozenset(map(vocabulary.names.index, HINT_TOKENS)) if self.config.hints else frozenset[int]()
        self._task_of = {i: task for task, i in self.task_id.items()}
        self._style_of = {i: style for style, i in vocabulary.style_id.items()}

    def prefix(self, task: Task, voices: Sequence[int], style: str | None = None) -> list[int]:
        """Return `BOS TASK [Style] Program+`, the style at `STYLE_PLACE`; `voices` are the ranks of those to generate.

        Raises:
            ValueError: `voices` is empty, or the layout lacks a voice or the style.
        """
        ranks = sorted(set(voices))
        if not ranks or ranks[0] < 0 or ranks[-1] >= self.vocabulary.num_voices:
            raise ValueError(
                f"The voices to generate are {list(voices)}. Give one or more of 0-{self.vocabulary.num_voices - 1}."
            )
        if style is not None and style not in self.config.styles:
            known = ", ".join(self.config.styles)
            raise ValueError(f"The style is {style}. {f'Give one of {known}' if known else 'Leave it out'}.")
        style_ids = [] if style is None else [self.vocabulary.style_id[style]]
        return [self.bos, self.task_id[task], *style_ids, *(self.vocabulary.voice_id[rank] for rank in ranks)]

    def encode(
        self,
        piece: Piece,
        task: Task,
        voices: Sequence[int],
        bars: Sequence[int] | None = None,
        style: str | None = None,
        annotations: Annotations | None = None,
    ) -> Encoded:
        """Lay out a complete piece for a task, as a training example.

        Args:
            piece: The whole music.
            task: The task.
            voices: Ranks of the voices to generate. For *continue*, the voices of the piece (others are dropped).
            bars: Indices of the bars to generate (*infill*); all bars by default.
            style: Style to request, if any.
            annotations: Contents of the hints, for a layout with hints; by default there are none in *continue*.

        Raises:
            ValueError: A voice, a bar or the style does not exist.
        """
        prefix = self.prefix(task, voices, style)
        if self.hint_ids is not None and (annotations is not None or task is not Task.CONTINUE):
            return self._encode_guided(piece, task, voices, _checked_bars(piece, bars), prefix, annotations)
        if task is Task.CONTINUE:
            ids = self.continue_ids(piece_ids(self.vocabulary, piece.keep_voices(voices)), voices, style)
            return Encoded(ids, [False] * len(prefix) + [True] * (len(ids) - len(prefix)))
        span = _checked_bars(piece, bars)
        ids, loss_mask = list(prefix), [False] * len(prefix)
        after_target = False
        for block in self.blocks(cut(piece, voices, span), task, span):
            content, flags = list(block.ids), [False] * len(block.ids)
            if block.is_target:
                content, flags = self.target_bar(piece.bars[block.bar], voices)
            ids += content
            # The token after a target block is the decision to end it, so the model must predict it.
            if after_target and not block.is_target:
                flags[0] = True
            loss_mask += flags
            after_target = block.is_target
        return Encoded(ids, loss_mask)

    def guide(self, context: Piece, voices: Sequence[int], bars: range, annotations: Annotations) -> Guide:
        """Return the hints of a layout with hints; see `Guide`."""
        assert self.hint_ids is not None, "a layout without hints"
        return Guide(self.hint_ids, self.vocabulary, context, voices, bars, annotations)

    def _encode_guided(
        self,
        piece: Piece,
        task: Task,
        voices: Sequence[int],
        bars: Sequence[int],
        prefix: list[int],
        annotations: Annotations | None,
    ) -> Encoded:
        """Lay out a piece with hints: given bars up to the span, then its bars with given notes before the others."""
        span, is_continuation = range(bars[0], bars[-1] + 1), task is Task.CONTINUE
        if is_continuation:
            piece = piece.keep_voices(voices)
        guide = self.guide(cut(piece, voices, span), voices, span, annotations or Annotations())
        ids = [*prefix, *guide.header()]
        loss_mask = [False] * len(ids)
        for index, bar in enumerate(piece.bars[: span.stop]):
            ids += bar_ids(self.vocabulary, bar)
            loss_mask += [is_continuation or index > span.start, is_continuation]
            if index in span:
                content, flags = guided_bar(guide, self.vocabulary, index, bar, voices)
            else:
                content = note_ids(self.vocabulary, bar)
                flags = [False] * len(content)
            ids += content
            loss_mask += flags
        closing = self.eos if span.stop == len(piece.bars) else self.vocabulary.bar_id
        return Encoded([*ids, closing], [*loss_mask, True])

    def continue_ids(self, stream: Sequence[int], voices: Sequence[int], style: str | None = None) -> list[int]:
        """Lay out a whole piece, given as its REMI stream in base tokens, for *continue*."""
        return [*self.prefix(Task.CONTINUE, voices, style), *self.vocabulary.merge(stream), self.eos]

    def blocks(self, context: Piece, task: Task, bars: Sequence[int]) -> Iterator[Block]:
        """Yield the blocks after the prefix of a *harmonize* or *infill* stream; target blocks are empty.

        Args:
            context: The given notes (in all bars of the piece, see `cut`).
            task: `HARMONIZE` or `INFILL`.
            bars: Indices of the bars to generate, ascending.
        """
        lookahead = len(context.bars) if self.config.lookahead_bars is None else self.config.lookahead_bars
        due = list(bars)
        marked = frozenset(bars) if task is Task.INFILL else frozenset()
        for index, bar in enumerate(context.bars):
            mark = [self.mask] if index in marked else []
            notes = self.vocabulary.merge(note_ids(self.vocabulary, bar))
            yield Block((*bar_ids(self.vocabulary, bar), *mark, *notes), False, index)
            while due and due[0] + lookahead <= index:
                yield from self._target_blocks(due.pop(0))
        for index in due:
            yield from self._target_blocks(index)
        yield Block((self.eos,), False, -1)

    def _target_blocks(self, bar: int) -> Iterator[Block]:
        yield Block((self.sep,), False, bar)
        yield Block((), True, bar)

    def target_bar(self, bar: GridBar, voices: Sequence[int]) -> tuple[list[int], list[bool]]:
        """Return the ids of a target block, and its loss mask.

        The model predicts the voice of a repeated note where a voice to generate could come before it.
        """
        if not self.config.given_at_onsets:
            notes = tuple(note for note in bar.notes if note.voice in voices)
            ids = self.vocabulary.merge(note_ids(self.vocabulary, GridBar(bar.meter, notes)))
            return ids, [True] * len(ids)
        ids = note_ids(self.vocabulary, GridBar(bar.meter, bar.notes))
        loss_mask = [True] * len(ids)
        for index, token_id in enumerate(ids):
            voice = self.vocabulary.voice_of.get(token_id)
            if voice is not None and voice not in voices:
                flags = [min(voices) < voice, *[False] * (self.vocabulary.tokens_per_note - 1)]
                loss_mask[index : index + len(flags)] = flags
        return ids, loss_mask

    def decode(self, ids: Sequence[int]) -> Decoded:
        """Read a laid-out stream back, the inverse of `encode` but for the hints, which are skipped.

        With hints, the bars to *infill* are those from the first one with a hint; a stream may have none.

        Args:
            ids: The stream, in any segmentation.

        Raises:
            StreamError: The stream breaks the layout; indices count base tokens.
        """
        ids = self.vocabulary.expand(ids)
        task, style, voices, start = self._read_prefix(ids)
        end = len(ids) - 1 if ids and ids[-1] == self.eos else len(ids)
        body = ids[start:end]
        if self._hints:
            return replace(self._read_guided(task, voices, body), style=style)
        if task is Task.CONTINUE:
            piece = parse_piece(self.vocabulary, body)
            return Decoded(task, voices, tuple(range(len(piece.bars))), piece, piece, style)
        return replace(self._read_blocks(task, voices, body), style=style)

    def _read_prefix(self, ids: Sequence[int]) -> tuple[Task, str | None, tuple[int, ...], int]:
        if not ids or ids[0] != self.bos:
            raise StreamError(self.vocabulary, ids, 0, "BOS")
        if len(ids) < 2 or ids[1] not in self._task_of:
            raise StreamError(self.vocabulary, ids, 1, "a task")
        style = self._style_of.get(ids[2]) if len(ids) > 2 else None
        first = i = 2 if style is None else 3
        while i < len(ids) and ids[i] in self.vocabulary.voice_of:
            i += 1
        return self._task_of[ids[1]], style, tuple(self.vocabulary.voice_of[v] for v in ids[first:i]), i

    def _read_guided(self, task: Task, voices: tuple[int, ...], body: Sequence[int]) -> Decoded:
        """Read a stream with hints, which ends with a bar line where bars follow the span."""
        kept = [index for index, token_id in enumerate(body) if token_id not in self._hints]
        if task is Task.INFILL and kept and body[kept[-1]] == self.vocabulary.bar_id:
            kept.pop()
        lines = [index for index in kept if body[index] == self.vocabulary.bar_id]
        try:
            piece = parse_piece(self.vocabulary, [body[index] for index in kept])
        except StreamError as error:
            place = kept[error.index] if error.index < len(kept) else len(body)
            raise StreamError(self.vocabulary, body, place, error.expected) from None
        first = 0
        if task is Task.INFILL:
            inside = range(lines[0] if lines else len(body), len(body))
            hint = next((index for index in inside if body[index] in self._hints), None)
            first = len(piece.bars) if hint is None else bisect.bisect_right(lines, hint) - 1
        bars = tuple(range(first, len(piece.bars)))
        return Decoded(task, voices, bars, piece if task is Task.CONTINUE else cut(piece, voices, bars), piece)

    def _read_blocks(self, task: Task, voices: tuple[int, ...], body: Sequence[int]) -> Decoded:
        context: list[GridBar] = []
        marked: list[int] = []
        target: list[tuple[GridNote, ...]] = []
        i = 0
        while i < len(body):
            if body[i] == self.sep:
                index = len(target)
                if index >= len(context if task is Task.HARMONIZE else marked):
                    raise StreamError(self.vocabulary, body, i, "a bar to generate")
                index = index if task is Task.HARMONIZE else marked[index]
                start = i
                bar, i = read_content(self.vocabulary, body, i + 1, context[index].meter)
                notes, repeated = _split_voices(bar.notes, voices)
                if repeated != (_split_voices(context[index].notes, voices)[1] if self.config.given_at_onsets else ()):
                    raise StreamError(self.vocabulary, body, start, "a bar that repeats the given notes")
                target.append(notes)
                continue
            meter, i = read_bar(self.vocabulary, body, i)
            if task is Task.INFILL and i < len(body) and body[i] == self.mask:
                marked.append(len(context))
                i += 1
            bar, i = read_content(self.vocabulary, body, i, meter)
            context.append(bar)
        bars = list(range(len(target))) if task is Task.HARMONIZE else marked
        whole = list(context)
        for index, notes in zip(bars, target, strict=False):
            whole[index] = context[index].with_notes(context[index].notes + notes)
        return Decoded(task, voices, tuple(bars), Piece(tuple(context)), Piece(tuple(whole)))


def cut(piece: Piece, voices: Sequence[int], bars: Sequence[int]) -> Piece:
    """Return the context of a span: the piece without the notes of `voices` whose onsets lie in `bars` (indices)."""
    span = frozenset(bars)
    return Piece(
        tuple(
            replace(bar, notes=_split_voices(bar.notes, voices)[1]) if index in span else bar
            for index, bar in enumerate(piece.bars)
        )
    )


def _split_voices(notes: Sequence[GridNote], voices: Sequence[int]) -> tuple[tuple[GridNote, ...], ...]:
    """Return the notes of some voices, and those of the others."""
    return tuple(n for n in notes if n.voice in voices), tuple(n for n in notes if n.voice not in voices)


def _checked_bars(piece: Piece, bars: Sequence[int] | None) -> list[int]:
    checked = list(range(len(piece.bars))) if bars is None else sorted(set(bars))
    if not checked or checked[0] < 0 or checked[-1] >= len(piece.bars):
        raise ValueError(f"The bars to generate are {bars}. Give indices from 0 to {len(piece.bars) - 1}.")
    return checked
