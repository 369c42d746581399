"""Likelihood of whole pieces, with intervals over pieces; the units are those of `descant_modeling.models.likelihood`.

Three questions: how likely is a piece (`score_pieces`, and `score_grids` for models over the sounding-pitch grid), how
likely are the voices that a harmony adds to its soprano (`Task.HARMONIZE`: only their tokens count, and the figure is
per voice-16th of these voices), and does a style token steer (`score_styles`)?

A style token steers if pieces are likelier under their own style than under any other. The prefix of a stream already
tells a style of one voice (folk) from a style of four, so the sopranos of four-part pieces are also scored alone.

Shapes: N pieces, K styles, V voices from high to low, T tokens of a window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from datasets import DatasetDict
from transformers import PreTrainedModel

from descant_modeling.common.console import part_of
from descant_modeling.evaluation.bootstrap import Estimate, ratio_interval
from descant_modeling.jsb_grid.data import PAD, Grid, GridVocabulary
from descant_modeling.models.checkpoints import Checkpoint
from descant_modeling.models.likelihood import (
    VOICE_16TH,
    WINDOW_OVERLAP,
    Unit,
    piece_16ths,
    score_streams,
    unit_of,
    windows,
)
from descant_modeling.training.data import corpus_of, style_of, with_styles
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import load_corpus
from descant_tokenizers.pianoroll.frames import Floats, Ints
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.dataset import dataset_pieces, tokenize_dataset
from descant_tokenizers.tokens.kinds import has_plain_lines, kind_of
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import Task, TaskLayout

__all__ = ["PieceScore", "Scores", "StyleRow", "held_out_pieces", "score_grids", "score_pieces", "score_styles"]

_SOPRANO = 0
_BITS_PER_NAT = 1 / math.log(2)

NamedPieces = Sequence[tuple[str, Piece]]


@dataclass(frozen=True)
class PieceScore:
    """The score of one piece.

    Attributes:
        name: Name of the piece.
        nats: Sum of -ln p over the counted tokens.
        length: Length of the piece in 16ths, times the number of voices if the unit is per voice.
        num_notes: Notes of the counted voices.
        num_windows: Windows the piece was scored in; 1 if it fits into the model's positions.
        pitches: For each voice, notes whose pitch was the likeliest token given all tokens before it, and all notes,
            (V, 2). Zeros for vocabularies with BPE merges, whose tokens hold several notes.
    """

    name: str
    nats: float
    length: float
    num_notes: int
    num_windows: int
    pitches: Ints = field(default_factory=lambda: np.zeros((len(VOICES), 2), dtype=np.int64))


@dataclass(frozen=True)
class Scores:
    """The scores of one or more pieces, pooled.

    Attributes:
        unit: Unit of the headline.
        window_tokens: Longest stream that is scored whole.
        pieces: Score of each piece.
        headline: Nats per voice-16th, or per 16th for multitrack music.
        bits_per_note: The same sum in bits, divided by the number of notes.
        pitch_accuracy: For each voice with pitches to count, per cent of its notes whose pitch is the likeliest token.
    """

    unit: Unit
    window_tokens: int
    pieces: list[PieceScore]
    headline: Estimate
    bits_per_note: Estimate
    pitch_accuracy: dict[str, Estimate]

    @classmethod
    def of(cls, unit: Unit, window_tokens: int, pieces: list[PieceScore]) -> Scores:
        """Pool the scores of one or more pieces."""
        nats = [piece.nats for piece in pieces]
        pitches_NV2 = np.stack([piece.pitches for piece in pieces])
        return cls(
            unit=unit,
            window_tokens=window_tokens,
            pieces=pieces,
            headline=ratio_interval(nats, [piece.length for piece in pieces]),
            bits_per_note=ratio_interval(nats, [piece.num_notes for piece in pieces], scale=_BITS_PER_NAT),
            pitch_accuracy={
                voice: ratio_interval(pitches_NV2[:, rank, 0], pitches_NV2[:, rank, 1], scale=100)
                for rank, voice in enumerate(VOICES)
                if pitches_NV2[:, rank, 1].any()
            },
        )

    @property
    def num_notes(self) -> int:
        """Notes of the counted voices."""
        return sum(piece.num_notes for piece in self.pieces)

    def facts(self) -> dict[str, Any]:
        """Return the scores for JSON."""
        nats, bits, key = self.headline, self.bits_per_note, self.unit.key
        return {
            key: round(nats.value, 5),
            "bits_per_note": round(bits.value, 4),
            "num_pieces": len(self.pieces),
            "num_notes": self.num_notes,
            "window": {"tokens": self.window_tokens, "overlap": WINDOW_OVERLAP},
            "num_windowed": sum(piece.num_windows > 1 for piece in self.pieces),
            "interval": {
                key: {"low": round(nats.low, 5), "high": round(nats.high, 5)},
                "bits_per_note": {"low": round(bits.low, 4), "high": round(bits.high, 4)},
            },
            "pitch_accuracy": {voice.lower(): share.rounded() for voice, share in self.pitch_accuracy.items()},
            "pieces": {
                piece.name: {
                    key: round(piece.nats / piece.length, 5),
                    "bits_per_note": round(_BITS_PER_NAT * piece.nats / max(piece.num_notes, 1), 4),
                    "nats": round(piece.nats, 3),
                    "num_notes": piece.num_notes,
                }
                for piece in self.pieces
            },
        }


def score_pieces(
    model: PreTrainedModel,
    layout: TaskLayout,
    pieces: NamedPieces,
    task: Task = Task.CONTINUE,
    *,
    style: str | None = None,
    batch_tokens: int = 8192,
    progress: Callable[[float], None] | None = None,
) -> Scores:
    """Score whole pieces.

    Args:
        model: Causal model; runs in eval mode and returns to the mode that it was in.
        layout: The layout it was trained with.
        pieces: Names and music.
        task: `CONTINUE` (all notes) or `HARMONIZE` (all voices but the soprano, which is context).
        style: Style token of every piece; None for no style token.
        batch_tokens: Maximum number of padded tokens in a batch.
        progress: Called with the share done, 0-1.

    Raises:
        InputError: There is nothing to score.
    """
    vocabulary, limit, unit = layout.vocabulary, model.config.max_position_embeddings, unit_of(layout.vocabulary)
    if task is Task.HARMONIZE:
        if kind_of(vocabulary).num_voices is None:
            raise InputError("This model has no soprano to harmonize. Score it with --task continue.")
        unit = unit._replace(num_voices=unit.num_voices - 1)
    counted = [
        (name, piece, voices)
        for name, piece in pieces
        if (voices := [voice for voice in piece.voices if task is Task.CONTINUE or voice != _SOPRANO])
    ]
    if not counted:
        raise InputError("There is no piece to score. Name a corpus and a split that hold pieces for this model.")
    streams = [layout.encode(piece, task, voices, style=style) for _, piece, voices in counted]
    count = _PitchCounter(layout, len(streams), model.device)
    nats_N = score_streams(
        model,
        streams,
        pad=vocabulary.special("PAD"),
        batch_tokens=batch_tokens,
        progress=progress,
        visit=count if has_plain_lines(vocabulary) else None,
    )
    scores = [
        PieceScore(
            name=name,
            nats=nats,
            length=unit.num_voices * piece_16ths(piece, vocabulary.ticks_per_quarter),
            num_notes=piece.keep_voices(voices).num_notes,
            num_windows=len(windows(stream, limit)),
            pitches=pitches_V2,
        )
        for (name, piece, voices), stream, nats, pitches_V2 in zip(
            counted, streams, nats_N, count.pitches_NV2, strict=True
        )
    ]
    return Scores.of(unit, limit, scores)


class _PitchCounter:
    """Counts for each piece and voice the pitches that were the likeliest token, and all pitches.

    Args:
        layout: A layout whose voices are single lines.
        num_pieces: N.
        device: Device of the model.
    """

    def __init__(self, layout: TaskLayout, num_pieces: int, device: torch.device) -> None:
        self.pitches_NV2 = np.zeros((num_pieces, len(VOICES), 2), dtype=np.int64)
        self._vocabulary = layout.vocabulary
        self._pitch_ids = torch.tensor(list(layout.vocabulary.pitch_of), device=device)

    def __call__(self, index: int, logits_TV: torch.Tensor, ids_T: torch.Tensor, loss_mask_T: torch.Tensor) -> None:
        """Count the pitches of one window; the token before a pitch is its voice."""
        places = (loss_mask_T & torch.isin(ids_T, self._pitch_ids)).nonzero()[:, 0]
        hits = logits_TV[places - 1].argmax(dim=-1) == ids_T[places]
        for voice_id, hit in zip(ids_T[places - 1].tolist(), hits.tolist(), strict=True):
            voice = self._vocabulary.voice_name(self._vocabulary.voice_of[voice_id])
            self.pitches_NV2[index, VOICES.index(voice)] += (hit, 1)


def score_grids(
    model: PreTrainedModel,
    vocabulary: GridVocabulary,
    grids: Sequence[Grid],
    progress: Callable[[float], None] | None = None,
) -> Scores:
    """Score whole pieces with a model over the sounding-pitch grid.

    Args:
        model: Causal model.
        vocabulary: Its tokens.
        grids: The music, with at least one note.
        progress: Called with the share done, 0-1.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    streams = [vocabulary.encode(grid.pitches_VT, grid.name) for grid in grids]
    limit, unit = model.config.max_position_embeddings, VOICE_16TH
    nats_N = score_streams(model, streams, pad=PAD, progress=progress)
    scores = [
        PieceScore(grid.name, nats, unit.num_voices * grid.num_16ths, grid.num_notes, len(windows(stream, limit)))
        for grid, stream, nats in zip(grids, streams, nats_N, strict=True)
    ]
    return Scores.of(unit, limit, scores)


@dataclass(frozen=True)
class StyleRow:
    """The likelihood of one composer's pieces under each style.

    Attributes:
        style: The composer's own style.
        voices: `all`, or `soprano` if that voice was scored alone.
        names: Names of the pieces.
        nats_NK: -ln p of each piece under each style of the model, in the model's order.
        notes_N: Number of notes of each piece.
    """

    style: str
    voices: str
    names: list[str]
    nats_NK: Floats
    notes_N: Floats

    def facts(self, styles: Sequence[str]) -> dict[str, Any]:
        """Return for JSON the bits per note under each style, and how often each style is the likeliest."""
        likeliest_N = self.nats_NK.argmin(axis=1)
        bits = {
            style: ratio_interval(self.nats_NK[:, k], self.notes_N, scale=_BITS_PER_NAT).rounded()
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


def held_out_pieces(layout: TaskLayout, split: str, limit: int | None = None) -> dict[str, NamedPieces]:
    """Return the pieces of one split of all corpora, by style: those of one voice and of four.

    Args:
        layout: A layout with styles.
        split: The split of every corpus.
        limit: Maximum number of pieces of each style.

    Raises:
        InputError: The layout has no styles.
    """
    if not layout.config.styles:
        raise InputError("This model has no styles. Train one with styles, as in configs/style-free.yaml.")
    found: dict[str, list[tuple[str, Piece]]] = {style: [] for style in layout.config.styles}
    for corpus in dict.fromkeys(corpus_of(style) for style in found):
        dataset = load_corpus(corpus)
        if split not in dataset:
            continue
        rows = dataset[split].filter(lambda row: row["num_parts"] in (1, len(VOICES)), keep_in_memory=True)
        tokenized, _ = tokenize_dataset(with_styles(DatasetDict({split: rows})), layout.vocabulary.tokenizer)
        for row, piece in zip(tokenized[split], dataset_pieces(tokenized[split], layout), strict=True):
            style = style_of(row)
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
            scores = score_pieces(checkpoint.model, checkpoint.layout, named, style=scored, progress=part)
            columns.append([piece.nats for piece in scores.pieces])
        notes_N = np.array([piece.num_notes for _, piece in named], dtype=float)
        rows.append(StyleRow(style, voices, [name for name, _ in named], np.array(columns).T, notes_N))
    return rows


def _sopranos(named: NamedPieces) -> NamedPieces:
    return [(name, piece.keep_voices([_SOPRANO])) for name, piece in named if _SOPRANO in piece.voices]
