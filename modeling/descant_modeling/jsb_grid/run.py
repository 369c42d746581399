"""Everything a grid run needs before its first step: the benchmark's file and a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from descant_modeling.jsb_grid.checkpoints import GridMeta, GridTask
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
from descant_modeling.models.transformer import build_model, count_parameters
from descant_modeling.training.causal import open_causal_run, padding_share
from descant_modeling.training.run import Run, RunOptions
from descant_modeling.training.trainer import Trainer
from descant_tokenizers.common.errors import InputError


def prepare_run(values: dict[str, Any], where: str, options: RunOptions) -> Run:
    """Read configuration and data of a grid model, build or restore model and trainer; see `objectives.prepare_run`.

    The run folder is made last, so that a mistake leaves none behind.
    """
    opening = open_causal_run(GridConfig, values, where, options)
    config, accelerator = opening.config, opening.accelerator
    if config.data.grid_json is None:
        raise InputError(
            f"{where}: data.grid_json is not set: give data.grid_json=FILE, the JSB Chorales on a 16th grid"
        )
    train, valid = (read_grids(Path(config.data.grid_json), split) for split in ("train", "valid"))
    vocabulary = vocabulary_of(train, config.data.beat_cycle)
    check_lengths(train, vocabulary, config.model.max_tokens)
    torch.manual_seed(config.seed)
    model = build_model(config.model, vocabulary.size, bos=BOS, eos=EOS, pad=PAD)
    source = GridSource(train, vocabulary, seed=config.seed, transpose=config.data.transpose)
    folder, log = opening.open_folder()
    padding = round(padding_share(source, config.data.batch_tokens), 4)
    corpora = {"grid": hash_grids(train)}
    header = opening.header(
        num_parameters=count_parameters(model),
        num_pieces={"train": len(train), "valid": len(valid)},
        padding_share=padding,
        corpora=corpora,
        vocabulary_sha256=vocabulary.sha256(),
    )
    meta = GridMeta(
        vocabulary=vocabulary,
        vocabulary_sha256=vocabulary.sha256(),
        corpora=corpora,
        voice_ranges=tuple(grid_ranges(train)),
        training={"seed": config.seed, "splits": ["train"], "git": header["git"]},
    )
    trainer = Trainer(config, accelerator, model, source, GridTask(valid, meta), folder, log)
    size = f"{header['num_parameters'] / 1e6:.2f} M parameters, {len(train)} pieces"
    return opening.finish(trainer, header, f"{size}, padding {padding:.1%}")


def vocabulary_of(grids: list[Grid], beat_cycle: int) -> GridVocabulary:
    """Return the vocabulary that holds every pitch from the lowest to the highest of some pieces."""
    lows, highs = zip(*grid_ranges(grids), strict=True)
    return GridVocabulary(min(lows), max(highs), beat_cycle)


def check_lengths(grids: list[Grid], vocabulary: GridVocabulary, max_tokens: int) -> None:
    """Refuse pieces that a model cannot hold whole.

    Raises:
        InputError: One is too long.
    """
    longest = max(grids, key=lambda grid: grid.num_16ths)
    num_tokens = len(vocabulary.encode(longest.pitches_VT).ids)
    if num_tokens > max_tokens:
        raise InputError(f"{longest.name} takes {num_tokens} tokens: set model.max_tokens to as many at least")
