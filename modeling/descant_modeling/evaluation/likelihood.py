"""Likelihood for reports: intervals over pieces, and a test of the effect of style tokens.

A style token has an effect if pieces are likelier under their own style than under any other. The prefix of a stream
already distinguishes a style of one voice (folk) from a style of four, so the sopranos of four-part pieces are also
scored alone.

Shapes: N pieces, S styles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import DatasetDict

from descant_modeling.common.console import part_of
from descant_modeling.evaluation.bootstrap import ratio_interval
from descant_modeling.models.checkpoints import Checkpoint
from descant_modeling.models.likelihood import BITS_PER_NAT, WINDOW_OVERLAP, Likelihood, score_pieces
from descant_modeling.training.data import corpus_of, with_styles
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import load_corpus
from descant_tokenizers.pianoroll.frames import Floats
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.dataset import StoredPieces, tokenize_dataset
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import TaskLayout

_SOPRANO = 0

NamedPieces = Sequence[tuple[str, Piece]]


def likelihood_facts(likelihood: Likelihood) -> dict[str, Any]:
    """Return a likelihood for JSON, with 95 % intervals over pieces.

    `pitch_accuracy` is the percentage of a voice's notes whose pitch is the likeliest token, for scored voices.
    """
    pieces, key = likelihood.pieces, likelihood.unit.key
    nats = ratio_interval([piece.nats for piece in pieces], [piece.length for piece in pieces])
    bits = ratio_interval([p.nats for p in pieces], [p.num_notes for p in pieces], scale=BITS_PER_NAT)
    pitches_NV2 = np.stack([piece.pitches for piece in pieces])
    return {
        key: round(nats.value, 5),
        "bits_per_note": round(bits.value, 4),
        "num_pieces": len(pieces),
        "num_notes": likelihood.num_notes,
        "window": {"tokens": likelihood.window_tokens, "overlap": WINDOW_OVERLAP},
        "num_windowed": sum(piece.num_windows > 1 for piece in pieces),
        "interval": {
            key: {"low": round(nats.low, 5), "high": round(nats.high, 5)},
            "bits_per_note": {"low": round(bits.low, 4), "high": round(bits.high, 4)},
        },
        "pitch_accuracy": {
            voice.lower(): ratio_interval(pitches_NV2[:, rank, 0], pitches_NV2[:, rank, 1], scale=100).rounded()
            for rank, voice in enumerate(VOICES)
            if pitches_NV2[:, rank, 1].any()
        },
        "pieces": {
            piece.name: {
                key: round(piece.nats / piece.length, 5),
                "bits_per_note": round(BITS_PER_NAT * piece.nats / max(piece.num_notes, 1), 4),
                "nats": round(piece.nats, 3),
                "num_notes": piece.num_notes,
            }
            for piece in pieces
        },
    }


@dataclass(frozen=True)
class StyleRow:
    """The likelihood of one composer's pieces under each style.

    Attributes:
        style: The composer's own style.
        voices: `all`, or `soprano` if that voice was scored alone.
        names: Names of the pieces.
        nats_NS: -ln p of each piece under each style of the model, in the model's order.
        notes_N: Number of notes of each piece.
    """

    style: str
    voices: str
    names: list[str]
    nats_NS: Floats
    notes_N: Floats

    def facts(self, styles: Sequence[str]) -> dict[str, Any]:
        """Return the bits per note under each style and how often each style is the likeliest, for JSON."""
        likeliest_N = self.nats_NS.argmin(axis=1)
        bits = {
            style: ratio_interval(self.nats_NS[:, k], self.notes_N, scale=BITS_PER_NAT).rounded()
            for k, style in enumerate(styles)
        }
        return {
            "style": self.style,
            "voices": self.voices,
            "num_pieces": len(self.names),
            "num_notes": int(self.notes_N.sum()),
            "bits_per_note": bits,
            "likeliest": min(styles, key=lambda style: bits[style]["value"]),
            "pieces_likeliest_under": {style: int((likeliest_N == k).sum()) for k, style in enumerate(styles)},
            "own_is_likeliest": round(100 * float((likeliest_N == list(styles).index(self.style)).mean()), 2),
        }


def held_out_pieces(
    layout: TaskLayout, split: str, limit: int | None = None, corpora: Sequence[str] = ()
) -> dict[str, NamedPieces]:
    """Return the pieces of one split of all corpora, by style: those of one voice and of four.

    Args:
        layout: A layout with styles.
        split: The split of every corpus.
        limit: Maximum number of pieces of each style.
        corpora: The corpora; by default those by which the styles are known.

    Raises:
        InputError: The layout has no styles.
    """
    if not layout.config.styles:
        raise InputError("This model has no styles. Train one with styles, as in configs/style-free.yaml.")
    found: dict[str, list[tuple[str, Piece]]] = {style: [] for style in layout.config.styles}
    for corpus in corpora or dict.fromkeys(corpus_of(style) for style in found):
        dataset = load_corpus(corpus)
        if split not in dataset:
            continue
        rows = dataset[split].filter(lambda row: row["num_parts"] in (1, len(VOICES)), keep_in_memory=True)
        tokenized, _ = tokenize_dataset(
            with_styles(DatasetDict({split: rows}), layout.vocabulary), layout.vocabulary.tokenizer
        )
        for row, piece in zip(tokenized[split], StoredPieces([tokenized[split]], layout), strict=True):
            style = row["style"]
            if style in found and (limit is None or len(found[style]) < limit):
                found[style].append((row["id"], piece))
    return dict(found)


def score_styles(
    checkpoint: Checkpoint, pieces: Mapping[str, NamedPieces], progress: Callable[[float], None] | None = None
) -> list[StyleRow]:
    """Score each style's pieces under every style, and the sopranos of four-part pieces if a style has one voice.

    Args:
        checkpoint: A model with styles.
        pieces: Held-out pieces by style; a style without pieces has no row.
        progress: Called with the share done, 0-1.
    """
    groups = [(style, "all", named) for style, named in pieces.items() if named]
    four_part = [(style, named) for style, _, named in groups if any(len(piece.voices) > 1 for _, piece in named)]
    if len(four_part) < len(groups):
        groups += [(style, "soprano", _sopranos(named)) for style, named in four_part]
    styles, rows, share = checkpoint.layout.config.styles, [], 1 / max(len(groups), 1)
    for row, (style, voices, named) in enumerate(groups):
        columns = []
        for column, scored in enumerate(styles):
            part = part_of(progress, share * (row + column / len(styles)), share / len(styles))
            style_tokens = [scored] * len(named)
            scores = score_pieces(checkpoint.model, checkpoint.layout, named, styles=style_tokens, progress=part)
            columns.append([piece.nats for piece in scores.pieces])
        notes_N = np.array([piece.num_notes for piece in scores.pieces], dtype=float)
        rows.append(StyleRow(style, voices, [piece.name for piece in scores.pieces], np.array(columns).T, notes_N))
    return rows


def _sopranos(named: NamedPieces) -> NamedPieces:
    return [(name, piece.keep_voices([_SOPRANO])) for name, piece in named if _SOPRANO in piece.voices]
