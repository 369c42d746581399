"""Likelihood of whole pieces, piece by piece: of everything, or of the voices that a harmony adds to its soprano.

The units are those of `descant_modeling.likelihood`. To *harmonize*, only the tokens of the missing voices count, and
the figure is divided by their number of voice-16ths.

Shapes: B windows, T tokens, V vocabulary, N counted tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from descant_modeling.evaluation.resample import Estimate, ratio_interval
from descant_modeling.examples import bucket, collate
from descant_modeling.likelihood import Unit, piece_16ths, token_nll, unit_of, windows
from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.layout import Encoded, Task, TaskLayout
from descant_tokenizers.tokens.piece import Piece

__all__ = ["PieceScore", "Scores", "pooled", "score_pieces"]

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
    if task is Task.HARMONIZE and not layout.table.is_four_part:
        raise InputError("this model knows no soprano to harmonize; score it with --task continue.")
    unit, limit = unit_of(layout.table), model.config.max_position_embeddings
    if task is Task.HARMONIZE:
        unit = unit._replace(num_voices=unit.num_voices - 1)
    scores: list[PieceScore] = []
    parts: list[tuple[PieceScore, Encoded]] = []
    for name, piece in pieces:
        voices = [v for v in piece.voices if task is Task.CONTINUE or v != GIVEN_TO_HARMONIZE]
        if not voices:
            continue
        found = windows(layout.encode(piece, task, voices, style=style), limit)
        length = unit.num_voices * piece_16ths(piece, layout.table.ticks_per_quarter)
        scores.append(PieceScore(name, 0.0, length, piece.keep_voices(voices).num_notes, len(found)))
        parts += [(scores[-1], window) for window in found]
    if not scores:
        raise InputError("there is no piece to score; name a corpus and a split that hold pieces for this model.")
    _score_windows(model, layout, parts, batch_tokens, progress)
    return pooled(unit, limit, scores)


@torch.inference_mode()
def _score_windows(
    model: PreTrainedModel,
    layout: TaskLayout,
    parts: Sequence[tuple[PieceScore, Encoded]],
    batch_tokens: int,
    progress: Callable[[float], None] | None,
) -> None:
    """Add what each window says to the score of its piece."""
    was_training = model.training
    model.train(False)
    is_pitch_V = _pitch_mask(layout).to(model.device)
    done = 0
    for group in bucket([len(encoded.ids) for _, encoded in parts], batch_tokens):
        batch = collate([parts[i][1] for i in group], layout.table.special("PAD"))
        batch = batch.to(model.device)
        logits_BTV = model(input_ids=batch.ids_BT, use_cache=False).logits
        nll_N = token_nll(logits_BTV, batch).double().cpu().numpy()
        rows_N = batch.counted_BT[:, 1:].nonzero()[:, 0].cpu().numpy()
        for row, index in enumerate(group):
            score = parts[index][0]
            score.nats += float(nll_N[rows_N == row].sum())
            score.pitches += _count_pitches(
                layout, logits_BTV[row], batch.ids_BT[row], batch.counted_BT[row], is_pitch_V
            )
        done += len(group)
        if progress is not None:
            progress(done / len(parts))
    model.train(was_training)


def _pitch_mask(layout: TaskLayout) -> torch.Tensor:
    """Which tokens are a pitch of a voice and nothing else; none in a learned vocabulary."""
    table = layout.table
    mask = torch.zeros(table.size, dtype=torch.bool)
    if table.is_four_part and table.size == table.num_base_ids:
        mask[list(table.pitch_of)] = True
    return mask


def _count_pitches(
    layout: TaskLayout, logits_TV: torch.Tensor, ids_T: torch.Tensor, counted_T: torch.Tensor, is_pitch_V: torch.Tensor
) -> npt.NDArray[np.int64]:
    """Count for each voice the pitches that were the likeliest token, and all, (voices, 2)."""
    counts = np.zeros((len(VOICES), 2), dtype=np.int64)
    places = (counted_T & is_pitch_V[ids_T]).nonzero()[:, 0]
    best = logits_TV[places - 1].argmax(dim=-1)
    hits = (best == ids_T[places]).tolist()
    for program_id, hit in zip(ids_T[places - 1].tolist(), hits, strict=True):
        counts[VOICES.index(layout.table.voice_name(layout.table.voice_of[program_id]))] += (hit, 1)
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
