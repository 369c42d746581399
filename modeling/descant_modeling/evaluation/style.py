"""Whether a style token steers: the likelihood of each composer's held-out pieces under each style.

A style steers if pieces are likelier when the model is told their own style than when it is told another one. Where a
style is one voice (folk) and another four, the header of the stream tells them apart already; so the sopranos of
four-part pieces are scored alone, too.

Shapes: N pieces, K styles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import DatasetDict

from descant_modeling.checkpoints import Checkpoint
from descant_modeling.evaluation.resample import ratio_interval
from descant_modeling.evaluation.scoring import score_pieces
from descant_modeling.progress import part_of
from descant_modeling.styles import corpus_of, style_of, with_styles
from descant_tokenizers.corpora import load_corpus
from descant_tokenizers.errors import InputError
from descant_tokenizers.tokens.dataset import dataset_pieces, tokenize_dataset
from descant_tokenizers.tokens.layout import TaskLayout
from descant_tokenizers.tokens.piece import Piece

__all__ = ["StyleRow", "held_out_pieces", "score_styles"]

SOPRANO = 0
NUM_VOICES = 4
Named = list[tuple[str, Piece]]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StyleRow:
    """What a model makes of one composer's pieces under each style.

    Attributes:
        style: The composer's own.
        voices: `all`, or `soprano` where that voice was scored alone.
        names: The pieces.
        nats_NK: -ln p of each piece under each style that the model knows, in their order.
        notes_N: Notes of each piece.
    """

    style: str
    voices: str
    names: list[str]
    nats_NK: Floats
    notes_N: Floats

    def facts(self, styles: Sequence[str]) -> dict[str, Any]:
        """Return what goes into JSON: bits per note under each style, and how often each of them is the likeliest."""
        likeliest_N = self.nats_NK.argmin(axis=1)
        bits = {
            style: ratio_interval(self.nats_NK[:, k], self.notes_N, scale=1 / math.log(2)).rounded()
            for k, style in enumerate(styles)
        }
        pooled = {style: bits[style]["value"] for style in styles}
        return {
            "style": self.style,
            "voices": self.voices,
            "num_pieces": len(self.names),
            "num_notes": int(self.notes_N.sum()),
            "bits_per_note": bits,
            "likeliest": min(pooled, key=pooled.__getitem__),
            "pieces_likeliest_under": {style: int((likeliest_N == k).sum()) for k, style in enumerate(styles)},
            "own_is_likeliest": round(100 * float((likeliest_N == list(styles).index(self.style)).mean()), 2),
        }


def held_out_pieces(layout: TaskLayout, split: str, limit: int | None = None) -> dict[str, Named]:
    """Return the pieces of a split that likelihood is measured on, by style.

    Args:
        layout: A layout with styles.
        split: The split, the same of every corpus.
        limit: The first pieces of each style only.

    Raises:
        InputError: The layout has no styles.
    """
    if not layout.config.styles:
        raise InputError("this model knows no styles; train one that does, as configs/style-free.yaml says.")
    found: dict[str, Named] = {style: [] for style in layout.config.styles}
    for corpus in dict.fromkeys(corpus_of(style) for style in found):
        dataset = load_corpus(corpus)
        if split not in dataset:
            continue
        rows = dataset[split].filter(_is_measured, keep_in_memory=True)
        tokenized, _ = tokenize_dataset(with_styles(DatasetDict({split: rows})), layout.table.tokenizer)
        pieces = dataset_pieces(tokenized[split], layout)
        for row, piece in zip(tokenized[split], pieces, strict=True):
            style = style_of(row)
            if style in found and (limit is None or len(found[style]) < limit):
                found[style].append((row["id"], piece))
    return found


def score_styles(
    checkpoint: Checkpoint, pieces: Mapping[str, Named], progress: Callable[[float], None] | None = None
) -> list[StyleRow]:
    """Score each style's pieces under every style; sopranos of four-part pieces alone, too, if a style has one voice.

    Args:
        checkpoint: A model that knows styles.
        pieces: Held-out pieces by style; a style without any has no row.
        progress: Called with the share done, 0-1.
    """
    sets = [(style, "all", named) for style, named in pieces.items() if named]
    if any(_is_single(named) for _, _, named in sets):
        sets += [(style, "soprano", _sopranos(named)) for style, _, named in sets if not _is_single(named)]
    return [
        _score(checkpoint, *chosen, part_of(progress, index / len(sets), 1 / len(sets)))
        for index, chosen in enumerate(sets)
    ]


def _score(
    checkpoint: Checkpoint, style: str, voices: str, named: Named, progress: Callable[[float], None] | None
) -> StyleRow:
    styles = checkpoint.layout.config.styles
    columns = []
    for index, told in enumerate(styles):
        report = part_of(progress, index / len(styles), 1 / len(styles))
        scores = score_pieces(checkpoint.model, checkpoint.layout, named, style=told, progress=report)
        columns.append([piece.nats for piece in scores.pieces])
    notes_N = np.array([piece.num_notes for _, piece in named], dtype=float)
    return StyleRow(style, voices, [name for name, _ in named], np.array(columns).T, notes_N)


def _is_measured(row: Mapping[str, Any]) -> bool:
    """Whether a row is one voice or four: of more, only some would be heard."""
    return row["num_parts"] in (1, NUM_VOICES)


def _is_single(named: Named) -> bool:
    return all(len(piece.voices) == 1 for _, piece in named)


def _sopranos(named: Named) -> Named:
    return [(name, piece.keep_voices([SOPRANO])) for name, piece in named if SOPRANO in piece.voices]
