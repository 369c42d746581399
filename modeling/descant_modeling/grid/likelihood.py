"""Likelihood of grids in the unit of the published figures: nats per voice-16th, BOS given, EOS counted.

Nothing is cut off, and the 16ths of a piece are the frames of its grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transformers import PreTrainedModel

from descant_modeling.evaluation.scoring import PieceScore, Scores, pooled
from descant_modeling.grid.data import Grid
from descant_modeling.grid.vocabulary import PAD, GridVocabulary
from descant_modeling.likelihood import NUM_VOICES, VOICE_16TH, Likelihood, score_streams, windows


def grid_likelihood(
    model: PreTrainedModel,
    vocabulary: GridVocabulary,
    grids: Sequence[Grid],
) -> Likelihood:
    """Score whole pieces, pooled.

    Args:
        model: Causal model.
        vocabulary: Its tokens.
        grids: The music, at least one note of it.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    streams = [vocabulary.encode(grid.pitches_VT, grid.name) for grid in grids]
    limit = model.config.max_position_embeddings
    return Likelihood(
        unit=VOICE_16TH,
        num_notes=sum(grid.num_notes for grid in grids),
        piece_nats=score_streams(model, streams, pad=PAD),
        piece_16ths=[float(grid.num_16ths) for grid in grids],
        num_windowed=sum(len(stream.ids) > limit for stream in streams),
    )


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
    limit, done = model.config.max_position_embeddings, 0

    def count(finished: int) -> None:
        nonlocal done
        done += finished
        if progress is not None:
            progress(done / len(grids))

    all_nats = score_streams(model, streams, pad=PAD, progress=count)
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
