"""Tokens of one piece: the step that every engine runs, in modules that a worker process imports quickly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from descant_tokenizers.corpora.harvest import Outcome
from descant_tokenizers.corpora.rows import row_to_score
from descant_tokenizers.errors import InputError
from descant_tokenizers.tokens.encode import encode_stream
from descant_tokenizers.tokens.layout import TaskLayout

TOKEN_COLUMN_TYPES = {
    "input_ids": "int64[]",
    "voices": "int64[]",
    "num_bars": "int64",
    "num_16ths": "float64",
    "grid_changes": "string[]",
}


@dataclass(frozen=True)
class TokenStep:
    """Adds token columns to a piece that was just read; see `descant_tokenizers.corpora.harvest.Step`."""

    layout: TaskLayout

    def __call__(self, outcome: Outcome) -> Outcome:
        """Tokenize a piece; one that the vocabulary cannot hold is skipped for that reason."""
        assert outcome.piece is not None
        columns = tokenize_row({"music": outcome.piece.music}, self.layout)
        if not columns["num_bars"]:
            return Outcome(outcome.key, reason=f"{outcome.key}: {columns['grid_changes'][0]}")
        return replace(outcome, columns=columns)


def tokenize_row(row: Mapping[str, Any], layout: TaskLayout) -> dict[str, Any]:
    """Tokenize one row; a piece that the vocabulary cannot hold gets no ids and the reason."""
    try:
        stream = encode_stream(layout.table, row_to_score(row))
    except InputError as error:
        return {"input_ids": [], "voices": [], "num_bars": 0, "num_16ths": 0.0, "grid_changes": [str(error)]}
    return {
        "input_ids": layout.continue_ids(stream.ids, stream.voices),
        "voices": list(stream.voices),
        "num_bars": stream.num_bars,
        "num_16ths": stream.end_ticks * 4 / layout.table.ticks_per_quarter,
        "grid_changes": list(stream.changes),
    }
