"""From a dataset of scores to a dataset of tokens, and from there to pieces."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from datasets import Dataset, DatasetDict
from miditok import REMI

from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.errors import InputError
from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.layout import Task, TaskLayout
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.vocabulary import TokenTable


def tokenize_dataset(
    dataset: DatasetDict, tokenizer: REMI, num_proc: int | None = None
) -> tuple[DatasetDict, dict[str, str]]:
    """Add token columns to every row, in parallel.

    The columns are `input_ids` (the *continue* stream, `BOS CONTINUE Program+ ... EOS`), `voices` (ranks of the
    voices that have notes), `num_bars`, `num_16ths` (from the first bar to the end of the last note) and
    `grid_changes` (what the grid could not hold).

    Args:
        dataset: Rows with a `music` column of MIDI bytes.
        tokenizer: A tokenizer of the `satb` preset.
        num_proc: Worker processes; None for the calling one.

    Returns:
        The dataset without the rows that the vocabulary cannot hold, and the reason for each of those by its `id`.
    """
    step = functools.partial(_tokenize_row, layout=TaskLayout(TokenTable(tokenizer)))
    mapped = DatasetDict(
        {name: split.map(step, num_proc=num_proc, desc=f"tokenize {name}") for name, split in dataset.items()}
    )
    refused = {
        row["id"]: row["grid_changes"][0]
        for split in mapped.values()
        for row in split.select_columns(["id", "num_bars", "grid_changes"])
        if row["num_bars"] == 0
    }
    kept = {name: split.filter(bool, input_columns="num_bars", desc=f"keep {name}") for name, split in mapped.items()}
    return DatasetDict(kept), refused


def dataset_pieces(rows: Dataset | Iterable[dict[str, Any]], layout: TaskLayout) -> list[Piece]:
    """Read the pieces back from the `input_ids` of a tokenized dataset."""
    return [layout.decode(row["input_ids"]).piece for row in rows]


def _tokenize_row(row: dict[str, Any], layout: TaskLayout) -> dict[str, Any]:
    """Tokenize one row; a piece that the vocabulary cannot hold gets no ids and the reason."""
    try:
        encoded = encode_score(layout.table, row_to_score(row))
    except InputError as error:
        return {"input_ids": [], "voices": [], "num_bars": 0, "num_16ths": 0.0, "grid_changes": [str(error)]}
    piece = encoded.piece
    return {
        "input_ids": layout.encode(piece, Task.CONTINUE, piece.voices).ids,
        "voices": list(piece.voices),
        "num_bars": len(piece.bars),
        "num_16ths": piece.end_ticks() * 4 / layout.table.ticks_per_quarter,
        "grid_changes": list(encoded.changes),
    }
