"""Preparation of a grid model's run: the benchmark's file and a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from descant_modeling.jsb_grid.checkpoints import GridMeta, GridRepresentation
from descant_modeling.jsb_grid.config import GridConfig
from descant_modeling.jsb_grid.data import (
    BOS,
    EOS,
    PAD,
    Grid,
    GridSource,
    GridVocabulary,
    grid_ranges,
    hash_grids,
    read_grids,
)
from descant_modeling.models.transformer import build_model
from descant_modeling.training.causal import begin_causal_run, prepare_causal_run
from descant_modeling.training.log import git_revision
from descant_modeling.training.run import PreparedRun, RunContext
from descant_tokenizers.common.errors import InputError


def prepare_grid_run(context: RunContext[GridConfig]) -> PreparedRun:
    """Load data and model of a grid run.

    Raises:
        InputError: The grid file is missing or invalid, or a piece does not fit into the model.
    """
    begin_causal_run(context)
    config = context.config
    if config.data.grid_json is None:
        raise InputError(
            "data.grid_json is not set. Give data.grid_json=FILE, the JSB Chorales on a grid of 16ths as JSON."
        )
    train, valid = (read_grids(Path(config.data.grid_json), split) for split in ("train", "valid"))
    ranges = grid_ranges(train)
    vocabulary = GridVocabulary.of_ranges(ranges, config.data.beat_cycle)
    _check_lengths(train, vocabulary, config.model.max_tokens)
    torch.manual_seed(config.seed)
    model = build_model(config.model, vocabulary.size, bos=BOS, eos=EOS, pad=PAD)
    source = GridSource(train, vocabulary, seed=config.seed, transpose=config.data.transpose)
    meta = GridMeta(
        vocabulary=vocabulary,
        vocabulary_sha256=vocabulary.sha256(),
        corpora={"grid": hash_grids(train)},
        voice_ranges=tuple(ranges),
        training={"seed": config.seed, "splits": ["train"], "git": git_revision()},
    )
    return prepare_causal_run(
        context,
        model,
        source,
        GridRepresentation(valid, meta),
        num_pieces={"train": len(train), "valid": len(valid)},
        corpora=meta.corpora,
        vocabulary_sha256=meta.vocabulary_sha256,
    )


def _check_lengths(grids: Sequence[Grid], vocabulary: GridVocabulary, max_tokens: int) -> None:
    """Raise `InputError` if a piece does not fit into a model."""
    longest = max(grids, key=lambda grid: grid.num_16ths)
    num_tokens = len(vocabulary.encode(longest.pitches_VT).ids)
    if num_tokens > max_tokens:
        raise InputError(f"{longest.name} has {num_tokens} tokens. Set model.max_tokens to {num_tokens} or more.")
