"""Likelihood of grids in the unit of the published figures: nats per voice-16th, BOS given, EOS counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transformers import PreTrainedModel

from descant_modeling.grid.data import Grid
from descant_modeling.grid.vocabulary import PAD, GridVocabulary
from descant_modeling.likelihood import VOICE_16TH, Likelihood, score_streams


def grid_likelihood(
    model: PreTrainedModel,
    vocabulary: GridVocabulary,
    grids: Sequence[Grid],
    progress: Callable[[int], None] | None = None,
) -> Likelihood:
    """Score whole pieces.

    Args:
        model: Causal model.
        vocabulary: Its tokens.
        grids: The music, at least one note of it.
        progress: Called after each batch with the number of pieces that are done.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    streams = [vocabulary.encode(grid.pitches_VT, grid.name) for grid in grids]
    limit = model.config.max_position_embeddings
    return Likelihood(
        unit=VOICE_16TH,
        num_notes=sum(grid.num_notes for grid in grids),
        piece_nats=score_streams(model, streams, pad=PAD, progress=progress),
        piece_16ths=[float(grid.num_16ths) for grid in grids],
        num_windowed=sum(len(stream.ids) > limit for stream in streams),
    )
