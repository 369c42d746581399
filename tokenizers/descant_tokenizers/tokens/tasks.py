"""Three tasks, one token stream: continue, harmonize and infill as "write the missing notes".

A stream is `BOS TASK [Style] Program+` (in whose manner, if that is told; the voices to be written), then blocks,
then `EOS`:

* *continue*: the score's own REMI stream; everything after the header is written.
* *harmonize*, *infill*: a **given block** `Bar TimeSig [MASK] notes` for every bar, holding the notes that are
  given, and a **written block** `SEP notes` for every bar of the hole, placed once the given blocks up to
  `lookahead_bars` bars later have been seen. `MASK` marks, in an infill, the bars of the hole. A written block
  ends where the next `Bar`, `SEP` or `EOS` stands: to write that token is the decision that the bar is
  complete. With `given_at_onsets` it also repeats what other voices are given in this bar, each note at its onset:
  the given blocks say what is to come, the repeated notes what sounds now.

With `lookahead_bars=None` all given blocks come first (the prefix layout); with a number the two parts are
interleaved bar by bar. The idea of conditioning tokens that run some way ahead is that of Thickstun et al. 2023,
"Anticipatory Music Transformer".

Notes of the hole are those whose *onset* lies in its bars, in its voices. Tempos of a *harmonize* or *infill* stream
are given, all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.kinds import has_plain_lines
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

#: Index of the style in a stream that is told one.
STYLE_PLACE = 2


class Task(StrEnum):
    """What is asked of the model."""

    CONTINUE = "continue"
    HARMONIZE = "harmonize"
    INFILL = "infill"


@dataclass(frozen=True)
class LayoutConfig:
    """How given and written parts are arranged.

    Args:
        lookahead_bars: Given bars seen beyond the bar being written; `None` for all of them (prefix layout).
        given_at_onsets: Whether written blocks repeat given notes at their onsets. Only for voices that are single
            lines, without learned tokens.
        styles: Styles that may be told, of `presets.STYLES`; none in most layouts. The vocabulary has their tokens.
    """

    lookahead_bars: int | None = 2
    given_at_onsets: bool = False
    styles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = set(self.styles) - set(STYLES)
        if unknown:
            raise ValueError(f"styles has {min(unknown)}: choose from {', '.join(STYLES)}")
        if self.lookahead_bars is not None and self.lookahead_bars < 0:
            raise ValueError(f"lookahead_bars is {self.lookahead_bars}: give 0 or more, or null for the prefix layout")


@dataclass(frozen=True, slots=True)
class Block:
    """A run of tokens of one kind.

    Attributes:
        ids: Token ids; empty for a written block that is still to be written.
        is_target: True if the model predicts it.
        bar: Index of the bar it belongs to (from 0, pickup included); -1 for header and end.
    """

    ids: tuple[int, ...]
    is_target: bool
    bar: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """A laid-out stream.

    Attributes:
        ids: All token ids, header and EOS included.
        loss_mask: For each id, True if it is a target to predict, False if it is context.
    """

    ids: list[int]
    loss_mask: list[bool]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a laid-out stream says."""

    task: Task
    voices: tuple[int, ...]
    bars: tuple[int, ...]
    given: Piece
    piece: Piece
    style: str | None = None


class TaskLayout:
    """Encodes and decodes tasks over pieces.

    Args:
        vocabulary: The vocabulary.
        config: The arrangement.

    Raises:
        InputError: The vocabulary does not go with `given_at_onsets` or `styles`.
    """

    def __init__(self, vocabulary: Vocabulary, config: LayoutConfig | None = None) -> None:
        self.vocabulary = vocabulary
        self.config = config or LayoutConfig()
        if self.config.given_at_onsets and not has_plain_lines(vocabulary):
            raise InputError(
                "layout.given_at_onsets is for four voices without learned tokens: set it to false for this tokenizer"
            )
        missing = [style for style in self.config.styles if style not in vocabulary.style_id]
        if missing:
            raise InputError(
                f"layout.styles names {missing[0]}, and the tokenizer has no token for it: "
                "set data.tokenizer to satb-style"
            )
        self.bos, self.eos, self.sep, self.mask = (vocabulary.special(name) for name in ("BOS", "EOS", "SEP", "MASK"))
        self.task_id = {task: vocabulary.special(task.upper()) for task in Task}
        self._task_of = {i: task for task, i in self.task_id.items()}
        self._style_of = {i: style for style, i in vocabulary.style_id.items()}

    def prefix(self, task: Task, voices: Sequence[int], style: str | None = None) -> list[int]:
        """Return `BOS TASK [Style] Program+`, the style at `STYLE_PLACE`; `voices` are ranks of what is to be written.

        Raises:
            ValueError: No voice, or an unknown one; a style that the layout does not have.
        """
        ranks = sorted(set(voices))
        if not ranks or ranks[0] < 0 or ranks[-1] >= self.vocabulary.num_voices:
            raise ValueError(
                f"voices to write are {list(voices)}: give one or more of 0-{self.vocabulary.num_voices - 1}"
            )
        if style is not None and style not in self.config.styles:
            raise ValueError(f"the style is {style}: give one of {', '.join(self.config.styles) or 'none at all'}")
        told = [] if style is None else [self.vocabulary.style_id[style]]
        return [self.bos, self.task_id[task], *told, *(self.vocabulary.voice_id[rank] for rank in ranks)]

    def encode(
        self,
        piece: Piece,
        task: Task,
        voices: Sequence[int],
        bars: Sequence[int] | None = None,
        style: str | None = None,
    ) -> Encoded:
        """Lay out a complete piece for a task, as a training example.

        Args:
            piece: The whole music.
            task: What is asked.
            voices: Ranks of the voices to be written. For *continue*, the voices of the piece (others are dropped).
            bars: Indices of the bars to be written (*infill*); all bars by default.
            style: In whose manner, if that is told.
        """
        header = self.prefix(task, voices, style)
        if task is Task.CONTINUE:
            ids = self.continue_ids(piece_ids(self.vocabulary, piece.keep_voices(voices)), voices, style)
            return Encoded(ids, [False] * len(header) + [True] * (len(ids) - len(header)))
        hole = _hole(piece, bars)
        ids, written = list(header), [False] * len(header)
        after_target = False
        for block in self.blocks(cut(piece, voices, hole), task, hole):
            content, flags = list(block.ids), [False] * len(block.ids)
            if block.is_target:
                content, flags = self._written_bar(piece.bars[block.bar], voices)
            ids += content
            # The token after a written block is the decision to end it, so the model has to predict it.
            if after_target and not block.is_target:
                flags[0] = True
            written += flags
            after_target = block.is_target
        return Encoded(ids, written)

    def continue_ids(self, stream: Sequence[int], voices: Sequence[int], style: str | None = None) -> list[int]:
        """Lay out a whole piece, given as its REMI stream in base tokens, for *continue*."""
        return [*self.prefix(Task.CONTINUE, voices, style), *self.vocabulary.merge(stream), self.eos]

    def blocks(self, given: Piece, task: Task, hole: Sequence[int]) -> Iterator[Block]:
        """Yield the blocks after the header of a *harmonize* or *infill* stream, written ones empty.

        Args:
            given: The given notes (all bars of the piece, see `cut`).
            task: `HARMONIZE` or `INFILL`.
            hole: Indices of the bars to be written, ascending.
        """
        lookahead = len(given.bars) if self.config.lookahead_bars is None else self.config.lookahead_bars
        due = list(hole)
        marks = frozenset(hole) if task is Task.INFILL else frozenset()
        for index, bar in enumerate(given.bars):
            mark = [self.mask] if index in marks else []
            notes = self.vocabulary.merge(note_ids(self.vocabulary, bar))
            yield Block((*bar_ids(self.vocabulary, bar), *mark, *notes), False, index)
            while due and due[0] + lookahead <= index:
                yield from self._written(due.pop(0))
        for index in due:
            yield from self._written(index)
        yield Block((self.eos,), False, -1)

    def _written(self, bar: int) -> Iterator[Block]:
        yield Block((self.sep,), False, bar)
        yield Block((), True, bar)

    def _written_bar(self, bar: GridBar, voices: Sequence[int]) -> tuple[list[int], list[bool]]:
        """Return the ids of a written block, and which of them the model has to predict.

        Of a repeated note it has to predict the voice where a voice to be written could come before it instead.
        """
        if not self.config.given_at_onsets:
            notes = tuple(note for note in bar.notes if note.voice in voices)
            ids = self.vocabulary.merge(note_ids(self.vocabulary, GridBar(bar.meter, notes)))
            return ids, [True] * len(ids)
        ids = note_ids(self.vocabulary, GridBar(bar.meter, bar.notes))
        written = [True] * len(ids)
        for index, token_id in enumerate(ids):
            voice = self.vocabulary.voice_of.get(token_id)
            if voice is not None and voice not in voices:
                flags = [min(voices) < voice, *[False] * (self.vocabulary.tokens_per_note - 1)]
                written[index : index + len(flags)] = flags
        return ids, written

    def decode(self, ids: Sequence[int]) -> Decoded:
        """Read a laid-out stream back, the inverse of `encode`.

        Args:
            ids: The stream, in any segmentation.

        Raises:
            StreamError: The stream breaks the layout; places are counted in base tokens.
        """
        ids = self.vocabulary.expand(ids)
        task, style, voices, start = self._read_header(ids)
        end = len(ids) - 1 if ids and ids[-1] == self.eos else len(ids)
        body = ids[start:end]
        if task is Task.CONTINUE:
            piece = parse_piece(self.vocabulary, body)
            return Decoded(task, voices, tuple(range(len(piece.bars))), piece, piece, style)
        return replace(self._read_blocks(task, voices, body), style=style)

    def _read_header(self, ids: Sequence[int]) -> tuple[Task, str | None, tuple[int, ...], int]:
        if not ids or ids[0] != self.bos:
            raise StreamError(self.vocabulary, ids, 0, "BOS")
        if len(ids) < 2 or ids[1] not in self._task_of:
            raise StreamError(self.vocabulary, ids, 1, "a task")
        style = self._style_of.get(ids[2]) if len(ids) > 2 else None
        first = i = 2 if style is None else 3
        while i < len(ids) and ids[i] in self.vocabulary.voice_of:
            i += 1
        return self._task_of[ids[1]], style, tuple(self.vocabulary.voice_of[v] for v in ids[first:i]), i

    def _read_blocks(self, task: Task, voices: tuple[int, ...], body: Sequence[int]) -> Decoded:
        given: list[GridBar] = []
        hole: list[int] = []
        written: list[tuple[GridNote, ...]] = []
        i = 0
        while i < len(body):
            if body[i] == self.sep:
                index = len(written)
                if index >= len(given if task is Task.HARMONIZE else hole):
                    raise StreamError(self.vocabulary, body, i, "a bar to write")
                index = index if task is Task.HARMONIZE else hole[index]
                start = i
                bar, i = read_content(self.vocabulary, body, i + 1, given[index].meter)
                notes, repeated = _parted(bar.notes, voices)
                if repeated != (_parted(given[index].notes, voices)[1] if self.config.given_at_onsets else ()):
                    raise StreamError(self.vocabulary, body, start, "a bar that repeats the given notes")
                written.append(notes)
                continue
            meter, i = read_bar(self.vocabulary, body, i)
            if task is Task.INFILL and i < len(body) and body[i] == self.mask:
                hole.append(len(given))
                i += 1
            bar, i = read_content(self.vocabulary, body, i, meter)
            given.append(bar)
        hole = list(range(len(written))) if task is Task.HARMONIZE else hole
        whole = list(given)
        for index, notes in zip(hole, written, strict=False):
            whole[index] = given[index].with_notes(given[index].notes + notes)
        return Decoded(task, voices, tuple(hole), Piece(tuple(given)), Piece(tuple(whole)))


def cut(piece: Piece, voices: Sequence[int], bars: Sequence[int]) -> Piece:
    """Return the piece without the notes of `voices` whose onsets lie in `bars` (indices)."""
    missing, hole = frozenset(voices), frozenset(bars)
    return Piece(
        tuple(
            replace(bar, notes=tuple(n for n in bar.notes if n.voice not in missing)) if index in hole else bar
            for index, bar in enumerate(piece.bars)
        )
    )


def _parted(notes: Sequence[GridNote], voices: Sequence[int]) -> tuple[tuple[GridNote, ...], tuple[GridNote, ...]]:
    """Part the notes of some voices from the others."""
    return tuple(n for n in notes if n.voice in voices), tuple(n for n in notes if n.voice not in voices)


def _hole(piece: Piece, bars: Sequence[int] | None) -> list[int]:
    hole = list(range(len(piece.bars))) if bars is None else sorted(set(bars))
    if not hole or hole[0] < 0 or hole[-1] >= len(piece.bars):
        raise ValueError(f"bars to write are {bars}: give indices from 0 to {len(piece.bars) - 1}")
    return hole
