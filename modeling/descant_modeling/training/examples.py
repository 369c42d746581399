"""Training examples: the task, transposition and span of a piece in an epoch, and batches of about equal length.

Everything drawn here is a function of (seed, epoch), so a resumed run sees exactly the batches it would have seen.
Shapes: B sequences, T tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace

import numpy as np

from descant_modeling.models.likelihood import Batch, Example, bucket, collate
from descant_modeling.training.config import TaskShares
from descant_modeling.training.packing import flatten, pack
from descant_tokenizers.pianoroll.frames import Ints
from descant_tokenizers.tokens.kinds import kind_of
from descant_tokenizers.tokens.piece import Piece, survey_pitches
from descant_tokenizers.tokens.tasks import STYLE_PLACE, Encoded, Task, TaskLayout

#: Pieces encoded and sorted by length together; bounds memory on large corpora.
POOL_SIZE = 2048
#: Longest span to infill.
MAX_INFILL_BARS = 8


class BatchSource(ABC):
    """Batches of one example per piece and epoch, in an order that follows from the seed.

    The pieces of an epoch are taken in pools, one after the other. A pool is sorted by length and cut into batches, or
    packed into rows in the order of its pieces.

    Attributes:
        num_pieces: Number of pieces.
        seed: Seed of all draws.
        pad: Padding id.
        pool_size: Pieces in a pool.
        packing: True to pack the pieces of a batch into one row.
    """

    def __init__(self, num_pieces: int, seed: int, pad: int) -> None:
        self.num_pieces, self.seed, self.pad = num_pieces, seed, pad
        self.pool_size = POOL_SIZE
        self.packing = False

    @abstractmethod
    def example(self, index: int, epoch: int) -> Encoded:
        """Return the example of piece `index` in an epoch, a function of both and the seed."""

    def batches(self, epoch: int, batch_tokens: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, each with at most `batch_tokens` padded tokens (or one sequence)."""
        order = self.order(epoch)
        for pool in range(0, len(order), self.pool_size):
            indices = order[pool : pool + self.pool_size].tolist()
            yield from self.batches_of([Example.of(self.example(i, epoch)) for i in indices], epoch, pool, batch_tokens)

    def order(self, epoch: int) -> Ints:
        """Return the order of the pieces in an epoch."""
        return np.random.default_rng((self.seed, epoch)).permutation(self.num_pieces)

    def batches_of(self, examples: Sequence[Example], epoch: int, pool: int, batch_tokens: int) -> Iterator[Batch]:
        """Yield the batches of a pool of examples; `pool` is the place of its first piece in the epoch."""
        rng = np.random.default_rng((self.seed, epoch))
        rng.permutation(self.num_pieces)  # the order's draws
        if pool:  # its draws must not depend on the pools before it, which a resumed run does not read again
            rng = np.random.default_rng(np.random.SeedSequence((self.seed, epoch), spawn_key=(pool,)))
        lengths = [len(example.ids) for example in examples]
        groups = pack(lengths, batch_tokens) if self.packing else bucket(lengths, batch_tokens)
        for group in rng.permutation(len(groups)).tolist():
            chosen = [examples[i] for i in groups[group]]
            batch = flatten(chosen) if self.packing else collate(chosen, self.pad)
            yield self.finished(batch, (epoch, pool, group))

    def finished(self, batch: Batch, place: tuple[int, int, int]) -> Batch:
        """Return a batch with what the source adds to it, a function of its place and the seed."""
        return batch


class ExampleSource(BatchSource):
    """Draws one example per piece and epoch.

    Args:
        pieces: The corpus; read once at the start, then piece by piece when an example is drawn.
        layout: Layout of the tasks.
        shares: Share of each task.
        seed: Seed of all draws.
        transpose: True to transpose inside the voices' ranges.
        max_tokens: Longer streams are cut at a bar line.
        styles: Style of each piece, None for no style token; by default no piece has one.
        unlabelled_share: Share of examples without their style token.
        style_contrast: Weight of the loss that distinguishes styles; above 0, batches hold rivals.

    Attributes:
        voice_ranges: (lowest, highest) MIDI pitch of each voice in the corpus.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        layout: TaskLayout,
        shares: TaskShares,
        *,
        seed: int,
        transpose: bool,
        max_tokens: int,
        styles: Sequence[str | None] = (),
        unlabelled_share: float = 0.0,
        style_contrast: float = 0.0,
    ) -> None:
        super().__init__(len(pieces), seed, layout.vocabulary.special("PAD"))
        assert len(styles) in (0, len(pieces)), "a style for some pieces"
        self.pieces = pieces
        self._styles = styles
        self._unlabelled_share = unlabelled_share
        self._contrast = style_contrast
        self._style_ids = [layout.vocabulary.style_id[style] for style in layout.config.styles]
        self.layout = layout
        self.max_tokens = max_tokens
        self._shares = np.array(astuple(shares)) / sum(astuple(shares))
        self._drums = layout.vocabulary.drum_voice
        self.voice_ranges, shifts = survey_pitches(pieces, layout.vocabulary)
        self._shifts = shifts if transpose else None

    def example(self, index: int, epoch: int) -> Encoded:
        """Return the example of piece `index` in an epoch."""
        rng = np.random.default_rng((self.seed, epoch, index))
        piece, shift = self.pieces[index], self._draw_shift(index, rng)
        if piece.num_notes > self.max_tokens:  # far too long: cut it before encoding it
            vocabulary = self.layout.vocabulary
            fewest = 1 if vocabulary.has_merges else vocabulary.tokens_per_note
            piece = _shorten(piece, self.max_tokens / (fewest * piece.num_notes), rng)
        piece = piece.transpose(shift, self._drums)
        task, voices, span = self._draw_task(piece, rng)
        style = self._draw_style(index, rng)
        encoded = self.layout.encode(piece, task, voices, span, style)
        while len(encoded.ids) > self.max_tokens and len(piece.bars) > 1:
            piece = _shorten(piece, self.max_tokens / len(encoded.ids), rng)
            span = [bar for bar in span if bar < len(piece.bars)] or [0] if span else None
            encoded = self.layout.encode(piece, task, voices, span, style)
        if len(encoded.ids) > self.max_tokens:  # a single bar: keep as much of its beginning as the model can hold
            encoded = self.layout.encode(piece, Task.CONTINUE, voices, style=style)
            encoded = Encoded(encoded.ids[: self.max_tokens], encoded.loss_mask[: self.max_tokens])
        return encoded

    def finished(self, batch: Batch, place: tuple[int, int, int]) -> Batch:
        """Return a batch with its rivals, where styles are contrasted."""
        if not self._contrast or len(self._style_ids) < 2:
            return batch
        rng = np.random.default_rng((self.seed, *place))
        rivals_BT = batch.ids_BT.clone()
        for row, style in enumerate(batch.ids_BT[:, STYLE_PLACE].tolist()):
            if style in self._style_ids:
                rivals_BT[row, STYLE_PLACE] = int(rng.choice([other for other in self._style_ids if other != style]))
        return replace(batch, rivals_BT=rivals_BT, contrast=self._contrast)

    def _draw_shift(self, index: int, rng: np.random.Generator) -> int:
        """Draw the transposition of a piece, in semitones."""
        return int(rng.choice(range(1) if self._shifts is None else self._shifts[index]))

    def _draw_style(self, index: int, rng: np.random.Generator) -> str | None:
        """Return the style token of a piece, or None for the share of examples without it."""
        style = self._styles[index] if self._styles else None
        return style if style is not None and rng.random() >= self._unlabelled_share else None

    def _draw_task(self, piece: Piece, rng: np.random.Generator) -> tuple[Task, tuple[int, ...], list[int] | None]:
        """Draw a task, its target voices and, for an infill, its bars."""
        voices = piece.voices or (0,)
        kind = int(rng.choice(len(self._shares), p=self._shares))
        if kind == 0 or len(voices) == 1:
            return Task.CONTINUE, voices, None
        if kind == 1:
            return Task.CONTINUE, _some(voices, rng, fewest=1), None
        if kind == 2:
            melody = kind_of(self.layout.vocabulary).melody_voice(self.layout.vocabulary, piece)
            return Task.HARMONIZE, tuple(voice for voice in voices if voice != melody), None
        if kind == 3:
            return Task.HARMONIZE, _some(voices, rng, fewest=1), None
        length = int(rng.integers(1, min(MAX_INFILL_BARS, len(piece.bars)) + 1))
        first = int(rng.integers(0, len(piece.bars) - length + 1))
        targets = voices if rng.random() < 0.5 else _some(voices, rng, fewest=1)
        return Task.INFILL, targets, list(range(first, first + length))


def _some(voices: Sequence[int], rng: np.random.Generator, *, fewest: int) -> tuple[int, ...]:
    """Draw a proper subset of voices, of uniform size, at least `fewest`."""
    size = int(rng.integers(fewest, len(voices)))
    return tuple(sorted(int(v) for v in rng.choice(voices, size, replace=False)))


def _shorten(piece: Piece, share: float, rng: np.random.Generator) -> Piece:
    """Keep a window of about `share` of the bars; at least half of the windows start at the beginning."""
    length = max(1, int(len(piece.bars) * share * 0.95))
    first = int(rng.integers(0, len(piece.bars) - length + 1)) if rng.random() < 0.5 else 0
    return Piece(piece.bars[first : first + length])
