"""Likelihood of whole pieces, piece by piece: of everything, or of the voices that a harmony adds to its soprano.

The units are those of `descant_modeling.models.likelihood`. To *harmonize*, only the tokens of the missing voices
count, and the figure is divided by their number of voice-16ths.

Shapes: B windows, T tokens, V vocabulary, N counted tokens.

Whether a style token steers: the likelihood of each composer's held-out pieces under each style.

A style steers if pieces are likelier when the model is told their own style than when it is told another one. Where a
style is one voice (folk) and another four, the header of the stream tells them apart already; so the sopranos of
four-part pieces are scored alone, too.

Shapes: N pieces, K styles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from datasets import DatasetDict
from transformers import PreTrainedModel

from descant_modeling.common.console import part_of
from descant_modeling.evaluation.bootstrap import Estimate, ratio_interval
from descant_modeling.jsb_grid.data import PAD, Grid, GridVocabulary
from descant_modeling.models.checkpoints import Checkpoint
from descant_modeling.models.likelihood import (
    NUM_VOICES,
    VOICE_16TH,
    Unit,
    piece_16ths,
    score_streams,
    unit_of,
    windows,
)
from descant_modeling.training.data import corpus_of, style_of, with_styles
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import load_corpus
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.dataset import dataset_pieces, tokenize_dataset
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import Encoded, Task, TaskLayout

__all__ = ["PieceScore", "Scores", "StyleRow", "held_out_pieces", "pooled", "score_pieces", "score_styles"]


def score_facts(scores: Scores) -> dict[str, Any]:
    """Return what goes into JSON."""
    from descant_modeling.models.likelihood import WINDOW_OVERLAP

    nats, bits, key = scores.headline, scores.bits_per_note, scores.unit.key
    return {
        key: round(nats.value, 5),
        "bits_per_note": round(bits.value, 4),
        "num_pieces": len(scores.pieces),
        "num_notes": scores.num_notes,
        "window": {"tokens": scores.window_tokens, "overlap": WINDOW_OVERLAP},
        "num_windowed": sum(piece.num_windows > 1 for piece in scores.pieces),
        "interval": {
            key: {"low": round(nats.low, 5), "high": round(nats.high, 5)},
            "bits_per_note": {"low": round(bits.low, 4), "high": round(bits.high, 4)},
        },
        "pitch_accuracy": {voice.lower(): share.rounded() for voice, share in scores.pitch_accuracy.items()},
        "pieces": {piece.name: _piece(piece, key) for piece in scores.pieces},
    }


def _piece(piece: PieceScore, key: str) -> dict[str, Any]:
    return {
        key: round(piece.nats / piece.length, 5),
        "bits_per_note": round(piece.nats / math.log(2) / max(piece.num_notes, 1), 4),
        "nats": round(piece.nats, 3),
        "num_notes": piece.num_notes,
    }


def score_grids(
    model: PreTrainedModel,
    vocabulary: GridVocabulary,
    grids: Sequence[Grid],
    progress: Callable[[float], None] | None = None,
) -> Scores:
    """Score whole pieces one by one, with intervals over pieces.

    Args:
        model: Causal model.
        vocabulary: Its tokens.
        grids: The music, at least one note of it.
        progress: Called with the share done, 0-1.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    streams = [vocabulary.encode(grid.pitches_VT, grid.name) for grid in grids]
    limit = model.config.max_position_embeddings
    all_nats = score_streams(model, streams, pad=PAD, progress=progress)
    scores = [
        PieceScore(
            name=grid.name,
            nats=nats,
            length=NUM_VOICES * grid.num_16ths,
            num_notes=grid.num_notes,
            num_windows=len(windows(stream, limit)),
        )
        for grid, stream, nats in zip(grids, streams, all_nats, strict=True)
    ]
    return pooled(VOICE_16TH, limit, scores)


GIVEN_TO_HARMONIZE = 0
"""The soprano."""


@dataclass
class PieceScore:
    """What a model makes of one piece.

    Attributes:
        name: The piece.
        nats: Sum of -ln p over the counted tokens.
        length: The piece's length in 16ths, times the number of voices where the unit is per voice.
        num_notes: Notes of the counted voices.
        num_windows: Windows it was scored in; 1 if the model can hold it whole.
        pitches: For each voice, the notes whose pitch was the likeliest of all tokens, and all notes. Given all that
            stands before it in the stream. Empty for learned (BPE) vocabularies, whose tokens hold several notes.
    """

    name: str
    nats: float
    length: float
    num_notes: int
    num_windows: int
    pitches: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((len(VOICES), 2), dtype=np.int64))


@dataclass(frozen=True)
class Scores:
    """What a model makes of a set of pieces.

    Attributes:
        unit: What the headline is counted in.
        window_tokens: Longest stream that is scored whole; windows of a longer one overlap by half.
        pieces: One score a piece.
        headline: Nats per voice-16th (per 16th where there are not four voices), pooled over pieces.
        bits_per_note: The same sum in bits, over the notes.
        pitch_accuracy: For each voice, per cent of its notes whose pitch is the likeliest token. Empty for learned
            vocabularies, and where there are not four voices.
    """

    unit: Unit
    window_tokens: int
    pieces: list[PieceScore]
    headline: Estimate
    bits_per_note: Estimate
    pitch_accuracy: dict[str, Estimate]

    @property
    def num_notes(self) -> int:
        """Notes of the counted voices."""
        return sum(piece.num_notes for piece in self.pieces)


def score_pieces(
    model: PreTrainedModel,
    layout: TaskLayout,
    pieces: Sequence[tuple[str, Piece]],
    task: Task = Task.CONTINUE,
    *,
    style: str | None = None,
    batch_tokens: int = 8192,
    progress: Callable[[float], None] | None = None,
) -> Scores:
    """Score whole pieces.

    Args:
        model: Causal model; put into eval mode, and back as it was.
        layout: The layout it was trained with.
        pieces: Names and music.
        task: `CONTINUE` (all notes) or `HARMONIZE` (all voices but the soprano, which is given).
        style: In whose manner the model is told that all of them are written; None tells nothing.
        batch_tokens: Padded tokens in a batch.
        progress: Called with the share done, 0-1.

    Raises:
        InputError: There is nothing to score.
    """
    if task is Task.HARMONIZE and not layout.vocabulary.is_four_part:
        raise InputError("this model knows no soprano to harmonize; score it with --task continue.")
    unit, limit = unit_of(layout.vocabulary), model.config.max_position_embeddings
    if task is Task.HARMONIZE:
        unit = unit._replace(num_voices=unit.num_voices - 1)
    scores: list[PieceScore] = []
    streams: list[Encoded] = []
    for name, piece in pieces:
        voices = [v for v in piece.voices if task is Task.CONTINUE or v != GIVEN_TO_HARMONIZE]
        if not voices:
            continue
        streams.append(layout.encode(piece, task, voices, style=style))
        length = unit.num_voices * piece_16ths(piece, layout.vocabulary.ticks_per_quarter)
        num_windows = len(windows(streams[-1], limit))
        scores.append(PieceScore(name, 0.0, length, piece.keep_voices(voices).num_notes, num_windows))
    if not scores:
        raise InputError("there is no piece to score; name a corpus and a split that hold pieces for this model.")
    is_pitch_V = _pitch_mask(layout).to(model.device)

    def count(index: int, logits_TV: torch.Tensor, ids_T: torch.Tensor, loss_mask_T: torch.Tensor) -> None:
        scores[index].pitches += _count_pitches(layout, logits_TV, ids_T, loss_mask_T, is_pitch_V)

    pad = layout.vocabulary.special("PAD")
    nats = score_streams(model, streams, pad=pad, batch_tokens=batch_tokens, progress=progress, visit=count)
    for score, value in zip(scores, nats, strict=True):
        score.nats = value
    return pooled(unit, limit, scores)


def _pitch_mask(layout: TaskLayout) -> torch.Tensor:
    """Which tokens are a pitch of a voice and nothing else; none in a learned vocabulary."""
    vocabulary = layout.vocabulary
    mask = torch.zeros(vocabulary.size, dtype=torch.bool)
    if vocabulary.is_four_part and vocabulary.size == vocabulary.num_base_ids:
        mask[list(vocabulary.pitch_of)] = True
    return mask


def _count_pitches(
    layout: TaskLayout,
    logits_TV: torch.Tensor,
    ids_T: torch.Tensor,
    loss_mask_T: torch.Tensor,
    is_pitch_V: torch.Tensor,
) -> npt.NDArray[np.int64]:
    """Count for each voice the pitches that were the likeliest token, and all, (voices, 2)."""
    counts = np.zeros((len(VOICES), 2), dtype=np.int64)
    places = (loss_mask_T & is_pitch_V[ids_T]).nonzero()[:, 0]
    best = logits_TV[places - 1].argmax(dim=-1)
    hits = (best == ids_T[places]).tolist()
    for program_id, hit in zip(ids_T[places - 1].tolist(), hits, strict=True):
        counts[VOICES.index(layout.vocabulary.voice_name(layout.vocabulary.voice_of[program_id]))] += (hit, 1)
    return counts


def pooled(unit: Unit, window_tokens: int, pieces: list[PieceScore]) -> Scores:
    """Pool the scores of one or more pieces, with intervals over pieces."""
    nats = [piece.nats for piece in pieces]
    pitches_NV2 = np.stack([piece.pitches for piece in pieces])
    return Scores(
        unit=unit,
        window_tokens=window_tokens,
        pieces=pieces,
        headline=ratio_interval(nats, [piece.length for piece in pieces]),
        bits_per_note=ratio_interval(nats, [piece.num_notes for piece in pieces], scale=1 / math.log(2)),
        pitch_accuracy={
            voice: ratio_interval(pitches_NV2[:, rank, 0], pitches_NV2[:, rank, 1], scale=100)
            for rank, voice in enumerate(VOICES)
            if pitches_NV2[:, rank, 1].any()
        },
    )


SOPRANO = 0
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
        tokenized, _ = tokenize_dataset(with_styles(DatasetDict({split: rows})), layout.vocabulary.tokenizer)
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
